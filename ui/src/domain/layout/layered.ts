import { untangle, type Layers } from './order';
import { spread } from './place';
import { acyclic, rank, type Digraph } from './rank';

/** A vertex by its extents along the flow and across it. */
export interface Extent {
  along: number;
  across: number;
}

export interface Spot {
  along: number;
  across: number;
}

export interface LayeredOptions {
  /** Between one layer and the next. */
  layerGap: number;
  /** Between vertices of one layer. */
  gap: number;
  /** A layer that is longer is folded into several columns. */
  maxAcross: number;
  /** More layers than this are squeezed together; calls within one then run across the flow. */
  maxLayers: number;
}

export interface Layered {
  spots: Spot[];
  /** By edge, in the order given: where it passes the layers between its ends. */
  bends: Spot[][];
}

// Beyond this many vertices edges are not led around what lies between their ends: the bends would be most of the work.
const BEND_LIMIT = 300;
const PASSES = 10;

interface Work extends Layers {
  ranks: number[];
  /** Extents of the vertices; those after the real ones stand for edges that pass a layer. */
  extents: Extent[];
  real: number;
}

/** Places a connected graph in layers, so that calls run along the flow (Sugiyama's method). */
export function layered(extents: Extent[], edges: Digraph['edges'], options: LayeredOptions): Layered {
  const dag = acyclic({ size: extents.length, edges });
  const work = split(extents, dag, squeeze(rank(dag), options.maxLayers));
  untangle(work);
  const columns = fold(work, options);
  const spots = coordinates(work, columns, options);
  const chains = bendChains(work, dag);
  const bends = edges.map(({ from, to }) => {
    const chain = chains.get(from * extents.length + to);
    const back = chains.get(to * extents.length + from)?.toReversed();
    return (chain ?? back ?? []).map((v) => spots[v]!);
  });
  return { spots: spots.slice(0, extents.length), bends };
}

function squeeze(ranks: number[], maxLayers: number): number[] {
  const layers = Math.max(...ranks) + 1;
  return layers <= maxLayers ? ranks : ranks.map((r) => Math.floor((r * maxLayers) / layers));
}

/** Puts vertices into layers and breaks long edges into steps from layer to layer. */
function split(extents: Extent[], dag: Digraph, ranks: number[]): Work {
  const work: Work = { order: [], up: [], down: [], ranks: [...ranks], extents: [...extents], real: extents.length };
  for (let v = 0; v < dag.size; v++) {
    work.up.push([]);
    work.down.push([]);
  }
  const link = (from: number, to: number) => {
    work.down[from]!.push(to);
    work.up[to]!.push(from);
  };
  for (const { from, to } of dag.edges) {
    let at = from;
    if (dag.size <= BEND_LIMIT) {
      for (let r = ranks[from]! + 1; r < ranks[to]!; r++) {
        const step = work.ranks.push(r) - 1;
        work.extents.push({ along: 0, across: 0 });
        work.up.push([]);
        work.down.push([]);
        link(at, step);
        at = step;
      }
    }
    // What is left out would count as a neighbour in a layer that it does not touch.
    if (ranks[to] === work.ranks[at]! + 1) link(at, to);
  }
  work.order = Array.from({ length: Math.max(...work.ranks) + 1 }, () => []);
  for (const v of depthFirst(work)) work.order[work.ranks[v]!]!.push(v);
  return work;
}

/** All vertices, each close to its neighbours: a good first order. */
function depthFirst(work: Work): number[] {
  const seen = new Uint8Array(work.ranks.length);
  const order: number[] = [];
  const byRank = [...work.ranks.keys()].sort((a, b) => work.ranks[a]! - work.ranks[b]! || a - b);
  for (const start of byRank) {
    const stack = [start];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (seen[at]) continue;
      seen[at] = 1;
      order.push(at);
      stack.push(...work.down[at]!.toReversed());
    }
  }
  return order;
}

/** Columns, each with its layer: a layer that is too long for the screen becomes several, dealt out in turn. */
function fold(work: Work, options: LayeredOptions): { layer: number; members: number[] }[] {
  return work.order.flatMap((members, layer) => {
    const across = members.reduce((sum, v) => sum + work.extents[v]!.across + gapAfter(work, v, options.gap), 0);
    const n = Math.max(1, Math.ceil(across / options.maxAcross));
    return Array.from({ length: n }, (_, c) => ({ layer, members: members.filter((_v, i) => i % n === c) }));
  });
}

/** An edge that passes needs less room than a vertex. */
function gapAfter(work: Work, v: number, gap: number): number {
  return v < work.real ? gap : gap / 2;
}

function coordinates(work: Work, columns: { layer: number; members: number[] }[], options: LayeredOptions): Spot[] {
  const spots: Spot[] = work.extents.map(() => ({ along: 0, across: 0 }));
  let along = 0;
  let previous = -1;
  for (const { layer, members } of columns) {
    const width = Math.max(0, ...members.map((v) => work.extents[v]!.along));
    if (previous >= 0) along += layer === previous ? options.gap * 2 : options.layerGap;
    for (const v of members) spots[v]!.along = along + width / 2;
    along += width;
    previous = layer;
  }
  const gap = (members: number[]) => (i: number) =>
    Math.min(gapAfter(work, members[i]!, options.gap), gapAfter(work, members[i - 1]!, options.gap));
  for (const { members } of columns) settle(work, members, spots, () => [], gap(members));
  for (let pass = 0; pass < PASSES; pass++) {
    const last = pass >= PASSES - 2;
    const sequence = pass % 2 === 0 ? columns : columns.toReversed();
    for (const { members } of sequence) {
      const beside = (v: number) => (last ? [...work.up[v]!, ...work.down[v]!] : (pass % 2 === 0 ? work.up : work.down)[v]!);
      settle(work, members, spots, beside, gap(members));
    }
  }
  return spots;
}

/** Moves one column's members to where their neighbours are, as far as order and gaps allow. */
function settle(
  work: Work,
  members: number[],
  spots: Spot[],
  beside: (v: number) => number[],
  gap: (i: number) => number,
): void {
  const wishes = members.map((v) => {
    let sum = 0;
    let weight = 0;
    for (const u of beside(v)) {
      // Straight long edges are worth more than short ones.
      const w = v >= work.real && u >= work.real ? 8 : v >= work.real || u >= work.real ? 2 : 1;
      sum += spots[u]!.across * w;
      weight += w;
    }
    return { at: weight > 0 ? sum / weight : spots[v]!.across, weight: weight > 0 ? weight : 0.1, extent: work.extents[v]!.across };
  });
  spread(wishes, gap).forEach((at, i) => (spots[members[i]!]!.across = at));
}

/** By edge (from * size + to), the vertices that stand for it between its ends. */
function bendChains(work: Work, dag: Digraph): Map<number, number[]> {
  const chains = new Map<number, number[]>();
  for (let from = 0; from < work.real; from++) {
    for (const first of work.down[from]!) {
      const chain: number[] = [];
      let at = first;
      while (at >= work.real) {
        chain.push(at);
        at = work.down[at]![0]!;
      }
      if (chain.length > 0) chains.set(from * dag.size + at, chain);
    }
  }
  return chains;
}
