import { describe, expect, it } from 'vitest';
import { bytesRate, count, duration, moment, NONE, plural, rate, ratio } from './format';

describe('rate', () => {
  it.each([
    [0, '0/s'],
    [0.004, '<0.01/s'],
    [0.0834, '0.083/s'],
    [1, '1/s'],
    [1.26, '1.3/s'],
    [9.96, '10/s'],
    [12.5, '13/s'],
    [999.4, '999/s'],
    [999.9, '1k/s'],
    [1234, '1.2k/s'],
    [56_780, '57k/s'],
    [2_400_000, '2.4M/s'],
  ])('%d reads %s', (value, want) => {
    expect(rate(value)).toBe(want);
  });
});

describe('ratio', () => {
  it.each([
    [null, NONE],
    [0, '0%'],
    [0.0001, '<0.1%'],
    [0.0123, '1.2%'],
    [0.5, '50%'],
    [0.9961, '99.6%'],
    [0.99999, '>99.9%'],
    [1, '100%'],
  ])('%s reads %s', (value, want) => {
    expect(ratio(value)).toBe(want);
  });
});

describe('duration', () => {
  it.each([
    [null, NONE],
    [0, '0 s'],
    [1e-8, '<1 µs'],
    [0.00085, '850 µs'],
    [0.0012, '1.2 ms'],
    [0.012, '12 ms'],
    [0.9996, '1 s'],
    [1.5, '1.5 s'],
    [150, '2.5 min'],
    [7200, '2 h'],
  ])('%s reads %s', (value, want) => {
    expect(duration(value)).toBe(want);
  });
});

describe('counts, bytes, plurals, moments', () => {
  it('scales', () => {
    expect(count(0)).toBe('0');
    expect(count(1500)).toBe('1.5k');
    expect(bytesRate(0)).toBe('0 B/s');
    expect(bytesRate(1536)).toBe('1.5 kB/s');
    expect(bytesRate(12_000_000)).toBe('12 MB/s');
    expect(plural(1, 'service')).toBe('1 service');
    expect(plural(2000, 'service')).toBe('2,000 services');
  });

  it('shows the date only where it is not today', () => {
    const now = new Date(2026, 10, 21, 12, 0, 0).getTime();
    expect(moment(now - 3_600_000, now)).toBe('11:00:00');
    expect(moment(now - 86_400_000, now)).toBe('20 Nov 12:00:00');
  });
});
