import { memo, type CSSProperties, type FocusEvent } from 'react';
import type { Node } from '../../api/types';
import { duration, rate, ratio } from '../../domain/format';
import { HEALTH_WORD, isFailing } from '../../domain/health';
import type { Box } from '../../domain/layout/types';
import type { Level } from '../../domain/level';
import { HealthMark } from '../marks/HealthMark';
import { KIND_WORD, KindMark } from '../marks/KindMark';
import { Name } from '../marks/Name';
import classes from './Map.module.css';

interface CardProps {
  node: Node;
  box: Box;
  /** What it asks of others; shown when it serves nothing. */
  outgoing: number;
  level: Level;
  selected: boolean;
  dim: boolean;
  /** Whether Tab leads here; the arrow keys lead on. */
  tabbable: boolean;
  onSelect: (id: string) => void;
  onFocus: (id: string, event: FocusEvent) => void;
}

/** A node close by. The pointer is the canvas's affair; keyboard and screen reader find buttons. */
export const Card = memo(function Card(props: CardProps) {
  const { node, box, outgoing, level, selected, dim, tabbable, onSelect, onFocus } = props;
  const calls = node.requestsPerSecond === 0 && outgoing > 0;
  const style: CSSProperties = { transform: `translate(${box.x - box.width / 2}px, ${box.y - box.height / 2}px)`, width: box.width, height: box.height };
  return (
    <button
      type="button" className={classes['card']} style={style} data-node={node.id} data-kind={node.kind} data-health={calls ? 'ok' : node.health}
      data-selected={selected || undefined} data-dim={dim || undefined} data-level={level} tabIndex={tabbable ? 0 : -1}
      aria-pressed={selected}
      onClick={() => { onSelect(node.id); }} onFocus={(event) => { onFocus(node.id, event); }}
    >
      {level === 'card' && <KindMark kind={node.kind} />}
      <span className={classes['cardText']}>
        <span className={classes['cardName']}><Name text={node.name} /></span>
        {(level === 'card' || level === 'compact') && <CardNumbers node={node} outgoing={outgoing} calls={calls} />}
      </span>
      <span className="visually-hidden">{sentence(node, outgoing, level)}</span>
      {!calls && (level !== 'name' || isFailing(node.health)) && <HealthMark health={node.health} size={level === 'card' ? 17 : 23} />}
    </button>
  );
});

// There is room for one more number: the failed share where it is as much as to worry, else the latency.
const WORTH_TELLING = 0.01;

function CardNumbers({ node, outgoing, calls }: { node: Node; outgoing: number; calls: boolean }) {
  if (calls) return <span className={classes['cardNumbers']}>calls {rate(outgoing)}</span>;
  const failed = node.failedRatio !== null && node.failedRatio >= WORTH_TELLING ? node.failedRatio : null;
  return (
    <span className={classes['cardNumbers']}>
      {node.requestsPerSecond === 0 ? 'no requests' : rate(node.requestsPerSecond)}
      {failed !== null && <span data-health={node.health}> · {ratio(failed)} failed</span>}
      {failed === null && node.p95Seconds !== null && ` · p95 ${duration(node.p95Seconds)}`}
    </span>
  );
}

/** What a screen reader says after what is written on the card. */
function sentence(node: Node, outgoing: number, level: Level): string {
  const parts = [''];
  const written = level === 'card' || level === 'compact';
  if (node.requestsPerSecond > 0) {
    if (!written) parts.push(`${rate(node.requestsPerSecond)} requests`);
    parts.push(HEALTH_WORD[node.health]);
    if (node.p95Seconds !== null) parts.push(`95th percentile ${duration(node.p95Seconds)}`);
  } else if (!written) {
    parts.push(outgoing > 0 ? `calls others ${rate(outgoing)}` : 'no requests');
  }
  parts.push(KIND_WORD[node.kind] + (node.namespace === '' ? '' : ` in ${node.namespace}`));
  return parts.join(', ');
}
