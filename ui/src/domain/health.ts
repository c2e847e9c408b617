import type { Edge, Health, Node } from '../api/types';

/** From topology/graph.go: warning from 1 % failed, critical from 5 %. Rejected requests turn nothing red. */
const WARNING_RATIO = 0.01;
const CRITICAL_RATIO = 0.05;

export function healthOf(requestsPerSecond: number, failedRatio: number | null): Health {
  if (requestsPerSecond === 0 || failedRatio === null) return 'idle';
  if (failedRatio >= CRITICAL_RATIO) return 'critical';
  if (failedRatio >= WARNING_RATIO) return 'warning';
  return 'ok';
}

export function edgeHealth(edge: Edge): Health {
  return healthOf(edge.requestsPerSecond, edge.failedRatio);
}

export function isFailing(health: Health): boolean {
  return health === 'critical' || health === 'warning';
}

/** A word for each health, for people who do not see the colour. */
export const HEALTH_WORD: Record<Health, string> = {
  ok: 'healthy',
  warning: 'warning',
  critical: 'critical',
  idle: 'no requests',
};

const SEVERITY: Record<Health, number> = { critical: 3, warning: 2, ok: 1, idle: 0 };

/** Worst first, then busiest, then by name: the order in which things deserve attention. */
export function byAttention(a: Node, b: Node): number {
  return (
    SEVERITY[b.health] - SEVERITY[a.health] ||
    b.requestsPerSecond - a.requestsPerSecond ||
    a.name.localeCompare(b.name)
  );
}

export function severity(health: Health): number {
  return SEVERITY[health];
}

/** Stroke width of an edge: logarithmic, so that 10/s and 10k/s can both be seen and told apart. */
export function edgeWidth(requestsPerSecond: number): number {
  // In quarters of a pixel: a rate that trembles does not make its edge tremble.
  return Math.min(7, Math.round((1.25 + Math.log10(1 + requestsPerSecond) * 1.25) * 4) / 4);
}
