import type { AnyVariables, TypedDocumentNode } from '@urql/core';
import { onScopeDispose, ref, shallowRef, watch } from 'vue';
import type { Ref, ShallowRef } from 'vue';
import { useLive } from '../stores/live';
import { useSession } from '../stores/session';
import { known, query } from './client';
import { problemOf } from './errors';
import type { Problem } from './errors';

/** What follows the log is loaded again at most as often. */
const MIN_INTERVAL_MS = 3_000;

export interface Data<D> {
  /** The last answer. It stays while a newer one is loaded, and if that fails. */
  readonly data: ShallowRef<D | null>;
  readonly problem: Ref<Problem | null>;
  readonly isLoading: Ref<boolean>;
  reload: () => Promise<void>;
}

export interface DataOptions {
  /** Loads again whenever this changes; by default whenever the log has grown. */
  readonly trigger?: () => unknown;
  /** Loads once, and again when the connection comes back. */
  readonly isStill?: boolean;
}

/**
 * Loads the answer to a query, again when its variables change, when the connection came back, and when the log has grown. There is
 * nothing to load while `variables` is null.
 */
export function useData<D, V extends AnyVariables>(
  document: TypedDocumentNode<D, V>,
  variables: () => V | null,
  options: DataOptions = {},
): Data<D> {
  const [live, session] = [useLive(), useSession()];
  const data: ShallowRef<D | null> = shallowRef(null);
  const problem = ref<Problem | null>(null);
  const isLoading = ref(false);
  let [asked, lastMs, isDisposed, isOfOthers] = [0, 0, false, false];
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function reload(): Promise<void> {
    const given = variables();
    asked += 1;
    const own = asked;
    clearTimeout(timer);
    timer = undefined;
    lastMs = Date.now();
    isLoading.value = given !== null;
    if (given === null) {
      return;
    }
    const result = await query(document, given);
    if (own !== asked || isDisposed) {
      return;
    }
    isLoading.value = false;
    lastMs = Date.now();
    if (result.data) {
      data.value = result.data;
      isOfOthers = false;
    } else if (isOfOthers) {
      // What was loaded for other variables must not be taken for an answer to these.
      data.value = null;
    }
    problem.value = result.error ? problemOf(result.error) : null;
  }

  /** Loads again, now or when the interval has passed. A change that comes while it is loading is loaded after it. */
  function reloadSoon(): void {
    // What the reader may not see is not asked for again and again: each time is a refusal in the access log.
    if (timer === undefined && problem.value?.code !== 'FORBIDDEN') {
      // While an answer takes longer than the interval, it is looked for once in each.
      const sinceMs = isLoading.value ? Date.now() : lastMs;
      timer = setTimeout(() => {
        timer = undefined;
        if (isLoading.value) {
          reloadSoon();
        } else {
          void reload();
        }
      }, Math.max(0, sinceMs + MIN_INTERVAL_MS - Date.now()));
    }
  }

  watch(
    () => JSON.stringify(variables()),
    () => {
      const given = variables();
      const before = given === null ? null : known(document, given);
      // What is shown stays until the answer is there, so that the page does not jump.
      isOfOthers = before === null;
      data.value = given === null ? null : (before ?? data.value);
      problem.value = null;
      void reload();
    },
    { immediate: true },
  );
  watch([() => live.generation, () => session.generation], () => void reload());
  if (options.isStill !== true) {
    watch(options.trigger ?? (() => live.position), reloadSoon);
  }
  onScopeDispose(() => {
    isDisposed = true;
    clearTimeout(timer);
  });
  return { data, problem, isLoading, reload };
}
