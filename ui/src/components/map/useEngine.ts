import { useComputedColorScheme } from '@mantine/core';
import { useCallback, useEffect, useState, type RefCallback } from 'react';
import { MapEngine } from './MapEngine';
import { readPalette } from './stylesheet';

/** A canvas, for many edges or few, in the element that the returned ref is given to, in the page's colours; null before there is one. */
export function useEngine(many: boolean): [MapEngine | null, RefCallback<HTMLDivElement>] {
  const [engine, setEngine] = useState<MapEngine | null>(null);
  const scheme = useComputedColorScheme('light');

  const attach = useCallback((element: HTMLDivElement) => {
    const created = new MapEngine(element, many);
    setEngine(created);
    const observer = new ResizeObserver(() => { created.resize(); });
    observer.observe(element);
    return () => {
      observer.disconnect();
      created.destroy();
      setEngine(null);
    };
  }, [many]);

  useEffect(() => {
    // The scheme is an attribute of the root element; its variables are in force once that is set.
    engine?.setPalette(readPalette(document.documentElement));
  }, [engine, scheme]);

  return [engine, attach];
}
