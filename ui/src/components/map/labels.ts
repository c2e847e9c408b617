import type { Edge } from '../../api/types';
import { duration, rate, ratio } from '../../domain/format';
import type { Size } from '../../domain/layout/types';

/** What stands beside an edge. */
export interface EdgeText {
  rate: string;
  /** Only when something failed. */
  failed: string | null;
  /** Latency, with the protocol before it where there are several. */
  below: string;
  /** Only when the edge is known to miss something. */
  lost: string | null;
}

export function edgeText(edge: Edge, withProtocol: boolean): EdgeText {
  const parts = [];
  if (withProtocol) parts.push(edge.protocol);
  if (edge.p95Seconds !== null) parts.push(`p95 ${duration(edge.p95Seconds)}`);
  return {
    rate: rate(edge.requestsPerSecond),
    failed: edge.failedRatio !== null && edge.failedRatio > 0 ? ratio(edge.failedRatio) : null,
    below: parts.join(' · '),
    lost: edge.lost > 0 ? `${Math.ceil(edge.lost)} missed` : null,
  };
}

const CHARACTER = 6.5;
const LINE = 15;
const PADDING = 14;

/** About how much room a text takes at 11 pixels. */
export function textSize(text: EdgeText): Size {
  const top = [text.rate, text.failed, text.lost].filter((t) => t !== null);
  const first = top.join('').length * CHARACTER + (top.length - 1) * 8 + (text.lost === null ? 0 : 14);
  const lines = text.below === '' ? 1 : 2;
  return { width: Math.max(first, text.below.length * CHARACTER) + PADDING, height: lines * LINE + 6 };
}
