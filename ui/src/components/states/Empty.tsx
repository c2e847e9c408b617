import { Button } from '@mantine/core';
import type { Status } from '../../api/types';
import type { Capture } from '../../domain/capture';
import { plural } from '../../domain/format';
import { rangeLabel, type TimeRange } from '../../domain/timerange';
import { FilterIcon, PlugIcon, RadarIcon } from '../icons';
import classes from './States.module.css';

interface EmptyProps {
  range: TimeRange;
  capture: Capture;
  status: Status | undefined;
  onRange: (range: TimeRange) => void;
}

const DAY: TimeRange = { kind: 'relative', seconds: 86_400 };

/** No traffic: why that may be, and what to do next. */
export function Empty({ range, capture, status, onRange }: EmptyProps) {
  if (capture.state === 'detached') return <Detached capture={capture} onRange={onRange} />;
  const seen = status?.stages[0]?.events ?? 0;
  const widest = range.kind === 'relative' && range.seconds >= 86_400;
  return (
    <div className={classes['state']} data-testid="empty">
      <div className={classes['badge']}><RadarIcon size={32} /></div>
      <h2>No traffic seen in this window</h2>
      <p>
        {range.kind === 'relative' ? `Nothing that Toposcope can decode was exchanged in the ${rangeLabel(range).toLowerCase()}.` : `Nothing that Toposcope can decode was exchanged in this range (${rangeLabel(range)}).`}
        {' '}This page fills by itself as soon as something is.
      </p>
      <ul className={classes['steps']}>
        <li><b>Start the demo</b><span>In another terminal, <code>toposcope-demo</code> runs a small shop with steady traffic. It is on the map within seconds.</span></li>
        <li><b>Or send a request</b><span>Any plain HTTP service on this host will do: <code>curl http://127.0.0.1:8080/</code>. Encrypted traffic is not decoded yet.</span></li>
        <li>
          <b>Nothing appears?</b>
          <span>
            {seen > 0 ? `Capture works: ${plural(seen, 'event')} so far. ` : ''}
            The section <code>filters</code> of the configuration may leave it out, and <code>toposcope doctor</code> tells what this host allows.
          </span>
        </li>
      </ul>
      {!widest && <div className={classes['actions']}><Button onClick={() => { onRange(DAY); }}>Look at the last 24 hours</Button></div>}
    </div>
  );
}

function Detached({ capture, onRange }: Pick<EmptyProps, 'capture' | 'onRange'>) {
  return (
    <div className={classes['state']} data-testid="detached">
      <div className={classes['badge']} data-tone="warn"><PlugIcon size={32} /></div>
      <h2>Nothing is being captured</h2>
      <p>{capture.detail}</p>
      <ul className={classes['steps']}>
        <li><b>Ask what this host allows</b><span><code>toposcope doctor</code> checks each way of capture and names the remedy for each that fails.</span></li>
        <li><b>Run as root</b><span>Loading eBPF programs needs root, or the capabilities that <code>toposcope doctor</code> lists.</span></li>
      </ul>
      <div className={classes['actions']}><Button variant="default" onClick={() => { onRange(DAY); }}>Look at the last 24 hours</Button></div>
    </div>
  );
}

/** There is traffic, but the filters leave nothing of it. */
export function NothingLeft({ onClear }: { onClear: () => void }) {
  return (
    <div className={classes['state']} data-testid="nothing-left">
      <div className={classes['badge']}><FilterIcon size={30} /></div>
      <h2>Nothing matches these filters</h2>
      <p>There is traffic in this window, but none that all of them let through.</p>
      <div className={classes['actions']}><Button onClick={onClear}>Clear the filters</Button></div>
    </div>
  );
}
