import { Graph, layout } from '@dagrejs/dagre';
import type { Layout, LayoutRequest } from './dag-graph';
import { NODE, SPACING } from './dag-graph';

/** Places the nodes of a graph from left to right, without overlap. A thousand take about a second: see dag-worker.ts. */
export function layOut({ ids, edges }: LayoutRequest): Layout {
  const graph = new Graph();
  graph.setGraph({ rankdir: 'LR', ...SPACING });
  graph.setDefaultEdgeLabel(() => ({}));
  // The library puts what was added last first, and rows are read from the top.
  for (const id of [...ids].reverse()) {
    graph.setNode(id, { ...NODE });
  }
  for (const [from, to] of [...edges].reverse()) {
    graph.setEdge(from, to);
  }
  layout(graph);
  const places = new Map(
    ids.map((id) => {
      const { x, y } = graph.node(id) as { x: number; y: number };
      return [id, { x, y }];
    }),
  );
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return { width, height, places };
}
