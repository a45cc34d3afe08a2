import { shallowRef } from 'vue';
import type { Ref, ShallowRef } from 'vue';
import { useToasts } from '../stores/toasts';
import type { Payload } from './send-command';
import type { Send } from './use-sending';
import { useSending } from './use-sending';

/** A command that is sent once the reader has confirmed it, with a reason where the command takes one. */
export interface Question {
  readonly title: string;
  readonly detail: string;
  readonly action: string;
  /** Whether it cannot be undone. */
  readonly isFinal?: boolean;
  readonly takesReason?: boolean;
  readonly send: (send: Send, reason: string) => Promise<Payload | null>;
  /** What the reader is told once it was done. */
  readonly done: string;
}

export interface Questions {
  readonly asked: ShallowRef<Question | null>;
  readonly isBusy: Ref<boolean>;
  readonly problem: Ref<string | null>;
  readonly ask: (question: Question) => void;
  readonly confirm: (reason: string) => Promise<void>;
  readonly close: () => void;
  /** Sends a command that needs no confirmation, because it changes little or can be undone. */
  readonly run: (send: Question['send'], done: string) => Promise<void>;
}

/** Asks before commands are sent, and loads again what they changed. */
export function useQuestions(reload: () => unknown): Questions {
  const toasts = useToasts();
  const { isBusy, problem, send } = useSending();
  const asked = shallowRef<Question | null>(null);

  function ask(question: Question): void {
    problem.value = null;
    asked.value = question;
  }

  async function confirm(reason: string): Promise<void> {
    const question = asked.value;
    if (question && (await question.send(send, reason))) {
      asked.value = null;
      toasts.show(question.done);
      reload();
    }
  }

  async function run(command: Question['send'], done: string): Promise<void> {
    if (isBusy.value) {
      return;
    }
    if (await command(send, '')) {
      toasts.show(done);
      reload();
    } else if (problem.value !== null) {
      toasts.show(problem.value, { isProblem: true });
    }
  }

  return { asked, isBusy, problem, ask, confirm, close: () => (asked.value = null), run };
}
