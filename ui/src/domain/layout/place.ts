/** One thing on a line: where it would like to be, how much that matters, how much room it takes. */
export interface Wish {
  at: number;
  weight: number;
  extent: number;
}

/**
 * The places nearest to the wishes (in the weighted least squares sense) that keep the order and the gap. Merging
 * neighbours that want past each other into blocks finds the optimum in one pass (isotonic regression).
 */
export function spread(wishes: readonly Wish[], gap: (i: number) => number): number[] {
  const offsets: number[] = [];
  let offset = 0;
  wishes.forEach((wish, i) => {
    if (i > 0) offset += (wishes[i - 1]!.extent + wish.extent) / 2 + gap(i);
    offsets.push(offset);
  });
  const blocks: { sum: number; weight: number; length: number }[] = [];
  wishes.forEach((wish, i) => {
    let block = { sum: (wish.at - offsets[i]!) * wish.weight, weight: wish.weight, length: 1 };
    for (let last = blocks.at(-1); last && last.sum / last.weight > block.sum / block.weight; last = blocks.at(-1)) {
      blocks.pop();
      block = { sum: last.sum + block.sum, weight: last.weight + block.weight, length: last.length + block.length };
    }
    blocks.push(block);
  });
  const places: number[] = [];
  for (const block of blocks) {
    const base = block.sum / block.weight;
    places.push(...offsets.slice(places.length, places.length + block.length).map((o) => base + o));
  }
  return places;
}
