/** What budgets are about, as pages show it. */
import type { BudgetPeriodFragment, BudgetsQuery, Meter } from '../graphql/generated/graphql';
import { addDecimals, compareDecimals, formatAmount, formatCount, roundDecimal } from './amounts';
import { texts } from '../texts';

export type BudgetNode = BudgetsQuery['budgets']['nodes'][number];

/** What says in which unit the amounts of a budget are. */
export interface Measured {
  readonly currency: string;
  readonly control?: { readonly measure: 'MONEY' | 'CALLS' | 'METER'; readonly meter?: Meter | null } | null;
}

export function meterName(meter: Meter): string {
  return meter.toLowerCase().replaceAll('_', ' ');
}

/** Writes an amount in the unit of a budget. */
export function formatMeasured(text: string, { currency, control }: Measured): string {
  if (!control || control.measure === 'MONEY') {
    return formatAmount(text, currency);
  }
  // A pace has a fraction.
  const count = formatCount(text.includes('.') ? roundDecimal(text, 1) : text);
  return control.meter ? texts.budgets.units(count, meterName(control.meter)) : texts.budgets.calls(count);
}

export const BUDGET_STATES = ['force', 'over', 'raised', 'suspended', 'closed'] as const;
export type BudgetState = (typeof BUDGET_STATES)[number];

/** What is spent of a period: what calls were charged, and what is charged of reservations whose calls are not known. */
export function spentOf({ charged, assumed }: Pick<BudgetPeriodFragment, 'charged' | 'assumed'>): string {
  return addDecimals([charged, assumed]);
}

/** Whether the limit is above that of the terms, beside what was carried over. */
export function isRaised(limit: string, period: Pick<BudgetPeriodFragment, 'limit' | 'carried'> | null): boolean {
  return period !== null && compareDecimals(period.limit, addDecimals([limit, period.carried ?? '0'])) > 0;
}

interface Stated {
  readonly limit: string;
  readonly closed: boolean;
  readonly control?: { readonly suspended: boolean } | null;
  readonly months: readonly { readonly startsAt: string; readonly endsAt: string; readonly spent: string; readonly remaining: string }[];
}

/** The month that runs, of a budget that is counted by month. */
export function runningMonth<M extends { readonly startsAt: string; readonly endsAt: string }>(months: readonly M[], now: number): M | null {
  return months.find(({ startsAt, endsAt }) => Date.parse(startsAt) <= now && now < Date.parse(endsAt)) ?? null;
}

/** The states that a budget is in; `period` is null if it has none, or its period is not known. */
export function statesOf(budget: Stated, period: BudgetPeriodFragment | null, now: number): BudgetState[] {
  if (budget.closed) {
    return ['closed'];
  }
  const isOver = period
    ? compareDecimals(period.excess, '0') > 0
    : (runningMonth(budget.months, now)?.remaining.startsWith('-') ?? false);
  return [
    budget.control?.suspended ? 'suspended' : 'force',
    ...(isRaised(budget.limit, period) ? (['raised'] as const) : []),
    ...(isOver ? (['over'] as const) : []),
  ];
}

/** The dimensions that a condition can have beside tags. */
export const CONDITION_DIMENSIONS = ['agent', 'team', 'model', 'provider', 'user', 'key', 'tool', 'task', 'dag', 'conversation'] as const;
export type ConditionDimension = (typeof CONDITION_DIMENSIONS)[number];

export interface Condition {
  readonly dimension: string;
  readonly value: string;
}

/** What a budget counts, as conditions, whichever way its scope was given. Agents are named by their global id, or by UUID. */
export function conditionsOf({
  scope,
  control,
}: {
  readonly scope: { readonly agentId?: string | null; readonly model?: string | null };
  readonly control?: { readonly conditions: readonly Condition[] } | null;
}): readonly Condition[] {
  if (control) {
    return control.conditions;
  }
  const { agentId, model } = scope;
  return [...(agentId ? [{ dimension: 'agent', value: agentId }] : []), ...(model ? [{ dimension: 'model', value: model }] : [])];
}

function dimensionName(dimension: string): string {
  const known = CONDITION_DIMENSIONS.find((name) => name === dimension);
  return known ? texts.budgetForm.dimensions[known] : dimension;
}

/** Writes conditions; `nameOf` gives the names of agents. */
export function formatConditions(conditions: readonly Condition[], nameOf: (id: string) => string): string {
  if (conditions.length === 0) {
    return texts.budgets.scope.TENANT;
  }
  return conditions
    .map(({ dimension, value }) => `${dimensionName(dimension)} ${dimension === 'agent' ? nameOf(value) : value}`)
    .join(', ');
}
