import { describe, expect, it } from 'vitest';
import { around, BoxIndex, overlap } from './boxes';
import { extend } from './extend';
import { GROUP_PADDING, layout } from './layout';
import { crossings } from './order';
import { pack } from './pack';
import { spread } from './place';
import { acyclic, components, rank } from './rank';
import type { Box, LayoutInput, Point } from './types';

const SIZE = { width: 188, height: 56 };

function input(edges: [string, string][], more: Partial<LayoutInput> = {}, group: (id: string) => string | null = () => null): LayoutInput {
  const ids = [...new Set(edges.flat())];
  return {
    nodes: ids.map((id) => ({ id, group: group(id), ...SIZE })),
    edges: edges.filter(([a, b]) => b !== '' && a !== '').map(([from, to]) => ({ id: `${from}>${to}`, from, to })),
    direction: 'right',
    titleRoom: 28,
    aspect: 1.6,
    ...more,
  };
}

/** A repeatable stream of numbers below n. */
function random(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

function randomGraph(size: number, degree: number, groups: number): LayoutInput {
  const next = random(size);
  const edges: [string, string][] = [];
  for (let i = 1; i < size; i++) {
    for (let d = 0; d <= next(degree); d++) edges.push([`n${next(i)}`, `n${i}`]);
    if (next(20) === 0) edges.push([`n${i}`, `n${next(i)}`]); // cycles
  }
  return input(edges, {}, (id) => (groups > 1 ? `g${Number(id.slice(1)) % groups}` : null));
}

function boxes(of: LayoutInput, positions: ReadonlyMap<string, Point>): Box[] {
  return of.nodes.map((n) => ({ ...positions.get(n.id)!, width: n.width, height: n.height }));
}

function countOverlaps(list: Box[]): number {
  let n = 0;
  list.forEach((a, i) => (n += list.slice(i + 1).filter((b) => overlap(a, b)).length));
  return n;
}

describe('ranks', () => {
  const chain = (edges: [number, number][], size: number) => ({ size, edges: edges.map(([from, to]) => ({ from, to })) });

  it('lead along every edge', () => {
    const dag = acyclic(chain([[0, 1], [1, 2], [2, 0], [2, 2], [0, 1], [3, 2]], 4));
    const ranks = rank(dag);
    for (const { from, to } of dag.edges) expect(ranks[from]!).toBeLessThan(ranks[to]!);
    expect(dag.edges).toHaveLength(4);
  });

  it('put a caller beside the last service if it calls that alone', () => {
    expect(rank(chain([[0, 1], [1, 2], [2, 3], [4, 3]], 5))).toEqual([0, 1, 2, 3, 2]);
  });

  it('find the parts of a graph', () => {
    expect(components(chain([[0, 3], [1, 2], [3, 4]], 6))).toEqual([[0, 3, 4], [1, 2], [5]]);
  });
});

describe('crossings', () => {
  it('counts pairs of crossing edges', () => {
    const layers = { order: [[0, 1], [2, 3]], up: [[], [], [1], [0]], down: [[3], [2], [], []] };
    expect(crossings(layers)).toBe(1);
    expect(crossings({ ...layers, order: [[0, 1], [3, 2]] })).toBe(0);
    expect(crossings({ order: [[0, 1], [2, 3]], up: [[], [], [0, 1], [0, 1]], down: [[2, 3], [2, 3], [], []] })).toBe(1);
  });
});

describe('spread', () => {
  const wish = (at: number) => ({ at, weight: 1, extent: 10 });

  it('fulfils wishes that do not clash', () => {
    expect(spread([wish(0), wish(50)], () => 5)).toEqual([0, 50]);
  });

  it('shares what does not fit and keeps the order', () => {
    expect(spread([wish(0), wish(0)], () => 5)).toEqual([-7.5, 7.5]);
    expect(spread([wish(100), wish(0)], () => 5)).toEqual([42.5, 57.5]);
  });
});

describe('layout', () => {
  it('lets calls run to the right, or down', () => {
    const shop = input([['web', 'cart'], ['cart', 'prices'], ['web', 'catalogue'], ['catalogue', 'prices']]);
    const right = layout(shop).positions;
    const down = layout({ ...shop, direction: 'down', aspect: 0.5 }).positions;
    for (const { from, to } of shop.edges) {
      expect(right.get(from)!.x).toBeLessThan(right.get(to)!.x);
      expect(down.get(from)!.y).toBeLessThan(down.get(to)!.y);
    }
  });

  it('leads long edges around what lies between their ends', () => {
    const graph = input([['a', 'b'], ['b', 'c'], ['c', 'd'], ['a', 'd']]);
    const { positions, bends } = layout(graph);
    const bend = bends.get('a>d')!;
    expect(bend).toHaveLength(2);
    const list = boxes(graph, positions);
    for (const at of bend) expect(list.some((box) => overlap(box, { ...at, width: 1, height: 1 }))).toBe(false);
  });

  it('takes cycles, calls of itself, strangers and edges to nowhere', () => {
    const graph = input([['a', 'b'], ['b', 'a'], ['a', 'a']]);
    graph.nodes.push({ id: 'lonely', group: null, ...SIZE });
    graph.edges.push({ id: 'x', from: 'a', to: 'gone' });
    const { positions } = layout(graph);
    expect(countOverlaps(boxes(graph, positions))).toBe(0);
    expect(layout({ ...graph, nodes: [], edges: [] }).positions.size).toBe(0);
  });

  it.each([[5, 2, 1], [30, 3, 3], [200, 3, 1], [200, 3, 12], [2000, 3, 1], [2000, 3, 40]])(
    'overlaps nothing: %d nodes, %d groups',
    (size, degree, groups) => {
      const graph = randomGraph(size, degree, groups);
      const { positions } = layout(graph);
      expect(positions.size).toBe(size);
      const list = boxes(graph, positions);
      expect(countOverlaps(list)).toBe(0);
      const whole = around(list)!;
      // Usable on a wide screen: neither a needle nor a stripe.
      if (size >= 200) expect(whole.width / whole.height).toBeGreaterThan(0.5);
      if (size >= 200) expect(whole.width / whole.height).toBeLessThan(5);
      if (groups > 1) {
        const byGroup = new Map<string, Box[]>();
        graph.nodes.forEach((n, i) => byGroup.set(n.group!, [...(byGroup.get(n.group!) ?? []), list[i]!]));
        const outlines = [...byGroup.values()].map((members) => {
          const box = around(members)!;
          return { ...box, width: box.width + 2 * GROUP_PADDING, height: box.height + 2 * GROUP_PADDING };
        });
        expect(countOverlaps(outlines)).toBe(0);
      }
    },
    20_000,
  );
});

describe('extend', () => {
  it('adds nodes in free room near whom they talk to', () => {
    const before = randomGraph(60, 3, 4);
    const { positions } = layout(before);
    const after: LayoutInput = {
      ...before,
      nodes: [...before.nodes, ...['x', 'y', 'z', 'alone'].map((id) => ({ id, group: id === 'z' ? 'g1' : null, ...SIZE }))],
      edges: [...before.edges, { id: '1', from: 'x', to: 'n5' }, { id: '2', from: 'n5', to: 'y' }, { id: '3', from: 'y', to: 'z' }],
    };
    const added = extend(after, positions);
    expect([...added.keys()].sort()).toEqual(['alone', 'x', 'y', 'z']);
    expect(countOverlaps(boxes(after, new Map([...positions, ...added])))).toBe(0);
    expect(added.get('x')!.x).toBeLessThan(added.get('y')!.x);
  });

  it('does nothing where nothing is new', () => {
    const graph = input([['a', 'b']]);
    expect(extend(graph, layout(graph).positions).size).toBe(0);
  });

  it('starts at the origin where nothing is known', () => {
    const graph = input([['a', 'b']]);
    const added = extend(graph, new Map());
    expect(countOverlaps(boxes(graph, added))).toBe(0);
  });
});

describe('boxes', () => {
  it('finds overlaps across cells', () => {
    const index = new BoxIndex(100);
    index.add({ x: 95, y: 0, width: 20, height: 10 });
    expect(index.overlaps({ x: 110, y: 0, width: 20, height: 10 })).toBe(true);
    expect(index.overlaps({ x: 120, y: 0, width: 20, height: 10 })).toBe(false);
    expect(index.overlaps({ x: 120, y: 0, width: 20, height: 10 }, 6)).toBe(true);
    expect(around([])).toBeNull();
  });

  it('packs near the wanted proportion', () => {
    const corners = pack(Array.from({ length: 100 }, () => ({ along: 10, across: 10 })), 1, 0);
    expect(Math.max(...corners.map((c) => c.along))).toBe(90);
    expect(new Set(corners.map((c) => `${c.along},${c.across}`)).size).toBe(100);
  });
});
