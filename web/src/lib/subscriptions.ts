import { stringifyDocument } from '@urql/core';
import type { AnyVariables, TypedDocumentNode } from '@urql/core';
import { createClient } from 'graphql-ws';
import type { Client } from 'graphql-ws';
import { ViewerDocument } from '../graphql/generated/graphql';
import { useLive } from '../stores/live';
import { useSession } from '../stores/session';
import { query } from './client';

/** The server is asked for a sign of life as often, and has as long to give one. */
const PING_MS = 10_000;
const PONG_MS = 5_000;
/** The close codes of the server for a credential that is missing, refused or over. */
const CREDENTIAL_CODES = [4401, 4403];

function newSocket(): Client {
  const [live, session] = [useLive(), useSession()];
  let expired: ReturnType<typeof setTimeout> | undefined;
  const socket: Client = createClient({
    url: `${location.origin.replace(/^http/, 'ws')}/graphql/ws`,
    connectionParams: () => (session.token === null ? {} : { authorization: `Bearer ${session.token}` }),
    // Subscriptions are resumed by `follow`, after the last position that they saw.
    retryAttempts: 0,
    keepAlive: PING_MS,
    on: {
      connected: () => live.opened(),
      ping: (isReceived) => {
        if (!isReceived) {
          expired = setTimeout(() => socket.terminate(), PONG_MS);
        }
      },
      pong: (isReceived) => {
        if (isReceived) {
          clearTimeout(expired);
        }
      },
      closed: (event) => {
        clearTimeout(expired);
        live.closed();
        if (CREDENTIAL_CODES.includes((event as CloseEvent).code)) {
          // The answer says whether the session goes on with a new token, or the reader has to sign in.
          void query(ViewerDocument, {});
        }
      },
    },
  });
  return socket;
}

let socket: Client | null = null;

/** Ends the connection, for another reader. */
export function resetSocket(): void {
  void socket?.dispose();
  socket = null;
}

/** Whether a subscription has ended with errors of the API, and not with the loss of the connection. */
function isRefusal(error: unknown): error is { message: string; extensions?: Record<string, unknown> }[] {
  return Array.isArray(error);
}

const TRANSIENT = ['TIMEOUT', 'UNAVAILABLE', 'BUSY', 'RATE_LIMITED', 'INTERNAL', 'SLOW_CONSUMER', 'LATE'];

/**
 * Follows a subscription until it is stopped. It is opened again when the connection was lost, with variables that are made anew:
 * those of a list of events name the last position that was seen, so that none is missed.
 */
export function follow<D, V extends AnyVariables>(
  document: TypedDocumentNode<D, V>,
  variables: () => V,
  onData: (data: D) => void,
  onRefused: (message: string) => void = () => {},
): () => void {
  const live = useLive();
  const text = stringifyDocument(document);
  let isStopped = false;
  let unsubscribe = () => {};

  const once = () =>
    new Promise<string | null>((resolve) => {
      socket ??= newSocket();
      unsubscribe = socket.subscribe<D>(
        { query: text, variables: variables() as Record<string, unknown> },
        {
          next: ({ data, errors }) => {
            if (data) {
              onData(data);
            }
            const [first] = errors ?? [];
            if (first) {
              const code = first.extensions?.code;
              resolve(TRANSIENT.includes(typeof code === 'string' ? code : '') ? null : first.message);
            }
          },
          error: (error) => {
            const [first] = isRefusal(error) ? error : [];
            const code = first?.extensions?.code;
            resolve(first && !TRANSIENT.includes(typeof code === 'string' ? code : '') ? first.message : null);
          },
          complete: () => resolve(null),
        },
      );
    });

  const run = async () => {
    while (!isStopped) {
      const refusal = await once();
      unsubscribe();
      if (isStopped) {
        return;
      }
      if (refusal !== null) {
        onRefused(refusal);
        return;
      }
      await live.waitBeforeRetry();
    }
  };
  void run();
  return () => {
    isStopped = true;
    unsubscribe();
  };
}
