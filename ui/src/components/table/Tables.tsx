import { Pagination, SegmentedControl } from '@mantine/core';
import { useMemo, useState, type ReactNode } from 'react';
import type { Edge, Node } from '../../api/types';
import { bytesRate, count, duration, NONE, rate, ratio } from '../../domain/format';
import { healthShown, outgoingRate, type Topology, type Visible } from '../../domain/graph';
import { edgeHealth, HEALTH_WORD } from '../../domain/health';
import {
  EDGE_COLUMNS, formatOrder, nextOrder, NODE_COLUMNS, parseOrder, sortRows, type Column, type Order,
} from '../../domain/table';
import type { Selection, ViewState } from '../../domain/viewstate';
import { HealthMark } from '../marks/HealthMark';
import { KIND_WORD } from '../marks/KindMark';
import { Name } from '../marks/Name';
import { SortHead } from './SortHead';
import classes from './Tables.module.css';

const PAGE = 100;
const BUSIEST: Order = { key: 'rate', descending: true };

interface TablesProps {
  topology: Topology;
  visible: Visible;
  view: ViewState;
  onView: (patch: Partial<ViewState>, options?: { replace?: boolean }) => void;
  onSelect: (selection: Selection | null) => void;
}

/** The map's data as two tables, for those who want numbers in rows or cannot use a map. */
export function Tables({ topology, visible, view, onView, onSelect }: TablesProps) {
  const services = view.table === 'services';
  const grouped = visible.nodes.some((n) => n.namespace !== '');
  const nodeColumns = useMemo(() => NODE_COLUMNS.filter((c) => grouped || c.key !== 'namespace'), [grouped]);
  const sort = (order: Order) => { onView({ sort: formatOrder(order) }, { replace: true }); };
  return (
    <div className={classes['tables']}>
      <SegmentedControl
        size="xs" value={view.table} aria-label="Table"
        data={[
          { value: 'services', label: `Services (${visible.nodes.length.toLocaleString('en')})` },
          { value: 'connections', label: `Connections (${visible.edges.length.toLocaleString('en')})` },
        ]}
        onChange={(table) => { onView({ table: table, sort: null }); }}
      />
      {services ? (
        <Table
          key="services" caption="Services" rows={visible.nodes} columns={nodeColumns} topology={topology} sort={view.sort} onSort={sort}
          cell={nodeCell} selected={view.selected?.type === 'node' ? view.selected.id : null}
          onOpen={(id) => { onSelect({ type: 'node', id }); }}
        />
      ) : (
        <Table
          key="connections" caption="Connections" rows={visible.edges} columns={EDGE_COLUMNS} topology={topology} sort={view.sort} onSort={sort}
          cell={edgeCell} selected={view.selected?.type === 'edge' ? view.selected.id : null}
          onOpen={(id) => { onSelect({ type: 'edge', id }); }}
        />
      )}
    </div>
  );
}

interface TableProps<Row> {
  caption: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  topology: Topology;
  sort: string | null;
  selected: string | null;
  cell: (row: Row, key: string, topology: Topology) => ReactNode;
  onSort: (order: Order) => void;
  onOpen: (id: string) => void;
}

function Table<Row extends { id: string }>({ caption, rows, columns, topology, sort, selected, cell, onSort, onOpen }: TableProps<Row>) {
  const [wanted, setPage] = useState(1);
  const order = useMemo(() => parseOrder(sort, columns, BUSIEST), [sort, columns]);
  const sorted = useMemo(() => sortRows(rows, columns, order, topology), [rows, columns, order, topology]);
  const pages = Math.max(1, Math.ceil(sorted.length / PAGE));
  const page = Math.min(wanted, pages);
  return (
    <>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls has to be reachable by keys */}
      <div className={classes['scroll']} tabIndex={0} role="region" aria-label={caption}>
        <table className={classes['table']}>
          <caption className="visually-hidden">{caption}</caption>
          <thead>
            <tr>{columns.map((column) => <SortHead key={column.key} column={column} order={order} onSort={() => { onSort(nextOrder(order, column)); }} />)}</tr>
          </thead>
          <tbody>
            {sorted.slice((page - 1) * PAGE, page * PAGE).map((row) => (
              <tr key={row.id} data-selected={row.id === selected || undefined}>
                {columns.map((column, i) => {
                  const content = cell(row, column.key, topology);
                  if (i > 0) return <td key={column.key} data-numeric={column.numeric || undefined}>{content}</td>;
                  return <th key={column.key} scope="row"><button type="button" onClick={() => { onOpen(row.id); }}>{content}</button></th>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {pages > 1 && (
        <Pagination
          className={classes['pages']} size="sm" total={pages} value={page} onChange={setPage} aria-label="Pages"
          getItemProps={(n) => ({ 'aria-label': `Page ${n}` })}
          getControlProps={(control) => ({ 'aria-label': `${control} page` })}
        />
      )}
    </>
  );
}

function nodeCell(node: Node, key: string, topology: Topology): ReactNode {
  switch (key) {
    case 'name': return <Name text={node.name} />;
    case 'namespace': return <Name text={node.namespace === '' ? NONE : node.namespace} />;
    case 'kind': return KIND_WORD[node.kind];
    case 'health': {
      const health = healthShown(topology, node);
      const calls = node.requestsPerSecond === 0 && health === 'ok';
      const word = calls ? 'only calls' : HEALTH_WORD[health];
      return <span className={classes['health']}>{!calls && <HealthMark health={health} size={15} />}{word}</span>;
    }
    case 'rate': return node.requestsPerSecond > 0 ? rate(node.requestsPerSecond) : NONE;
    case 'out': return outgoingRate(topology, node.id) > 0 ? rate(outgoingRate(topology, node.id)) : NONE;
    case 'failed': return <Failed share={node.failedRatio} health={node.health} />;
    case 'rejected': return ratio(node.rejectedRatio);
    case 'p50': return duration(node.p50Seconds);
    case 'p95': return duration(node.p95Seconds);
    default: return duration(node.p99Seconds);
  }
}

function edgeCell(edge: Edge, key: string, topology: Topology): ReactNode {
  switch (key) {
    case 'client': return <Name text={topology.node.get(edge.client)?.name ?? edge.client} />;
    case 'server': return <Name text={topology.node.get(edge.server)?.name ?? edge.server} />;
    case 'protocol': return edge.protocol;
    case 'rate': return rate(edge.requestsPerSecond);
    case 'failed': return <Failed share={edge.failedRatio} health={edgeHealth(edge)} />;
    case 'rejected': return ratio(edge.rejectedRatio);
    case 'p50': return duration(edge.p50Seconds);
    case 'p95': return duration(edge.p95Seconds);
    case 'p99': return duration(edge.p99Seconds);
    case 'sent': return bytesRate(edge.sentBytesPerSecond);
    case 'received': return bytesRate(edge.receivedBytesPerSecond);
    case 'waiting': return rate(edge.waitingPerSecond);
    case 'upkeep': return rate(edge.upkeepPerSecond);
    case 'retransmits': return rate(edge.retransmitsPerSecond);
    default: return edge.lost > 0 ? count(Math.ceil(edge.lost)) : '0';
  }
}

function Failed({ share, health }: { share: number | null; health: Node['health'] }) {
  return <span data-health={health}>{ratio(share)}</span>;
}
