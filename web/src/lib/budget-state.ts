import type { LocationQuery } from 'vue-router';
import { BUDGET_STATES } from './budgets';
import type { BudgetState } from './budgets';
import { one } from './url-state';

/** What the list of budgets shows, as its URL says it. */
export interface BudgetsView {
  readonly state: BudgetState | null;
  readonly text: string;
}

export function readBudgets(query: LocationQuery): BudgetsView {
  const given = one(query, 'state');
  return { state: BUDGET_STATES.find((state) => state === given) ?? null, text: one(query, 'q') ?? '' };
}

export function writeBudgets({ state, text }: BudgetsView): Record<string, string> {
  return { ...(state ? { state } : {}), ...(text ? { q: text } : {}) };
}
