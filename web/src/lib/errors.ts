import { CombinedError } from '@urql/core';
import { texts } from '../texts';

/** An error as the page shows it. */
export interface Problem {
  readonly title: string;
  readonly detail: string;
  /** The code of the API, such as `FORBIDDEN`; null if the server was not reached. */
  readonly code: string | null;
}

interface Coded {
  readonly message: string;
  readonly extensions?: Record<string, unknown> | undefined;
}

/** The code and the reason of an error of the API. */
export function codeOf(error: Coded): string | null {
  const { reason, code } = error.extensions ?? {};
  return typeof reason === 'string' ? reason : typeof code === 'string' ? code : null;
}

export function problemOf(error: unknown): Problem {
  if (error instanceof CombinedError) {
    const [first] = error.graphQLErrors;
    if (first) {
      const code = codeOf(first);
      return { title: texts.errors.title(code), detail: first.message, code };
    }
    return { title: texts.errors.unreachable, detail: texts.errors.unreachableDetail, code: null };
  }
  return { title: texts.errors.unexpected, detail: error instanceof Error ? error.message : String(error), code: null };
}
