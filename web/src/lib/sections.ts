/** The sections of the page, in the order of the navigation. Each is the name of the route of its first page. */
export const SECTIONS = ['overview', 'agents', 'tasks', 'calls', 'costs', 'budgets', 'audit', 'memory', 'prices', 'installation'] as const;
