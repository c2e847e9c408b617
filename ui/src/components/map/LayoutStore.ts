import { BoxIndex } from '../../domain/layout/boxes';
import { CARD } from '../../domain/level';
import type { Layout, LayoutInput, Point } from '../../domain/layout/types';
import type { LayoutAnswer, LayoutRequest } from './layout.worker';

/** Where everything stands, for one way of filtering. */
export interface Arrangement extends Layout {
  /** The filter that it belongs to. */
  key: string;
  /** Goes up when everything was placed anew: the view should then show all of it. */
  epoch: number;
}

const EMPTY: Arrangement = { key: '', epoch: 0, positions: new Map(), bends: new Map() };

// When more of the nodes than this are new, keeping the rest where it is no longer helps the eye.
const NEW_SHARE = 0.4;

/**
 * Keeps positions as the graph changes. Each way of filtering has an arrangement of its own, so that taking a filter off
 * brings back what was there. The work is done in a worker; a newer request makes an older answer void.
 */
export class LayoutStore {
  private readonly worker = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
  private readonly arrangements = new Map<string, Arrangement>();
  private readonly listeners = new Set<() => void>();
  private current = EMPTY;
  private pending = { id: 0, key: '', fresh: false, present: new Set<string>() };
  private epochs = 0;

  constructor() {
    this.worker.addEventListener('message', ({ data }: MessageEvent<LayoutAnswer>) => {
      if (data.id === this.pending.id) this.accept(data);
    });
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = (): Arrangement => this.current;

  /** Makes sure that everything in input has a place in the arrangement called key. */
  request(key: string, input: LayoutInput, fresh = false): void {
    const known = this.arrangements.get(key);
    const missing = input.nodes.filter((n) => !known?.positions.has(n.id)).length;
    if (known && !fresh && missing === 0) {
      this.pending = { ...this.pending, id: this.pending.id + 1, key };
      if (known !== this.current) this.publish({ ...known, epoch: ++this.epochs });
      return;
    }
    const anew = fresh || !known || missing > Math.max(3, input.nodes.length * NEW_SHARE);
    this.pending = { id: this.pending.id + 1, key, fresh: anew, present: new Set(input.nodes.map((n) => n.id)) };
    const message: LayoutRequest = { id: this.pending.id, input, known: anew ? null : known.positions };
    this.worker.postMessage(message);
  }

  /** Puts one node where the reader has dragged it. Edges that were led around others there go straight. */
  move(id: string, at: Point, edges: readonly string[]): void {
    const positions = new Map(this.current.positions).set(id, at);
    const bends = new Map(this.current.bends);
    for (const edge of edges) bends.delete(edge);
    this.publish({ ...this.current, positions, bends });
  }

  close(): void {
    this.worker.terminate();
    this.listeners.clear();
  }

  private accept(answer: LayoutAnswer): void {
    const { key, fresh } = this.pending;
    const known = this.arrangements.get(key);
    if (fresh || !known) {
      this.publish({ key, epoch: ++this.epochs, positions: answer.positions, bends: answer.bends });
      return;
    }
    // Of what was there nothing moves; a node that comes back later finds its place again, unless that was given away.
    const added = new BoxIndex();
    for (const at of answer.positions.values()) added.add({ ...at, ...CARD });
    const kept = [...known.positions].filter(([id, at]) => this.pending.present.has(id) || !added.overlaps({ ...at, ...CARD }));
    this.publish({
      key,
      epoch: this.current.key === key ? this.current.epoch : ++this.epochs,
      positions: new Map([...kept, ...answer.positions]),
      bends: known.bends,
    });
  }

  private publish(next: Arrangement): void {
    this.current = next;
    this.arrangements.set(next.key, next);
    for (const listener of this.listeners) listener();
  }
}
