export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

/** A rectangle by its centre. */
export type Box = Point & Size;

/** Which way calls run: to the right on wide screens, down on tall ones. */
export type Direction = 'right' | 'down';

export interface LayoutNode extends Size {
  id: string;
  /** The box that the node is drawn in; null for none. */
  group: string | null;
}

export interface LayoutEdge {
  id: string;
  from: string;
  to: string;
}

export interface LayoutInput {
  /** Room above the members of a group for its name. */
  titleRoom: number;
  nodes: LayoutNode[];
  edges: LayoutEdge[];
  direction: Direction;
  /** Width by height of the screen that the result should fill. */
  aspect: number;
}

/** Centres of nodes, and the points that long edges should pass so as not to run across nodes. */
export interface Layout {
  positions: Map<string, Point>;
  bends: Map<string, Point[]>;
}
