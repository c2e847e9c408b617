import { formatSpan, parseRange, DEFAULT_RANGE, type TimeRange } from './timerange';

/** Everything that a link to a view carries. What is not here is either a preference (the theme) or the hand's work of
 * the moment (zoom, hover). */
export interface ViewState {
  range: TimeRange;
  /** Whether a relative range follows the clock. */
  live: boolean;
  view: 'map' | 'table';
  /** Which of the two tables. */
  table: 'services' | 'connections';
  /** Column, '-' before it for descending; null for the table's own order. */
  sort: string | null;
  namespaces: string[];
  protocols: string[];
  failingOnly: boolean;
  hideIdle: boolean;
  /** Only this node and what it talks to. */
  focus: string | null;
  selected: Selection | null;
}

export interface Selection {
  type: 'node' | 'edge';
  id: string;
}

export const DEFAULT_VIEW: ViewState = {
  range: DEFAULT_RANGE,
  live: true,
  view: 'map',
  table: 'services',
  sort: null,
  namespaces: [],
  protocols: [],
  failingOnly: false,
  hideIdle: false,
  focus: null,
  selected: null,
};

/** Reads a query string. Unknown parameters are ignored and nonsense becomes the default: a link never fails. */
export function parseView(search: string): ViewState {
  const params = new URLSearchParams(search);
  const node = params.get('node');
  const edge = params.get('edge');
  return {
    range: parseRange(params.get('range'), params.get('start'), params.get('end')),
    live: params.get('live') !== '0',
    view: params.get('view') === 'table' ? 'table' : 'map',
    table: params.get('table') === 'connections' ? 'connections' : 'services',
    sort: nonEmpty(params.get('sort')),
    namespaces: unique(params.getAll('namespace')),
    protocols: unique(params.getAll('protocol')),
    failingOnly: params.get('failing') === '1',
    hideIdle: params.get('idle') === '0',
    focus: nonEmpty(params.get('focus')),
    selected: node ? { type: 'node', id: node } : edge ? { type: 'edge', id: edge } : null,
  };
}

/** Writes what differs from the default, so that links stay short. The inverse of parseView. */
export function formatView(view: ViewState): string {
  const params = new URLSearchParams();
  if (view.range.kind === 'absolute') {
    params.set('start', String(view.range.startMs / 1000));
    params.set('end', String(view.range.endMs / 1000));
  } else if (DEFAULT_RANGE.kind !== 'relative' || view.range.seconds !== DEFAULT_RANGE.seconds) {
    params.set('range', formatSpan(view.range.seconds));
  }
  if (!view.live) params.set('live', '0');
  if (view.view === 'table') params.set('view', 'table');
  if (view.table === 'connections') params.set('table', 'connections');
  if (view.sort !== null) params.set('sort', view.sort);
  for (const namespace of view.namespaces) params.append('namespace', namespace);
  for (const protocol of view.protocols) params.append('protocol', protocol);
  if (view.failingOnly) params.set('failing', '1');
  if (view.hideIdle) params.set('idle', '0');
  if (view.focus !== null) params.set('focus', view.focus);
  if (view.selected) params.set(view.selected.type, view.selected.id);
  return params.toString();
}

/** Whether anything is filtered out of the view. */
export function isFiltered(view: ViewState): boolean {
  return (
    view.namespaces.length > 0 || view.protocols.length > 0 || view.failingOnly || view.hideIdle || view.focus !== null
  );
}

/** The same view with nothing filtered out. */
export const NO_FILTERS = {
  namespaces: [],
  protocols: [],
  failingOnly: false,
  hideIdle: false,
  focus: null,
} satisfies Partial<ViewState>;

function nonEmpty(text: string | null): string | null {
  return text === '' ? null : text;
}

function unique(values: string[]): string[] {
  return [...new Set(values)];
}
