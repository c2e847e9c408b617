import { useCallback, useMemo, useState, type KeyboardEvent } from 'react';
import { nearest, type Way } from '../../domain/layout/nearest';
import type { Point } from '../../domain/layout/types';
import type { MapEngine } from './MapEngine';

const WAYS: Record<string, Way> = { ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'up', ArrowDown: 'down' };
const ZOOM_STEP = 1.25;

/** Keys on the map: arrows lead from card to card, + and - zoom, 0 shows all. */
export function useMapKeys(engine: MapEngine | null, places: ReadonlyMap<string, Point>, insets: { top: number; bottom: number; side: number }) {
  const [current, setCurrent] = useState<string | null>(null);

  const show = useCallback((id: string) => {
    const at = places.get(id);
    if (!engine || !at) return;
    engine.reveal(at);
  }, [engine, places]);

  const onKeyDown = useCallback((event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = WAYS[event.key];
    const from = (event.target as HTMLElement).dataset['node'];
    if (way && from !== undefined) {
      event.preventDefault();
      const to = nearest(places, from, way);
      if (to === null) return;
      show(to);
      setCurrent(to);
      // The card may come to be only now that it is in sight.
      requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-node="${CSS.escape(to)}"]`)?.focus());
    } else if (event.key === '+' || event.key === '=') {
      engine?.zoomBy(ZOOM_STEP);
    } else if (event.key === '-') {
      engine?.zoomBy(1 / ZOOM_STEP);
    } else if (event.key === '0') {
      engine?.fit(insets);
    }
  }, [engine, places, show, insets]);

  return useMemo(() => ({ current, setCurrent, show, onKeyDown }), [current, show, onKeyDown]);
}
