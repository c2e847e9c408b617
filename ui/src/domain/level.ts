/** How much of a node is drawn, by zoom: all of it, name and rate, its name, or a dot. */
export type Level = 'card' | 'compact' | 'name' | 'dot';

const CARD_FROM = 0.76;
const COMPACT_FROM = 0.5;
const NAME_FROM = 0.3;

export function levelOf(zoom: number): Level {
  if (zoom >= CARD_FROM) return 'card';
  if (zoom >= COMPACT_FROM) return 'compact';
  return zoom >= NAME_FROM ? 'name' : 'dot';
}

/** Boxes of nodes in map units; at zoom 1 a unit is a pixel. */
export const CARD = { width: 222, height: 60 };
