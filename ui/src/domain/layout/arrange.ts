import { layered, type Extent, type Spot } from './layered';
import { pack } from './pack';
import { acyclic, components, rank, type Digraph } from './rank';

/** Room between what is placed. */
export interface Gaps {
  /** Between one layer and the next. */
  layerGap: number;
  /** Between neighbours of one layer. */
  gap: number;
}

/** Centres, measured from the corner of the whole; bends by edge, in the order given. */
export interface Arranged {
  spots: Spot[];
  bends: Spot[][];
  extent: Extent;
}

// A plainer arrangement is taken unless another would let everything be drawn this much larger.
const WORTH = 1.35;
// Up to so many nodes the flow is worth more than the screen's corners: layers are kept, or at least so many of them.
const KEEP = 12;
const SMALL = 40;
const KEEP_LAYERS = 7;

/** Places a graph in layers, each connected part by itself, in about the wanted proportion of along to across. */
export function arrange(extents: Extent[], edges: Digraph['edges'], aspect: number, gaps: Gaps): Arranged {
  const parts = components({ size: extents.length, edges });
  const single = parts.length === 1;
  const placed = parts.map((part) => arrangePart(part, extents, edges, single ? aspect : Math.max(aspect, 1), gaps));
  const corners = pack(placed.map((p) => p.extent), aspect, gaps.gap * 1.5);
  const result: Arranged = { spots: [], bends: edges.map(() => []), extent: { along: 0, across: 0 } };
  placed.forEach((p, i) => {
    const corner = corners[i]!;
    p.part.forEach((v, j) => (result.spots[v] = plus(p.spots[j]!, corner)));
    p.own.forEach((e, j) => (result.bends[e] = p.bends[j]!.map((bend) => plus(bend, corner))));
    result.extent.along = Math.max(result.extent.along, corner.along + p.extent.along);
    result.extent.across = Math.max(result.extent.across, corner.across + p.extent.across);
  });
  return result;
}

interface Part extends Arranged {
  /** Vertices and edges of the part, by their number in the whole. */
  part: number[];
  own: number[];
}

function arrangePart(part: number[], extents: Extent[], edges: Digraph['edges'], aspect: number, gaps: Gaps): Part {
  const local = new Map(part.map((v, i) => [v, i]));
  const own = [...edges.keys()].filter((e) => local.has(edges[e]!.from) && edges[e]!.from !== edges[e]!.to);
  const ends = own.map((e) => ({ from: local.get(edges[e]!.from)!, to: local.get(edges[e]!.to)! }));
  const sizes = part.map((v) => extents[v]!);
  const { maxAcross, maxLayers } = limits(sizes, aspect, gaps);
  const make = (across: number, layers: number) =>
    normalise(layered(sizes, ends, { ...gaps, maxAcross: across, maxLayers: layers }), sizes);
  const small = part.length <= SMALL;
  const candidates = [() => make(Infinity, Infinity)];
  if (part.length > KEEP) {
    candidates.push(
      () => make(maxAcross, Infinity),
      () => make(maxAcross, small ? Math.max(KEEP_LAYERS, maxLayers) : maxLayers),
      () => make(maxAcross, small ? KEEP_LAYERS : Math.max(2, Math.ceil(maxLayers / 2))),
    );
  }
  return { ...choose(candidates, aspect), part, own };
}

/** Takes the first that is drawn nearly as large as the one that is drawn largest. */
export function choose(candidates: (() => Arranged)[], aspect: number, worth = WORTH): Arranged {
  const made = candidates.map((make) => make());
  const scales = made.map(({ extent }) => Math.min(aspect / extent.along, 1 / extent.across));
  const best = Math.max(...scales);
  return made[scales.findIndex((scale) => scale * worth >= best)]!;
}

/** How long a layer may get and how many there may be: what the proportion asks of this many boxes. */
function limits(sizes: Extent[], aspect: number, gaps: Gaps) {
  let area = 0;
  let weighed = 0;
  for (const size of sizes) {
    const own = (size.along + gaps.layerGap) * (size.across + gaps.gap);
    area += own;
    // Large boxes decide how wide a column gets.
    weighed += own * (size.along + gaps.layerGap);
  }
  return { maxAcross: 1.2 * Math.sqrt(area / aspect), maxLayers: Math.max(2, Math.floor((1.2 * Math.sqrt(area * aspect) * area) / weighed)) };
}

/** Boxes stacked in columns, in an order in which those come first that call others. */
export function packInOrder(extents: Extent[], edges: Digraph['edges'], aspect: number, gaps: Gaps): Arranged {
  const ranks = rank(acyclic({ size: extents.length, edges }));
  const order = [...extents.keys()].sort((a, b) => ranks[a]! - ranks[b]! || extents[b]!.along - extents[a]!.along || a - b);
  const corners = pack(order.map((v) => extents[v]!), aspect, gaps.gap * 1.5);
  const result: Arranged = { spots: [], bends: edges.map(() => []), extent: { along: 0, across: 0 } };
  order.forEach((v, i) => {
    const { along, across } = extents[v]!;
    result.spots[v] = plus(corners[i]!, { along: along / 2, across: across / 2 });
    result.extent.along = Math.max(result.extent.along, corners[i]!.along + along);
    result.extent.across = Math.max(result.extent.across, corners[i]!.across + across);
  });
  return result;
}

/** The same with its corner at the origin. */
function normalise({ spots, bends }: { spots: Spot[]; bends: Spot[][] }, sizes: Extent[]): Arranged {
  const low = { along: Infinity, across: Infinity };
  const high = { along: -Infinity, across: -Infinity };
  const include = (spot: Spot, size: Extent) => {
    low.along = Math.min(low.along, spot.along - size.along / 2);
    low.across = Math.min(low.across, spot.across - size.across / 2);
    high.along = Math.max(high.along, spot.along + size.along / 2);
    high.across = Math.max(high.across, spot.across + size.across / 2);
  };
  spots.forEach((spot, i) => { include(spot, sizes[i]!); });
  for (const bend of bends.flat()) include(bend, { along: 0, across: 0 });
  const back = { along: -low.along, across: -low.across };
  return {
    spots: spots.map((spot) => plus(spot, back)),
    bends: bends.map((list) => list.map((bend) => plus(bend, back))),
    extent: { along: high.along - low.along, across: high.across - low.across },
  };
}

export function plus(a: Spot, b: Spot): Spot {
  return { along: a.along + b.along, across: a.across + b.across };
}
