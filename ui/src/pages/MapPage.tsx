import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useCallback, useDeferredValue, useEffect, useMemo, useState } from 'react';
import { readinessQuery, statusQuery, topologyQuery } from '../api/queries';
import { CaptureDot } from '../components/header/CaptureDot';
import { Header } from '../components/header/Header';
import { LiveButton } from '../components/header/LiveButton';
import { RangePicker } from '../components/header/RangePicker';
import { SchemeMenu } from '../components/header/SchemeMenu';
import type { Jump } from '../components/map/ServiceMap';
import { Empty, NothingLeft } from '../components/states/Empty';
import { Failure } from '../components/states/Failure';
import { Fault } from '../components/states/Fault';
import { MapSkeleton } from '../components/states/MapSkeleton';
import { Tables } from '../components/table/Tables';
import { SearchBox } from '../components/toolbar/SearchBox';
import { StaleBanner } from '../components/toolbar/StaleBanner';
import { Toolbar } from '../components/toolbar/Toolbar';
import { captureOf } from '../domain/capture';
import { filterGraph, index } from '../domain/graph';
import { countUp, describe } from '../domain/summary';
import { NO_FILTERS, type Selection, type ViewState } from '../domain/viewstate';
import { useView, type UpdateView } from './useView';

const ServiceMap = lazy(() => import('../components/map/ServiceMap'));
const Details = lazy(() => import('../components/panel/Details'));

const NOTHING = index({ window: { start: '', end: '' }, nodes: [], edges: [] });

/** The service map, as a map or as tables, with what is selected beside it. */
export function MapPage() {
  const [view, update] = useView();
  const topologyState = useQuery(topologyQuery(view));
  const { data: status } = useQuery(statusQuery());
  const { data: readiness } = useQuery(readinessQuery());
  const capture = useMemo(() => captureOf(readiness, status), [readiness, status]);
  const graph = topologyState.data;
  const topology = useMemo(() => (graph ? index(graph) : NOTHING), [graph]);
  const visible = useVisible(topology, view);
  const [jump, setJump] = useState<Jump | null>(null);
  const select = useCallback((selected: Selection | null) => { update({ selected }); }, [update]);
  const pick = (id: string) => {
    const hidden = !visible.nodes.some((n) => n.id === id);
    update({ selected: { type: 'node', id }, ...(hidden ? NO_FILTERS : {}) });
    setJump((old) => ({ id, serial: (old?.serial ?? 0) + 1 }));
  };
  const sentence = graph ? describe(countUp(visible.nodes, visible.edges)) : '';
  useTitle(view, topology.node.get(view.selected?.id ?? '')?.name);

  return (
    <div className="app">
      <Header search={topology.nodes.length > 0 && <SearchBox topology={topology} onPick={pick} />}>
        <CaptureDot capture={capture} />
        {view.range.kind === 'relative' && <LiveButton live={view.live} onChange={(live) => { update({ live }, { replace: true }); }} />}
        <RangePicker range={view.range} onChange={(range) => { update({ range }); }} />
        <SchemeMenu />
      </Header>
      {graph && topology.nodes.length > 0 && <Toolbar view={view} topology={topology} status={sentence} onView={update} />}
      {graph && topologyState.isError && <StaleBanner error={topologyState.error} onRetry={() => void topologyState.refetch()} />}
      <div className="body">
        <main className="main" aria-busy={topologyState.isPending}>
          <h1 className="visually-hidden">Service map</h1>
          <Fault>
            {!graph && topologyState.isError && <Failure error={topologyState.error} onRetry={() => void topologyState.refetch()} />}
            {topologyState.isPending && <MapSkeleton />}
            {graph && topology.nodes.length === 0 && <Empty range={view.range} capture={capture} status={status} onRange={(range) => { update({ range }); }} />}
            {graph && topology.nodes.length > 0 && visible.nodes.length === 0 && <NothingLeft onClear={() => { update(NO_FILTERS); }} />}
            {visible.nodes.length > 0 && view.view === 'table' && <Tables topology={topology} visible={visible} view={view} onView={update} onSelect={select} />}
            {visible.nodes.length > 0 && view.view === 'map' && (
              <Suspense fallback={<MapSkeleton />}>
                <ServiceMap topology={topology} visible={visible} filter={filterKey(view)} selection={view.selected} jump={jump} onSelect={select} />
              </Suspense>
            )}
          </Fault>
        </main>
        {view.selected && graph && <Side view={view} topology={topology} select={select} update={update} />}
      </div>
    </div>
  );
}

interface SideProps {
  view: ViewState;
  topology: ReturnType<typeof index>;
  select: (selection: Selection | null) => void;
  update: UpdateView;
}

function Side({ view, topology, select, update }: SideProps) {
  return (
    <Fault key={`${view.selected?.type ?? ''} ${view.selected?.id ?? ''}`}>
      <Suspense fallback={null}>
        <Details view={view} topology={topology} onSelect={select} onFocus={(focus) => { update({ focus }); }} />
      </Suspense>
    </Fault>
  );
}

/** What the filters leave, the same object for as long as neither they nor the data change. */
function useVisible(topology: ReturnType<typeof index>, view: ViewState) {
  const { failingOnly, hideIdle, focus } = view;
  const namespaces = useStrings(view.namespaces);
  const protocols = useStrings(view.protocols);
  return useDeferredValue(
    useMemo(
      () => filterGraph(topology, { namespaces, protocols, failingOnly, hideIdle, focus }),
      [topology, namespaces, protocols, failingOnly, hideIdle, focus],
    ),
  );
}

function useStrings(list: string[]): string[] {
  const key = JSON.stringify(list);
  return useMemo(() => JSON.parse(key) as string[], [key]);
}

function filterKey(view: ViewState): string {
  return JSON.stringify([view.namespaces, view.protocols, view.failingOnly, view.hideIdle, view.focus]);
}

function useTitle(view: ViewState, selected: string | undefined): void {
  const title = selected === undefined || view.selected?.type !== 'node' ? 'Toposcope' : `${selected.slice(0, 60)} – Toposcope`;
  useEffect(() => { document.title = title; }, [title]);
}
