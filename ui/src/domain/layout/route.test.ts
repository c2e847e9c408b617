import { describe, expect, it } from 'vitest';
import { overlap } from './boxes';
import { placeLabels, pointAt } from './labels';
import { nearest } from './nearest';
import { relative, routes } from './route';
import type { Box } from './types';

const box = (x: number, y: number): Box => ({ x, y, width: 100, height: 50 });
const boxes = new Map([['a', box(0, 0)], ['b', box(300, 0)], ['c', box(300, 100)], ['d', box(10, 200)]]);
const edge = (from: string, to: string, id = `${from}${to}`) => ({ id, from, to });

describe('routes', () => {
  it('leave forward, come back behind and bulge within a column', () => {
    const found = routes([edge('a', 'b'), edge('c', 'a'), edge('a', 'd')], boxes, new Map(), 'right');
    expect(found.get('ab')!.source.x).toBe(50);
    expect(found.get('ab')!.target.x).toBe(-50);
    expect(found.get('ca')!.source.x).toBe(-50);
    expect(found.get('ca')!.target.x).toBe(50);
    expect(found.get('ad')!.target.x).toBe(50);
    for (const control of found.get('ad')!.controls) expect(control.x).toBeGreaterThan(60);
  });

  it('run down on tall screens', () => {
    const { source, target } = routes([edge('a', 'd')], boxes, new Map(), 'down').get('ad')!;
    expect([source.y, target.y]).toEqual([25, -25]);
  });

  it('give edges of one side ports that do not cross', () => {
    const found = routes([edge('a', 'c'), edge('a', 'b'), edge('a', 'b', 'ab2')], boxes, new Map(), 'right');
    const ports = ['ab', 'ab2', 'ac'].map((id) => found.get(id)!.source.y);
    expect(ports).toEqual([...ports].sort((p, q) => p - q));
    expect(new Set(ports).size).toBe(3);
    for (const port of ports) expect(Math.abs(port)).toBeLessThanOrEqual(13);
  });

  it('begin and end at the ports and pass near the bends', () => {
    const { path, source, target } = routes([edge('a', 'b')], boxes, new Map([['ab', [{ x: 150, y: -80 }]]]), 'right').get('ab')!;
    expect(path[0]).toEqual({ x: source.x, y: source.y });
    expect(path.at(-1)).toEqual({ x: 300 + target.x, y: target.y });
    expect(Math.min(...path.map((p) => p.y))).toBeLessThan(-35);
  });

  it('take loops and skip edges to nowhere', () => {
    const found = routes([edge('a', 'a'), edge('a', 'gone')], boxes, new Map(), 'right');
    expect([...found.keys()]).toEqual(['aa']);
    expect(found.get('aa')!.path[0]!.y).toBeLessThan(-25);
  });
});

describe('relative', () => {
  it('is what Cytoscape turns back into the same points', () => {
    const start = { x: 10, y: 20 };
    const end = { x: 110, y: 70 };
    const control = { x: 40, y: -30 };
    const { weights, distances } = relative(start, end, [control]);
    const length = Math.hypot(100, 50);
    const normal = { x: -50 / length, y: 100 / length };
    expect(start.x + weights[0]! * 100 + normal.x * distances[0]!).toBeCloseTo(control.x);
    expect(start.y + weights[0]! * 50 + normal.y * distances[0]!).toBeCloseTo(control.y);
  });
});

describe('placeLabels', () => {
  const line = [{ x: 0, y: 0 }, { x: 400, y: 0 }];

  it('never lets labels cover each other or a box', () => {
    const labels = ['1', '2', '3', '4', '5', '6', '7'].map((id) => ({ id, width: 60, height: 20, path: line }));
    const obstacle = { x: 200, y: 0, width: 30, height: 30 };
    const placed = [...placeLabels(labels, [obstacle]).values()].map((at) => ({ ...at, width: 60, height: 20 }));
    expect(placed.length).toBeGreaterThanOrEqual(3);
    expect(placed.length).toBeLessThan(7);
    for (const [i, a] of placed.entries()) {
      expect(overlap(a, obstacle)).toBe(false);
      for (const b of placed.slice(i + 1)) expect(overlap(a, b)).toBe(false);
    }
  });

  it('prefers the middle', () => {
    expect(placeLabels([{ id: '1', width: 10, height: 10, path: line }], []).get('1')).toEqual({ x: 200, y: 0 });
    expect(pointAt([{ x: 5, y: 5 }, { x: 5, y: 5 }], 0.5)).toEqual({ x: 5, y: 5 });
  });
});

describe('nearest', () => {
  const places = new Map([['a', { x: 0, y: 0 }], ['b', { x: 300, y: 20 }], ['c', { x: 310, y: -200 }], ['d', { x: 0, y: 90 }]]);

  it.each([
    ['a', 'right', 'b'],
    ['a', 'left', null],
    ['a', 'down', 'd'],
    ['b', 'up', 'c'],
    ['b', 'left', 'a'],
    ['gone', 'left', null],
  ] as const)('from %s %s is %s', (from, way, want) => {
    expect(nearest(places, from, way)).toBe(want);
  });
});
