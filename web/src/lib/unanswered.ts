import type { CombinedError } from '@urql/core';
import { texts } from '../texts';
import { codeOf, problemOf } from './errors';

/** The codes with which the server does not say that nothing was written. */
const UNKNOWN = ['INDETERMINATE', 'TIMEOUT', 'INTERNAL'];

/** What a reader is told of a command without a payload: whether nothing was changed, or that it is not known. */
export function unanswered(error: CombinedError | undefined): string {
  const code = error?.graphQLErrors[0] ? codeOf(error.graphQLErrors[0]) : null;
  const isRefused = error?.graphQLErrors[0] !== undefined && (code === null || !UNKNOWN.includes(code));
  return isRefused ? texts.agent.failed(problemOf(error).detail) : texts.agent.unanswered;
}
