import { memo, type FocusEvent } from 'react';
import type { Topology } from '../../domain/graph';
import { outgoingRate } from '../../domain/graph';
import { edgeHealth } from '../../domain/health';
import type { Level } from '../../domain/level';
import type { Selection } from '../../domain/viewstate';
import { Name } from '../marks/Name';
import { Card } from './Card';
import classes from './Map.module.css';
import type { FarName, Group, PlacedLabel, PlacedNode } from './model';

/** Boxes around namespaces, under the canvas. */
export const GroupBoxes = memo(function GroupBoxes({ groups }: { groups: readonly Group[] }) {
  return groups.map((g) => (
    <div
      key={g.name} className={classes['group']}
      style={{ transform: `translate(${g.x - g.width / 2}px, ${g.y - g.height / 2}px)`, width: g.width, height: g.height }}
    />
  ));
});

export const GroupTitles = memo(function GroupTitles({ groups }: { groups: readonly Group[] }) {
  return groups.map((g) => (
    <div key={g.name} className={classes['groupTitle']} style={{ left: g.x - g.width / 2, top: g.y - g.height / 2, ['--room' as string]: `${g.width}px` }}>
      <Name text={g.name} />
    </div>
  ));
});

interface CardsProps {
  nodes: readonly PlacedNode[];
  topology: Topology;
  level: Level;
  selection: Selection | null;
  /** Those not dimmed; null for all. */
  lit: ReadonlySet<string> | null;
  current: string | null;
  onSelect: (id: string) => void;
  onFocus: (id: string, event: FocusEvent) => void;
}

export function Cards({ nodes, topology, level, selection, lit, current, onSelect, onFocus }: CardsProps) {
  return nodes.map(({ node, box }) => (
    <Card
      key={node.id} node={node} box={box} level={level} outgoing={outgoingRate(topology, node.id)}
      selected={selection?.type === 'node' && selection.id === node.id} dim={lit !== null && !lit.has(node.id)}
      tabbable={node.id === current} onSelect={onSelect} onFocus={onFocus}
    />
  ));
}

/** Names beside dots, for those most worth it. */
export const DotNames = memo(function DotNames({ nodes, lit }: { nodes: readonly FarName[]; lit: ReadonlySet<string> | null }) {
  return nodes.map(({ node, at }) => (
    <div
      key={node.id} className={classes['dotName']} data-dim={(lit !== null && !lit.has(node.id)) || undefined} aria-hidden="true"
      style={{ left: at.x, top: at.y }}
    >
      <Name text={node.name} />
    </div>
  ));
});

interface EdgeLabelsProps {
  labels: readonly PlacedLabel[];
  scale: number;
  selection: Selection | null;
  lit: ReadonlySet<string> | null;
}

export const EdgeLabels = memo(function EdgeLabels({ labels, scale, selection, lit }: EdgeLabelsProps) {
  return labels.map(({ edge, text, at, size }) => (
    <div
      key={edge.id} className={classes['edgeLabel']} data-health={edgeHealth(edge)} aria-hidden="true"
      data-selected={(selection?.type === 'edge' && selection.id === edge.id) || undefined}
      data-dim={(lit !== null && !lit.has(edge.id)) || undefined}
      style={{ left: at.x, top: at.y, minWidth: size.width / scale - 6, transform: `translate(-50%, -50%) scale(${scale})` }}
    >
      <div>
        <b>{text.rate}</b>
        {text.failed !== null && <b className={classes['failed']}>{text.failed}</b>}
        {text.lost !== null && <span className={classes['lost']}>⚠ {text.lost}</span>}
      </div>
      {text.below !== '' && <div className={classes['below']}>{text.below}</div>}
    </div>
  ));
});
