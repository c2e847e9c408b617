import type { Edge, Node } from '../api/types';
import { severity } from './health';
import { outgoingRate, type Topology } from './graph';

/** A column: how it sorts. Null, which is no traffic, always comes last. */
export interface Column<Row> {
  key: string;
  title: string;
  /** Set flush right, and sorted downwards first. */
  numeric: boolean;
  /** Sorted downwards first, too. */
  worstFirst?: boolean;
  value: (row: Row, topology: Topology) => string | number | null;
}

export const NODE_COLUMNS = [
  { key: 'name', title: 'Service', numeric: false, value: (n) => n.name },
  { key: 'health', title: 'Health', numeric: false, worstFirst: true, value: (n) => severity(n.health) },
  { key: 'rate', title: 'Requests', numeric: true, value: (n) => n.requestsPerSecond },
  { key: 'failed', title: 'Failed', numeric: true, value: (n) => n.failedRatio },
  { key: 'rejected', title: 'Rejected', numeric: true, value: (n) => n.rejectedRatio },
  { key: 'p50', title: 'p50', numeric: true, value: (n) => n.p50Seconds },
  { key: 'p95', title: 'p95', numeric: true, value: (n) => n.p95Seconds },
  { key: 'p99', title: 'p99', numeric: true, value: (n) => n.p99Seconds },
  { key: 'out', title: 'Calls others', numeric: true, value: (n, t) => outgoingRate(t, n.id) },
  { key: 'kind', title: 'Kind', numeric: false, value: (n) => n.kind },
  { key: 'namespace', title: 'Namespace', numeric: false, value: (n) => n.namespace },
] as const satisfies readonly Column<Node>[];

export const EDGE_COLUMNS = [
  { key: 'client', title: 'Client', numeric: false, value: (e, t) => t.node.get(e.client)?.name ?? e.client },
  { key: 'server', title: 'Server', numeric: false, value: (e, t) => t.node.get(e.server)?.name ?? e.server },
  { key: 'protocol', title: 'Protocol', numeric: false, value: (e) => e.protocol },
  { key: 'rate', title: 'Requests', numeric: true, value: (e) => e.requestsPerSecond },
  { key: 'failed', title: 'Failed', numeric: true, value: (e) => e.failedRatio },
  { key: 'rejected', title: 'Rejected', numeric: true, value: (e) => e.rejectedRatio },
  { key: 'p50', title: 'p50', numeric: true, value: (e) => e.p50Seconds },
  { key: 'p95', title: 'p95', numeric: true, value: (e) => e.p95Seconds },
  { key: 'p99', title: 'p99', numeric: true, value: (e) => e.p99Seconds },
  { key: 'sent', title: 'Sent', numeric: true, value: (e) => e.sentBytesPerSecond },
  { key: 'received', title: 'Received', numeric: true, value: (e) => e.receivedBytesPerSecond },
  { key: 'waiting', title: 'Waits', numeric: true, value: (e) => e.waitingPerSecond },
  { key: 'upkeep', title: 'Upkeep', numeric: true, value: (e) => e.upkeepPerSecond },
  { key: 'retransmits', title: 'Retransmits', numeric: true, value: (e) => e.retransmitsPerSecond },
  { key: 'lost', title: 'Missed', numeric: true, value: (e) => e.lost },
] as const satisfies readonly Column<Edge>[];

export interface Order {
  key: string;
  descending: boolean;
}

/** Reads "p95" or "-p95"; an unknown column means the first given. */
export function parseOrder<Row>(text: string | null, columns: readonly Column<Row>[], otherwise: Order): Order {
  if (text === null) return otherwise;
  const key = text.replace(/^-/, '');
  return columns.some((c) => c.key === key) ? { key, descending: text.startsWith('-') } : otherwise;
}

export function formatOrder(order: Order): string {
  return `${order.descending ? '-' : ''}${order.key}`;
}

/** What a click on a column's head asks for: the other way round, or the way in which one reads such a column first. */
export function nextOrder(order: Order, column: Column<never>): Order {
  if (order.key === column.key) return { key: order.key, descending: !order.descending };
  return { key: column.key, descending: column.numeric || column.worstFirst === true };
}

export function sortRows<Row extends { id: string }>(
  rows: readonly Row[], columns: readonly Column<Row>[], order: Order, topology: Topology,
): Row[] {
  const column = columns.find((c) => c.key === order.key);
  if (!column) return [...rows];
  const keyed = rows.map((row) => ({ row, value: column.value(row, topology) }));
  const way = order.descending ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.value === null || b.value === null) {
      return Number(a.value === null) - Number(b.value === null) || a.row.id.localeCompare(b.row.id);
    }
    const less =
      typeof a.value === 'number' && typeof b.value === 'number' ? a.value - b.value : String(a.value).localeCompare(String(b.value));
    return way * less || a.row.id.localeCompare(b.row.id);
  });
  return keyed.map(({ row }) => row);
}
