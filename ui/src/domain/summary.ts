import type { Edge, Node } from '../api/types';
import { plural } from './format';

export interface Counts {
  services: number;
  connections: number;
  critical: number;
  warning: number;
}

export function countUp(nodes: readonly Node[], edges: readonly Edge[]): Counts {
  return {
    services: nodes.length,
    connections: edges.length,
    critical: nodes.filter((n) => n.health === 'critical').length,
    warning: nodes.filter((n) => n.health === 'warning').length,
  };
}

/** One sentence for the status line, which a screen reader speaks when it changes. */
export function describe(counts: Counts): string {
  const parts = [plural(counts.services, 'service'), plural(counts.connections, 'connection')];
  if (counts.critical > 0) parts.push(`${counts.critical.toLocaleString('en')} critical`);
  if (counts.warning > 0) parts.push(plural(counts.warning, 'warning'));
  if (counts.critical + counts.warning === 0 && counts.services > 0) parts.push('none failing');
  return parts.join(', ');
}
