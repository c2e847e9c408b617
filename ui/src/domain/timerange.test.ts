import { describe, expect, it } from 'vitest';
import {
  DEFAULT_RANGE, formatSpan, parseMoment, parseRange, parseSpan, PRESETS, rangeLabel, rangeParams, rangeProblem, toLocalInput,
} from './timerange';

describe('spans', () => {
  it.each([['90s', 90], ['15m', 900], ['1h', 3600], ['24h', 86_400], ['2d', 172_800]])('%s is %d s', (text, seconds) => {
    expect(parseSpan(text)).toBe(seconds);
    expect(parseSpan(formatSpan(seconds))).toBe(seconds);
  });

  it.each(['', '15', 'm', '0m', '-5m', '1.5h', '9999d', '15m ', '15 m', '1y'])('refuses %j', (text) => {
    expect(parseSpan(text)).toBeNull();
  });

  it('writes every preset as it is named', () => {
    for (const preset of PRESETS) expect(formatSpan(preset.seconds)).toBe(preset.text);
  });
});

describe('moments', () => {
  it('reads Unix seconds and RFC 3339', () => {
    expect(parseMoment('1700000000')).toBe(1_700_000_000_000);
    expect(parseMoment('1700000000.5')).toBe(1_700_000_000_500);
    expect(parseMoment('2023-11-14T22:13:20Z')).toBe(1_700_000_000_000);
    expect(parseMoment('yesterday')).toBeNull();
  });

  it('survives the trip through an input field', () => {
    const ms = 1_700_000_000_000;
    expect(Date.parse(toLocalInput(ms))).toBe(ms);
  });
});

describe('ranges', () => {
  it('prefers an absolute range and asks the API for it', () => {
    const range = parseRange('5m', '1700000000', '1700000600');
    expect(range).toEqual({ kind: 'absolute', startMs: 1_700_000_000_000, endMs: 1_700_000_600_000 });
    expect(rangeParams(range)).toEqual({ start: '2023-11-14T22:13:20.000Z', end: '2023-11-14T22:23:20.000Z' });
  });

  it('falls back where a link makes no sense', () => {
    expect(parseRange('soon', null, null)).toEqual(DEFAULT_RANGE);
    expect(parseRange(null, '1700000600', '1700000000')).toEqual(DEFAULT_RANGE);
    expect(parseRange('1h', 'x', 'y')).toEqual({ kind: 'relative', seconds: 3600 });
  });

  it('leaves "now" to the server', () => {
    expect(rangeParams({ kind: 'relative', seconds: 900 })).toEqual({ window: '15m' });
  });

  it('names ranges', () => {
    expect(rangeLabel(DEFAULT_RANGE)).toBe('Last 5 minutes');
    expect(rangeLabel({ kind: 'relative', seconds: 7200 })).toBe('Last 2h');
    const at = (h: number, d = 21) => new Date(2026, 10, d, h).getTime();
    expect(rangeLabel({ kind: 'absolute', startMs: at(9), endMs: at(10) })).toBe('21 Nov 09:00 – 10:00');
    expect(rangeLabel({ kind: 'absolute', startMs: at(9), endMs: at(10, 22) })).toBe('21 Nov 09:00 – 22 Nov 10:00');
  });

  it.each([
    ['', '2026-01-01T00:00', 'Give a start date and time.'],
    ['2026-01-01T00:00', '', 'Give an end date and time.'],
    ['2026-01-02T00:00', '2026-01-01T00:00', 'The start must be before the end.'],
    ['2031-01-01T00:00', '2031-01-02T00:00', 'The start lies in the future.'],
    ['2020-01-01T00:00', '2026-01-02T00:00', 'The range may span a year at most.'],
    ['2026-01-01T00:00', '2026-01-02T00:00', null],
  ])('%s to %s: %s', (start, end, want) => {
    expect(rangeProblem(start, end, new Date(2030, 0).getTime())).toBe(want);
  });
});
