import { useComputedColorScheme } from '@mantine/core';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import classes from './Panel.module.css';

export interface Series {
  label: string;
  /** A CSS variable's name without the dashes. */
  colour: string;
  values: (number | null)[];
  dashed?: boolean;
  filled?: boolean;
}

interface ChartProps {
  title: string;
  /** Unix seconds. */
  times: number[];
  series: Series[];
  format: (value: number | null) => string;
  /** Start and end of the whole window, in Unix seconds: what has no data stays empty and is not cut off. */
  span: [number, number];
  /** The least that the top of the scale may be. */
  leastTop: number;
}

const HEIGHT = 118;

/** A small line chart; gaps are drawn as gaps. All charts of a page share one cursor. */
export function Chart({ title, times, series, format, span, leastTop }: ChartProps) {
  const [frame, setFrame] = useState<HTMLDivElement | null>(null);
  const [width, setWidth] = useState(0);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const scheme = useComputedColorScheme('light');
  const shape = series.map((s) => `${s.label} ${s.colour} ${s.dashed ?? false} ${s.filled ?? false}`).join('|');
  const [startSeconds, endSeconds] = span;
  const data = useMemo((): uPlot.AlignedData => [times, ...series.map((s) => s.values)], [times, series]);
  const ready = width > 0;

  const attach = useCallback((element: HTMLDivElement) => {
    const observer = new ResizeObserver(([entry]) => { setWidth(Math.floor(entry?.contentRect.width ?? 0)); });
    observer.observe(element);
    setFrame(element);
    return () => { observer.disconnect(); };
  }, []);

  useEffect(() => {
    if (!frame || !ready) return;
    const created = new uPlot(options({ series, format, leastTop, onCursor: setAt }), [[]], frame);
    plot.current = created;
    return () => {
      plot.current = null;
      created.destroy();
    };
    // A chart is made again only when it has to look different; new data goes into the one there is.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [frame, ready, shape, scheme, format, leastTop]);

  useEffect(() => {
    if (ready) plot.current?.setSize({ width, height: HEIGHT });
  }, [ready, width, shape, scheme]);

  useEffect(() => {
    plot.current?.batch(() => {
      plot.current?.setData(data, true);
      plot.current?.setScale('x', { min: startSeconds, max: endSeconds });
    });
  }, [ready, data, startSeconds, endSeconds, shape, scheme]);

  const shown = at ?? lastIndex(series);
  return (
    <figure className={classes['chart']}>
      <figcaption>
        <span className={classes['chartTitle']}>{title}</span>
        <span className={classes['chartTime']}>{at !== null && times[at] !== undefined && new Date(times[at] * 1000).toLocaleTimeString('en-GB')}</span>
        <span className={classes['chartLegend']}>
          {series.map((s) => (
            <span key={s.label}>
              <i style={{ background: `var(--${s.colour})` }} /> {series.length > 1 && s.label} <b>{format(s.values[shown] ?? null)}</b>
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={attach} className={classes['plot']} role="img" aria-label={describe(title, series, format)} />
    </figure>
  );
}

interface Look {
  series: Series[];
  format: (value: number | null) => string;
  leastTop: number;
  onCursor: (index: number | null) => void;
}

function options({ series, format, leastTop, onCursor }: Look): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const font = "11px 'Inter Variable', system-ui, sans-serif";
  const axis = { stroke: colour('text-dim'), font, ticks: { show: false } };
  const grid = { stroke: colour('border'), width: 1 };
  return {
    width: 300,
    height: HEIGHT,
    padding: [6, 8, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: 'red' }, y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: true, auto: false }, y: { range: (_u, _min, max) => [0, Math.max(leastTop, (max || 0) * 1.12)] } },
    axes: [
      { ...axis, grid: { show: false }, size: 22, space: 70, values: (_u, ticks) => ticks.map((t) => clock(t, ticks)) },
      { ...axis, grid, size: 58, space: 30, values: (_u, ticks) => ticks.map((t) => format(t)) },
    ],
    series: [
      {},
      ...series.map((s) => ({
        label: s.label,
        stroke: colour(s.colour),
        width: 1.75,
        spanGaps: false,
        // A step between two without traffic is no line: it is drawn as a point.
        points: { show: true, size: 5, width: 0, fill: colour(s.colour), filter: (u: uPlot, at: number) => lonely(u.data[at] ?? []) },
        ...(s.dashed ? { dash: [5, 4] } : {}),
        ...(s.filled ? { fill: `color-mix(in srgb, ${colour(s.colour)} 14%, transparent)` } : {}),
      })),
    ],
    hooks: { setCursor: [(u) => { onCursor(u.cursor.idx ?? null); }] },
  };
}

/** The places of values with none on either side. */
function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const places = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) places.push(i);
  }
  return places;
}

function clock(seconds: number, ticks: number[]): string {
  const at = new Date(seconds * 1000);
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : 60;
  if (step >= 86_400) return at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  return at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', ...(step < 60 ? { second: '2-digit' } : {}) });
}

function lastIndex(series: Series[]): number {
  const length = Math.max(0, ...series.map((s) => s.values.length));
  for (let i = length - 1; i >= 0; i--) if (series.some((s) => s.values[i] != null)) return i;
  return -1;
}

/** What the chart shows, in words. */
function describe(title: string, series: Series[], format: (value: number | null) => string): string {
  const parts = series.map((s) => {
    const values = s.values.filter((v) => v !== null);
    if (values.length === 0) return `${s.label}: no data`;
    return `${s.label}: from ${format(Math.min(...values))} to ${format(Math.max(...values))}, last ${format(values.at(-1)!)}`;
  });
  return `${title}. ${parts.join('; ')}.`;
}
