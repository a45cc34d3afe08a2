import { onScopeDispose, ref } from 'vue';
import { credentials } from './client';

/** What a server says of itself, which it looks at every time it is asked. */
const INTERVAL_MS = 10_000;
const TIMEOUT_MS = 8_000;

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

function isCheck(value: unknown): value is Check {
  return typeof value === 'object' && value !== null && 'name' in value && 'ok' in value && 'detail' in value;
}

/** The readiness of the server that serves the page. It is answered with 503, and all checks, if one fails. */
async function readChecks(): Promise<Check[]> {
  const response = await fetch('/readyz', { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const answer: unknown = await response.json();
  const checks = typeof answer === 'object' && answer !== null && 'checks' in answer ? answer.checks : null;
  return Array.isArray(checks) ? checks.filter(isCheck) : [];
}

/** The metrics of the relay to Kafka in this process, by name; those without labels only. */
async function readRelay(): Promise<Map<string, string>> {
  const response = await fetch('/metrics', { headers: credentials(), signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) {
    throw new Error(String(response.status));
  }
  const lines = (await response.text()).split('\n').map((line) => /^(apex_relay_\w+) (\S+)$/.exec(line));
  return new Map(lines.flatMap((parts) => (parts?.[1] && parts[2] ? [[parts[1], parts[2]] as const] : [])));
}

/** Asks again in an interval, as long as the part of the page is there. What fails is null. */
function usePolled<T>(read: () => Promise<T>) {
  const value = ref<T | null>(null);
  const isFailed = ref(false);
  async function load(): Promise<void> {
    try {
      value.value = await read();
      isFailed.value = false;
    } catch {
      isFailed.value = true;
    }
  }
  void load();
  const timer = setInterval(() => void load(), INTERVAL_MS);
  onScopeDispose(() => clearInterval(timer));
  return { value, isFailed, load };
}

export const useChecks = () => usePolled(readChecks);
export const useRelay = () => usePolled(readRelay);
