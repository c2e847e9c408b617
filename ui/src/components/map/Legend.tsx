import { UnstyledButton } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import type { ReactNode } from 'react';
import type { Health, Kind } from '../../api/types';
import { HEALTH_WORD } from '../../domain/health';
import { ChevronIcon } from '../icons';
import { HealthMark } from '../marks/HealthMark';
import { KIND_WORD, KindMark } from '../marks/KindMark';
import classes from './Map.module.css';
import type { MapModel } from './model';

const HEALTHS: { health: Health; text: string }[] = [
  { health: 'ok', text: HEALTH_WORD.ok },
  { health: 'warning', text: 'from 1% failed' },
  { health: 'critical', text: 'from 5% failed' },
  { health: 'idle', text: HEALTH_WORD.idle },
];

/** Says what the signs mean; of the kinds of nodes, only those that are on the map. */
export function Legend({ model }: { model: MapModel }) {
  const [open, setOpen] = useLocalStorage({ key: 'toposcope-legend', defaultValue: false });
  const kinds = [...new Set(model.nodes.map(({ node }) => node.kind))];
  const lost = model.drawnEdges.some((e) => e.lost > 0);
  return (
    <div className={classes['legend']}>
      <UnstyledButton className={classes['legendToggle']} aria-expanded={open} onClick={() => { setOpen(!open); }}>
        <ChevronIcon size={14} style={open ? undefined : { transform: 'rotate(180deg)' }} /> Legend
      </UnstyledButton>
      {open && (
        <div className={classes['legendBody']}>
          <div className={classes['legendColumn']}>
            <h3>Health</h3>
            {HEALTHS.map(({ health, text }) => <Row key={health} sign={<HealthMark health={health} />} text={text} />)}
          </div>
          <div className={classes['legendColumn']}>
            <h3>Kind</h3>
            {kinds.map((kind: Kind) => <Row key={kind} sign={<KindMark kind={kind} size={20} />} text={KIND_WORD[kind]} />)}
          </div>
          <div className={classes['legendColumn']}>
            <h3>Connection</h3>
            <Row sign={<Line width={1.5} />} text="few requests" />
            <Row sign={<Line width={5} />} text="many requests" />
            <Row sign={<Line width={3} colour="var(--critical-mark)" />} text="failing" />
            {lost && <Row sign={<Line width={2.5} dashed />} text="some missed" />}
          </div>
        </div>
      )}
    </div>
  );
}

function Row({ sign, text }: { sign: ReactNode; text: string }) {
  return <div className={classes['legendRow']}>{sign}<span>{text}</span></div>;
}

function Line({ width, colour = 'var(--edge)', dashed = false }: { width: number; colour?: string; dashed?: boolean }) {
  return (
    <svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true">
      <path d="M1 6h22" stroke={colour} strokeWidth={width} strokeDasharray={dashed ? '6 4' : undefined} />
      <path d="M22 1.5 29 6l-7 4.5z" fill={colour} />
    </svg>
  );
}
