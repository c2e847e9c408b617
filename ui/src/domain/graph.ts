import type { Edge, Graph, Node } from '../api/types';
import { isFailing } from './health';
import { readable } from './text';
import type { ViewState } from './viewstate';

/** A graph with what the pages look up in it. Built once per answer of the API, then only read. */
export interface Topology {
  nodes: Node[];
  edges: Edge[];
  node: ReadonlyMap<string, Node>;
  edge: ReadonlyMap<string, Edge>;
  /** Edges that leave and enter a node. */
  out: ReadonlyMap<string, Edge[]>;
  in: ReadonlyMap<string, Edge[]>;
}

/** Indexes a graph. Edges whose ends are not among the nodes are left out: nothing could be drawn of them. */
export function index(graph: Graph): Topology {
  const node = new Map(graph.nodes.map((n) => [n.id, named(n)]));
  const edges = graph.edges.filter((e) => node.has(e.client) && node.has(e.server));
  return {
    nodes: [...node.values()],
    edges,
    node,
    edge: new Map(edges.map((e) => [e.id, e])),
    out: groupBy(edges, (e) => e.client),
    in: groupBy(edges, (e) => e.server),
  };
}

/** What a node answers per second and what it asks of others. A pure caller serves nothing but is not idle. */
export function outgoingRate(topology: Topology, id: string): number {
  return (topology.out.get(id) ?? []).reduce((sum, e) => sum + e.requestsPerSecond, 0);
}

export function isIdle(topology: Topology, node: Node): boolean {
  return node.requestsPerSecond === 0 && outgoingRate(topology, node.id) === 0;
}

/** A pure caller serves nothing, so that nothing it serves can be idle: it counts as well. */
export function healthShown(topology: Topology, node: Node): Node['health'] {
  const calls = (topology.out.get(node.id) ?? []).some((e) => e.requestsPerSecond > 0);
  return node.health === 'idle' && calls ? 'ok' : node.health;
}

/** The nodes within depth steps of id, along or against the arrows. */
export function neighbourhood(topology: Topology, id: string, depth: number): Set<string> {
  const seen = new Set([id]);
  let frontier = [id];
  for (let step = 0; step < depth; step++) {
    const next = frontier.flatMap((at) => [
      ...(topology.out.get(at) ?? []).map((e) => e.server),
      ...(topology.in.get(at) ?? []).map((e) => e.client),
    ]);
    frontier = next.filter((at) => !seen.has(at));
    for (const at of frontier) seen.add(at);
  }
  return seen;
}

/** The part of a graph that a view shows. */
export interface Visible {
  nodes: Node[];
  edges: Edge[];
}

export type Filter = Pick<ViewState, 'namespaces' | 'protocols' | 'failingOnly' | 'hideIdle' | 'focus'>;

/**
 * What a filter leaves. A namespace keeps its nodes and whom they talk to directly, so that a call that leaves it still
 * has two ends; the other conditions all have to hold.
 */
export function filterGraph(topology: Topology, filter: Filter): Visible {
  let edges = topology.edges;
  let nodes = topology.nodes;
  const keepEnds = (extra: (n: Node) => boolean) => {
    const ends = new Set(edges.flatMap((e) => [e.client, e.server]));
    nodes = nodes.filter((n) => ends.has(n.id) || extra(n));
  };

  if (filter.focus !== null && topology.node.has(filter.focus)) {
    const near = neighbourhood(topology, filter.focus, 1);
    nodes = nodes.filter((n) => near.has(n.id));
    edges = edges.filter((e) => e.client === filter.focus || e.server === filter.focus);
  }
  if (filter.namespaces.length > 0) {
    const inside = (id: string) => filter.namespaces.includes(topology.node.get(id)?.namespace ?? '');
    edges = edges.filter((e) => inside(e.client) || inside(e.server));
    keepEnds((n) => inside(n.id));
  }
  if (filter.protocols.length > 0) {
    edges = edges.filter((e) => filter.protocols.includes(e.protocol));
    keepEnds(() => false);
  }
  if (filter.failingOnly) {
    edges = edges.filter((e) => (e.failedRatio ?? 0) > 0);
    keepEnds((n) => isFailing(n.health));
  }
  if (filter.hideIdle) {
    edges = edges.filter((e) => e.requestsPerSecond > 0);
    nodes = nodes.filter((n) => !isIdle(topology, n));
  }
  const kept = new Set(nodes.map((n) => n.id));
  return { nodes, edges: edges.filter((e) => kept.has(e.client) && kept.has(e.server)) };
}

/** What the filters can be set to, sorted. */
export function choices(topology: Topology): { namespaces: string[]; protocols: string[] } {
  const sorted = (values: string[]) => [...new Set(values)].sort((a, b) => a.localeCompare(b));
  return {
    namespaces: sorted(topology.nodes.map((n) => n.namespace)),
    protocols: sorted(topology.edges.map((e) => e.protocol)),
  };
}

/** Whether boxes around namespaces would tell apart anything. */
export function isGrouped(nodes: readonly Node[]): boolean {
  const named = new Set(nodes.map((n) => n.namespace).filter((name) => name !== ''));
  if (named.size !== 1) return named.size > 1;
  return nodes.some((n) => n.namespace === '' && (n.kind === 'service' || n.kind === 'workload'));
}

/** The same node, or one whose name and namespace can be read safely. */
export function named(node: Node): Node {
  const name = readable(node.name);
  const namespace = node.namespace === '' ? '' : readable(node.namespace);
  return name === node.name && namespace === node.namespace ? node : { ...node, name, namespace };
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
