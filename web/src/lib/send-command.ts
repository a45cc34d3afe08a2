import type { TypedDocumentNode } from '@urql/core';
import { mutate } from './client';
import { newId } from './ids';
import { isRefusal, unanswered } from './unanswered';
import { texts } from '../texts';

/** What the payloads of commands have in common. */
export interface Payload {
  readonly outcome: string;
  readonly position?: string | null;
  readonly error?: { readonly code?: string; readonly message: string; readonly field?: string | null } | null;
}

export interface CommandAnswer<P> {
  /** What the reader is told if nothing was changed, or may not have been; null if it was. */
  readonly problem: string | null;
  /** The code and the field of a rejection; null of anything else. */
  readonly code: string | null;
  readonly field: string | null;
  /** Whether the object was in the state already. */
  readonly isUnchanged: boolean;
  readonly position: string | null;
  readonly payload: P | null;
}

/** The ids of commands whose answers were lost, by what was sent. */
const lost = new Map<string, string>();

/** Sends a command. One whose answer was lost has the same id when it is sent again, so that it is not executed twice. */
export async function sendCommand<D, I extends { commandId?: string | null }, P extends Payload>(
  document: TypedDocumentNode<D, { input: I }>,
  input: I,
  pick: (data: D) => P,
): Promise<CommandAnswer<P>> {
  const sent = JSON.stringify([document.definitions.map((definition) => ('name' in definition ? definition.name?.value : '')), input]);
  const isAgain = lost.has(sent);
  const commandId = lost.get(sent) ?? newId();
  lost.set(sent, commandId);
  const result = await mutate(document, { input: { ...input, commandId } });
  if (!result.data) {
    if (isRefusal(result.error)) {
      lost.delete(sent);
    }
    return { problem: unanswered(result.error), code: null, field: null, isUnchanged: false, position: null, payload: null };
  }
  lost.delete(sent);
  const payload = pick(result.data);
  const { outcome, error, position } = payload;
  return {
    // The attempt before may have changed something, such as made a key whose text is not returned again.
    problem: error ? (isAgain ? error.message : texts.agent.failed(error.message)) : null,
    code: error?.code ?? null,
    field: error?.field ?? null,
    isUnchanged: outcome === 'ALREADY_DONE',
    position: position ?? null,
    payload,
  };
}
