/**
 * Layers with edges between neighbouring ones. order[k] lists the vertices of layer k from top to bottom; up and down
 * list a vertex's neighbours in the layer before and after.
 */
export interface Layers {
  order: number[][];
  up: number[][];
  down: number[][];
}

const SWEEPS = 12;
// From here on the eye no longer follows single edges and counting crossings costs more than it gives.
const TRANSPOSE_LIMIT = 300;

/** Reorders the layers so that few edges cross: barycentres, up and down, and swaps of neighbours on small graphs. */
export function untangle(layers: Layers): void {
  const size = layers.up.length;
  let best = layers.order.map((layer) => [...layer]);
  let fewest = crossings(layers);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    sweepOnce(layers, sweep % 2 === 0);
    if (size <= TRANSPOSE_LIMIT) transpose(layers);
    const now = crossings(layers);
    if (now < fewest) {
      fewest = now;
      best = layers.order.map((layer) => [...layer]);
    }
  }
  layers.order = best;
}

function sweepOnce(layers: Layers, downwards: boolean): void {
  const place = new Float64Array(layers.up.length);
  for (const layer of layers.order) layer.forEach((v, i) => (place[v] = i));
  const indices = [...layers.order.keys()];
  for (const k of downwards ? indices : indices.reverse()) {
    const layer = layers.order[k]!;
    const beside = downwards ? layers.up : layers.down;
    const centre = new Map(layer.map((v, i) => [v, barycentre(beside[v]!, place) ?? i]));
    layer.sort((a, b) => centre.get(a)! - centre.get(b)! || place[a]! - place[b]!);
    layer.forEach((v, i) => (place[v] = i));
  }
}

function barycentre(neighbours: number[], place: Float64Array): number | null {
  if (neighbours.length === 0) return null;
  return neighbours.reduce((sum, v) => sum + place[v]!, 0) / neighbours.length;
}

function transpose(layers: Layers): void {
  const place = new Float64Array(layers.up.length);
  for (const layer of layers.order) layer.forEach((v, i) => (place[v] = i));
  for (const layer of layers.order) {
    for (let i = 0; i + 1 < layer.length; i++) {
      const a = layer[i]!;
      const b = layer[i + 1]!;
      const asIs = pairCrossings(layers, a, b, place);
      const swapped = pairCrossings(layers, b, a, place);
      if (swapped < asIs) {
        layer[i] = b;
        layer[i + 1] = a;
        place[b] = i;
        place[a] = i + 1;
      }
    }
  }
}

/** Crossings between the edges of a and b if a stands above b. */
function pairCrossings(layers: Layers, a: number, b: number, place: Float64Array): number {
  let n = 0;
  for (const side of [layers.up, layers.down]) {
    for (const p of side[a]!) for (const q of side[b]!) if (place[p]! > place[q]!) n++;
  }
  return n;
}

/** How many pairs of edges cross, counted with a Fenwick tree per pair of layers. */
export function crossings(layers: Layers): number {
  const place = new Float64Array(layers.up.length);
  for (const layer of layers.order) layer.forEach((v, i) => (place[v] = i));
  let total = 0;
  for (let k = 0; k + 1 < layers.order.length; k++) {
    const width = layers.order[k + 1]!.length;
    const tree = new Int32Array(width + 1);
    let seen = 0;
    for (const v of layers.order[k]!) {
      const targets = layers.down[v]!.map((w) => place[w]!).sort((a, b) => a - b);
      for (const t of targets) {
        let notAfter = 0;
        for (let i = t + 1; i > 0; i -= i & -i) notAfter += tree[i]!;
        total += seen - notAfter;
      }
      for (const t of targets) {
        seen++;
        for (let i = t + 1; i <= width; i += i & -i) tree[i]!++;
      }
    }
  }
  return total;
}
