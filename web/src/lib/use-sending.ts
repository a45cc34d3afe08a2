import type { TypedDocumentNode } from '@urql/core';
import { ref } from 'vue';
import type { Ref } from 'vue';
import type { Payload } from './send-command';
import { sendCommand } from './send-command';

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

/** Sends commands of a form, one at a time. */
export function useSending(): Sending {
  const isBusy = ref(false);
  const problem = ref<string | null>(null);

  const send: Send = async (document, input, pick) => {
    if (isBusy.value) {
      return null;
    }
    isBusy.value = true;
    problem.value = null;
    const answer = await sendCommand(document, input, pick);
    isBusy.value = false;
    problem.value = answer.problem;
    return answer.problem === null ? answer.payload : null;
  };

  return { isBusy, problem, send };
}
