import type { ReactNode } from 'react';
import type { Edge, Node, Quantiles } from '../../api/types';
import { bytesRate, duration, plural, rate, ratio } from '../../domain/format';
import { outgoingRate, type Topology } from '../../domain/graph';
import { pointAt } from '../../domain/layout/labels';
import type { Selection } from '../../domain/viewstate';
import { KIND_WORD } from '../marks/KindMark';
import classes from './Map.module.css';
import type { Viewport } from './MapEngine';
import type { MapModel, PlacedLabel } from './model';

interface TooltipProps {
  target: Selection;
  topology: Topology;
  model: MapModel;
  labels: readonly PlacedLabel[];
  viewport: Viewport;
}

/** All about what is under the pointer, whatever the zoom leaves of it. The panel has it for keyboards. */
export function Tooltip({ target, topology, model, labels, viewport }: TooltipProps) {
  const anchor = anchorOf(target, model, labels);
  const content = contentOf(target, topology);
  if (!anchor || !content) return null;
  const { pan, zoom, size } = viewport;
  const x = anchor.x * zoom + pan.x;
  const above = (anchor.y - anchor.lift) * zoom + pan.y;
  const below = (anchor.y + anchor.lift) * zoom + pan.y;
  const left = Math.min(Math.max(x, 160), Math.max(160, size.width - 160));
  // Above where there is room for it, as a hand covers what is below.
  const place = above > 190 ? { bottom: size.height - above + 12 } : { top: below + 12 };
  return <div className={classes['tooltip']} role="presentation" style={{ left, transform: 'translateX(-50%)', ...place }}>{content}</div>;
}

function anchorOf(target: Selection, model: MapModel, labels: readonly PlacedLabel[]) {
  if (target.type === 'node') {
    const at = model.places.get(target.id);
    return at && { ...at, lift: 32 };
  }
  const route = model.routes.get(target.id);
  const at = labels.find((l) => l.edge.id === target.id)?.at ?? (route && pointAt(route.path, 0.5));
  return at && { ...at, lift: 20 };
}

function contentOf(target: Selection, topology: Topology): ReactNode {
  if (target.type === 'node') {
    const node = topology.node.get(target.id);
    return node && <NodeContent node={node} topology={topology} />;
  }
  const edge = topology.edge.get(target.id);
  return edge && <EdgeContent edge={edge} topology={topology} />;
}

function NodeContent({ node, topology }: { node: Node; topology: Topology }) {
  const outgoing = outgoingRate(topology, node.id);
  return (
    <>
      <div className={classes['tooltipTitle']}><bdi>{node.name}</bdi></div>
      <div className={classes['below']}>
        {KIND_WORD[node.kind]}
        {node.namespace !== '' && <> in <bdi>{node.namespace}</bdi></>}
        {node.instances.length > 0 && `, ${plural(node.instances.length, 'instance')}`}
      </div>
      <dl>
        {node.requestsPerSecond > 0 && <Red red={node} />}
        {outgoing > 0 && <><dt>Calls others</dt><dd>{rate(outgoing)}</dd></>}
        {node.requestsPerSecond + outgoing === 0 && <><dt>Requests</dt><dd>none in this window</dd></>}
      </dl>
    </>
  );
}

function EdgeContent({ edge, topology }: { edge: Edge; topology: Topology }) {
  return (
    <>
      <div className={classes['tooltipTitle']}>
        <bdi>{topology.node.get(edge.client)?.name}</bdi> → <bdi>{topology.node.get(edge.server)?.name}</bdi>
      </div>
      <div className={classes['below']}>{edge.protocol}</div>
      <dl>
        <Red red={edge} />
        <dt>Sent, received</dt><dd>{bytesRate(edge.sentBytesPerSecond)}, {bytesRate(edge.receivedBytesPerSecond)}</dd>
        {edge.lost > 0 && <><dt>Missed</dt><dd>{plural(Math.ceil(edge.lost), 'exchange')}</dd></>}
      </dl>
    </>
  );
}

function Red({ red }: { red: Quantiles & { requestsPerSecond: number; failedRatio: number | null; rejectedRatio: number | null } }) {
  return (
    <>
      <dt>Requests</dt><dd>{rate(red.requestsPerSecond)}</dd>
      <dt>Failed</dt><dd>{ratio(red.failedRatio)}</dd>
      {red.rejectedRatio !== null && red.rejectedRatio > 0 && <><dt>Rejected</dt><dd>{ratio(red.rejectedRatio)}</dd></>}
      <dt>p50, p95, p99</dt><dd>{duration(red.p50Seconds)}, {duration(red.p95Seconds)}, {duration(red.p99Seconds)}</dd>
    </>
  );
}
