/** A directed graph on the numbers 0 … size-1. */
export interface Digraph {
  size: number;
  edges: { from: number; to: number }[];
}

export interface Adjacency {
  out: number[][];
  in: number[][];
}

export function adjacency(graph: Digraph): Adjacency {
  const out: number[][] = Array.from({ length: graph.size }, () => []);
  const into: number[][] = Array.from({ length: graph.size }, () => []);
  for (const { from, to } of graph.edges) {
    out[from]!.push(to);
    into[to]!.push(from);
  }
  return { out, in: into };
}

/**
 * Turns round the edges that close a cycle and drops loops and doubles. Walks depth first from the vertices that nobody
 * calls, so that the edges turned round are those that a reader would call "back".
 */
export function acyclic(graph: Digraph): Digraph {
  const { out, in: into } = adjacency(graph);
  const starts = [...Array(graph.size).keys()].sort(
    (a, b) => into[a]!.length - into[b]!.length || out[b]!.length - out[a]!.length || a - b,
  );
  const state = new Uint8Array(graph.size); // 0 not met, 1 on the path, 2 done
  const edges = new Map<number, { from: number; to: number }>();
  const add = (from: number, to: number) => edges.set(from * graph.size + to, { from, to });
  for (const start of starts) {
    if (state[start] !== 0) continue;
    const path = [{ at: start, next: 0 }];
    state[start] = 1;
    while (path.length > 0) {
      const top = path[path.length - 1]!;
      const to = out[top.at]![top.next++];
      if (to === undefined) {
        state[top.at] = 2;
        path.pop();
      } else if (state[to] === 1) {
        if (to !== top.at) add(to, top.at);
      } else {
        add(top.at, to);
        if (state[to] === 0) {
          state[to] = 1;
          path.push({ at: to, next: 0 });
        }
      }
    }
  }
  return { size: graph.size, edges: [...edges.values()] };
}

/** Gives every vertex of an acyclic graph a rank such that every edge leads to a higher one, and edges are short. */
export function rank(graph: Digraph): number[] {
  const { out, in: into } = adjacency(graph);
  const order = topological(graph.size, out, into);
  const ranks = new Array<number>(graph.size).fill(0);
  for (const at of order) for (const to of out[at]!) ranks[to] = Math.max(ranks[to]!, ranks[at]! + 1);
  // Callers move up to whom they call: a client of the last service stands beside it and not in the first column.
  for (const at of order.toReversed()) {
    if (out[at]!.length === 0 || out[at]!.length < into[at]!.length) continue;
    ranks[at] = Math.min(...out[at]!.map((to) => ranks[to]!)) - 1;
  }
  const least = Math.min(...ranks);
  return ranks.map((r) => r - least);
}

function topological(size: number, out: number[][], into: number[][]): number[] {
  const missing = into.map((list) => list.length);
  const order = [...Array(size).keys()].filter((v) => missing[v] === 0);
  for (const at of order) {
    for (const to of out[at]!) {
      missing[to]!--;
      if (missing[to] === 0) order.push(to);
    }
  }
  return order;
}

/** Splits a graph into its connected parts, largest first; each a list of vertices in ascending order. */
export function components(graph: Digraph): number[][] {
  const { out, in: into } = adjacency(graph);
  const seen = new Uint8Array(graph.size);
  const parts: number[][] = [];
  for (let start = 0; start < graph.size; start++) {
    if (seen[start]) continue;
    const part = [start];
    seen[start] = 1;
    for (const at of part) {
      for (const to of [...out[at]!, ...into[at]!]) {
        if (!seen[to]) {
          seen[to] = 1;
          part.push(to);
        }
      }
    }
    parts.push(part.sort((a, b) => a - b));
  }
  return parts.sort((a, b) => b.length - a.length || a[0]! - b[0]!);
}
