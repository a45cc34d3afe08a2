import { defineStore } from 'pinia';
import { computed, ref } from 'vue';
import type { PulseSubscription } from '../graphql/generated/graphql';
import { backoffMs } from '../lib/backoff';

export type Connection = 'connecting' | 'live' | 'lost' | 'refused';

/** The state of the connection by which the page follows the log. */
export const useLive = defineStore('live', () => {
  const connection = ref<Connection>('connecting');
  /** When the connection was lost, and when the next attempt is made; milliseconds since 1970. */
  const lostAt = ref<number | null>(null);
  const retryAt = ref<number | null>(null);
  const refusal = ref<string | null>(null);
  /** How often the connection was made. What is shown is loaded again each time. */
  const generation = ref(0);
  const pulse = ref<PulseSubscription['usageTotals'] | null>(null);
  /** The position of the last event of an agent that was received. */
  const agentPosition = ref<string | null>(null);
  const position = computed(() => pulse.value?.position ?? agentPosition.value);

  let failed = 0;
  let waiting: { promise: Promise<void>; end: () => void } | null = null;

  function opened(): void {
    failed = 0;
    connection.value = 'live';
    lostAt.value = null;
    retryAt.value = null;
    refusal.value = null;
    generation.value += 1;
  }

  function closed(): void {
    if (connection.value !== 'lost') {
      connection.value = 'lost';
      lostAt.value = Date.now();
    }
  }

  function refused(message: string): void {
    connection.value = 'refused';
    refusal.value = message;
  }

  /** Forgets what was received for a reader, because another one signs in. */
  function forget(): void {
    pulse.value = null;
    agentPosition.value = null;
    refusal.value = null;
    connection.value = 'connecting';
  }

  /** Waits until the next attempt to connect. Subscriptions that were ended by one loss wait together. */
  function waitBeforeRetry(): Promise<void> {
    if (waiting) {
      return waiting.promise;
    }
    failed += 1;
    const delay = backoffMs(failed, Math.random());
    retryAt.value = Date.now() + delay;
    let end = () => {};
    const promise = new Promise<void>((resolve) => {
      const timer = setTimeout(() => end(), delay);
      end = () => {
        clearTimeout(timer);
        waiting = null;
        retryAt.value = null;
        resolve();
      };
    });
    waiting = { promise, end };
    return promise;
  }

  function retryNow(): void {
    waiting?.end();
  }

  return { connection, lostAt, retryAt, refusal, generation, pulse, agentPosition, position, opened, closed, refused, forget, waitBeforeRetry, retryNow };
});
