import { BoxIndex } from './boxes';
import type { Box, Point, Size } from './types';

export interface Label extends Size {
  id: string;
  path: readonly Point[];
}

// From the middle outwards: a label belongs to the whole edge, and ends are crowded.
const FRACTIONS = [0.5, 0.44, 0.56, 0.38, 0.62, 0.32, 0.68, 0.26, 0.74, 0.2, 0.8];

/**
 * Finds each label a place on its curve where it covers neither an obstacle nor another label; those that have none are
 * left out. Earlier labels have the choice, so that the important ones should come first.
 */
export function placeLabels(labels: readonly Label[], obstacles: Iterable<Box>): Map<string, Point> {
  const taken = new BoxIndex();
  for (const box of obstacles) taken.add(box);
  const places = new Map<string, Point>();
  for (const label of labels) {
    for (const fraction of FRACTIONS) {
      const at = pointAt(label.path, fraction);
      const box = { ...at, width: label.width, height: label.height };
      if (taken.overlaps(box, 3)) continue;
      taken.add(box);
      places.set(label.id, at);
      break;
    }
  }
  return places;
}

/** The point at a share of the curve's length. */
export function pointAt(path: readonly Point[], fraction: number): Point {
  const lengths = path.slice(1).map((p, i) => Math.hypot(p.x - path[i]!.x, p.y - path[i]!.y));
  let left = lengths.reduce((sum, l) => sum + l, 0) * fraction;
  for (const [i, length] of lengths.entries()) {
    if (left <= length && length > 0) {
      const a = path[i]!;
      const b = path[i + 1]!;
      return { x: a.x + ((b.x - a.x) * left) / length, y: a.y + ((b.y - a.y) * left) / length };
    }
    left -= length;
  }
  return path.at(-1) ?? { x: 0, y: 0 };
}
