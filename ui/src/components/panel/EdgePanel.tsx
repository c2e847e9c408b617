import { UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { edgeQuery } from '../../api/queries';
import type { EdgeDetail, Quantiles } from '../../api/types';
import { bytesRate, duration, NONE, rate } from '../../domain/format';
import type { Topology } from '../../domain/graph';
import { edgeHealth, HEALTH_WORD } from '../../domain/health';
import type { Selection, ViewState } from '../../domain/viewstate';
import { ArrowIcon } from '../icons';
import { HealthMark } from '../marks/HealthMark';
import { Failure } from '../states/Failure';
import { Lost } from './NodePanel';
import { Panel, PanelSkeleton, Section } from './Panel';
import classes from './Panel.module.css';
import { RedCharts } from './RedCharts';
import { Tiles } from './Tiles';

interface EdgePanelProps {
  id: string;
  view: ViewState;
  topology: Topology;
  onSelect: (selection: Selection | null) => void;
}

export function EdgePanel({ id, view, topology, onSelect }: EdgePanelProps) {
  const query = useQuery(edgeQuery(id, view));
  const edge = query.data?.edge ?? topology.edge.get(id);
  const nameOf = (node: string | undefined) => (node === undefined ? '' : (topology.node.get(node)?.name ?? node));
  const label = edge ? `Connection from ${nameOf(edge.client)} to ${nameOf(edge.server)}` : 'Connection';
  const end = (node: string) => (
    <UnstyledButton className={classes['title']} onClick={() => { onSelect({ type: 'node', id: node }); }} title={nameOf(node)}>
      <bdi>{nameOf(node)}</bdi>
    </UnstyledButton>
  );
  const head = edge ? (
    <>
      <h2 className="visually-hidden">{label}</h2>
      <div className={classes['ends']}>{end(edge.client)}<ArrowIcon size={16} />{end(edge.server)}</div>
      <div className={classes['subtitle']}>
        <HealthMark health={edgeHealth(edge)} size={15} />{HEALTH_WORD[edgeHealth(edge)]}<span aria-hidden="true">·</span>{edge.protocol}
      </div>
    </>
  ) : <h2 className={classes['title']}>Connection</h2>;
  return (
    <Panel label={label} head={head} onClose={() => { onSelect(null); }}>
      {query.isPending && <PanelSkeleton />}
      {query.isError && !query.data && <Failure error={query.error} onRetry={() => void query.refetch()} compact />}
      {query.data && <Body detail={query.data} />}
    </Panel>
  );
}

function Body({ detail }: { detail: EdgeDetail }) {
  const { edge } = detail;
  return (
    <>
      {edge.lost > 0 && <Lost lost={edge.lost} />}
      <Tiles red={edge} />
      <RedCharts points={detail.series} window={detail.window} />
      <Section title="Latency by end"><Ends detail={detail} /></Section>
      <Section title="On the wire">
        <table className={classes['table']}>
          <tbody>
            <tr><td>Sent by the client</td><td>{bytesRate(edge.sentBytesPerSecond)}</td></tr>
            <tr><td>Received by the client</td><td>{bytesRate(edge.receivedBytesPerSecond)}</td></tr>
            {edge.waitingPerSecond > 0 && <tr><td>Requests that waited for something to happen, in no latency</td><td>{rate(edge.waitingPerSecond)}</td></tr>}
            {edge.upkeepPerSecond > 0 && <tr><td>Upkeep of connections, no requests</td><td>{rate(edge.upkeepPerSecond)}</td></tr>}
            <tr><td>Retransmits</td><td>{rate(edge.retransmitsPerSecond)}</td></tr>
          </tbody>
        </table>
      </Section>
    </>
  );
}

/** The same exchanges as each end saw them; what lies between is the network's and the accept queue's. */
function Ends({ detail: { clientSeconds, serverSeconds } }: { detail: EdgeDetail }) {
  const row = (title: string, q: Quantiles | null) => (
    <tr>
      <td>{title}</td>
      {q === null ? <td colSpan={3} data-quiet="true">not watched</td> : <><td>{duration(q.p50Seconds)}</td><td>{duration(q.p95Seconds)}</td><td>{duration(q.p99Seconds)}</td></>}
    </tr>
  );
  const between = (c: number | null | undefined, s: number | null | undefined) =>
    c == null || s == null ? NONE : duration(Math.max(0, c - s));
  return (
    <table className={classes['table']}>
      <thead><tr><th scope="col">Seen from</th><th scope="col">p50</th><th scope="col">p95</th><th scope="col">p99</th></tr></thead>
      <tbody>
        {row('the client', clientSeconds)}
        {row('the server', serverSeconds)}
        {clientSeconds !== null && serverSeconds !== null && (
          <tr>
            <td>in between</td>
            <td>{between(clientSeconds.p50Seconds, serverSeconds.p50Seconds)}</td>
            <td>{between(clientSeconds.p95Seconds, serverSeconds.p95Seconds)}</td>
            <td>{between(clientSeconds.p99Seconds, serverSeconds.p99Seconds)}</td>
          </tr>
        )}
      </tbody>
    </table>
  );
}
