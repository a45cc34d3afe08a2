/** The list of events, with the client of the page, and a log in place of that of a server. */
import { createPinia, setActivePinia } from 'pinia';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EffectScope } from 'vue';
import { effectScope, nextTick, ref } from 'vue';
import type { LogEventFragment } from '../src/graphql/generated/graphql';
import { resetClient } from '../src/lib/client';
import type { Log, Selection } from '../src/lib/use-log';
import { useLog } from '../src/lib/use-log';

interface Followed {
  readonly after: string;
  readonly onData: (data: { events: LogEventFragment }) => void;
  isStopped: boolean;
}
const followed: Followed[] = [];
vi.mock('../src/lib/subscriptions', () => ({
  follow: (_document: unknown, variables: () => { after: string }, onData: Followed['onData']) => {
    const own: Followed = { after: variables().after, onData, isStopped: false };
    followed.push(own);
    return () => (own.isStopped = true);
  },
}));

function event(position: number): LogEventFragment {
  return {
    id: String(position),
    position: String(position),
    category: 'task',
    streamId: 's',
    version: 1,
    eventId: `event-${position}`,
    type: 'task.started',
    recordedAt: '2026-03-01T00:00:00Z',
    metadataText: JSON.stringify({ actor: position % 1_000 === 0 ? 'rare' : 'common' }),
  };
}

/** The last position of the log, and how many requests it answered. */
let [head, asked, refusal] = [0, 0, null as string | null];

interface Asked {
  readonly query: string;
  readonly variables: { last?: number; before?: string; first?: number; after?: string };
}
function answer({ query, variables }: Asked): unknown {
  asked += 1;
  if (query.includes('LogHead')) {
    return { data: { head: String(head) } };
  }
  if (refusal !== null) {
    return { data: null, errors: [{ message: refusal, extensions: { code: 'FORBIDDEN' } }] };
  }
  const [before, last] = [Math.min(Number(variables.before ?? 0), head + 1), variables.last ?? 0];
  const [after, first] = [Number(variables.after ?? 0), variables.first ?? 0];
  const [low, high] = variables.before === undefined ? [after + 1, Math.min(after + first, head)] : [Math.max(before - last, 1), before - 1];
  const nodes = Array.from({ length: Math.max(high - low + 1, 0) }, (_unused, index) => event(low + index));
  return { data: { events: { nodes, pageInfo: { hasPreviousPage: low > 1, hasNextPage: high < head } } } };
}

let scope: EffectScope;
beforeEach(() => {
  vi.useFakeTimers();
  [head, asked, refusal] = [0, 0, null];
  followed.length = 0;
  vi.stubGlobal('sessionStorage', { getItem: () => null, removeItem: () => {} });
  vi.stubGlobal('document', { cookie: '' });
  vi.stubGlobal('fetch', (_input: unknown, init: RequestInit) =>
    Promise.resolve(Response.json(answer(JSON.parse(init.body as string) as Asked))),
  );
  setActivePinia(createPinia());
  resetClient();
  scope = effectScope();
});
afterEach(() => {
  scope.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const ALL: Selection = { filter: null, condition: { actor: '', related: '' }, at: null };
const isFollowing = ref(false);

async function start(selection: Selection, follows = false, mostRows?: number): Promise<Log> {
  isFollowing.value = follows;
  const log = scope.run(() => useLog(() => selection, () => isFollowing.value, mostRows));
  if (!log) {
    throw new Error('the scope has ended');
  }
  await vi.waitFor(() => expect(log.busy.value).toBeNull());
  return log;
}

/** The positions of the rows, as the first and the last one, if all between are there once. */
function span({ rows }: Log): [number, number] {
  const positions = rows.value.map(({ position }) => Number(position));
  positions.forEach((position, index) => expect(position).toBe((positions[0] ?? 0) + index));
  return [positions[0] ?? 0, positions[positions.length - 1] ?? 0];
}

describe('the list of events', () => {
  it('is complete from the position on that it begins at, backwards and forwards', async () => {
    head = 2_600;
    const log = await start({ ...ALL, at: '1200' });
    expect(span(log)).toEqual([701, 1_200]);
    await log.readOlder();
    await log.readNewer();
    expect([span(log), log.hasOlder.value, log.isAtEnd.value]).toEqual([[201, 1_700], true, false]);
    await log.readOlder();
    await log.readNewer();
    await log.readNewer();
    expect([span(log), log.hasOlder.value, log.isAtEnd.value]).toEqual([[1, 2_600], false, true]);
  });

  it('begins at the end of the log where a position is beyond it', async () => {
    head = 3;
    expect(span(await start({ ...ALL, at: '999' }))).toEqual([1, 3]);
  });

  it('reads as much as is allowed at once for what the page selects, and says how much', async () => {
    head = 12_345;
    const log = await start({ ...ALL, condition: { actor: 'rare', related: '' } });
    expect([log.rows.value.map(({ position }) => position), log.read.value, log.low.value]).toEqual([['8000', '9000', '10000', '11000', '12000'], 5_000, '7346']);
    await log.readOlder();
    expect([log.rows.value.length, log.low.value, log.hasOlder.value]).toEqual([10, '2346', true]);
  });

  it('goes on after the last event that it has, when it was paused', async () => {
    head = 10;
    const log = await start(ALL, true);
    expect(followed.map(({ after }) => after)).toEqual(['10']);
    followed[0]?.onData({ events: event(11) });
    followed[0]?.onData({ events: event(12) });
    // What has come and is not shown yet is shown as it is paused.
    isFollowing.value = false;
    await nextTick();
    expect([span(log), followed[0]?.isStopped]).toEqual([[1, 12], true]);
    isFollowing.value = true;
    await nextTick();
    expect(followed[1]?.after).toBe('12');
    followed[1]?.onData({ events: event(13) });
    await vi.advanceTimersByTimeAsync(300);
    expect(span(log)).toEqual([1, 13]);
  });

  it('keeps a bounded number of rows, the newest ones, and says how many were removed', async () => {
    head = 600;
    const log = await start(ALL, true, 700);
    for (let position = 601; position <= 900; position += 1) {
      followed[0]?.onData({ events: event(position) });
    }
    await vi.advanceTimersByTimeAsync(300);
    expect([span(log), log.removed.value, log.hasOlder.value, log.isFull.value]).toEqual([[201, 900], 100, true, true]);
    const before = asked;
    await log.readOlder();
    expect([span(log), asked]).toEqual([[201, 900], before]);
  });

  it('is not followed if the server refuses it', async () => {
    [head, refusal] = [5, 'not for you'];
    const log = await start(ALL, true);
    expect([log.problem.value?.code, followed.length]).toEqual(['FORBIDDEN', 0]);
  });
});
