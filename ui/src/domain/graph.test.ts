import { describe, expect, it } from 'vitest';
import type { Edge, Graph, Node } from '../api/types';
import { choices, filterGraph, index, isGrouped, isIdle, neighbourhood, outgoingRate } from './graph';
import { byAttention, edgeWidth, healthOf } from './health';
import { search } from './search';
import { countUp, describe as sentence } from './summary';
import { EDGE_COLUMNS, formatOrder, nextOrder, NODE_COLUMNS, parseOrder, sortRows } from './table';
import { NO_FILTERS } from './viewstate';

const none = { p50Seconds: null, p95Seconds: null, p99Seconds: null, failedRatio: null, rejectedRatio: null };

function node(id: string, more: Partial<Node> = {}): Node {
  const [namespace, name] = id.includes('/') ? (id.split('/') as [string, string]) : ['', id];
  return { id, name, namespace, kind: 'service', requestsPerSecond: 1, ...none, health: 'ok', instances: [], ...more };
}

function edge(client: string, server: string, more: Partial<Edge> = {}): Edge {
  return {
    id: `${client}>${server}`, client, server, protocol: 'http', requestsPerSecond: 1, ...none, failedRatio: 0,
    sentBytesPerSecond: 0, receivedBytesPerSecond: 0, waitingPerSecond: 0, upkeepPerSecond: 0, retransmitsPerSecond: 0, lost: 0, ...more,
  };
}

const graph: Graph = {
  window: { start: '', end: '' },
  nodes: [
    node('curl', { requestsPerSecond: 0, health: 'idle', instances: [{ pid: 4242, process: 'curl', pod: '', container: '', node: 'n1', systemdUnit: '' }] }),
    node('shop/web', { requestsPerSecond: 10 }),
    node('shop/cart', { requestsPerSecond: 5, health: 'critical', p95Seconds: 0.2 }),
    node('db/prices', { requestsPerSecond: 5, p95Seconds: 0.01 }),
    node('asleep', { requestsPerSecond: 0, health: 'idle' }),
  ],
  edges: [
    edge('curl', 'shop/web', { requestsPerSecond: 10 }),
    edge('shop/web', 'shop/cart', { failedRatio: 0.2 }),
    edge('shop/cart', 'db/prices', { protocol: 'mysql' }),
    edge('shop/web', 'nobody'),
  ],
};
const topology = index(graph);
const ids = (of: { nodes: Node[] }) => of.nodes.map((n) => n.id);

describe('index', () => {
  it('leaves out edges to nowhere', () => {
    expect(topology.edges).toHaveLength(3);
  });

  it('knows who calls without being called', () => {
    expect(outgoingRate(topology, 'curl')).toBe(10);
    expect(isIdle(topology, topology.node.get('curl')!)).toBe(false);
    expect(isIdle(topology, topology.node.get('asleep')!)).toBe(true);
  });

  it('walks both ways', () => {
    expect([...neighbourhood(topology, 'shop/cart', 1)].sort()).toEqual(['db/prices', 'shop/cart', 'shop/web']);
    expect(neighbourhood(topology, 'shop/cart', 9).size).toBe(4);
  });
});

describe('filterGraph', () => {
  it.each([
    ['nothing', {}, ['curl', 'shop/web', 'shop/cart', 'db/prices', 'asleep']],
    ['failing', { failingOnly: true }, ['shop/web', 'shop/cart']],
    ['idle', { hideIdle: true }, ['curl', 'shop/web', 'shop/cart', 'db/prices']],
    ['protocol', { protocols: ['mysql'] }, ['shop/cart', 'db/prices']],
    ['namespace with its neighbours', { namespaces: ['db'] }, ['shop/cart', 'db/prices']],
    ['the empty namespace', { namespaces: [''] }, ['curl', 'shop/web', 'asleep']],
    ['focus', { focus: 'curl' }, ['curl', 'shop/web']],
    ['a focus that is gone', { focus: 'gone', hideIdle: true }, ['curl', 'shop/web', 'shop/cart', 'db/prices']],
    ['two at once', { protocols: ['http'], failingOnly: true }, ['shop/web', 'shop/cart']],
    ['what matches nothing', { protocols: ['dns'] }, []],
  ])('by %s', (_name, filter, want) => {
    const visible = filterGraph(topology, { ...NO_FILTERS, ...filter });
    expect(ids(visible)).toEqual(want);
    for (const e of visible.edges) expect(want).toEqual(expect.arrayContaining([e.client, e.server]));
  });

  it('offers what there is', () => {
    expect(choices(topology)).toEqual({ namespaces: ['', 'db', 'shop'], protocols: ['http', 'mysql'] });
  });
});

describe('groups', () => {
  it('are drawn where they tell something apart', () => {
    expect(isGrouped(graph.nodes)).toBe(true);
    expect(isGrouped([node('a/x'), node('a/y')])).toBe(false);
    expect(isGrouped([node('a/x'), node('y')])).toBe(true);
    expect(isGrouped([node('a/x'), node('10.0.0.1', { kind: 'external' })])).toBe(false);
    expect(isGrouped([node('x'), node('y')])).toBe(false);
  });
});

describe('health', () => {
  it('follows topology/graph.go', () => {
    expect(healthOf(0, null)).toBe('idle');
    expect(healthOf(10, 0.009)).toBe('ok');
    expect(healthOf(10, 0.01)).toBe('warning');
    expect(healthOf(10, 0.05)).toBe('critical');
  });

  it('comes first in the order of attention', () => {
    expect([...graph.nodes].sort(byAttention).map((n) => n.id)).toEqual(['shop/cart', 'shop/web', 'db/prices', 'asleep', 'curl']);
  });

  it('leaves room for orders of magnitude', () => {
    const widths = [0, 1, 10, 100, 1e3, 1e4].map(edgeWidth);
    expect(widths).toEqual([...widths].sort((a, b) => a - b));
    expect(edgeWidth(1e12)).toBe(7);
  });
});

describe('search', () => {
  it.each([
    ['web', ['shop/web']],
    ['shop', ['shop/web', 'shop/cart']],
    ['CART shop', ['shop/cart']],
    ['4242', ['curl']],
    ['nothing like it', []],
    ['  ', []],
  ])('finds %j', (query, want) => {
    expect(search(graph.nodes, query, 10).map((n) => n.id)).toEqual(want);
  });

  it('puts names that begin with the query first', () => {
    const nodes = [node('my-web', { requestsPerSecond: 99 }), node('webhook'), node('web')];
    expect(search(nodes, 'web', 2).map((n) => n.id)).toEqual(['web', 'webhook']);
  });
});

describe('summary', () => {
  it('is one sentence', () => {
    expect(sentence(countUp(graph.nodes, graph.edges))).toBe('5 services, 4 connections, 1 critical');
    expect(sentence(countUp([node('a')], []))).toBe('1 service, 0 connections, none failing');
    expect(sentence(countUp([node('a', { health: 'warning' })], []))).toBe('1 service, 0 connections, 1 warning');
    expect(sentence(countUp([], []))).toBe('0 services, 0 connections');
  });
});

describe('tables', () => {
  const order = { key: 'p95', descending: true };

  it('sort with no traffic last, whichever way', () => {
    const sorted = (descending: boolean) => sortRows(graph.nodes, NODE_COLUMNS, { key: 'p95', descending }, topology).map((n) => n.id);
    expect(sorted(true).slice(0, 2)).toEqual(['shop/cart', 'db/prices']);
    expect(sorted(false).slice(0, 2)).toEqual(['db/prices', 'shop/cart']);
    expect(sorted(true).slice(2)).toEqual(sorted(false).slice(2));
  });

  it('sort by the names of ends', () => {
    const sorted = sortRows(topology.edges, EDGE_COLUMNS, { key: 'server', descending: false }, topology);
    expect(sorted.map((e) => e.server)).toEqual(['shop/cart', 'db/prices', 'shop/web']);
  });

  it('turn round, or start the way one reads', () => {
    expect(nextOrder(order, NODE_COLUMNS.find((c) => c.key === 'p95')!)).toEqual({ key: 'p95', descending: false });
    expect(nextOrder(order, NODE_COLUMNS[0])).toEqual({ key: 'name', descending: false });
    expect(nextOrder(order, NODE_COLUMNS.find((c) => c.key === 'rate')!)).toEqual({ key: 'rate', descending: true });
  });

  it('have orders that go into links', () => {
    expect(parseOrder(formatOrder(order), NODE_COLUMNS, { key: 'name', descending: false })).toEqual(order);
    expect(parseOrder('-nonsense', NODE_COLUMNS, order)).toEqual(order);
    expect(parseOrder(null, NODE_COLUMNS, order)).toEqual(order);
  });
});
