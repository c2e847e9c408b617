import type { Health, Quantiles } from '../../api/types';
import { duration, rate, ratio } from '../../domain/format';
import { healthOf, isFailing } from '../../domain/health';
import classes from './Panel.module.css';

interface TilesProps {
  red: Quantiles & { requestsPerSecond: number; failedRatio: number | null; rejectedRatio: number | null };
}

/** The window's numbers at a glance. */
export function Tiles({ red }: TilesProps) {
  const health: Health = healthOf(red.requestsPerSecond, red.failedRatio);
  const tiles = [
    { name: 'Requests', value: rate(red.requestsPerSecond) },
    { name: 'Failed', value: ratio(red.failedRatio), health: isFailing(health) ? health : undefined },
    { name: 'Rejected', value: ratio(red.rejectedRatio) },
    { name: 'p50', value: duration(red.p50Seconds) },
    { name: 'p95', value: duration(red.p95Seconds) },
    { name: 'p99', value: duration(red.p99Seconds) },
  ];
  return (
    <dl className={classes['tiles']}>
      {tiles.map((t) => (
        <div key={t.name} className={classes['tile']} data-health={t.health}><dt>{t.name}</dt><dd>{t.value}</dd></div>
      ))}
    </dl>
  );
}
