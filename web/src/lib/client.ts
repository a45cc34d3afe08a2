import { Client, cacheExchange, fetchExchange } from '@urql/core';
import type { AnyVariables, OperationResult, TypedDocumentNode } from '@urql/core';
import { useSession } from '../stores/session';

/** A request that has no answer by then has failed; the server answers or gives up within 30 seconds. */
const TIMEOUT_MS = 40_000;
const CSRF_COOKIES = ['__Host-apex_csrf', 'apex_csrf'];

/** The value that requests with the cookies of a session repeat in a header. */
function csrf(): string | null {
  for (const pair of document.cookie.split('; ')) {
    const at = pair.indexOf('=');
    if (CSRF_COOKIES.includes(pair.slice(0, at))) {
      return pair.slice(at + 1);
    }
  }
  return null;
}

/** The headers of a request, with the credential. */
export function credentials(): Record<string, string> {
  const { token } = useSession();
  const repeated = csrf();
  return {
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(repeated === null ? {} : { 'x-apex-csrf': repeated }),
  };
}

let refreshing: Promise<boolean> | null = null;

/** Gets new tokens of a session whose access token has ended. Requests that find that at once wait for one answer. */
function refresh(): Promise<boolean> {
  refreshing ??= post('/auth/refresh', {})
    .then(({ ok }) => ok)
    .catch(() => false)
    .finally(() => (refreshing = null));
  return refreshing;
}

/** Sends an object to a route, with the credential. */
export function post(path: string, body: unknown): Promise<Response> {
  return fetch(path, {
    method: 'POST',
    headers: { ...credentials(), 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
}

function authorised(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  return request(input, { ...init, signal: init.signal ? AbortSignal.any([init.signal, timeout]) : timeout });
}

/** Sends a request with the credential, whose body or answer takes as long as it takes. */
export async function request(input: RequestInfo | URL, init: RequestInit): Promise<Response> {
  const session = useSession();
  const sent = session.token;
  const attempt = () => {
    const headers = new Headers(init.headers);
    for (const [name, value] of Object.entries(credentials())) {
      headers.set(name, value);
    }
    return fetch(input, { ...init, headers });
  };
  const response = await attempt();
  if (response.status !== 401) {
    return response;
  }
  if (sent === null && csrf() !== null && (await refresh())) {
    return attempt();
  }
  session.require(sent);
  return response;
}

/** Answers of queries are kept by document and variables, and dropped when a mutation returns an object of their types. */
function newClient(): Client {
  return new Client({
    url: '/graphql',
    exchanges: [cacheExchange, fetchExchange],
    fetch: authorised,
    preferGetMethod: false,
    requestPolicy: 'network-only',
  });
}

let client = newClient();

/** Forgets all answers, for another reader. */
export function resetClient(): void {
  client = newClient();
}

/** The answer to a query that was given before; null if there is none. */
export function known<D, V extends AnyVariables>(document: TypedDocumentNode<D, V>, variables: V): D | null {
  return client.readQuery(document, variables)?.data ?? null;
}

export function query<D, V extends AnyVariables>(document: TypedDocumentNode<D, V>, variables: V): Promise<OperationResult<D, V>> {
  return client.query(document, variables).toPromise();
}

export function mutate<D, V extends AnyVariables>(document: TypedDocumentNode<D, V>, variables: V): Promise<OperationResult<D, V>> {
  return client.mutation(document, variables).toPromise();
}
