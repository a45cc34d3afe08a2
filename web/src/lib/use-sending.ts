import type { TypedDocumentNode } from '@urql/core';
import { ref } from 'vue';
import type { Ref } from 'vue';
import type { CommandOutcome } from '../graphql/generated/graphql';
import { texts } from '../texts';
import { mutate } from './client';
import { newId } from './ids';
import { unanswered } from './unanswered';

/** What the payloads of all commands have. */
export interface Payload {
  readonly outcome: CommandOutcome;
  readonly position?: string | null;
  readonly error?: { readonly message: string } | null;
}

/** Sends a command. Returns its payload; null if it was rejected or not answered, and then the problem is set. */
export type Send = <D, I extends { commandId?: string | null }, P extends Payload>(
  document: TypedDocumentNode<D, { input: I }>,
  input: I,
  pick: (data: D) => P,
) => Promise<P | null>;

export interface Sending {
  readonly isBusy: Ref<boolean>;
  readonly problem: Ref<string | null>;
  readonly send: Send;
}

interface Attempt {
  readonly document: unknown;
  readonly content: string;
  readonly commandId: string;
}

/** Sends commands, one at a time. One that is sent again unchanged, because its answer was lost, has the id that it had. */
export function useSending(): Sending {
  const isBusy = ref(false);
  const problem = ref<string | null>(null);
  /** The last attempt, as long as it has no answer. */
  let last: Attempt | null = null;

  const send: Send = async (document, input, pick) => {
    if (isBusy.value) {
      return null;
    }
    const content = JSON.stringify(input);
    const isAgain = last?.document === document && last?.content === content;
    const attempt: Attempt = (isAgain ? last : null) ?? { document, content, commandId: newId() };
    last = attempt;
    isBusy.value = true;
    problem.value = null;
    const result = await mutate(document, { input: { ...input, commandId: attempt.commandId } });
    isBusy.value = false;
    if (!result.data) {
      problem.value = unanswered(result.error);
      return null;
    }
    last = null;
    const payload = pick(result.data);
    if (payload.error) {
      // The attempt before may have changed something, such as made a key whose text is not returned again.
      problem.value = isAgain ? payload.error.message : texts.agent.failed(payload.error.message);
      return null;
    }
    return payload;
  };

  return { isBusy, problem, send };
}
