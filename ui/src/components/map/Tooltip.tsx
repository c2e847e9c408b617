import type { ReactNode } from 'react';
import type { Edge, Node, Quantiles } from '../../api/types';
import { bytesRate, duration, plural, rate, ratio } from '../../domain/format';
import { outgoingRate, type Topology } from '../../domain/graph';
import { pointAt } from '../../domain/layout/labels';
import type { Selection } from '../../domain/viewstate';
import { KIND_WORD } from '../marks/KindMark';
import classes from './Map.module.css';
import type { Viewport } from './MapEngine';
import type { MapModel } from './model';

interface TooltipProps {
  target: Selection;
  topology: Topology;
  model: MapModel;
  viewport: Viewport;
}

/** All about what is under the pointer, whatever the zoom leaves of it. The panel has it for keyboards. */
export function Tooltip({ target, topology, model, viewport }: TooltipProps) {
  const content = contentOf(target, topology);
  if (!content) return null;
  // In the corner away from what is pointed at: beside it would cover its neighbours, which have just been lit up.
  const path = model.routes.get(target.id)?.path;
  const at = target.type === 'node' ? model.boxes.get(target.id) : path && pointAt(path, 0.5);
  const { pan, zoom, size } = viewport;
  const far = (at?.x ?? 0) * zoom + pan.x < size.width / 2 ? { right: 16 } : { left: 16 };
  return <div className={classes['tooltip']} role="presentation" style={far}>{content}</div>;
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
