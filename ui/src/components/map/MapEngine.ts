import cytoscape, { type Core, type ElementDefinition, type EventObject } from 'cytoscape';
import type { Health } from '../../api/types';
import { relative, type Route } from '../../domain/layout/route';
import type { Box, Point, Size } from '../../domain/layout/types';
import type { Level } from '../../domain/level';
import type { Selection } from '../../domain/viewstate';
import { stylesheet, type Palette } from './stylesheet';

export interface DrawnNode {
  id: string;
  box: Box;
  health: Health;
}

export interface DrawnEdge {
  id: string;
  client: string;
  server: string;
  health: Health;
  width: number;
  lost: number;
  route: Route | undefined;
}

/** Where the reader looks: the map's origin in pixels of the screen, and pixels per unit of the map. */
export interface Viewport {
  pan: Point;
  zoom: number;
  size: Size;
}

export interface EngineEvents {
  select: (selection: Selection | null) => void;
  hover: (target: Selection | null) => void;
  viewport: (viewport: Viewport) => void;
  resized: () => void;
  drag: (id: string, at: Point) => void;
  drop: (id: string, at: Point) => void;
  /** The label of an edge at a point of the map, which the canvas does not know of. */
  labelAt: (at: Point) => string | null;
}

const MIN_ZOOM = 0.04;
const MAX_ZOOM = 2.5;
/** Fitting does not blow up a handful of nodes to fill the screen, but on a wall they are read from afar. */
const MAX_FIT_ZOOM = { least: 1.15, most: 1.7, perPixel: 1 / 1900 };
/** From here on edges are straight and the map is moved as a picture: it has to follow the hand. */
export const MANY_EDGES = 1200;

/** The canvas: draws edges and dots, finds what is under the pointer, pans and zooms. Knows no React. */
export class MapEngine {
  private readonly cy: Core;
  private events: EngineEvents | null = null;
  private level: Level = 'card';

  /** What was last drawn of each edge and node, so that only what differs is drawn anew. */
  private readonly nodes = new Map<string, DrawnNode>();
  private readonly edges = new Map<string, DrawnEdge>();

  constructor(container: HTMLElement, private readonly many: boolean) {
    this.cy = cytoscape({
      container,
      minZoom: MIN_ZOOM,
      maxZoom: MAX_ZOOM,
      autounselectify: true,
      boxSelectionEnabled: false,
      // A picture of the map follows the hand, and is drawn sharp when it rests.
      textureOnViewport: many,
      pixelRatio: many ? 1 : 'auto',
      style: [],
    });
    this.listen();
  }

  /** Whom to tell from now on; of the viewport at once. */
  setEvents(events: EngineEvents): void {
    this.events = events;
    events.viewport(this.viewport());
  }

  private listen(): void {
    const { cy } = this;
    const edgeAt = (event: EventObject) => (event.target === cy ? (this.events?.labelAt(event.position) ?? null) : null);
    cy.on('tap', (event) => {
      const label = edgeAt(event);
      if (label !== null) this.events?.select({ type: 'edge', id: label });
      else if (event.target === cy) this.events?.select(null);
    });
    cy.on('tap', 'node', (event) => { this.events?.select({ type: 'node', id: idOf(event) }); });
    cy.on('tap', 'edge', (event) => { this.events?.select({ type: 'edge', id: edgeId(idOf(event)) }); });
    cy.on('mouseover', 'node', (event) => { this.events?.hover({ type: 'node', id: idOf(event) }); });
    cy.on('mouseover', 'edge', (event) => { this.events?.hover({ type: 'edge', id: edgeId(idOf(event)) }); });
    cy.on('mouseout', 'node, edge', () => { this.events?.hover(null); });
    let label: string | null = null;
    cy.on('mousemove', (event) => {
      const now = edgeAt(event);
      if (now !== label && (now !== null || event.target === cy)) this.events?.hover(now === null ? null : { type: 'edge', id: now });
      label = now;
    });
    cy.on('viewport resize', () => { this.events?.viewport(this.viewport()); });
    cy.on('resize', () => { this.events?.resized(); });
    cy.on('drag', 'node', (event) => { this.events?.drag(idOf(event), positionOf(event)); });
    cy.on('free', 'node', (event) => { this.events?.drop(idOf(event), positionOf(event)); });
  }

  viewport(): Viewport {
    return { pan: { ...this.cy.pan() }, zoom: this.cy.zoom(), size: { width: this.cy.width(), height: this.cy.height() } };
  }

  setPalette(palette: Palette): void {
    this.cy.style(stylesheet(palette));
  }

  /** Makes the canvas show exactly these, touching only what has changed. */
  setData(nodes: readonly DrawnNode[], edges: readonly DrawnEdge[]): void {
    const { cy } = this;
    const wanted = new Set([...nodes.map((n) => n.id), ...edges.map((e) => elementId(e.id))]);
    cy.batch(() => {
      const gone = cy.elements().filter((el) => !wanted.has(el.id()));
      gone.nodes().forEach((el) => { this.nodes.delete(el.id()); });
      // An edge goes with its node.
      gone.edges().union(gone.connectedEdges()).forEach((el) => { this.edges.delete(edgeId(el.id())); });
      gone.remove();
      const added: ElementDefinition[] = [];
      for (const node of nodes) this.putNode(node, added);
      for (const edge of edges) this.putEdge(edge, added);
      cy.add(added);
    });
  }

  private putNode(node: DrawnNode, added: ElementDefinition[]): void {
    const data = { id: node.id, health: node.health, width: node.box.width, height: node.box.height };
    const position = { x: node.box.x, y: node.box.y };
    const old = this.nodes.get(node.id);
    this.nodes.set(node.id, node);
    if (!old) {
      added.push({ group: 'nodes', data, position, classes: [this.level === 'dot' ? 'dot' : 'card'] });
      return;
    }
    const element = this.cy.getElementById(node.id);
    if (old.health !== node.health) element.data(data);
    if (old.box !== node.box && !element.grabbed()) element.position(position);
  }

  private putEdge(edge: DrawnEdge, added: ElementDefinition[]): void {
    const { route } = edge;
    const { many } = this;
    const old = this.edges.get(edge.id);
    this.edges.set(edge.id, edge);
    if (old && old.route === route && old.health === edge.health && old.width === edge.width && old.lost === edge.lost) return;
    const data: Record<string, unknown> = { health: edge.health, width: edge.width, lost: edge.lost };
    const curved = route !== undefined && route.controls.length > 0 && !many;
    if (curved) {
      const { weights, distances } = relative(route.path[0]!, route.path.at(-1)!, route.controls);
      data['source-endpoint'] = `${route.source.x}px ${route.source.y}px`;
      data['target-endpoint'] = `${route.target.x}px ${route.target.y}px`;
      data['weights'] = weights;
      data['distances'] = distances;
    }
    const classes = [curved ? 'routed' : edge.client === edge.server ? 'loop' : '', edge.health === 'idle' ? 'idle' : '', many ? 'many' : '', this.level === 'dot' ? 'far' : ''];
    if (!old) {
      const ends = { id: elementId(edge.id), source: edge.client, target: edge.server };
      added.push({ group: 'edges', data: { ...data, ...ends }, classes: classes.filter((c) => c !== '') });
      return;
    }
    const element = this.cy.getElementById(elementId(edge.id));
    element.data(data);
    for (const name of ['routed', 'loop', 'idle', 'many']) element.toggleClass(name, classes.includes(name));
  }

  setLevel(level: Level): void {
    this.level = level;
    this.cy.batch(() => {
      this.cy.nodes().toggleClass('dot', level === 'dot').toggleClass('card', level !== 'dot');
      this.cy.edges().toggleClass('far', level === 'dot');
    });
  }

  /** Dims everything but these; null dims nothing. Edges among them are drawn stronger. */
  setHighlight(nodes: ReadonlySet<string> | null, edges: ReadonlySet<string>): void {
    const { cy } = this;
    cy.batch(() => {
      cy.elements('.dim, .near').removeClass('dim near');
      if (nodes === null && edges.size === 0) return;
      cy.nodes().forEach((n) => { n.toggleClass('dim', nodes !== null && !nodes.has(n.id())); });
      cy.edges().forEach((e) => {
        const near = edges.has(edgeId(e.id()));
        e.toggleClass('near', near).toggleClass('dim', nodes !== null && !near);
      });
    });
  }

  setSelected(selection: Selection | null): void {
    const id = selection === null ? '' : selection.type === 'node' ? selection.id : elementId(selection.id);
    this.cy.batch(() => {
      this.cy.elements('.selected').removeClass('selected');
      if (id !== '') this.cy.getElementById(id).addClass('selected');
    });
  }

  /** Shows all of it. */
  fit(insets: { top: number; bottom: number; side: number }): void {
    const { cy } = this;
    if (cy.nodes().empty() || cy.width() === 0) return;
    const box = cy.elements().boundingBox({ includeLabels: false, includeOverlays: false });
    const room = { width: cy.width() - 2 * insets.side, height: cy.height() - insets.top - insets.bottom };
    const largest = Math.min(MAX_FIT_ZOOM.most, Math.max(MAX_FIT_ZOOM.least, cy.width() * MAX_FIT_ZOOM.perPixel));
    const zoom = Math.max(MIN_ZOOM, Math.min(largest, room.width / Math.max(1, box.w), room.height / Math.max(1, box.h)));
    const pan = {
      x: insets.side + room.width / 2 - zoom * (box.x1 + box.w / 2),
      y: insets.top + room.height / 2 - zoom * (box.y1 + box.h / 2),
    };
    cy.viewport({ zoom, pan });
  }

  zoomBy(factor: number): void {
    const middle = { x: this.cy.width() / 2, y: this.cy.height() / 2 };
    this.cy.zoom({ level: this.cy.zoom() * factor, renderedPosition: middle });
  }

  private panBy(x: number, y: number): void {
    if (x !== 0 || y !== 0) this.cy.panBy({ x, y });
  }

  /** Brings a point of the map to the middle, close enough to read. */
  centre(at: Point, leastZoom: number): void {
    const zoom = Math.max(this.cy.zoom(), leastZoom);
    this.cy.viewport({ zoom, pan: { x: this.cy.width() / 2 - at.x * zoom, y: this.cy.height() / 2 - at.y * zoom } });
  }

  /** Moves as little as it takes to have a point in sight. */
  reveal(at: Point): void {
    const { pan, zoom, size } = this.viewport();
    const x = at.x * zoom + pan.x;
    const y = at.y * zoom + pan.y;
    const inset = { x: Math.min(130, size.width / 3), y: Math.min(60, size.height / 3) };
    this.panBy(
      Math.max(0, inset.x - x) - Math.max(0, x - size.width + inset.x),
      Math.max(0, inset.y - y) - Math.max(0, y - size.height + inset.y),
    );
  }

  resize(): void {
    this.cy.resize();
  }

  destroy(): void {
    this.cy.destroy();
  }
}

/** Ids of edges and nodes come from the server and might be the same; on the canvas they must differ. */
function elementId(edge: string): string {
  return `\u0000${edge}`;
}

function edgeId(element: string): string {
  return element.slice(1);
}

function idOf(event: EventObject): string {
  return (event.target as cytoscape.SingularElementReturnValue).id();
}

function positionOf(event: EventObject): Point {
  return { ...(event.target as cytoscape.NodeSingular).position() };
}
