/** The graph that is drawn of a task graph: what the API has of it, which is its tasks and the agents that they are assigned to. */
import type { WorkTaskFragment } from '../graphql/generated/graphql';

export const NODE = { width: 208, height: 56 } as const;
const GAP = { column: 48, row: 20 } as const;
/** The graph is about as many times wider than it is high, as screens are. */
const ASPECT = 1.6;
const MIN_COLUMNS = 3;

export type GraphNode =
  | { readonly id: string; readonly kind: 'dag' }
  | { readonly id: string; readonly kind: 'agent'; readonly uuid: string | null; readonly name: string | null }
  | { readonly id: string; readonly kind: 'task'; readonly task: WorkTaskFragment };

/** `assigned` leads from the graph to its agents and on to tasks; `next` to the task of the agent that was submitted next. */
export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly kind: 'assigned' | 'next';
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

/** How many tasks are in a row, so that the graph has the shape of a screen. */
export function columnsFor(tasks: number): number {
  const shape = (ASPECT * (NODE.height + GAP.row)) / (NODE.width + GAP.column);
  return Math.max(MIN_COLUMNS, Math.ceil(Math.sqrt(shape * tasks)));
}

/** The nodes and edges of tasks, which are in the order in which they were submitted. */
export function graphOf(tasks: readonly WorkTaskFragment[]): Graph {
  const columns = columnsFor(tasks.length);
  const byAgent = new Map<string, WorkTaskFragment[]>();
  for (const task of tasks) {
    byAgent.set(task.agentId, [...(byAgent.get(task.agentId) ?? []), task]);
  }
  const nodes: GraphNode[] = [{ id: 'dag', kind: 'dag' }];
  const edges: GraphEdge[] = [];
  for (const [agentId, own] of byAgent) {
    const agent = own[0]?.agent;
    nodes.push({ id: agentId, kind: 'agent', uuid: agent?.uuid ?? null, name: agent?.name ?? null });
    edges.push({ from: 'dag', to: agentId, kind: 'assigned' });
    own.forEach((task, index) => {
      nodes.push({ id: task.id, kind: 'task', task });
      const before = index % columns === 0 ? null : own[index - 1];
      edges.push(before ? { from: before.id, to: task.id, kind: 'next' } : { from: agentId, to: task.id, kind: 'assigned' });
    });
  }
  return { nodes, edges };
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** The centre of each node. */
  readonly places: ReadonlyMap<string, { readonly x: number; readonly y: number }>;
}

export interface LayoutRequest {
  readonly ids: readonly string[];
  readonly edges: readonly (readonly [from: string, to: string])[];
}

export const SPACING = { nodesep: GAP.row, ranksep: GAP.column } as const;
