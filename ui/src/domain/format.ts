/** Numbers as people read them: three significant digits at most, always with the unit. */

/** Stands for "no traffic": there is nothing to show, and zero would be wrong. */
export const NONE = '–';

const PREFIXES = [
  { factor: 1e9, prefix: 'G' },
  { factor: 1e6, prefix: 'M' },
  { factor: 1e3, prefix: 'k' },
];

function significant(value: number): string {
  // toPrecision(2) keeps 0.083 and 1.2; whole numbers from ten on need no fraction.
  if (value >= 9.95) return value.toFixed(0);
  return String(Number(value.toPrecision(2)));
}

/** A plain count: 999, 1.2k, 3.4M. */
export function count(value: number): string {
  const scale = PREFIXES.find(({ factor }) => value >= factor * 0.9995);
  return scale ? `${significant(value / scale.factor)}${scale.prefix}` : significant(value);
}

/** Requests per second. */
export function rate(perSecond: number): string {
  if (perSecond > 0 && perSecond < 0.01) return '<0.01/s';
  return `${count(perSecond)}/s`;
}

/** A share of 1. Never rounds something to nothing, nor almost all to all. */
export function ratio(share: number | null): string {
  if (share === null) return NONE;
  const percent = share * 100;
  if (percent > 0 && percent < 0.1) return '<0.1%';
  if (percent > 99.9 && percent < 100) return '>99.9%';
  if (percent >= 99.5 && percent < 100) return `${percent.toFixed(1)}%`;
  return percent >= 9.95 ? `${percent.toFixed(0)}%` : `${Number(percent.toFixed(1))}%`;
}

/** A duration given in seconds: 850 µs, 12 ms, 1.5 s, 2.5 min. */
export function duration(seconds: number | null): string {
  if (seconds === null) return NONE;
  if (seconds === 0) return '0 s';
  if (seconds < 1e-6) return '<1 µs';
  if (seconds < 0.9995e-3) return `${significant(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${significant(seconds * 1e3)} ms`;
  if (seconds < 99.5) return `${significant(seconds)} s`;
  if (seconds < 5940) return `${significant(seconds / 60)} min`;
  return `${significant(seconds / 3600)} h`;
}

/** Bytes per second, in powers of ten as network people count. */
export function bytesRate(perSecond: number): string {
  const scale = PREFIXES.find(({ factor }) => perSecond >= factor * 0.9995);
  return scale
    ? `${significant(perSecond / scale.factor)} ${scale.prefix}B/s`
    : `${significant(perSecond)} B/s`;
}

/** "1 service", "12 services". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

/** A moment in the reader's time zone; the date only where it is not today's. */
export function moment(ms: number, now: number): string {
  const at = new Date(ms);
  const time = at.toLocaleTimeString('en-GB');
  if (at.toDateString() === new Date(now).toDateString()) return time;
  return `${at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${time}`;
}
