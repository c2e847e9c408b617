import { useCallback, useMemo } from 'react';
import { useLocation, useSearch } from 'wouter';
import { formatView, parseView, type ViewState } from '../domain/viewstate';

export type UpdateView = (patch: Partial<ViewState>, options?: { replace?: boolean }) => void;

/** The view that the address bar names, and how to go to another: each step can be gone back on and be sent as a link. */
export function useView(): [ViewState, UpdateView] {
  const search = useSearch();
  const [, navigate] = useLocation();
  const view = useMemo(() => parseView(search), [search]);
  const update = useCallback<UpdateView>((patch, options) => {
    // Read anew: two steps may come before the page has been drawn again.
    const query = formatView({ ...parseView(window.location.search), ...patch });
    navigate(query === '' ? '/' : `/?${query}`, options);
  }, [navigate]);
  return [view, update];
}
