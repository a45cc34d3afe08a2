import type { Router } from 'vue-router';

/** The pages of objects, by the categories of their events. */
const PAGES: Readonly<Record<string, string>> = { agent: 'agents', task: 'tasks', call: 'calls', budget: 'budgets' };

function ifKnown(router: Router, path: string): string | null {
  return router.resolve(path).name === 'unknown' ? null : path;
}

/** The path of the page of an object; null if there is none. */
export function objectPath(router: Router, category: string, id: string): string | null {
  const page = PAGES[category];
  return page === undefined ? null : ifKnown(router, `/${page}/${id}`);
}

/** The path of the page of a trace; null if there is none. */
export function tracePath(router: Router, trace: string): string | null {
  return ifKnown(router, `/traces/${trace}`);
}
