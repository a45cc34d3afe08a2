import type { CombinedError } from '@urql/core';
import { texts } from '../texts';
import { codeOf, problemOf } from './errors';

/** The codes with which the server does not say that nothing was written. */
const UNKNOWN = ['INDETERMINATE', 'TIMEOUT', 'INTERNAL'];

/** Whether the server has said that nothing was written. */
export function isRefusal(error: CombinedError | undefined): boolean {
  const first = error?.graphQLErrors[0];
  const code = first ? codeOf(first) : null;
  return first !== undefined && (code === null || !UNKNOWN.includes(code));
}

/** What a reader is told of a command without a payload: whether nothing was changed, or that it is not known. */
export function unanswered(error: CombinedError | undefined): string {
  return isRefusal(error) ? texts.agent.failed(problemOf(error).detail) : texts.agent.unanswered;
}
