import { useViewportSize } from '@mantine/hooks';
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import type { Visible } from '../../domain/graph';
import type { Direction, LayoutInput } from '../../domain/layout/types';
import { LayoutStore, type Arrangement } from './LayoutStore';
import { layoutInput } from './model';

interface Arranged {
  arrangement: Arrangement;
  /** The same object for as long as the graph has the same shape. */
  input: LayoutInput;
  direction: Direction;
  /** Places everything anew. */
  arrange: () => void;
  store: LayoutStore | null;
}

const NOTHING: Arrangement = { key: '', epoch: 0, positions: new Map(), bends: new Map() };
const never = () => () => undefined;

/** Positions for what is visible, kept from one answer of the server to the next. filter names the way of filtering. */
export function useArrangement(visible: Visible, filter: string): Arranged {
  const [store, setStore] = useState<LayoutStore | null>(null);
  const window = useViewportSize();
  // The window decides and not the map's own size: opening the panel beside it must not turn everything round.
  const direction: Direction = window.height > window.width * 1.1 ? 'down' : 'right';
  const aspect = window.width > 0 ? window.width / Math.max(1, window.height - 110) : 1.6;
  const input = useStable(useMemo(() => layoutInput(visible, direction, Number(aspect.toFixed(1))), [visible, direction, aspect]));
  const key = `${direction} ${filter}`;

  useEffect(() => {
    const created = new LayoutStore();
    // eslint-disable-next-line react-hooks/set-state-in-effect -- a worker must end with the component that started it
    setStore(created);
    return () => { created.close(); };
  }, []);

  useEffect(() => {
    if (input.nodes.length > 0 && window.width > 0) store?.request(key, input);
  }, [store, key, input, window.width]);

  const arrangement = useSyncExternalStore(store?.subscribe ?? never, store?.snapshot ?? (() => NOTHING));
  return { arrangement, input, direction, store, arrange: () => { store?.request(key, input, true); } };
}

/** The same object for as long as the graph has the same shape, whatever its rates do. */
function useStable(input: LayoutInput): LayoutInput {
  const [kept, setKept] = useState(input);
  if (kept !== input && JSON.stringify(kept) !== JSON.stringify(input)) {
    setKept(input);
    return input;
  }
  return kept;
}
