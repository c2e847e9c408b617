import { arrange, choose, packInOrder, plus, type Arranged, type Gaps } from './arrange';
import type { Extent, Spot } from './layered';
import type { Digraph } from './rank';
import type { Layout, LayoutInput, Point } from './types';

/** Room between a group's members and its border. */
export const GROUP_PADDING = 30;

/** Room for a group's name: the more there is to show the smaller it is drawn, but names stay as large as they are. */
export function titleRoom(nodes: number): number {
  if (nodes <= 12) return 28;
  return nodes <= 300 ? 60 : 150;
}

// Boxes of groups are roughly as wide as high as a page, whatever the screen: many of them are packed.
const GROUP_ASPECT = 1.5;
// Between groups the flow is hard to follow anyway.
const WORTH_PACKING = 1.12;
const FLAT = 1.25;
const MOST_STRETCH = 2.3;
const STRETCH_LIMIT = 60;

interface Cluster {
  members: number[];
  inner: Arranged;
  /** From the cluster's corner to its content's. */
  margin: Spot;
  extent: Extent;
}

/** The input in numbers: vertices by index, sizes along and across the flow. */
interface Task {
  extents: Extent[];
  /** -1 for an end that is not there. */
  ends: Digraph['edges'];
  aspect: number;
  gaps: Gaps;
  right: boolean;
  titleRoom: number;
}

/** Places all nodes anew: each group by itself, then the groups, calls running in the input's direction. */
export function layout(input: LayoutInput): Layout {
  const right = input.direction === 'right';
  const number = new Map(input.nodes.map((node, i) => [node.id, i]));
  const task: Task = {
    extents: input.nodes.map((n) => (right ? { along: n.width, across: n.height } : { along: n.height, across: n.width })),
    ends: input.edges.map((e) => ({ from: number.get(e.from) ?? -1, to: number.get(e.to) ?? -1 })),
    aspect: right ? input.aspect : 1 / input.aspect,
    gaps: gapsFor(input.nodes.length, right),
    right,
    titleRoom: input.titleRoom,
  };
  if (input.nodes.every((n) => n.group === null)) return assemble(input, task, [ungrouped(task)], null);
  const clusters = [...membersByGroup(input)].map(([group, members]) => makeCluster(group !== '', members, task));
  return assemble(input, task, clusters, arrangeClusters(clusters, task));
}

/** Everything in one, with more room across the flow where the screen has it to give. */
function ungrouped(task: Task): Cluster {
  const { extents, ends, aspect, gaps } = task;
  const edges = ends.map((e) => (e.from < 0 || e.to < 0 ? { from: 0, to: 0 } : e));
  let inner = arrange(extents, edges, aspect, gaps);
  const flat = inner.extent.along / Math.max(1, inner.extent.across) / aspect;
  if (flat > FLAT && extents.length <= STRETCH_LIMIT) {
    inner = arrange(extents, edges, aspect, { ...gaps, gap: gaps.gap * Math.min(MOST_STRETCH, flat) });
  }
  return { members: [...extents.keys()], inner, margin: { along: 0, across: 0 }, extent: inner.extent };
}

/** Members of each group; what has no group is kept together as well, under ''. */
function membersByGroup(input: LayoutInput): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  input.nodes.forEach((node, i) => {
    const members = groups.get(node.group ?? '');
    if (members) members.push(i);
    else groups.set(node.group ?? '', [i]);
  });
  return groups;
}

function makeCluster(boxed: boolean, members: number[], { extents, ends, gaps, right, titleRoom: room }: Task): Cluster {
  const local = new Map(members.map((v, i) => [v, i]));
  const edges = ends.map(({ from, to }) => {
    const a = local.get(from);
    const b = local.get(to);
    return a === undefined || b === undefined ? { from: 0, to: 0 } : { from: a, to: b };
  });
  const inner = arrange(members.map((v) => extents[v]!), edges, right ? GROUP_ASPECT : 1 / GROUP_ASPECT, gaps);
  if (!boxed) return { members, inner, margin: { along: 0, across: 0 }, extent: inner.extent };
  const margin = { along: GROUP_PADDING + (right ? 0 : room), across: GROUP_PADDING + (right ? room : 0) };
  const far = { along: margin.along + GROUP_PADDING, across: margin.across + GROUP_PADDING };
  return { members, inner, margin, extent: plus(inner.extent, far) };
}

/** In layers like the nodes, or packed where the screen would be used badly. */
function arrangeClusters(clusters: Cluster[], { ends, aspect, gaps }: Task): Arranged {
  const home = homes(clusters);
  const between = ends.map(({ from, to }) =>
    from < 0 || to < 0 ? { from: 0, to: 0 } : { from: home.get(from)!, to: home.get(to)! },
  );
  const extents = clusters.map((c) => c.extent);
  return choose([() => arrange(extents, between, aspect, gaps), () => packInOrder(extents, between, aspect, gaps)], aspect, WORTH_PACKING);
}

function homes(clusters: Cluster[]): Map<number, number> {
  return new Map(clusters.flatMap((cluster, c) => cluster.members.map((v) => [v, c] as const)));
}

function assemble(input: LayoutInput, task: Task, clusters: Cluster[], outer: Arranged | null): Layout {
  const toPoint = (spot: Spot): Point => (task.right ? { x: spot.along, y: spot.across } : { x: spot.across, y: spot.along });
  const origins = clusters.map((cluster, c) => {
    const centre = outer?.spots[c] ?? { along: cluster.extent.along / 2, across: cluster.extent.across / 2 };
    return {
      along: centre.along - cluster.extent.along / 2 + cluster.margin.along,
      across: centre.across - cluster.extent.across / 2 + cluster.margin.across,
    };
  });
  const result: Layout = { positions: new Map(), bends: new Map() };
  clusters.forEach((cluster, c) => {
    cluster.members.forEach((v, i) => {
      result.positions.set(input.nodes[v]!.id, toPoint(plus(cluster.inner.spots[i]!, origins[c]!)));
    });
  });
  const home = homes(clusters);
  input.edges.forEach((edge, e) => {
    const { from, to } = task.ends[e]!;
    if (from < 0 || to < 0) return;
    const c = home.get(from)!;
    const bends = c === home.get(to) ? clusters[c]!.inner.bends[e]!.map((bend) => plus(bend, origins[c]!)) : (outer?.bends[e] ?? []);
    if (bends.length > 0) result.bends.set(edge.id, bends.map(toPoint));
  });
  return result;
}

/** The more there is to show, the closer it stands: from some point on the labels of edges are not drawn anyway. */
function gapsFor(nodes: number, right: boolean): Gaps {
  const room = right ? 1 : 0.55; // labels of edges are wide, not tall
  if (nodes <= 12) return { layerGap: 172 * room, gap: 56 };
  if (nodes <= 40) return { layerGap: 166 * room, gap: 40 };
  if (nodes <= 300) return { layerGap: 110 * room, gap: 24 };
  return { layerGap: 80 * room, gap: 18 };
}
