import type { Point } from './types';

export type Way = 'left' | 'right' | 'up' | 'down';

/** The place that an arrow key leads to from another: the nearest one that lies more that way than aside; null if none. */
export function nearest(places: ReadonlyMap<string, Point>, from: string, way: Way): string | null {
  const origin = places.get(from);
  if (!origin) return null;
  let best: string | null = null;
  let least = Infinity;
  for (const [id, at] of places) {
    if (id === from) continue;
    const dx = at.x - origin.x;
    const dy = at.y - origin.y;
    const ahead = way === 'left' ? -dx : way === 'right' ? dx : way === 'up' ? -dy : dy;
    const aside = Math.abs(way === 'left' || way === 'right' ? dy : dx);
    if (ahead <= 1 || aside > ahead * 2) continue;
    const distance = ahead + 2 * aside;
    if (distance < least) {
      best = id;
      least = distance;
    }
  }
  return best;
}
