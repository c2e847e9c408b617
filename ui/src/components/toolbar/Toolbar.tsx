import { Button, SegmentedControl } from '@mantine/core';
import type { Topology } from '../../domain/graph';
import { choices } from '../../domain/graph';
import { isFiltered, NO_FILTERS, type ViewState } from '../../domain/viewstate';
import { CloseIcon, FocusIcon } from '../icons';
import { ChoiceFilter } from './ChoiceFilter';
import classes from './Toolbar.module.css';

interface ToolbarProps {
  view: ViewState;
  topology: Topology;
  /** What is on the screen, in a sentence. */
  status: string;
  onView: (patch: Partial<ViewState>) => void;
}

/** How the graph is shown and what is left out of it. */
export function Toolbar({ view, topology, status, onView }: ToolbarProps) {
  const { namespaces, protocols } = choices(topology);
  const focus = view.focus === null ? null : (topology.node.get(view.focus)?.name ?? null);
  return (
    <section className={classes['toolbar']} aria-label="View and filters">
      <div className={classes['tools']}>
        <SegmentedControl
          size="xs" value={view.view} data={[{ value: 'map', label: 'Map' }, { value: 'table', label: 'Table' }]} aria-label="View"
          onChange={(chosen) => { onView({ view: chosen }); }}
        />
        <Toggle on={view.failingOnly} label="Only failing" onChange={(failingOnly) => { onView({ failingOnly }); }} />
        <Toggle on={view.hideIdle} label="Hide idle" onChange={(hideIdle) => { onView({ hideIdle }); }} />
        {(namespaces.length > 1 || view.namespaces.length > 0) && (
          <ChoiceFilter name="Namespace" all={namespaces} chosen={view.namespaces} onChange={(chosen) => { onView({ namespaces: chosen }); }} />
        )}
        {(protocols.length > 1 || view.protocols.length > 0) && (
          <ChoiceFilter name="Protocol" all={protocols} chosen={view.protocols} onChange={(chosen) => { onView({ protocols: chosen }); }} />
        )}
        {focus !== null && (
          <Button
            className={classes['toggle']} size="xs" variant="default" aria-pressed leftSection={<FocusIcon size={14} />} rightSection={<CloseIcon size={13} />}
            aria-label={`Only ${focus} and its neighbours. Show the whole map`} maw={260} onClick={() => { onView({ focus: null }); }}
          >
            <bdi>{focus}</bdi>
          </Button>
        )}
        {isFiltered(view) && <Button size="xs" variant="subtle" onClick={() => { onView(NO_FILTERS); }}>Clear filters</Button>}
      </div>
      <p className={classes['status']} role="status" aria-live="polite">{status}</p>
    </section>
  );
}

function Toggle({ on, label, onChange }: { on: boolean; label: string; onChange: (on: boolean) => void }) {
  return (
    <Button className={classes['toggle']} size="xs" variant="default" aria-pressed={on} onClick={() => { onChange(!on); }}>{label}</Button>
  );
}
