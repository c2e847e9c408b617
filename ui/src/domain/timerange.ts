/** The span of time that a view shows: the last so-and-so many seconds, or from a moment to another. */
export type TimeRange =
  | { kind: 'relative'; seconds: number }
  | { kind: 'absolute'; startMs: number; endMs: number };

export const PRESETS = [
  { text: '5m', label: 'Last 5 minutes', seconds: 300 },
  { text: '15m', label: 'Last 15 minutes', seconds: 900 },
  { text: '1h', label: 'Last hour', seconds: 3600 },
  { text: '6h', label: 'Last 6 hours', seconds: 21_600 },
  { text: '24h', label: 'Last 24 hours', seconds: 86_400 },
] as const;

/** The API's own default. */
export const DEFAULT_RANGE: TimeRange = { kind: 'relative', seconds: 300 };

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };
const LONGEST_SECONDS = 366 * 86_400;

/** Reads 90s, 15m, 1h, 2d; null for anything else. */
export function parseSpan(text: string): number | null {
  const match = /^(\d{1,8})([smhd])$/.exec(text);
  if (!match) return null;
  const seconds = Number(match[1]) * (UNIT_SECONDS[match[2]!] ?? 0);
  return seconds > 0 && seconds <= LONGEST_SECONDS ? seconds : null;
}

/** The shortest text that parseSpan reads as the same span. */
export function formatSpan(seconds: number): string {
  // A day reads as 24h, which is what people call it; two days as 2d.
  const units = seconds === 86_400 ? ['h'] : ['d', 'h', 'm', 's'];
  const unit = units.find((u) => Number.isInteger(seconds / UNIT_SECONDS[u]!)) ?? 's';
  return `${seconds / UNIT_SECONDS[unit]!}${unit}`;
}

/** Reads RFC 3339 or Unix seconds, as the API does; null for anything else. */
export function parseMoment(text: string): number | null {
  const ms = /^\d{1,11}(\.\d{1,6})?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  return Number.isFinite(ms) ? ms : null;
}

/** The range that parameters of a link mean; DEFAULT_RANGE where they make no sense. */
export function parseRange(range: string | null, start: string | null, end: string | null): TimeRange {
  if (start !== null && end !== null) {
    const startMs = parseMoment(start);
    const endMs = parseMoment(end);
    if (startMs !== null && endMs !== null && startMs < endMs) return { kind: 'absolute', startMs, endMs };
  }
  const seconds = range === null ? null : parseSpan(range);
  return seconds === null ? DEFAULT_RANGE : { kind: 'relative', seconds };
}

/** The parameters by which the API is asked for a range; a relative one is left to the server's clock. */
export function rangeParams(range: TimeRange): Record<string, string> {
  if (range.kind === 'relative') return { window: formatSpan(range.seconds) };
  return { start: new Date(range.startMs).toISOString(), end: new Date(range.endMs).toISOString() };
}

/** What a button shows for a range. */
export function rangeLabel(range: TimeRange): string {
  if (range.kind === 'relative') {
    const preset = PRESETS.find(({ seconds }) => seconds === range.seconds);
    return preset?.label ?? `Last ${formatSpan(range.seconds)}`;
  }
  const day = (ms: number) => new Date(ms).toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  const time = (ms: number) => new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  const sameDay = new Date(range.startMs).toDateString() === new Date(range.endMs).toDateString();
  const end = sameDay ? time(range.endMs) : `${day(range.endMs)} ${time(range.endMs)}`;
  return `${day(range.startMs)} ${time(range.startMs)} – ${end}`;
}

/** A moment as <input type="datetime-local"> wants it, in the reader's zone, to the second. */
export function toLocalInput(ms: number): string {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** What is wrong with a start and end as typed, or null. */
export function rangeProblem(start: string, end: string, nowMs: number): string | null {
  const startMs = Date.parse(start);
  const endMs = Date.parse(end);
  if (Number.isNaN(startMs)) return 'Give a start date and time.';
  if (Number.isNaN(endMs)) return 'Give an end date and time.';
  if (startMs >= endMs) return 'The start must be before the end.';
  if (startMs > nowMs) return 'The start lies in the future.';
  if (endMs - startMs > LONGEST_SECONDS * 1000) return 'The range may span a year at most.';
  return null;
}
