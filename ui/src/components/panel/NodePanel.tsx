import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { nodeQuery } from '../../api/queries';
import type { Node, NodeDetail } from '../../api/types';
import { plural } from '../../domain/format';
import { healthShown, named, type Topology } from '../../domain/graph';
import { HEALTH_WORD } from '../../domain/health';
import type { Selection, ViewState } from '../../domain/viewstate';
import { FocusIcon } from '../icons';
import { HealthMark } from '../marks/HealthMark';
import { KIND_WORD, KindMark } from '../marks/KindMark';
import { Failure } from '../states/Failure';
import { EdgeLinks } from './EdgeLinks';
import { Instances } from './Instances';
import { Operations } from './Operations';
import { Panel, PanelSkeleton, Section } from './Panel';
import classes from './Panel.module.css';
import { RedCharts } from './RedCharts';
import { Tiles } from './Tiles';

interface NodePanelProps {
  id: string;
  view: ViewState;
  topology: Topology;
  onSelect: (selection: Selection | null) => void;
  onFocus: (id: string | null) => void;
}

export function NodePanel({ id, view, topology, onSelect, onFocus }: NodePanelProps) {
  const query = useQuery(nodeQuery(id, view));
  // The map's own numbers come at once; the answer has the rest.
  const node = (query.data && named(query.data.node)) ?? topology.node.get(id);
  const name = node?.name ?? id;
  const focused = view.focus === id;
  return (
    <Panel label={name} head={<Head node={node} name={name} topology={topology} />} onClose={() => { onSelect(null); }}>
      {node && topology.node.has(id) && topology.nodes.length > 3 && (
        <div className={classes['actions']}>
          <Button size="xs" variant="default" leftSection={<FocusIcon size={14} />} onClick={() => { onFocus(focused ? null : id); }}>
            {focused ? 'Show the whole map' : 'Show only its neighbours'}
          </Button>
        </div>
      )}
      {query.isPending && <PanelSkeleton />}
      {query.isError && !query.data && <Failure error={query.error} onRetry={() => void query.refetch()} compact />}
      {query.data && <Body detail={query.data} topology={topology} onSelect={onSelect} />}
    </Panel>
  );
}

function Head({ node, name, topology }: { node: Node | undefined; name: string; topology: Topology }) {
  const health = node && healthShown(topology, node);
  return (
    <div style={{ display: 'flex', gap: 12 }}>
      {node && <KindMark kind={node.kind} size={38} />}
      <div style={{ minWidth: 0 }}>
        <h2 className={classes['title']} title={name}><bdi>{name}</bdi></h2>
        {node && health && (
          <div className={classes['subtitle']}>
            <HealthMark health={health} size={15} />
            {node.requestsPerSecond === 0 && health === 'ok' ? 'only calls others' : HEALTH_WORD[health]}
            <span aria-hidden="true">·</span>
            <span>{KIND_WORD[node.kind]}{node.namespace !== '' && <> in <bdi>{node.namespace}</bdi></>}</span>
          </div>
        )}
      </div>
    </div>
  );
}

function Body({ detail, topology, onSelect }: { detail: NodeDetail; topology: Topology; onSelect: (s: Selection) => void }) {
  const { series, operations, callers, callees } = detail;
  const node = named(detail.node);
  const serves = node.requestsPerSecond > 0 || callers.length > 0;
  const lost = [...callers, ...callees].reduce((sum, e) => sum + e.lost, 0);
  return (
    <>
      {lost > 0 && <Lost lost={lost} />}
      {serves && <Tiles red={node} />}
      {serves && <RedCharts points={series} window={detail.window} />}
      {operations.length > 0 && <Section title="Operations"><Operations operations={operations} /></Section>}
      {callers.length > 0 && (
        <Section title="Called by" aside={plural(callers.length, 'connection')}>
          <EdgeLinks edges={callers} end="client" topology={topology} onSelect={onSelect} />
        </Section>
      )}
      {callees.length > 0 && (
        <Section title="Calls" aside={plural(callees.length, 'connection')}>
          <EdgeLinks edges={callees} end="server" topology={topology} onSelect={onSelect} />
        </Section>
      )}
      {node.instances.length > 0 && (
        <Section title="Instances" aside={String(node.instances.length)}><Instances instances={node.instances} /></Section>
      )}
    </>
  );
}

export function Lost({ lost }: { lost: number }) {
  return (
    <div className={classes['notice']} role="note">
      <HealthMark health="warning" size={16} />
      <span>{plural(Math.ceil(lost), 'exchange')} could not be seen in this window. The numbers below are of those that could.</span>
    </div>
  );
}
