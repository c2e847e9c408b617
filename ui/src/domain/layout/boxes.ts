import type { Box } from './types';

/** A set of rectangles that answers quickly whether another would overlap one of them. */
export class BoxIndex {
  private readonly cells = new Map<string, Box[]>();

  constructor(private readonly cell = 200) {}

  add(box: Box): void {
    for (const key of this.keys(box)) {
      const list = this.cells.get(key);
      if (list) list.push(box);
      else this.cells.set(key, [box]);
    }
  }

  /** Whether box, grown by margin on every side, overlaps any rectangle added. */
  overlaps(box: Box, margin = 0): boolean {
    const grown = { ...box, width: box.width + 2 * margin, height: box.height + 2 * margin };
    for (const key of this.keys(grown)) {
      if (this.cells.get(key)?.some((other) => overlap(other, grown))) return true;
    }
    return false;
  }

  private *keys(box: Box): Generator<string> {
    const at = (v: number) => Math.floor(v / this.cell);
    for (let x = at(box.x - box.width / 2); x <= at(box.x + box.width / 2); x++) {
      for (let y = at(box.y - box.height / 2); y <= at(box.y + box.height / 2); y++) yield `${x},${y}`;
    }
  }
}

export function overlap(a: Box, b: Box): boolean {
  return Math.abs(a.x - b.x) * 2 < a.width + b.width && Math.abs(a.y - b.y) * 2 < a.height + b.height;
}

/** The smallest rectangle around others; null around none. */
export function around(boxes: Iterable<Box>): Box | null {
  let left = Infinity;
  let right = -Infinity;
  let top = Infinity;
  let bottom = -Infinity;
  for (const box of boxes) {
    left = Math.min(left, box.x - box.width / 2);
    right = Math.max(right, box.x + box.width / 2);
    top = Math.min(top, box.y - box.height / 2);
    bottom = Math.max(bottom, box.y + box.height / 2);
  }
  return left > right ? null : { x: (left + right) / 2, y: (top + bottom) / 2, width: right - left, height: bottom - top };
}
