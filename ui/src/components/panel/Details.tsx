import type { Topology } from '../../domain/graph';
import type { Selection, ViewState } from '../../domain/viewstate';
import { EdgePanel } from './EdgePanel';
import { NodePanel } from './NodePanel';

interface DetailsProps {
  view: ViewState;
  topology: Topology;
  onSelect: (selection: Selection | null) => void;
  onFocus: (id: string | null) => void;
}

/** The panel for whatever is selected. */
export default function Details({ view, topology, onSelect, onFocus }: DetailsProps) {
  const { selected } = view;
  if (selected === null) return null;
  if (selected.type === 'edge') return <EdgePanel key={selected.id} id={selected.id} view={view} topology={topology} onSelect={onSelect} />;
  return <NodePanel key={selected.id} id={selected.id} view={view} topology={topology} onSelect={onSelect} onFocus={onFocus} />;
}
