import type { CombinedError } from '@urql/core';
import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue';
import type { ComputedRef, Ref, ShallowRef } from 'vue';
import type { EventFilter, LogEventFragment } from '../graphql/generated/graphql';
import { EventsAfterDocument, EventsBeforeDocument, LogEventsDocument, LogHeadDocument } from '../graphql/generated/graphql';
import { useLive } from '../stores/live';
import { useSession } from '../stores/session';
import { texts } from '../texts';
import { moved } from './audit-state';
import { query } from './client';
import type { Problem } from './errors';
import { problemOf } from './errors';
import type { Condition, LogRow } from './log-rows';
import { rowsOf } from './log-rows';
import { follow } from './subscriptions';

/** The most events that the server returns at once. */
const PAGE = 500;
/** Where the page selects events itself, it reads on until it has found as many, or has read as many pages. */
const WANTED = 100;
const MAX_PAGES = 10;
/** The page keeps at most as many rows. */
export const MAX_ROWS = 100_000;
/** New events are shown together, at most as often. */
const BATCH_MS = 250;

export interface Selection {
  readonly filter: EventFilter | null;
  readonly condition: Condition;
  /** The position of the first event that is read, from which the others go backwards; null is the end of the log. */
  readonly at: string | null;
}

export interface Log {
  /** In the order of the log. What is between the first and the last event that was read is complete. */
  readonly rows: ShallowRef<readonly LogRow[]>;
  /** How many rows were ever added after the others. */
  readonly appended: Ref<number>;
  /** How many events were read to find the rows, and the positions that they lie between. */
  readonly read: Ref<number>;
  readonly low: Ref<string>;
  readonly high: Ref<string>;
  /** How many rows were removed, since there were too many. */
  readonly removed: Ref<number>;
  readonly hasOlder: Ref<boolean>;
  readonly isAtEnd: Ref<boolean>;
  readonly isFull: ComputedRef<boolean>;
  readonly busy: Ref<'start' | 'older' | 'newer' | null>;
  readonly problem: Ref<Problem | null>;
  reload: () => Promise<void>;
  readOlder: () => Promise<void>;
  readNewer: () => Promise<void>;
}

/** Reads the log, from a position backwards and forwards, and follows it from the last event on that was read. */
export function useLog(selection: () => Selection, isFollowing: () => boolean, mostRows = MAX_ROWS): Log {
  const [live, session] = [useLive(), useSession()];
  const rows: ShallowRef<readonly LogRow[]> = shallowRef([]);
  const [appended, read, removed, low, high] = [ref(0), ref(0), ref(0), ref('0'), ref('0')];
  const [hasOlder, isAtEnd] = [ref(false), ref(false)];
  const busy = ref<'start' | 'older' | 'newer' | null>(null);
  const problem = ref<Problem | null>(null);
  const isFull = computed(() => rows.value.length >= mostRows);
  /** The selection that is shown from a known position on; null until that is known. */
  const started = shallowRef<Selection | null>(null);
  /** Whether the server has answered with events of it: what it refuses is not followed either. */
  const isAnswered = ref(false);

  function failed(error: CombinedError | undefined): void {
    problem.value = problemOf(error);
  }

  /** Adds rows after the others, and removes the first ones if there are too many. */
  function append(events: readonly LogEventFragment[], { condition }: Selection): number {
    const added = rowsOf(events, condition);
    const all = rows.value.concat(added);
    const excess = Math.max(all.length - mostRows, 0);
    read.value += events.length;
    appended.value += added.length;
    rows.value = excess > 0 ? all.slice(excess) : all;
    if (excess > 0) {
      removed.value += excess;
      hasOlder.value = true;
      low.value = rows.value[0]?.position ?? low.value;
    }
    return added.length;
  }

  /** Reads pages until enough was found. A page says how many rows it had, and null if there is nothing more to read. */
  async function readPages(shown: Selection, kind: 'older' | 'newer', page: () => Promise<number | null>): Promise<void> {
    busy.value = kind;
    problem.value = null;
    for (let [pages, found] = [0, 0]; pages < MAX_PAGES && found < WANTED; pages += 1) {
      const more = await page();
      if (started.value !== shown) {
        return;
      }
      if (more === null) {
        break;
      }
      found += more;
    }
    busy.value = null;
  }

  async function olderPage(shown: Selection): Promise<number | null> {
    if (!hasOlder.value || isFull.value) {
      return null;
    }
    const before = low.value;
    const { data, error } = await query(EventsBeforeDocument, { filter: shown.filter, last: PAGE, before });
    // Where the oldest rows were removed meanwhile, those before them would leave a gap.
    if (started.value !== shown || low.value !== before) {
      return null;
    }
    if (!data) {
      failed(error);
      return null;
    }
    const { nodes, pageInfo } = data.events;
    const added = rowsOf(nodes, shown.condition);
    low.value = nodes[0]?.position ?? low.value;
    hasOlder.value = pageInfo.hasPreviousPage;
    read.value += nodes.length;
    rows.value = added.concat(rows.value);
    return added.length;
  }

  async function newerPage(shown: Selection): Promise<number | null> {
    const { data, error } = await query(EventsAfterDocument, { filter: shown.filter, first: PAGE, after: high.value });
    if (started.value !== shown) {
      return null;
    }
    if (!data) {
      failed(error);
      return null;
    }
    const { nodes, pageInfo } = data.events;
    high.value = nodes[nodes.length - 1]?.position ?? high.value;
    isAtEnd.value = !pageInfo.hasNextPage;
    const added = append(nodes, shown);
    return isAtEnd.value ? null : added;
  }

  async function readOlder(): Promise<void> {
    const shown = started.value;
    if (shown && busy.value === null) {
      await readPages(shown, 'older', () => olderPage(shown));
    }
  }

  async function readNewer(): Promise<void> {
    const shown = started.value;
    if (shown && busy.value === null) {
      isAtEnd.value = false;
      await readPages(shown, 'newer', () => newerPage(shown));
    }
  }

  let asked = 0;
  async function reload(): Promise<void> {
    asked += 1;
    const own = asked;
    const shown = selection();
    started.value = null;
    isAnswered.value = false;
    rows.value = [];
    [appended.value, read.value, removed.value] = [0, 0, 0];
    [hasOlder.value, isAtEnd.value, busy.value, problem.value] = [true, false, 'start', null];
    // Events are read backwards and followed forwards from one position, so that none between is missed.
    const { data, error } = await query(LogHeadDocument, {});
    if (own !== asked) {
      return;
    }
    busy.value = null;
    if (!data) {
      failed(error);
      return;
    }
    const start = shown.at !== null && BigInt(shown.at) < BigInt(data.head) ? shown.at : data.head;
    high.value = start;
    low.value = moved(start, 1n);
    isAtEnd.value = start === data.head;
    started.value = shown;
    await readOlder();
    if (started.value !== shown || problem.value !== null) {
      return;
    }
    isAnswered.value = true;
    if (shown.condition.related !== '' && !isFollowing()) {
      // What an event has caused comes after it.
      await readNewer();
    }
  }

  function followFrom(shown: Selection): () => void {
    let waiting: LogEventFragment[] = [];
    const show = () => {
      const events = waiting;
      waiting = [];
      if (events.length > 0 && started.value === shown) {
        append(events, shown);
      }
    };
    const timer = setInterval(show, BATCH_MS);
    const stop = follow(
      LogEventsDocument,
      () => ({ after: high.value, filter: shown.filter }),
      ({ events }) => {
        waiting.push(events);
        high.value = events.position;
      },
      (message) => (problem.value = { title: texts.audit.tailRefused, detail: message, code: null }),
    );
    return () => {
      stop();
      clearInterval(timer);
      show();
    };
  }

  watch([() => JSON.stringify(selection()), () => session.generation], () => void reload(), { immediate: true });
  watch(
    () => live.generation,
    () => {
      if (problem.value !== null) {
        void reload();
      }
    },
  );
  // While newer events are read, they are not followed as well, or they would be there twice.
  watch(
    [started, () => isAnswered.value && isFollowing() && busy.value !== 'newer'],
    ([shown, follows], _before, onCleanup) => {
      if (shown && follows) {
        onCleanup(followFrom(shown));
      }
    },
    { immediate: true },
  );
  onScopeDispose(() => (started.value = null));

  return { rows, appended, read, low, high, removed, hasOlder, isAtEnd, isFull, busy, problem, reload, readOlder, readNewer };
}
