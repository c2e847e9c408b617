import type { Operation } from '../api/types';

export interface OperationRow extends Operation {
  /** Statuses other than the commonest, with their share of the operation's requests. */
  statuses: { status: string; share: number }[];
}

/** One row for each operation, busiest first. Operations come once for all statuses together ('') and once for each. */
export function operationRows(operations: readonly Operation[]): OperationRow[] {
  const rows = new Map<string, { total: Operation | null; parts: Operation[] }>();
  for (const operation of operations) {
    const key = `${operation.side} ${operation.protocol} ${operation.operation}`;
    const row = rows.get(key) ?? { total: null, parts: [] };
    if (operation.status === '') row.total = operation;
    else row.parts.push(operation);
    rows.set(key, row);
  }
  return [...rows.values()]
    .map(({ total, parts }) => {
      const byRate = [...parts].sort((a, b) => b.requestsPerSecond - a.requestsPerSecond);
      const sum = parts.reduce((s, p) => s + p.requestsPerSecond, 0);
      const whole = total ?? { ...byRate[0]!, requestsPerSecond: sum };
      const statuses = byRate.slice(parts.length > 1 ? 1 : 0).filter((p) => !isSuccess(p.status))
        .map((p) => ({ status: p.status, share: whole.requestsPerSecond > 0 ? p.requestsPerSecond / whole.requestsPerSecond : 0 }));
      return { ...whole, statuses };
    })
    .sort((a, b) => b.requestsPerSecond - a.requestsPerSecond || a.operation.localeCompare(b.operation));
}

function isSuccess(status: string): boolean {
  return /^2\d\d$/.test(status) || status === '0' || status === 'OK' || status === 'NOERROR';
}
