import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { rangeParams, type TimeRange } from '../domain/timerange';
import { getJSON, getReadiness } from './client';
import type { EdgeDetail, Graph, NodeDetail, Status } from './types';

/** How often a live view asks again. */
export const REFRESH_MS = 5000;

interface Follow {
  range: TimeRange;
  live: boolean;
}

/** A range that moves with the clock is asked for again and again; one that has ended, and a paused one, never. */
function following({ range, live }: Follow) {
  const moving = range.kind === 'relative' && live;
  return { refetchInterval: moving ? REFRESH_MS : (false as const), staleTime: moving ? REFRESH_MS / 2 : Infinity };
}

export function topologyQuery(follow: Follow) {
  return queryOptions({
    queryKey: ['topology', follow.range],
    queryFn: ({ signal }) => getJSON<Graph>('/api/v1/topology', rangeParams(follow.range), signal),
    placeholderData: keepPreviousData,
    ...following(follow),
  });
}

export function nodeQuery(id: string, follow: Follow) {
  return queryOptions({
    queryKey: ['node', id, follow.range],
    queryFn: ({ signal }) =>
      getJSON<NodeDetail>(`/api/v1/topology/nodes/${encodeURIComponent(id)}`, rangeParams(follow.range), signal),
    ...following(follow),
  });
}

export function edgeQuery(id: string, follow: Follow) {
  return queryOptions({
    queryKey: ['edge', id, follow.range],
    queryFn: ({ signal }) =>
      getJSON<EdgeDetail>(`/api/v1/topology/edges/${encodeURIComponent(id)}`, rangeParams(follow.range), signal),
    ...following(follow),
  });
}

/** What the server says of itself. */
export function statusQuery() {
  return queryOptions({
    queryKey: ['status'],
    queryFn: ({ signal }) => getJSON<Status>('/api/v1/status', {}, signal),
    refetchInterval: 2 * REFRESH_MS,
  });
}

export function readinessQuery() {
  return queryOptions({
    queryKey: ['ready'],
    queryFn: ({ signal }) => getReadiness(signal),
    refetchInterval: 2 * REFRESH_MS,
  });
}
