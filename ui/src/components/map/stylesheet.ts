import type { EdgeSingular, NodeSingular, StylesheetStyle } from 'cytoscape';
import type { Health } from '../../api/types';
import criticalSign from './sign-critical.svg';
import warningSign from './sign-warning.svg';

/** The theme's colours, read from the page's style: Cytoscape draws on a canvas and knows no CSS variables. */
export interface Palette {
  canvas: string;
  surface: string;
  border: string;
  accent: string;
  edge: string;
  edgeStrong: string;
  health: Record<Health, string>;
  fill: Record<Health, string>;
}

export function readPalette(of: Element): Palette {
  const style = getComputedStyle(of);
  const get = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    canvas: get('canvas'),
    surface: get('surface'),
    border: get('border-strong'),
    accent: get('accent'),
    edge: get('edge'),
    edgeStrong: get('edge-strong'),
    health: { ok: get('ok'), warning: get('warning-mark'), critical: get('critical-mark'), idle: get('idle') },
    fill: { ok: get('ok-soft'), warning: get('warning-soft'), critical: get('critical-soft'), idle: get('idle-soft') },
  };
}

const SIGNS = { critical: criticalSign, warning: warningSign };

const health = (element: NodeSingular | EdgeSingular) => element.data('health') as Health;

function failing(node: NodeSingular): boolean {
  return health(node) === 'critical' || health(node) === 'warning';
}

export function stylesheet(palette: Palette): StylesheetStyle[] {
  return [...nodeStyles(palette), ...edgeStyles(palette)];
}

function nodeStyles(palette: Palette): StylesheetStyle[] {
  return [
    {
      // Close by the page draws the card; the canvas only needs to know where it is.
      selector: 'node',
      style: {
        shape: 'rectangle', width: 'data(width)', height: 'data(height)', 'background-opacity': 0, 'border-width': 0,
        'overlay-opacity': 0, 'underlay-opacity': 0, events: 'yes',
      },
    },
    {
      // From afar a quiet bar, and for what fails a loud one with its sign: told apart without colour, too.
      selector: 'node.dot',
      style: {
        shape: 'round-rectangle',
        'background-opacity': 1,
        'background-color': (n: NodeSingular) => (failing(n) ? palette.health[health(n)] : palette.fill[health(n)]),
        'border-width': (n: NodeSingular) => (failing(n) ? 0 : 5),
        'border-color': (n: NodeSingular) => palette.health[health(n)],
        'border-style': (n: NodeSingular) => (health(n) === 'idle' ? 'dashed' : 'solid'),
      },
    },
    {
      selector: 'node.dot[health = "critical"], node.dot[health = "warning"]',
      style: {
        'background-image': (n: NodeSingular) => SIGNS[health(n) as 'critical' | 'warning'],
        'background-fit': 'none', 'background-width': 88, 'background-height': 88, 'background-clip': 'none', 'background-image-containment': 'over',
        'z-index': 3,
      },
    },
    { selector: 'node.selected', style: { 'underlay-color': palette.accent, 'underlay-opacity': 0.55, 'underlay-padding': 14 } },
    { selector: 'node.card.selected', style: { 'underlay-opacity': 0 } },
    { selector: 'node.dim', style: { opacity: 0.2 } },
  ];
}

function edgeStyles(palette: Palette): StylesheetStyle[] {
  const colour = (e: EdgeSingular) =>
    health(e) === 'critical' || health(e) === 'warning' ? palette.health[health(e)] : palette.edge;
  return [
    {
      selector: 'edge',
      style: {
        width: 'data(width)', 'line-color': colour, 'target-arrow-color': colour, 'target-arrow-shape': 'triangle',
        'arrow-scale': 0.9, 'curve-style': 'straight', 'overlay-opacity': 0,
        'line-style': (e: EdgeSingular) => ((e.data('lost') as number) > 0 ? 'dashed' : 'solid'), 'line-dash-pattern': [9, 5],
        'underlay-opacity': 0, 'z-index': 1,
      },
    },
    {
      selector: 'edge.routed',
      style: {
        'curve-style': 'unbundled-bezier',
        // In Cytoscape since 3.25, in its types not yet.
        'edge-distances': 'endpoints' as 'node-position',
        'source-endpoint': (e: EdgeSingular) => e.data('source-endpoint') as string,
        'target-endpoint': (e: EdgeSingular) => e.data('target-endpoint') as string,
        'control-point-distances': (e: EdgeSingular) => e.data('distances') as number[],
        'control-point-weights': (e: EdgeSingular) => e.data('weights') as number[],
      },
    },
    {
      selector: 'edge.loop',
      style: { 'curve-style': 'bezier', 'loop-direction': '0deg', 'loop-sweep': '-55deg', 'control-point-step-size': 58 },
    },
    { selector: 'edge.idle', style: { opacity: 0.45 } },
    { selector: 'edge.far', style: { 'target-arrow-shape': 'none', opacity: 0.6 } },
    { selector: 'edge.far.many[health = "ok"], edge.far.many[health = "idle"]', style: { opacity: 0.22 } },
    { selector: 'edge.near', style: { 'line-color': palette.edgeStrong, 'target-arrow-color': palette.edgeStrong, opacity: 1, 'z-index': 5 } },
    { selector: 'edge.near[health = "critical"], edge.near[health = "warning"]', style: { 'line-color': colour, 'target-arrow-color': colour } },
    { selector: 'edge.selected', style: { 'underlay-color': palette.accent, 'underlay-opacity': 0.4, 'underlay-padding': 5, 'z-index': 6, opacity: 1 } },
    { selector: 'edge.dim', style: { opacity: 0.1 } },
  ];
}
