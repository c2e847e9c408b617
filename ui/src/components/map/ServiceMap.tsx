import { useCallback, useEffect, useMemo, useState, type FocusEvent } from 'react';
import { neighbourhood, type Topology, type Visible } from '../../domain/graph';
import { overlap } from '../../domain/layout/boxes';
import { pointAt } from '../../domain/layout/labels';
import { CARD } from '../../domain/level';
import type { Selection } from '../../domain/viewstate';
import { Legend } from './Legend';
import classes from './Map.module.css';
import { MapControls } from './MapControls';
import { MANY_EDGES, type MapEngine } from './MapEngine';
import { buildModel, geometryOf, labelsFor, namesFromAfar, type MapModel, type PlacedLabel } from './model';
import { Cards, DotNames, EdgeLabels, GroupBoxes, GroupTitles } from './Overlay';
import { Tooltip } from './Tooltip';
import { useArrangement } from './useArrangement';
import { useEngine } from './useEngine';
import { useMapKeys } from './useMapKeys';
import { useViewport, type Look } from './useViewport';

/** A wish to look at a node, made by the search; serial tells one from the next. */
export interface Jump {
  id: string;
  serial: number;
}

interface ServiceMapProps {
  topology: Topology;
  visible: Visible;
  /** Names the way in which visible was filtered. */
  filter: string;
  selection: Selection | null;
  jump: Jump | null;
  onSelect: (selection: Selection | null) => void;
}

const INSETS = { top: 36, bottom: 36, side: 40 };
const PHONE_INSETS = { top: 16, bottom: 66, side: 14 };
const READABLE_ZOOM = 0.9;
/** One name from afar for so many square pixels. */
const NAME_ROOM = 42_000;

export default function ServiceMap({ topology, visible, filter, selection, jump, onSelect }: ServiceMapProps) {
  const [engine, canvas] = useEngine(visible.edges.length > MANY_EDGES);
  const { arrangement, input, direction, store, arrange } = useArrangement(visible, filter);
  const insets = direction === 'down' ? PHONE_INSETS : INSETS;
  const geometry = useMemo(() => geometryOf(input, arrangement), [input, arrangement]);
  const model = useMemo(() => buildModel(visible, topology, geometry), [visible, topology, geometry]);
  const boxes = useMemo(() => [...geometry.boxes.values()], [geometry]);
  const { look, layer, onViewport } = useViewport(engine, boxes);
  const [hover, setHover] = useState<Selection | null>(null);
  // What is pointed at dims the rest; what is selected is only drawn stronger, for it stays for long.
  const lit = useMemo(() => highlight(topology, hover), [topology, hover]);
  const chosen = useMemo(() => highlight(topology, selection), [topology, selection]);
  const shown = useShown(visible, topology, model, look, hover ?? selection);
  const { nodes, labels, scale, names } = shown;

  useEffect(() => { engine?.setLevel(look.level); }, [engine, look.level]);
  useEffect(() => { engine?.setData(model.drawnNodes, model.drawnEdges); }, [engine, model]);
  useEffect(() => { engine?.setHighlight(lit?.nodes ?? null, (lit ?? chosen)?.edges ?? new Set()); }, [engine, lit, chosen, model]);
  useEffect(() => { engine?.setSelected(selection); }, [engine, selection, model]);
  useEffect(() => { if (arrangement.epoch > 0) engine?.fit(insets); }, [engine, arrangement.epoch, insets]);
  useJump(engine, jump, model);

  const selectNode = useCallback((id: string) => { onSelect({ type: 'node', id }); }, [onSelect]);
  useEffect(() => {
    engine?.setEvents({
      select: onSelect, hover: setHover, viewport: onViewport,
      drag: dragCard,
      drop: (id, at) => { store?.move(id, at, edgesOf(topology, id)); },
      resized: () => { reveal(engine, selection, model); },
      labelAt: (at) => labels.find((l) => overlap({ ...l.at, ...l.size }, { ...at, width: 1, height: 1 }))?.edge.id ?? null,
    });
  }, [engine, onSelect, onViewport, store, topology, labels, selection, model]);
  const keys = useMapKeys(engine, model.boxes, insets);
  const onFocus = useCallback((id: string, event: FocusEvent) => {
    keys.setCurrent(id);
    // The mouse never focuses a card, it goes through to the canvas: this is a key, which must lead to something visible.
    if (event.target.matches(':focus-visible')) keys.show(id);
  }, [keys]);
  const current = keys.current !== null && model.boxes.has(keys.current) ? keys.current : (nodes[0]?.node.id ?? null);

  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- keys that lead from card to card
    <div
      className={classes['map']} role="group" tabIndex={nodes.length === 0 ? 0 : -1}
      aria-label="Service map. Arrow keys lead from service to service, Enter opens one, plus and minus zoom." onKeyDown={keys.onKeyDown}
    >
      <div className={classes['layer']} ref={layer}><GroupBoxes groups={model.groups} /></div>
      <div className={classes['canvas']} ref={canvas} data-over={hover !== null} data-testid="canvas" />
      <div className={classes['layer']} ref={layer} data-level={look.level}>
        <GroupTitles groups={model.groups} />
        <EdgeLabels labels={labels} scale={scale} selection={selection} lit={lit?.edges ?? null} />
        <Cards
          nodes={nodes} topology={topology} level={look.level} selection={selection} lit={lit?.nodes ?? null} current={current}
          onSelect={selectNode} onFocus={onFocus}
        />
        <DotNames nodes={names} lit={lit?.nodes ?? null} />
      </div>
      {hover !== null && engine !== null && <Tooltip target={hover} topology={topology} model={model} viewport={engine.viewport()} />}
      <MapControls onZoom={(factor) => engine?.zoomBy(factor)} onFit={() => engine?.fit(insets)} onArrange={arrange} />
      <Legend model={model} />
    </div>
  );
}

/** What is on the screen or close to it, as the zoom allows. */
function useShown(visible: Visible, topology: Topology, model: MapModel, look: Look, target: Selection | null) {
  const { level, area, zoom } = look;
  const near = useMemo(() => model.nodes.filter(({ box }) => overlap(box, area)), [model, area]);
  const protocols = useMemo(() => new Set(topology.edges.map((e) => e.protocol)).size, [topology]);
  const scale = level === 'card' ? 1 : 0.92 / zoom;
  const labels = useMemo((): PlacedLabel[] => {
    if (level === 'card' || level === 'compact') return labelsFor(visible.edges, model, protocols, scale);
    // From here on only the edges of what is pointed at are labelled.
    if (target === null || level === 'dot') return [];
    const edges = target.type === 'edge' ? new Set([target.id]) : new Set(edgesOf(topology, target.id));
    return labelsFor(visible.edges.filter((e) => edges.has(e.id)), model, protocols, scale);
  }, [level, visible, model, protocols, target, topology, scale]);
  const names = useMemo(() => (level === 'dot' ? namesFromAfar(near, model.groups, zoom, Math.round((area.width * area.height * zoom * zoom) / NAME_ROOM)) : []), [level, near, model, zoom, area]);
  const onScreen = useMemo(() => labels.filter((l) => overlap({ ...l.at, ...l.size }, area)), [labels, area]);
  return { nodes: level === 'dot' ? [] : near, labels: onScreen, scale, names };
}

function edgesOf(topology: Topology, id: string): string[] {
  return [...(topology.out.get(id) ?? []), ...(topology.in.get(id) ?? [])].map((e) => e.id);
}

/** What belongs to what is pointed at; null when nothing is. */
function highlight(topology: Topology, target: Selection | null): { nodes: Set<string>; edges: Set<string> } | null {
  if (target?.type === 'node' && topology.node.has(target.id)) {
    return { nodes: neighbourhood(topology, target.id, 1), edges: new Set(edgesOf(topology, target.id)) };
  }
  const edge = target?.type === 'edge' ? topology.edge.get(target.id) : undefined;
  return edge ? { nodes: new Set([edge.client, edge.server]), edges: new Set([edge.id]) } : null;
}

/** Brings what is selected back into sight when the panel that tells of it has taken its place. */
function reveal(engine: MapEngine | null, selection: Selection | null, model: MapModel): void {
  if (!engine || !selection) return;
  const path = model.routes.get(selection.id)?.path;
  const at = selection.type === 'node' ? model.boxes.get(selection.id) : path && pointAt(path, 0.5);
  if (at) engine.reveal(at);
}

/** Moves the card that is being dragged; the rest follows when it is dropped. */
function dragCard(id: string, at: { x: number; y: number }): void {
  const card = document.querySelector<HTMLElement>(`[data-node="${CSS.escape(id)}"]`);
  if (card) card.style.transform = `translate(${at.x - CARD.width / 2}px, ${at.y - CARD.height / 2}px)`;
}

function useJump(engine: MapEngine | null, jump: Jump | null, model: MapModel): void {
  const [done, setDone] = useState(0);
  const at = jump === null || jump.serial === done ? undefined : model.boxes.get(jump.id);
  useEffect(() => {
    if (!engine || !at || !jump) return;
    engine.centre(at, READABLE_ZOOM);
    // eslint-disable-next-line react-hooks/set-state-in-effect -- the jump is done once it could be, which may be after a layout
    setDone(jump.serial);
  }, [engine, at, jump]);
}
