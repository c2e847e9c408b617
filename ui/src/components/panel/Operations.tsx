import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Operation } from '../../api/types';
import { duration, rate, ratio } from '../../domain/format';
import { healthOf } from '../../domain/health';
import { operationRows } from '../../domain/operations';
import { readable } from '../../domain/text';
import classes from './Panel.module.css';

const FIRST = 10;

const UNKNOWN = 'unknown';
const UNKNOWN_WHY = 'The connection is older than Toposcope: the name was sent before, and is only referred to.';

/** What a node serves, then what it asks of others; busiest first, with the statuses seen. */
export function Operations({ operations }: { operations: readonly Operation[] }) {
  const [all, setAll] = useState(false);
  const rows = operationRows(operations);
  const sides = [
    { side: 'server', title: 'Served', rows: rows.filter((r) => r.side === 'server') },
    { side: 'client', title: 'Asked of others', rows: rows.filter((r) => r.side === 'client') },
  ].filter((s) => s.rows.length > 0);
  const hidden = sides.reduce((sum, s) => sum + Math.max(0, s.rows.length - FIRST), 0);
  return (
    <>
      {sides.map(({ side, title, rows: list }) => (
        <table key={side} className={classes['table']} style={{ marginBottom: 8 }}>
          <thead>
            <tr><th scope="col">{title}</th><th scope="col">Rate</th><th scope="col">Failed</th><th scope="col">p50</th><th scope="col">p95</th></tr>
          </thead>
          <tbody>
            {list.slice(0, all ? undefined : FIRST).map((row) => (
              <tr key={`${row.protocol} ${row.operation}`}>
                <td>
                  <bdi className={classes['mono']} title={row.operation === UNKNOWN ? UNKNOWN_WHY : undefined}>{readable(row.operation)}</bdi>{' '}
                  {row.statuses.map((s) => <span key={s.status} className={classes['status']}>{s.status} {ratio(s.share)}</span>)}
                </td>
                <td>{rate(row.requestsPerSecond)}</td>
                <td data-health={healthOf(row.requestsPerSecond, row.failedRatio)}>{ratio(row.failedRatio)}</td>
                <td>{duration(row.p50Seconds)}</td>
                <td>{duration(row.p95Seconds)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ))}
      {hidden > 0 && !all && <Button size="xs" variant="subtle" onClick={() => { setAll(true); }}>Show {hidden} more</Button>}
    </>
  );
}
