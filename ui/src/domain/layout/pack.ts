import type { Extent, Spot } from './layered';

const TRIES = 12;

/**
 * Places rectangles in stacks or rows, in the order given, so that they can be drawn as large as possible in a frame of
 * the wanted proportion of along to across. Returns the corner (least along, least across) of each.
 */
export function pack(extents: readonly Extent[], aspect: number, gap: number): Spot[] {
  const turned = extents.map(({ along, across }) => ({ along: across, across: along }));
  const stacks = tries(extents, aspect, gap);
  const rows = tries(turned, 1 / aspect, gap);
  const turn = (corners: Spot[]) => corners.map(({ along, across }) => ({ along: across, across: along }));
  // The scale of turned ones is measured against the other side of the frame.
  return stacks.scale >= rows.scale * aspect ? stacks.corners : turn(rows.corners);
}

function tries(extents: readonly Extent[], aspect: number, gap: number): { corners: Spot[]; scale: number } {
  const area = extents.reduce((sum, e) => sum + (e.along + gap) * (e.across + gap), 0);
  const tallest = Math.max(0, ...extents.map((e) => e.across));
  let best: { corners: Spot[]; scale: number } = { corners: [], scale: -1 };
  for (let i = 0; i < TRIES; i++) {
    const limit = Math.max(tallest, Math.sqrt(area / aspect) * (0.8 + i * 0.08));
    const { corners, extent } = stack(extents, limit, gap);
    const scale = Math.min(aspect / Math.max(1, extent.along), 1 / Math.max(1, extent.across));
    if (scale > best.scale * 1.0001) best = { corners, scale };
  }
  return best;
}

function stack(extents: readonly Extent[], limit: number, gap: number): { corners: Spot[]; extent: Extent } {
  const corners: Spot[] = [];
  const extent = { along: 0, across: 0 };
  let along = 0;
  let across = 0;
  let widest = 0;
  for (const size of extents) {
    if (across > 0 && across + size.across > limit) {
      along += widest + gap;
      across = 0;
      widest = 0;
    }
    corners.push({ along, across });
    extent.along = Math.max(extent.along, along + size.along);
    extent.across = Math.max(extent.across, across + size.across);
    across += size.across + gap;
    widest = Math.max(widest, size.along);
  }
  return { corners, extent };
}
