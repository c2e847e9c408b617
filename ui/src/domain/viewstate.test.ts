import { describe, expect, it } from 'vitest';
import { DEFAULT_VIEW, formatView, isFiltered, NO_FILTERS, parseView, type ViewState } from './viewstate';

const everything: ViewState = {
  range: { kind: 'absolute', startMs: 1_700_000_000_500, endMs: 1_700_000_600_000 },
  live: false,
  view: 'table',
  table: 'connections',
  sort: '-p95',
  namespaces: ['shop', '', 'a&b=c'],
  protocols: ['http'],
  failingOnly: true,
  hideIdle: true,
  focus: 'shop/cart',
  selected: { type: 'edge', id: 'shop/web→shop/cart?http#1' },
};

describe('parseView and formatView', () => {
  it('make no difference together', () => {
    for (const view of [DEFAULT_VIEW, everything, { ...DEFAULT_VIEW, selected: { type: 'node', id: '<script>' } as const }]) {
      expect(parseView(formatView(view))).toEqual(view);
    }
  });

  it('keep links short', () => {
    expect(formatView(DEFAULT_VIEW)).toBe('');
    expect(formatView({ ...DEFAULT_VIEW, range: { kind: 'relative', seconds: 3600 } })).toBe('range=1h');
  });

  it('never fail on a link', () => {
    expect(parseView('?range=NaN&start=&view=%ff&node=&live=yes&nonsense=1')).toEqual(DEFAULT_VIEW);
  });

  it('name a namespace or protocol once', () => {
    expect(parseView('namespace=a&namespace=a&protocol=b&protocol=b')).toMatchObject({ namespaces: ['a'], protocols: ['b'] });
  });
});

describe('isFiltered', () => {
  it('is true for each filter and false without', () => {
    expect(isFiltered(DEFAULT_VIEW)).toBe(false);
    expect(isFiltered(everything)).toBe(true);
    expect(isFiltered({ ...everything, ...NO_FILTERS })).toBe(false);
  });
});
