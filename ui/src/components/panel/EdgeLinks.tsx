import { UnstyledButton } from '@mantine/core';
import type { Edge } from '../../api/types';
import { duration, rate, ratio } from '../../domain/format';
import type { Topology } from '../../domain/graph';
import { edgeHealth, severity } from '../../domain/health';
import type { Selection } from '../../domain/viewstate';
import { HealthMark } from '../marks/HealthMark';
import { Name } from '../marks/Name';
import classes from './Panel.module.css';

interface EdgeLinksProps {
  edges: readonly Edge[];
  /** Which end is the other one. */
  end: 'client' | 'server';
  topology: Topology;
  onSelect: (selection: Selection) => void;
}

/** Connections by their other end, worst and busiest first: the name leads to the node, the numbers to the connection. */
export function EdgeLinks({ edges, end, topology, onSelect }: EdgeLinksProps) {
  const ordered = [...edges].sort(
    (a, b) => severity(edgeHealth(b)) - severity(edgeHealth(a)) || b.requestsPerSecond - a.requestsPerSecond || a.id.localeCompare(b.id),
  );
  return (
    <ul className={classes['links']}>
      {ordered.map((edge) => {
        const health = edgeHealth(edge);
        const name = topology.node.get(edge[end])?.name ?? edge[end];
        return (
          <li key={edge.id} style={{ display: 'flex' }}>
            <UnstyledButton className={classes['link']} onClick={() => { onSelect({ type: 'node', id: edge[end] }); }}>
              <span className={classes['linkName']}><HealthMark health={health} size={14} titled /><Name text={name} /></span>
            </UnstyledButton>
            <UnstyledButton
              className={classes['link']} style={{ width: 'auto', flex: 'none' }} title="Open the connection"
              onClick={() => { onSelect({ type: 'edge', id: edge.id }); }}
            >
              <span className={classes['linkNumbers']}>
                <span className="visually-hidden">Connection with {name}, </span>
                {edge.protocol} · <b>{rate(edge.requestsPerSecond)}</b>
                {(edge.failedRatio ?? 0) > 0 && <> · <b data-health={health}>{ratio(edge.failedRatio)}</b></>}
                {edge.p95Seconds !== null && ` · ${duration(edge.p95Seconds)}`}
              </span>
            </UnstyledButton>
          </li>
        );
      })}
    </ul>
  );
}
