import type { Edge, Node } from '../../api/types';
import { byAttention, edgeHealth, edgeWidth, isFailing, severity } from '../../domain/health';
import { healthShown, isGrouped, type Topology, type Visible } from '../../domain/graph';
import { around, BoxIndex } from '../../domain/layout/boxes';
import { placeLabels } from '../../domain/layout/labels';
import { GROUP_PADDING, titleRoom } from '../../domain/layout/layout';
import { routes, type Route } from '../../domain/layout/route';
import type { Box, Direction, LayoutInput, Point, Size } from '../../domain/layout/types';
import { CARD } from '../../domain/level';
import { edgeText, textSize, type EdgeText } from './labels';
import type { Arrangement } from './LayoutStore';
import type { DrawnEdge, DrawnNode } from './MapEngine';

export interface PlacedNode {
  node: Node;
  box: Box;
}

export interface PlacedLabel {
  edge: Edge;
  text: EdgeText;
  at: Point;
  size: Size;
}

export interface Group extends Box {
  name: string;
}

/** Where everything is, in units of the map: what stays the same while only rates change. */
export interface Geometry {
  boxes: Map<string, Box>;
  routes: Map<string, Route>;
  groups: Group[];
}

/** All that is drawn. */
export interface MapModel extends Geometry {
  nodes: PlacedNode[];
  drawnNodes: DrawnNode[];
  drawnEdges: DrawnEdge[];
}

/** What the layout needs to know of a graph: nothing that changes with its rates. */
export function layoutInput(visible: Visible, direction: Direction, aspect: number): LayoutInput {
  const grouped = isGrouped(visible.nodes);
  return {
    nodes: visible.nodes.map((n) => ({ id: n.id, group: grouped && n.namespace !== '' ? n.namespace : null, ...CARD })),
    edges: visible.edges.map((e) => ({ id: e.id, from: e.client, to: e.server })),
    direction,
    aspect,
    titleRoom: titleRoom(visible.nodes.length),
  };
}

export function geometryOf(input: LayoutInput, arrangement: Arrangement): Geometry {
  const boxes = new Map(
    input.nodes.flatMap(({ id, width, height }) => {
      const at = arrangement.positions.get(id);
      return at ? [[id, { ...at, width, height }] as const] : [];
    }),
  );
  return { boxes, routes: routes(input.edges, boxes, arrangement.bends, input.direction), groups: groupsOf(input, boxes) };
}

export function buildModel(visible: Visible, topology: Topology, geometry: Geometry): MapModel {
  const { boxes } = geometry;
  const nodes = visible.nodes.flatMap((node) => {
    const box = boxes.get(node.id);
    return box ? [{ node, box }] : [];
  });
  const edges = visible.edges.filter((e) => boxes.has(e.client) && boxes.has(e.server));
  return {
    ...geometry,
    nodes,
    drawnNodes: nodes.map(({ node, box }) => ({ id: node.id, box, health: healthShown(topology, node) })),
    drawnEdges: edges.map((e) => ({
      id: e.id, client: e.client, server: e.server, health: edgeHealth(e), width: edgeWidth(e.requestsPerSecond), lost: e.lost,
      route: geometry.routes.get(e.id),
    })),
  };
}

/** Labels for edges, at the given scale of their text; the worst and busiest find room first. */
export function labelsFor(edges: readonly Edge[], model: MapModel, protocols: number, scale: number): PlacedLabel[] {
  const known = edges.filter((e) => model.routes.has(e.id) && e.requestsPerSecond > 0);
  const ordered = [...known].sort(
    (a, b) => severity(edgeHealth(b)) - severity(edgeHealth(a)) || b.requestsPerSecond - a.requestsPerSecond,
  );
  const texts = new Map(ordered.map((edge) => [edge.id, edgeText(edge, protocols > 1)]));
  const sizeOf = (id: string) => {
    const { width, height } = textSize(texts.get(id)!);
    return { width: width * scale, height: height * scale };
  };
  const places = placeLabels(
    ordered.map((e) => ({ id: e.id, path: model.routes.get(e.id)!.path, ...sizeOf(e.id) })),
    model.nodes.map(({ box }) => box),
  );
  return ordered.flatMap((edge) => {
    const at = places.get(edge.id);
    return at ? [{ edge, text: texts.get(edge.id)!, at, size: sizeOf(edge.id) }] : [];
  });
}

function groupsOf(input: LayoutInput, placed: ReadonlyMap<string, Box>): Group[] {
  const members = new Map<string, Box[]>();
  for (const { id, group } of input.nodes) {
    const box = placed.get(id);
    if (group === null || !box) continue;
    const list = members.get(group);
    if (list) list.push(box);
    else members.set(group, [box]);
  }
  const room = input.titleRoom;
  return [...members].map(([name, boxes]) => {
    const box = around(boxes)!;
    return {
      name,
      x: box.x,
      y: box.y - room / 2,
      width: box.width + 2 * GROUP_PADDING,
      height: box.height + 2 * GROUP_PADDING + room,
    };
  });
}

const CROWDED = 400;

export interface FarName extends PlacedNode {
  /** The middle of the name's upper edge. */
  at: Point;
}

/**
 * The nodes most worth naming from afar, so far as there is room: the name of one that fails may cover what is quiet, any
 * other name only free ground.
 */
export function namesFromAfar(nodes: readonly PlacedNode[], groups: readonly Group[], zoom: number, limit: number): FarName[] {
  const trouble = new BoxIndex();
  const all = new BoxIndex();
  for (const group of groups) {
    const title = farSize(group.name, zoom);
    const box = { x: group.x + (title.width - group.width) / 2, y: group.y + (title.height - group.height) / 2, ...title };
    trouble.add(box);
    all.add(box);
  }
  for (const { node, box } of nodes) {
    all.add(box);
    if (isFailing(node.health)) trouble.add(box);
  }
  const names: FarName[] = [];
  // On a crowded map only trouble has a name.
  const worth = nodes.length > CROWDED ? nodes.filter(({ node }) => isFailing(node.health)) : [...nodes];
  for (const { node, box } of worth.sort((a, b) => byAttention(a.node, b.node))) {
    if (names.length >= limit) break;
    const failing = isFailing(node.health);
    const size = farSize(node.name, zoom);
    const beside = (box.height + size.height) / 2 + 1;
    const place = [beside, -beside]
      .map((dy) => ({ x: box.x, y: box.y + dy, ...size }))
      .find((label) => !(failing ? trouble : all).overlaps(label));
    if (!place) continue;
    trouble.add(place);
    all.add(place);
    names.push({ node, box, at: { x: place.x, y: place.y - size.height / 2 } });
  }
  return names;
}

/** About how much of the map a name takes that is 11 pixels high on the screen. */
function farSize(name: string, zoom: number): Size {
  return { width: (Math.min(22, name.length) * 6.6 + 10) / zoom, height: 18 / zoom };
}
