import { useCallback, useRef, useState } from 'react';
import { overlap } from '../../domain/layout/boxes';
import type { Box } from '../../domain/layout/types';
import { levelOf, type Level } from '../../domain/level';
import type { MapEngine, Viewport } from './MapEngine';

/** What part of the map is worth rendering, and how. Changes in steps: panning within it renders nothing. */
export interface Look {
  level: Level;
  /** Part of the map, more than what is on the screen. */
  area: Box;
  /** Zoom, rounded to steps of a tenth. */
  zoom: number;
}

// The page can move this many cards at once without lagging behind the hand.
const MOST_CARDS = 450;

const START: Look = { level: 'card', area: { x: 0, y: 0, width: 0, height: 0 }, zoom: 1 };

interface Watched {
  look: Look;
  /** Give it to each layer that has to move with the canvas. */
  layer: (element: HTMLDivElement | null) => void;
  /** To be told of every change, and once at first. */
  onViewport: (viewport: Viewport) => void;
}

export function useViewport(engine: MapEngine | null, boxes: readonly Box[]): Watched {
  const [look, setLook] = useState(START);
  const layers = useRef(new Set<HTMLDivElement>());

  const onViewport = useCallback((viewport: Viewport) => {
    for (const layer of layers.current) move(layer, viewport);
    setLook((old) => next(old, viewport, boxes));
  }, [boxes]);

  const layer = useCallback((element: HTMLDivElement | null) => {
    if (!element) return;
    layers.current.add(element);
    if (engine) move(element, engine.viewport());
    return () => { layers.current.delete(element); };
  }, [engine]);

  return { look, layer, onViewport };
}

function move(layer: HTMLElement, { pan, zoom }: Viewport): void {
  layer.style.transform = `translate(${pan.x}px, ${pan.y}px) scale(${zoom})`;
  layer.style.setProperty('--zoom', String(zoom));
}

function next(old: Look, { pan, zoom, size }: Viewport, boxes: readonly Box[]): Look {
  const seen = {
    x: (size.width / 2 - pan.x) / zoom, y: (size.height / 2 - pan.y) / zoom, width: size.width / zoom, height: size.height / zoom,
  };
  const step = 1.1 ** Math.round(Math.log(zoom) / Math.log(1.1));
  const level = levelFor(zoom, seen, boxes);
  if (level === old.level && step === old.zoom && within(seen, old.area) && seen.width * 2.5 > old.area.width) return old;
  return { level, zoom: step, area: { ...seen, width: seen.width * 1.6, height: seen.height * 1.6 } };
}

function levelFor(zoom: number, seen: Box, boxes: readonly Box[]): Level {
  const level = levelOf(zoom);
  if (level === 'dot' || boxes.length <= MOST_CARDS) return level;
  return boxes.filter((box) => overlap(box, seen)).length > MOST_CARDS ? 'dot' : level;
}

function within(inner: Box, outer: Box): boolean {
  return (
    Math.abs(inner.x - outer.x) * 2 <= outer.width - inner.width && Math.abs(inner.y - outer.y) * 2 <= outer.height - inner.height
  );
}
