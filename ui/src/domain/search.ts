import type { Node } from '../api/types';

/**
 * Nodes whose name, namespace, process or unit contains every word of the query; names that begin with it come first,
 * then those that contain it, then the rest, busiest first among equals.
 */
export function search(nodes: readonly Node[], query: string, limit: number): Node[] {
  const words = query.toLocaleLowerCase().split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return [];
  const scored: { node: Node; score: number }[] = [];
  for (const node of nodes) {
    const name = node.name.toLocaleLowerCase();
    const text = [name, node.namespace, node.id, ...node.instances.flatMap((i) => [i.process, i.systemdUnit, i.pod, String(i.pid)])]
      .join('\n')
      .toLocaleLowerCase();
    if (!words.every((word) => text.includes(word))) continue;
    const first = words[0]!;
    const score = name === first ? 0 : name.startsWith(first) ? 1 : name.includes(first) ? 2 : 3;
    scored.push({ node, score });
  }
  scored.sort((a, b) => a.score - b.score || b.node.requestsPerSecond - a.node.requestsPerSecond || a.node.id.localeCompare(b.node.id));
  return scored.slice(0, limit).map(({ node }) => node);
}
