import type { Box, Direction, LayoutEdge, Point } from './types';

/** How an edge runs: from a point on its source's border along a curve to a point on its target's. */
export interface Route {
  /** Offsets from the centres of source and target. */
  source: Point;
  target: Point;
  /** Control points of the curve, absolute; none for an edge to itself. */
  controls: Point[];
  /** Points on the curve from end to end, absolute. */
  path: Point[];
}

// An end leaves its box at a right angle for this far, or nearly half the way if that is less.
const LONGEST_STUB = 130;
const PORT_STEP = 13;
const PORT_INSET = 12;
const LOOP_HEIGHT = 30;
const SAMPLES = 24;

type Side = 'after' | 'before';

interface Plan {
  edge: LayoutEdge;
  from: Box;
  to: Box;
  sourceSide: Side;
  targetSide: Side;
}

/** Routes all edges whose ends are known. Edges that share a side of a box get ports of their own, in an order that
 * does not make them cross there. */
export function routes(
  edges: readonly LayoutEdge[],
  boxes: ReadonlyMap<string, Box>,
  bends: ReadonlyMap<string, Point[]>,
  direction: Direction,
): Map<string, Route> {
  const axis = axes(direction);
  const plans: Plan[] = [];
  const result = new Map<string, Route>();
  for (const edge of edges) {
    const from = boxes.get(edge.from);
    const to = boxes.get(edge.to);
    if (!from || !to) continue;
    if (edge.from === edge.to) result.set(edge.id, loop(from));
    else plans.push({ edge, from, to, ...sides(from, to, axis) });
  }
  const ports = assignPorts(plans, bends, axis);
  for (const plan of plans) {
    const { edge, from, to } = plan;
    const source = axis.point(sign(plan.sourceSide) * (axis.alongSize(from) / 2), ports.source.get(edge.id) ?? 0);
    const target = axis.point(sign(plan.targetSide) * (axis.alongSize(to) / 2), ports.target.get(edge.id) ?? 0);
    const start = add(from, source);
    const end = add(to, target);
    const controls = controlPoints(plan, start, end, bends.get(edge.id) ?? [], axis);
    result.set(edge.id, { source, target, controls, path: sample(start, controls, end) });
  }
  return result;
}

interface Axis {
  along: (p: Point) => number;
  across: (p: Point) => number;
  alongSize: (b: Box) => number;
  acrossSize: (b: Box) => number;
  point: (along: number, across: number) => Point;
}

function axes(direction: Direction): Axis {
  return direction === 'right'
    ? { along: (p) => p.x, across: (p) => p.y, alongSize: (b) => b.width, acrossSize: (b) => b.height, point: (x, y) => ({ x, y }) }
    : { along: (p) => p.y, across: (p) => p.x, alongSize: (b) => b.height, acrossSize: (b) => b.width, point: (y, x) => ({ x, y }) };
}

function sign(side: Side): number {
  return side === 'after' ? 1 : -1;
}

/** Forward edges leave behind and enter in front, backward ones the other way round, and those within a column bulge. */
function sides(from: Box, to: Box, axis: Axis): { sourceSide: Side; targetSide: Side } {
  const room = (axis.alongSize(from) + axis.alongSize(to)) / 2 + 10;
  const distance = axis.along(to) - axis.along(from);
  if (distance >= room) return { sourceSide: 'after', targetSide: 'before' };
  if (distance <= -room) return { sourceSide: 'before', targetSide: 'after' };
  return { sourceSide: 'after', targetSide: 'after' };
}

function assignPorts(plans: Plan[], bends: ReadonlyMap<string, Point[]>, axis: Axis) {
  const ports = new Map<string, { edge: string; end: 'source' | 'target'; towards: number; room: number }[]>();
  const want = (node: string, box: Box, side: Side, edge: string, end: 'source' | 'target', other: Point) => {
    const key = `${side}${node}`;
    const list = ports.get(key) ?? [];
    list.push({ edge, end, towards: axis.across(other), room: axis.acrossSize(box) / 2 - PORT_INSET });
    ports.set(key, list);
  };
  for (const { edge, from, to, sourceSide, targetSide } of plans) {
    const via = bends.get(edge.id) ?? [];
    want(edge.from, from, sourceSide, edge.id, 'source', via[0] ?? to);
    want(edge.to, to, targetSide, edge.id, 'target', via.at(-1) ?? from);
  }
  const assigned = { source: new Map<string, number>(), target: new Map<string, number>() };
  for (const list of ports.values()) {
    list.sort((a, b) => a.towards - b.towards || (a.edge < b.edge ? -1 : 1));
    const step = list.length > 1 ? Math.min(PORT_STEP, (2 * list[0]!.room) / (list.length - 1)) : 0;
    list.forEach((port, i) => assigned[port.end].set(port.edge, (i - (list.length - 1) / 2) * step));
  }
  return assigned;
}

function controlPoints(plan: Plan, start: Point, end: Point, via: Point[], axis: Axis): Point[] {
  const run = Math.abs(axis.along(end) - axis.along(start));
  if (plan.sourceSide === plan.targetSide) {
    const bulge = Math.max(axis.along(start), axis.along(end)) + 36 + Math.min(60, Math.abs(axis.across(end) - axis.across(start)) / 6);
    return [axis.point(bulge, axis.across(start)), axis.point(bulge, axis.across(end))];
  }
  const first = via[0] ?? end;
  const last = via.at(-1) ?? start;
  const stub = (towards: Point, from: Point) =>
    Math.min(LONGEST_STUB, 0.38 * Math.max(20, via.length > 0 ? Math.abs(axis.along(towards) - axis.along(from)) : run));
  return [
    axis.point(axis.along(start) + sign(plan.sourceSide) * stub(first, start), axis.across(start)),
    ...via,
    axis.point(axis.along(end) + sign(plan.targetSide) * stub(last, end), axis.across(end)),
  ];
}

/** A call of itself is a bow above the box; Cytoscape draws it, here is only where its label may be. */
function loop(box: Box): Route {
  const top = { x: box.x, y: box.y - box.height / 2 - LOOP_HEIGHT };
  return { source: { x: 0, y: 0 }, target: { x: 0, y: 0 }, controls: [], path: [top, top] };
}

function add(a: Point, b: Point): Point {
  return { x: a.x + b.x, y: a.y + b.y };
}

function middle(a: Point, b: Point): Point {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

/** Points on the curve as Cytoscape draws it: quadratic pieces that meet half-way between control points. */
function sample(start: Point, controls: readonly Point[], end: Point): Point[] {
  const path = [start];
  let from = start;
  controls.forEach((control, i) => {
    const next = controls[i + 1];
    const to = next ? middle(control, next) : end;
    const steps = Math.max(4, Math.ceil(SAMPLES / controls.length));
    for (let s = 1; s <= steps; s++) {
      const t = s / steps;
      const a = (1 - t) * (1 - t);
      const b = 2 * t * (1 - t);
      const c = t * t;
      path.push({ x: a * from.x + b * control.x + c * to.x, y: a * from.y + b * control.y + c * to.y });
    }
    from = to;
  });
  return path;
}

/** Control points as Cytoscape wants them: shares of the straight line between the ends, and distances from it. */
export function relative(start: Point, end: Point, controls: readonly Point[]): { weights: number[]; distances: number[] } {
  const dx = end.x - start.x;
  const dy = end.y - start.y;
  const length = Math.hypot(dx, dy) || 1;
  return {
    weights: controls.map((c) => ((c.x - start.x) * dx + (c.y - start.y) * dy) / (length * length)),
    distances: controls.map((c) => ((c.y - start.y) * dx - (c.x - start.x) * dy) / length),
  };
}
