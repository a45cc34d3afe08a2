/** The report of the page of costs: what is asked for, and its rows as they are shown. */
import type { CostReportQuery, Dimension, UsageFilter } from '../graphql/generated/graphql';
import { texts } from '../texts';
import { addDecimals, compareDecimals, formatAmount, formatCount, perMille, subtractDecimals } from './amounts';
import { daysOfPeriod } from './periods';
import { toIso } from './time';
import type { Bucket, CostDimension, CostFilter, CostsState, Span } from './url-state';
import { BUCKETS, daysSpan, DIMENSIONS } from './url-state';

/** The table has at most as many rows on a page: with more, a query would exceed the complexity that the server accepts. */
export const MAX_ROWS = 300;
const QUARTER_MS = 15 * 60_000;

/** What is asked of the server: the state of the page, and what it does not say itself. */
export interface CostView {
  readonly state: CostsState;
  readonly span: Span;
  readonly zone: string;
  readonly tagKey: string | null;
  /** The start of the present quarter of an hour. */
  readonly quarter: Date;
}

export type Report = CostReportQuery['usageReport'];
export type Totals = Report['total'];

export function usesTag(state: Pick<CostsState, 'by' | 'filters'>): boolean {
  return state.by.includes('TAG') || state.filters.some(({ dimension }) => dimension === 'TAG');
}

/** Dimensions whose sums are kept by day: a chart of them by hours would read the calls. */
const DAILY: readonly CostDimension[] = ['TASK', 'DAG', 'CONVERSATION'];

/** The periods that a chart has: those of the rows, or days if it is of what is summed up by day; null for any. */
export function chartedBy({ bucket, filters }: CostsState, of: CostDimension | null): Bucket | null {
  const dimensions = [...(of ? [of] : []), ...filters.map(({ dimension }) => dimension)];
  return bucket ?? (dimensions.some((name) => DAILY.includes(name)) ? 'DAY' : null);
}

/** What all reports of a view have in common. */
export function commonVariables({ state, span, zone, tagKey }: CostView, by: readonly Dimension[], filters = state.filters) {
  const hasTag = by.includes('TAG') || filters.some(({ dimension }) => dimension === 'TAG');
  return {
    filter: filters.map(({ dimension, value }): UsageFilter => ({ dimension, value })),
    tagKey: hasTag ? tagKey : null,
    timeZone: zone,
    from: toIso(span.from),
    to: span.to ? toIso(span.to) : null,
  };
}

/** What the report is compared with; undefined if the days of the other period are not valid. */
function comparedWith({ state, zone }: CostView) {
  if (state.compare === null) {
    return null;
  }
  if (state.compare === 'previous') {
    return { previous: true };
  }
  const base = daysSpan(state.baseFrom, state.baseTo, zone);
  return base ? { from: toIso(base.from), to: toIso(base.to) } : undefined;
}

/** The variables of the report; null if the other period is not valid. */
export function reportVariables(view: CostView, after: string | null) {
  const { state, span, quarter } = view;
  const by: Dimension[] = [...(state.bucket ? [state.bucket] : []), ...state.by];
  const compare = comparedWith(view);
  if (compare === undefined) {
    return null;
  }
  // A comparison needs an end: that of the quarter of an hour, so that the period before is as long as what has passed.
  const until = compare && span.to === null ? toIso(new Date(quarter.getTime() + QUARTER_MS)) : null;
  const common = commonVariables(view, by);
  return {
    ...common,
    to: common.to ?? until,
    by,
    top: state.by.length > 0 ? state.top : null,
    compare,
    first: state.bucket ? MAX_ROWS : state.top + 1,
    after,
  };
}

export interface CostRow {
  readonly id: string;
  readonly labels: readonly string[];
  readonly isRest: boolean;
  readonly totals: Totals;
  readonly base: Report['base'];
  readonly change: { readonly cost: string | null; readonly costPercent: string | null } | null;
  readonly share: number;
  /** What is shown if the row is opened; null for the row of all others. */
  readonly drill: CostsState | null;
}

function labelOf(key: Report['nodes'][number]['keys'][number], isRest: boolean, isFirst: boolean): string {
  if (isRest && !isPeriod(key.dimension)) {
    return isFirst ? texts.costs.rest : '';
  }
  return key.name ?? key.value ?? texts.costs.noValue;
}

function isPeriod(dimension: Dimension): dimension is Bucket {
  return BUCKETS.some((known) => known === dimension);
}

export function rowsOf(report: Report, state: CostsState): CostRow[] {
  return report.nodes.map(({ keys, isRest, totals, base, change }) => {
    const firstValue = keys.findIndex(({ dimension }) => !isPeriod(dimension));
    return {
      id: JSON.stringify([isRest, ...keys.map(({ value }) => value)]),
      labels: keys.map((key, index) => labelOf(key, isRest, index === firstValue)),
      isRest,
      totals,
      base,
      change,
      share: perMille(totals.cost ?? '0', report.total.cost ?? '0') ?? 0,
      drill: isRest ? null : drillDown(state, keys),
    };
  });
}

/** Adds a condition, in place of those on its dimension. */
export function withFilter(filters: readonly CostFilter[], filter: CostFilter): CostFilter[] {
  return [...filters.filter(({ dimension }) => dimension !== filter.dimension), filter];
}

const FINER: Readonly<Record<Bucket, Bucket>> = { MONTH: 'DAY', WEEK: 'DAY', DAY: 'HOUR', HOUR: 'HOUR' };
/** By what calls of one value are shown: the first of these that has no condition yet. */
const NEXT: readonly CostDimension[] = ['MODEL', 'AGENT', 'USER', 'TEAM', 'TOOL', 'OUTCOME'];

/** What a row consists of: its values as conditions, its period as the time range, by the next dimension or finer periods. */
export function drillDown(state: CostsState, keys: readonly { dimension: Dimension; value: string | null }[]): CostsState {
  let filters = state.filters;
  for (const { dimension, value } of keys) {
    const known = DIMENSIONS.find((name) => name === dimension);
    filters = known ? withFilter(filters, { dimension: known, value }) : filters;
  }
  const days = daysOfPeriod(keys.find(({ dimension }) => isPeriod(dimension))?.value ?? '');
  const next = NEXT.find((name) => !filters.some(({ dimension }) => dimension === name));
  const isOfPeriods = state.by.length === 0 && state.bucket !== null;
  return {
    ...state,
    filters,
    by: isOfPeriods ? [] : next ? [next] : state.by,
    bucket: isOfPeriods && state.bucket ? FINER[state.bucket] : null,
    ...(days ? { range: 'custom' as const, ...days } : {}),
  };
}

const COUNTS = ['calls', 'toolCalls', 'failedCalls', 'unpricedCalls', 'assumedCalls'] as const;
const TOKENS = ['inputTokens', 'outputTokens'] as const;

/** What the total has beyond some rows, exactly. */
export function remainderOf(total: Totals, rows: readonly CostRow[]): Totals {
  const rest = { ...total };
  for (const field of COUNTS) {
    rest[field] = rows.reduce((left, { totals }) => left - totals[field], total[field]);
  }
  for (const field of TOKENS) {
    rest[field] = subtractDecimals(total[field], addDecimals(rows.map(({ totals }) => totals[field])));
  }
  rest.cost = total.cost === null ? null : subtractDecimals(total.cost, addDecimals(rows.map(({ totals }) => totals.cost ?? '0')));
  return rest;
}

/** The address of the export of the calls that a view counts. */
export function exportPath({ state, span, tagKey }: CostView, format: string): string {
  const query = new URLSearchParams({ format, from: toIso(span.from) });
  if (span.to) {
    query.set('to', toIso(span.to));
  }
  for (const { dimension, value } of state.filters) {
    const name = dimension === 'TAG' ? `tag:${tagKey ?? ''}` : dimension.toLowerCase();
    query.append('filter', `${name}=${value ?? ''}`);
  }
  return `/v1/exports/calls?${query.toString()}`;
}

function signed(text: string, shown: string): string {
  return compareDecimals(text, '0') > 0 ? `+${shown}` : shown;
}

/** A difference of amounts, with its sign. */
export function formatChange(text: string, currency?: string): string {
  return signed(text, formatAmount(text, currency));
}

export function formatPercentChange(text: string): string {
  return signed(text, `${formatCount(text)} %`);
}
