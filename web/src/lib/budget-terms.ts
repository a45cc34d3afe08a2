/** The terms of a budget, as a form has them and as the API takes them. */
import type {
  BudgetEnforcement,
  BudgetOnRefusalInput,
  BudgetPeriodUnit,
  BudgetQuery,
  BudgetRefusalPolicy,
  BudgetScopeInput,
  BudgetTermsInput,
  BudgetUnreachablePolicy,
  Meter,
} from '../graphql/generated/graphql';
import { compareDecimals, parseDecimal } from './amounts';
import { CONDITION_DIMENSIONS, conditionsOf } from './budgets';
import type { Condition, ConditionDimension } from './budgets';
import { texts } from '../texts';

export type BudgetDetails = NonNullable<BudgetQuery['budget']>;

export const ENFORCEMENTS = ['NONE', 'HARD', 'SOFT', 'SHADOW'] as const satisfies readonly (BudgetEnforcement | 'NONE')[];
export const PERIODS = ['HOUR', 'DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR', 'TOTAL'] as const satisfies readonly BudgetPeriodUnit[];
export const MEASURES = ['MONEY', 'CALLS', 'METER'] as const;
export const POLICIES = ['REFUSE', 'DEGRADE', 'ASK_FOR_APPROVAL', 'PAUSE_AGENT'] as const satisfies readonly BudgetRefusalPolicy[];
export const METERS = [
  'INPUT',
  'OUTPUT',
  'CACHE_READ',
  'CACHE_WRITE_5_MIN',
  'CACHE_WRITE_1_HOUR',
  'REASONING',
  'AUDIO_INPUT',
  'AUDIO_OUTPUT',
  'IMAGE_INPUT',
  'IMAGE_OUTPUT',
  'IMAGES',
  'REQUESTS',
  'SEARCHES',
  'MEDIA_MS',
  'CHARACTERS',
] as const satisfies readonly Meter[];

/** A condition as it is typed; `key` is that of a tag. */
export interface ConditionDraft {
  dimension: ConditionDimension | 'tag';
  key: string;
  value: string;
}

export interface BudgetDraft {
  name: string;
  conditions: ConditionDraft[];
  measure: (typeof MEASURES)[number];
  meter: Meter;
  limit: string;
  enforcement: (typeof ENFORCEMENTS)[number];
  period: BudgetPeriodUnit;
  timeZone: string;
  /** Empty if it is the default. */
  anchor: string;
  carryOver: boolean;
  /** The number of parts of each period, which cannot be changed. */
  parts: number;
  /** Percentages, separated by commas. */
  thresholds: string;
  policy: BudgetRefusalPolicy;
  /** Names of models, separated by commas. */
  models: string;
  minutes: string;
  onUnreachable: BudgetUnreachablePolicy;
}

export type DraftField = 'name' | 'scope' | 'measure' | 'limit' | 'enforcement' | 'period' | 'timeZone' | 'anchor' | 'thresholds' | 'onRefusal' | 'onUnreachable' | 'reason';
export type DraftErrors = Partial<Record<DraftField, string>>;

export function newDraft(timeZone: string): BudgetDraft {
  return {
    name: '',
    conditions: [],
    measure: 'MONEY',
    meter: 'OUTPUT',
    limit: '',
    enforcement: 'HARD',
    period: 'MONTH',
    timeZone,
    anchor: '',
    carryOver: false,
    parts: 1,
    thresholds: '50, 80, 100',
    policy: 'REFUSE',
    models: '',
    minutes: '30',
    onUnreachable: 'OPEN',
  };
}

function conditionDraft({ dimension, value }: Condition): ConditionDraft {
  const known = CONDITION_DIMENSIONS.find((name) => name === dimension);
  return known ? { dimension: known, key: '', value } : { dimension: 'tag', key: dimension.replace(/^tag:/, ''), value };
}

/** The terms that a budget has, to be changed. */
export function draftOf(budget: BudgetDetails): BudgetDraft {
  const { control } = budget;
  const draft = newDraft(budget.timeZone);
  return {
    ...draft,
    name: budget.name,
    conditions: conditionsOf(budget).map(conditionDraft),
    measure: control?.measure ?? draft.measure,
    meter: control?.meter ?? draft.meter,
    limit: budget.limit,
    enforcement: control?.enforcement ?? 'NONE',
    period: control?.period ?? 'MONTH',
    anchor: control?.anchor ?? '',
    carryOver: control?.carryOver ?? false,
    parts: control?.parts ?? draft.parts,
    thresholds: budget.thresholds.join(', '),
    policy: control?.onRefusal.policy ?? 'REFUSE',
    models: control?.onRefusal.models.join(', ') ?? '',
    minutes: String(control?.onRefusal.minutes ?? draft.minutes),
    onUnreachable: control?.onUnreachable ?? 'OPEN',
  };
}

function listOf(text: string): string[] {
  return text.split(/[\s,;%]+/).filter(Boolean);
}

/** What a budget counts, in the form that the API takes. Without `enforcement`, it takes an agent, a model or nothing. */
function scopeOf(conditions: readonly ConditionDraft[]): BudgetScopeInput {
  const given = conditions.map(({ dimension, key, value }) => ({ dimension: dimension === 'tag' ? `tag:${key.trim()}` : dimension, value: value.trim() }));
  const [first, ...others] = given;
  if (!first) {
    return { tenant: true };
  }
  if (others.length === 0 && first.dimension === 'agent') {
    return { agentId: first.value };
  }
  return others.length === 0 && first.dimension === 'model' ? { model: first.value } : { conditions: given };
}

/**
 * The forms in which the scope of a budget may have been given, which a revision has to repeat. The API does not say which one it was
 * of a budget that is not counted by calendar month.
 */
export function scopesOf(budget: BudgetDetails): BudgetScopeInput[] {
  const conditions = conditionsOf(budget).map(({ dimension, value }) => ({ dimension, value }));
  const own = scopeOf(conditions.map(conditionDraft));
  return 'conditions' in own || conditions.length === 0 ? [own] : [own, { conditions }];
}

function onRefusalOf({ policy, models, minutes }: BudgetDraft): BudgetOnRefusalInput {
  switch (policy) {
    case 'REFUSE':
      return { refuse: true };
    case 'DEGRADE':
      return { degrade: listOf(models) };
    case 'ASK_FOR_APPROVAL':
      return { askForApproval: Number(minutes) };
    case 'PAUSE_AGENT':
      return { pauseAgent: true };
  }
}

function measureOf({ measure, meter }: BudgetDraft) {
  switch (measure) {
    case 'MONEY':
      return { money: true };
    case 'CALLS':
      return { calls: true };
    case 'METER':
      return { meter };
  }
}

/** The terms as the API takes them. Call it with a draft that `check` finds no errors in. */
export function termsOf(draft: BudgetDraft, scope: BudgetScopeInput = scopeOf(draft.conditions)): BudgetTermsInput {
  const common = {
    name: draft.name.trim(),
    scope,
    limit: draft.limit.trim(),
    timeZone: draft.timeZone,
    thresholds: listOf(draft.thresholds).map(Number),
  };
  if (draft.enforcement === 'NONE') {
    return common;
  }
  return {
    ...common,
    enforcement: draft.enforcement,
    measure: measureOf(draft),
    period: draft.period,
    ...(draft.anchor === '' ? {} : { anchor: draft.anchor }),
    carryOver: draft.carryOver,
    // Terms of one part are the same without it.
    ...(draft.parts === 1 ? {} : { parts: draft.parts }),
    ...(draft.enforcement === 'HARD' ? { onRefusal: onRefusalOf(draft) } : { onUnreachable: draft.onUnreachable }),
  };
}

/** The terms for a preview, which needs an enforcement: it says what a hard budget would have refused. */
export function previewTerms(draft: BudgetDraft): BudgetTermsInput {
  const terms = termsOf({ ...draft, name: draft.name.trim() || texts.budgetForm.unnamed });
  return draft.enforcement === 'NONE' ? { ...terms, enforcement: 'SHADOW' } : terms;
}

function isAboveZero(text: string): boolean {
  try {
    parseDecimal(text);
  } catch {
    return false;
  }
  return compareDecimals(text, '0') > 0;
}

function scopeError({ conditions, enforcement }: BudgetDraft): string | null {
  const told = texts.budgetForm.errors;
  if (conditions.some(({ dimension, key, value }) => value.trim() === '' || (dimension === 'tag' && key.trim() === ''))) {
    return told.condition;
  }
  const isSimple = conditions.length === 0 || (conditions.length === 1 && ['agent', 'model'].includes(conditions[0]?.dimension ?? ''));
  return enforcement === 'NONE' && !isSimple ? told.needsEnforcement : null;
}

/** What the page finds wrong before the server is asked: only what the API could not even read, or what it says less clearly. */
export function check(draft: BudgetDraft): DraftErrors {
  const told = texts.budgetForm.errors;
  const scope = scopeError(draft);
  const isWhole = (text: string) => /^\d{1,5}$/.test(text);
  return {
    ...(draft.name.trim() === '' ? { name: told.name } : {}),
    ...(scope === null ? {} : { scope }),
    ...(isAboveZero(draft.limit.trim()) ? {} : { limit: told.limit }),
    ...(listOf(draft.thresholds).every(isWhole) ? {} : { thresholds: told.thresholds }),
    ...(draft.enforcement === 'HARD' && draft.policy === 'ASK_FOR_APPROVAL' && !isWhole(draft.minutes.trim()) ? { onRefusal: told.minutes } : {}),
  };
}

const FIELD_OF_CODE: Readonly<Record<string, DraftField>> = {
  LIMIT_NOT_POSITIVE: 'limit',
  BAD_THRESHOLD: 'thresholds',
  TOO_MANY_THRESHOLDS: 'thresholds',
  UNKNOWN_TIME_ZONE: 'timeZone',
  UNKNOWN_AGENT: 'scope',
  UNKNOWN_SUBJECT: 'scope',
  BAD_CONDITIONS: 'scope',
  SCOPE_FIXED: 'scope',
  NO_ENFORCEMENT: 'enforcement',
  CONTROL_FIXED: 'enforcement',
  BAD_ANCHOR: 'anchor',
  BAD_POLICY: 'onRefusal',
};
const FIELDS: readonly DraftField[] = ['name', 'scope', 'measure', 'limit', 'enforcement', 'period', 'timeZone', 'anchor', 'thresholds', 'onRefusal', 'onUnreachable', 'reason'];

/** The field of the form that an error of the server is about; null if it is about the whole. */
export function fieldOf(code: string | null, field: string | null): DraftField | null {
  const named = FIELDS.find((known) => known === field?.split('.')[0]);
  return named ?? (code === null ? null : (FIELD_OF_CODE[code] ?? null));
}
