import { describe, expect, it } from 'vitest';
import type { Operation } from '../api/types';
import { operationRows } from './operations';

function operation(name: string, status: string, requestsPerSecond: number): Operation {
  return {
    side: 'server', protocol: 'http', operation: name, status, requestsPerSecond,
    failedRatio: 0, p50Seconds: null, p95Seconds: null, p99Seconds: null,
  };
}

describe('operationRows', () => {
  it('joins an operation with its statuses and puts the busiest first', () => {
    const rows = operationRows([
      operation('GET /a', '200', 8), operation('GET /b', '', 20), operation('GET /a', '', 10), operation('GET /a', '404', 2),
    ]);
    expect(rows.map((r) => r.operation)).toEqual(['GET /b', 'GET /a']);
    expect(rows[1]!.statuses).toEqual([{ status: '404', share: 0.2 }]);
    expect(rows[0]!.statuses).toEqual([]);
  });

  it('names the status of what only fails', () => {
    expect(operationRows([operation('GET /', '500', 3)])[0]!.statuses).toEqual([{ status: '500', share: 1 }]);
  });

  it('adds up where the server gives no total', () => {
    expect(operationRows([operation('GET /', '200', 3), operation('GET /', '201', 1)])[0]!.requestsPerSecond).toBe(4);
  });

  it('keeps sides apart', () => {
    expect(operationRows([operation('GET /', '', 1), { ...operation('GET /', '', 1), side: 'client' }])).toHaveLength(2);
  });
});
