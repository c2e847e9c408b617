import { useMemo } from 'react';
import type { Point, Window } from '../../api/types';
import { duration, rate, ratio } from '../../domain/format';
import { Chart, type Series } from './Chart';
import classes from './Panel.module.css';

const rateOf = (value: number | null) => (value === null ? '–' : rate(value));

/** Rate, errors and duration over the window. */
export function RedCharts({ points, window }: { points: readonly Point[]; window: Window }) {
  const times = useMemo(() => points.map((p) => Date.parse(p.time) / 1000), [points]);
  const span = useMemo((): [number, number] => [Date.parse(window.start) / 1000, Date.parse(window.end) / 1000], [window]);
  const rates = useMemo((): Series[] => [
    { label: 'requests', colour: 'series-1', values: points.map((p) => p.requestsPerSecond), filled: true },
  ], [points]);
  const failed = useMemo((): Series[] => {
    const series: Series[] = [{ label: 'failed', colour: 'series-fail', values: points.map((p) => p.failedRatio), filled: true }];
    if (points.some((p) => (p.rejectedRatio ?? 0) > 0)) {
      series.push({ label: 'rejected', colour: 'idle', values: points.map((p) => p.rejectedRatio), dashed: true });
    }
    return series;
  }, [points]);
  const latency = useMemo((): Series[] => [
    { label: 'p50', colour: 'series-1', values: points.map((p) => p.p50Seconds) },
    { label: 'p95', colour: 'series-2', values: points.map((p) => p.p95Seconds) },
    { label: 'p99', colour: 'series-3', values: points.map((p) => p.p99Seconds), dashed: true },
  ], [points]);
  if (points.length === 0) return <p className={classes['nothing']}>There is no history of this window.</p>;
  return (
    <div className={classes['charts']}>
      <Chart title="Requests" times={times} series={rates} format={rateOf} span={span} leastTop={0.1} />
      <Chart title="Failed share" times={times} series={failed} format={ratio} span={span} leastTop={0.01} />
      <Chart title="Latency" times={times} series={latency} format={duration} span={span} leastTop={0.0001} />
    </div>
  );
}
