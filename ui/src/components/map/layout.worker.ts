import { extend } from '../../domain/layout/extend';
import { layout } from '../../domain/layout/layout';
import type { LayoutInput, Point } from '../../domain/layout/types';

export interface LayoutRequest {
  id: number;
  input: LayoutInput;
  /** Positions to keep; null to place everything anew. */
  known: Map<string, Point> | null;
}

export interface LayoutAnswer {
  id: number;
  positions: Map<string, Point>;
  bends: Map<string, Point[]>;
}

self.addEventListener('message', ({ data }: MessageEvent<LayoutRequest>) => {
  const answer: LayoutAnswer =
    data.known === null
      ? { id: data.id, ...layout(data.input) }
      : { id: data.id, positions: extend(data.input, data.known), bends: new Map() };
  self.postMessage(answer);
});
