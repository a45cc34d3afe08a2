/** Who reads the page, and what it asks a server for that does not answer: with the client of the page, and a server in its place. */
import { createPinia, setActivePinia } from 'pinia';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { effectScope, nextTick } from 'vue';
import { ViewerDocument } from '../src/graphql/generated/graphql';
import { sendToAgent } from '../src/lib/agent-commands';
import { query, resetClient } from '../src/lib/client';
import { useData } from '../src/lib/use-data';
import { useLive } from '../src/stores/live';
import { useSession } from '../src/stores/session';
import { useToasts } from '../src/stores/toasts';

const REFUSED = { errors: [{ message: 'the credential is refused', extensions: { code: 'UNAUTHENTICATED' } }] };

/** The server: what it answers to the value of the header `authorization`. */
let answer: (authorization: string | null) => Promise<Response>;
let stored: Map<string, string>;

beforeEach(() => {
  stored = new Map();
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  });
  vi.stubGlobal('document', { cookie: '' });
  vi.stubGlobal('fetch', (_input: unknown, init: RequestInit) => answer(new Headers(init.headers).get('authorization')));
  setActivePinia(createPinia());
  resetClient();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a credential that is refused', () => {
  const refuse = () => Promise.resolve(Response.json(REFUSED, { status: 401 }));

  it('is sent no more, so that the cookies of a session are taken', async () => {
    const session = useSession();
    const sent: (string | null)[] = [];
    answer = (authorization) => {
      sent.push(authorization);
      return refuse();
    };
    session.setToken('coffee');
    await query(ViewerDocument, {});
    expect([session.needed, session.token, stored.size]).toEqual(['refused', null, 0]);
    await query(ViewerDocument, {});
    expect(sent).toEqual(['Bearer coffee', null]);
  });

  it('takes none away that was given while its answer came', async () => {
    const session = useSession();
    session.setToken('coffee');
    answer = () => {
      session.setToken('tea');
      return refuse();
    };
    await query(ViewerDocument, {});
    expect([session.needed, session.token, stored.get('apex.token')]).toEqual([null, 'tea', 'tea']);
  });
});

describe('a server that does not answer', () => {
  it('is not looked at more often than the interval, while the log grows', async () => {
    vi.useFakeTimers();
    let asked = 0;
    answer = () => {
      asked += 1;
      return new Promise(() => {});
    };
    const [live, scope, timers] = [useLive(), effectScope(), vi.spyOn(globalThis, 'setTimeout')];
    scope.run(() => useData(ViewerDocument, () => ({})));
    live.agentPosition = '1';
    await nextTick();
    await vi.advanceTimersByTimeAsync(30_000);
    scope.stop();
    expect(asked).toBe(1);
    // One in each interval of 3 seconds, and the one of the request.
    expect(timers.mock.calls.length).toBeLessThan(20);
  });

  it('is not waited for once there is nothing to ask for', async () => {
    vi.useFakeTimers();
    answer = () => new Promise(() => {});
    const [live, scope] = [useLive(), effectScope()];
    const data = scope.run(() => useData(ViewerDocument, () => (live.agentPosition === null ? {} : null)));
    expect(data?.isLoading.value).toBe(true);
    live.agentPosition = '1';
    await nextTick();
    expect(data?.isLoading.value).toBe(false);
    scope.stop();
  });
});

describe('a command', () => {
  const problem = async (): Promise<string | null> => (await sendToAgent('pause', 'x', 'why')).problem;
  const refused = (code: string) => Response.json({ errors: [{ message: 'not now', extensions: { code } }] });

  it('that has no answer is not said to have changed nothing', async () => {
    answer = () => Promise.reject(new TypeError('the connection is lost'));
    expect(await problem()).toContain('did not say whether');
    for (const code of ['INDETERMINATE', 'TIMEOUT', 'INTERNAL']) {
      answer = () => Promise.resolve(refused(code));
      expect(await problem(), code).toContain('did not say whether');
    }
    answer = () => Promise.resolve(refused('FORBIDDEN'));
    expect(await problem()).toBe('Nothing was changed: not now');
  });

  it('that was rejected has changed nothing', async () => {
    const error = { __typename: 'AgentCommandError', code: 'NOT_ACTIVE', message: 'it is retired' };
    const pauseAgent = { __typename: 'AgentPayload', outcome: 'REJECTED', position: null, error };
    answer = () => Promise.resolve(Response.json({ data: { pauseAgent } }));
    expect(await problem()).toBe('Nothing was changed: it is retired');
  });
});

describe('another reader', () => {
  it('sees nothing that was received for the one before', () => {
    const [live, toasts] = [useLive(), useToasts()];
    live.opened();
    live.agentPosition = '7';
    live.refused('not for you');
    toasts.show('writer is paused.');
    live.forget();
    toasts.clear();
    expect([live.position, live.pulse, live.refusal, live.connection, toasts.toasts]).toEqual([null, null, null, 'connecting', []]);
  });
});
