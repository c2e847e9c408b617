import { around, BoxIndex } from './boxes';
import { GROUP_PADDING } from './layout';
import type { Box, LayoutInput, LayoutNode, Point } from './types';

const STEP_ALONG = 60;
const STEP_ACROSS = 45;
const MARGIN = 16;
const RINGS = 40;

/**
 * Places the nodes that known does not hold near those that they talk to, in free room, and moves none of the others.
 * Returns the positions of the new nodes only.
 */
export function extend(input: LayoutInput, known: ReadonlyMap<string, Point>): Map<string, Point> {
  const board = new Board(input, known);
  const added = new Map<string, Point>();
  // Those with the most placed neighbours first, so that a chain of new nodes grows from what is there.
  const waiting = new Set(input.nodes.filter((n) => !known.has(n.id)));
  while (waiting.size > 0) {
    let next: LayoutNode | undefined;
    let most = -1;
    for (const node of waiting) {
      const placed = board.neighbours(node.id).length;
      if (placed > most) {
        next = node;
        most = placed;
      }
    }
    waiting.delete(next!);
    const at = board.findRoom(next!);
    board.put(next!, at);
    added.set(next!.id, at);
  }
  return added;
}

/** What stands where while new nodes are being placed. */
class Board {
  private readonly boxes = new BoxIndex();
  private readonly places = new Map<string, Point>();
  private readonly members = new Map<string, Box[]>();
  private readonly links = new Map<string, { id: string; ahead: boolean }[]>();

  constructor(private readonly input: LayoutInput, known: ReadonlyMap<string, Point>) {
    for (const edge of input.edges) {
      this.link(edge.from, { id: edge.to, ahead: true });
      this.link(edge.to, { id: edge.from, ahead: false });
    }
    for (const node of input.nodes) {
      const at = known.get(node.id);
      if (at) this.put(node, at);
    }
  }

  private link(id: string, end: { id: string; ahead: boolean }): void {
    const list = this.links.get(id);
    if (list) list.push(end);
    else this.links.set(id, [end]);
  }

  neighbours(id: string): { at: Point; ahead: boolean }[] {
    return (this.links.get(id) ?? []).flatMap((link) => {
      const at = this.places.get(link.id);
      return at && link.id !== id ? [{ at, ahead: link.ahead }] : [];
    });
  }

  put(node: LayoutNode, at: Point): void {
    const box = { ...at, width: node.width, height: node.height };
    this.places.set(node.id, at);
    this.boxes.add(box);
    if (node.group === null) return;
    const members = this.members.get(node.group);
    if (members) members.push(box);
    else this.members.set(node.group, [box]);
  }

  /** The free place nearest to where node would like to be. */
  findRoom(node: LayoutNode): Point {
    const wish = this.wish(node);
    const foreign = this.foreignGroups(node);
    const right = this.input.direction === 'right';
    for (let ring = 0; ring <= RINGS; ring++) {
      for (const { along, across } of ringSteps(ring)) {
        const at = right
          ? { x: wish.x + along * STEP_ALONG, y: wish.y + across * STEP_ACROSS }
          : { x: wish.x + across * STEP_ALONG, y: wish.y + along * STEP_ACROSS };
        const box = { ...at, width: node.width, height: node.height };
        if (!this.boxes.overlaps(box, MARGIN) && !foreign.overlaps(box)) return at;
      }
    }
    return this.below(node);
  }

  /** One step after its callers, one before whom it calls, beside its group, else below everything. */
  private wish(node: LayoutNode): Point {
    const near = this.neighbours(node.id);
    if (near.length === 0) {
      const group = node.group === null ? null : around(this.members.get(node.group) ?? []);
      return group ? { x: group.x, y: group.y + group.height / 2 + node.height / 2 + MARGIN } : this.below(node);
    }
    const right = this.input.direction === 'right';
    const step = (right ? node.width : node.height) + 130;
    const sum = near.reduce(
      (s, { at, ahead }) => ({
        x: s.x + at.x + (right ? (ahead ? -step : step) : 0),
        y: s.y + at.y + (right ? 0 : ahead ? -step : step),
      }),
      { x: 0, y: 0 },
    );
    return { x: sum.x / near.length, y: sum.y / near.length };
  }

  /** The boxes of groups that node is not in: it must not seem to be. */
  private foreignGroups(node: LayoutNode): BoxIndex {
    const foreign = new BoxIndex(600);
    for (const [group, members] of this.members) {
      const box = group === node.group ? null : around(members);
      if (!box) continue;
      foreign.add({
        x: box.x, y: box.y - this.input.titleRoom / 2,
        width: box.width + 2 * GROUP_PADDING, height: box.height + 2 * GROUP_PADDING + this.input.titleRoom,
      });
    }
    return foreign;
  }

  private below(node: LayoutNode): Point {
    const all = around(this.input.nodes.flatMap((n) => {
      const at = this.places.get(n.id);
      return at ? [{ ...at, width: n.width, height: n.height }] : [];
    }));
    if (!all) return { x: 0, y: 0 };
    return { x: all.x - all.width / 2 + node.width / 2, y: all.y + all.height / 2 + node.height / 2 + 2 * GROUP_PADDING };
  }
}

/** Grid steps at a distance, those across the flow first: a column is left only when it is full. */
function* ringSteps(ring: number): Generator<{ along: number; across: number }> {
  if (ring === 0) yield { along: 0, across: 0 };
  for (let along = 0; along <= ring / 3; along++) {
    for (const across of ring === 0 ? [] : [ring - along, along - ring]) {
      yield { along, across };
      if (along > 0) yield { along: -along, across };
    }
  }
}
