import { describe, expect, it } from 'vitest';
import type { WorkTaskFragment } from '../src/graphql/generated/graphql';
import { NODE, columnsFor, graphOf } from '../src/lib/dag-graph';
import { layOut } from '../src/lib/dag-layout';
import { moved, nearest, panned, readable, showing, whole, zoomed } from '../src/lib/pan-zoom';
import { actionsOf } from '../src/lib/task-commands';
import { actorOf, besides } from '../src/lib/work-events';
import { ALL_TASKS, chunks, found, readPosition, readTasks, writeTasks } from '../src/lib/work-state';

const AGENT = '018bd12c-58b0-7683-8a5b-8752d0e86651';

function task(index: number, agent: string): WorkTaskFragment {
  return {
    id: `task-${String(index)}`,
    uuid: `uuid-${String(index)}`,
    agentId: agent,
    dagId: null,
    title: `Step ${String(index)}`,
    status: 'SUBMITTED',
    progressPercent: 0,
    submittedAt: '2026-01-01T00:00:00Z',
    startedAt: null,
    endedAt: null,
    version: 1,
    position: String(index),
    agent: { uuid: agent, name: agent },
  };
}

/** How many pairs of boxes overlap: those of one row and column of a grid are compared, and those beside it. */
function overlaps(places: readonly { x: number; y: number }[]): number {
  const cells = new Map<string, { x: number; y: number }[]>();
  let count = 0;
  for (const place of places) {
    const [column, row] = [Math.floor(place.x / NODE.width), Math.floor(place.y / NODE.height)];
    for (let right = -1; right <= 1; right += 1) {
      for (let down = -1; down <= 1; down += 1) {
        for (const other of cells.get(`${String(column + right)},${String(row + down)}`) ?? []) {
          count += Math.abs(other.x - place.x) < NODE.width && Math.abs(other.y - place.y) < NODE.height ? 1 : 0;
        }
      }
    }
    const key = `${String(column)},${String(row)}`;
    cells.set(key, [...(cells.get(key) ?? []), place]);
  }
  return count;
}

describe('the graph of tasks', () => {
  it('has each task once, from its agent on, in rows', () => {
    const { nodes, edges } = graphOf([0, 1, 2, 3, 4].map((index) => task(index, index === 4 ? 'b' : 'a')));
    expect(nodes.map(({ id }) => id)).toEqual(['dag', 'a', 'task-0', 'task-1', 'task-2', 'task-3', 'b', 'task-4']);
    const lines = edges.map(({ from, to, kind }) => `${from} ${kind} ${to}`);
    expect(lines).toEqual([
      'dag assigned a',
      'a assigned task-0',
      'task-0 next task-1',
      'task-1 next task-2',
      'a assigned task-3',
      'dag assigned b',
      'b assigned task-4',
    ]);
  });

  for (const agents of [1, 7, 1000]) {
    it(`of 1,000 tasks and ${String(agents)} agents is laid out without overlap`, { timeout: 60_000 }, () => {
      const tasks = Array.from({ length: 1000 }, (_none, index) => task(index, `agent-${String(index % agents)}`));
      const { nodes, edges } = graphOf(tasks);
      const laidOut = layOut({ ids: nodes.map(({ id }) => id), edges: edges.map(({ from, to }) => [from, to]) });
      const places = [...laidOut.places.values()];
      expect(places.length).toBe(1001 + agents);
      for (const { x, y } of places) {
        expect(x - NODE.width / 2).toBeGreaterThanOrEqual(0);
        expect(y - NODE.height / 2).toBeGreaterThanOrEqual(0);
        expect(x + NODE.width / 2).toBeLessThanOrEqual(laidOut.width);
        expect(y + NODE.height / 2).toBeLessThanOrEqual(laidOut.height);
      }
      expect(overlaps(places)).toBe(0);
      // The control: a node that is moved onto another one is found.
      const [first, second, ...rest] = places;
      expect(overlaps([first ?? { x: 0, y: 0 }, { ...(first ?? { x: 0, y: 0 }) }, ...(second ? [second] : []), ...rest])).toBeGreaterThan(0);
    });
  }

  it('has its rows from the top on, in the order of the tasks', () => {
    const { nodes, edges } = graphOf(Array.from({ length: 100 }, (_none, index) => task(index, `agent-${String(Math.floor(index / 40))}`)));
    const { places } = layOut({ ids: nodes.map(({ id }) => id), edges: edges.map(({ from, to }) => [from, to]) });
    const rows = edges.filter(({ from, kind }) => kind === 'assigned' && from !== 'dag').map(({ to }) => places.get(to)?.y ?? 0);
    expect(rows).toEqual([...rows].sort((a, b) => a - b));
  });

  it('is about as wide as a screen', () => {
    expect([1, 10, 1000].map(columnsFor)).toEqual([3, 3, 22]);
  });
});

describe('what is shown of a drawing', () => {
  const all = whole(1000, 500);

  it('is zoomed around its centre, and never farther than the whole', () => {
    const near = zoomed(all, 2, all);
    expect(near.x + near.width / 2).toBe(all.x + all.width / 2);
    expect(near.width).toBe(all.width / 2);
    expect(zoomed(all, 0.5, all)).toEqual(all);
    expect(zoomed(all, 1000, all).width).toBe(320);
  });

  it('begins with what can be read', () => {
    expect(readable(all, { width: 1200, height: 400 })).toEqual(all);
    const part = readable(all, { width: 300, height: 240 });
    expect([part.x, part.width, part.height, part.y + part.height / 2]).toEqual([all.x, 500, 400, all.y + all.height / 2]);
  });

  it('is never lost by moving it', () => {
    let view = all;
    for (let step = 0; step < 50; step += 1) {
      view = panned(view, 1, 1, all);
    }
    expect(view.x).toBe(all.x + all.width / 2);
    expect(moved(all, 0, -1e9, all).y).toBe(all.y - all.height / 2);
  });

  it('has the node that has the focus', () => {
    const near = zoomed(all, 3, all);
    const box = { x: 0, y: 0, width: 100, height: 50 };
    const shown = showing(near, box);
    expect(shown.x).toBeLessThan(0);
    expect(showing(shown, box)).toEqual(shown);
  });

  it('is walked to the nearest node in a direction', () => {
    const points = [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 8 }, { x: 0, y: 30 }];
    expect(nearest(points, { x: 0, y: 0 }, 'right')).toEqual({ x: 10, y: 0 });
    expect(nearest(points, { x: 0, y: 0 }, 'down')).toEqual({ x: 10, y: 8 });
    expect(nearest(points, { x: 0, y: 0 }, 'left')).toBeNull();
  });
});

describe('the address', () => {
  it('says what is shown, and what it says wrongly is not', () => {
    const query = { status: 'running', agent: AGENT, dag: 'no id', q: 'notes', after: 'abc' };
    const state = readTasks(query);
    expect(state).toEqual({ status: 'RUNNING', agent: AGENT, dag: null, text: 'notes', after: 'abc' });
    expect(readTasks(writeTasks(state))).toEqual(state);
    expect(writeTasks(ALL_TASKS)).toEqual({});
  });

  it('has a position as people write it, or none', () => {
    expect(['1,234', '12 345', '7', '0', '-1', '1e3', '', null].map(readPosition)).toEqual(['1234', '12345', '7', null, null, null, null, null]);
  });
});

describe('tasks', () => {
  it('are found by all words of a text, in their titles, agents and ids', () => {
    const tasks = [task(1, 'writer'), task(2, 'planner')];
    expect(found(tasks, 'STEP writ').map(({ id }) => id)).toEqual(['task-1']);
    expect(found(tasks, 'uuid-2').map(({ id }) => id)).toEqual(['task-2']);
    expect(found(tasks, ' ').length).toBe(2);
  });

  it('are asked for in parts', () => {
    expect(chunks([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
    expect(chunks([], 2)).toEqual([]);
  });

  it('that have ended are offered nothing', () => {
    expect(actionsOf('SUBMITTED')).toEqual(['start', 'fail', 'cancel']);
    expect(actionsOf('RUNNING')).toEqual(['complete', 'fail', 'cancel']);
    expect(actionsOf('FAILED')).toEqual([]);
  });
});

describe('the events of a task', () => {
  const events = ['5', '9', '12'].map((position) => ({ position }));

  it('have one before and one after what is shown', () => {
    expect(besides(events, null)).toEqual({ before: { position: '9' }, after: null });
    expect(besides(events, '9')).toEqual({ before: { position: '5' }, after: { position: '12' } });
    expect(besides(events, '11')).toEqual({ before: { position: '5' }, after: { position: '12' } });
    expect(besides(events, '4')).toEqual({ before: null, after: { position: '5' } });
    expect(besides([], '4')).toEqual({ before: null, after: null });
  });

  it('say by whom they are', () => {
    expect([{ actor: 'ada' }, '{"actor":"ada"}', '{', null, { actor: 1 }].map(actorOf)).toEqual(['ada', 'ada', null, null, null]);
  });
});
