/** What a page shows, as its URL says it. What the URL does not say, or says wrongly, is the default. */
import type { LocationQuery } from 'vue-router';
import type { AgentStatus, Dimension } from '../graphql/generated/graphql';
import { dateToInstant, isTimeZone, localDate, startOfDay, startOfMonth } from './time';

export function one(query: LocationQuery, name: string): string | null {
  const value = query[name];
  const first = Array.isArray(value) ? value[0] : value;
  return first ?? null;
}

export function all(query: LocationQuery, name: string): string[] {
  const value = query[name];
  const values = Array.isArray(value) ? value : [value];
  return values.filter((text): text is string => typeof text === 'string' && text !== '');
}

export const AGENT_STATUSES = ['REGISTERED', 'ACTIVE', 'PAUSED', 'RETIRED'] as const satisfies readonly AgentStatus[];

export interface AgentsState {
  readonly status: AgentStatus | null;
  readonly text: string;
}

export function readAgents(query: LocationQuery): AgentsState {
  const given = one(query, 'status');
  return {
    status: AGENT_STATUSES.find((status) => status.toLowerCase() === given) ?? null,
    text: one(query, 'q') ?? '',
  };
}

export function writeAgents({ status, text }: AgentsState): Record<string, string> {
  return { ...(status ? { status: status.toLowerCase() } : {}), ...(text ? { q: text } : {}) };
}

/** The dimensions of a report that are no periods of time. The last four are summed by day or hour, and alone. */
export const DIMENSIONS = [
  'MODEL',
  'PROVIDER',
  'AGENT',
  'TEAM',
  'USER',
  'KEY',
  'TOOL',
  'OUTCOME',
  'SOURCE',
  'TASK',
  'DAG',
  'CONVERSATION',
  'TAG',
] as const satisfies readonly Dimension[];
export type CostDimension = (typeof DIMENSIONS)[number];

/** The periods of time that rows can be of. */
export const BUCKETS = ['HOUR', 'DAY', 'WEEK', 'MONTH'] as const satisfies readonly Dimension[];
export type Bucket = (typeof BUCKETS)[number];

export const RANGES = ['today', '7d', '30d', 'month', 'custom'] as const;
export type Range = (typeof RANGES)[number];

/** How many rows are shown, of each period if rows are of periods. All others are summed up in one. */
export const TOPS = [10, 25, 100] as const;
export type Top = (typeof TOPS)[number];

export const CHARTS = ['line', 'stacked'] as const;
export type CostChart = (typeof CHARTS)[number];

export const COMPARISONS = ['previous', 'custom'] as const;
export type Comparison = (typeof COMPARISONS)[number];

/** A condition: calls with this value, or without any. */
export interface CostFilter {
  readonly dimension: CostDimension;
  readonly value: string | null;
}

export interface CostsState {
  /** At most two; none if rows are of periods alone. */
  readonly by: readonly CostDimension[];
  readonly bucket: Bucket | null;
  readonly range: Range;
  /** The first and the last day of a custom range, such as `2026-03-01`. */
  readonly from: string;
  readonly to: string;
  readonly filters: readonly CostFilter[];
  /** The key of the tag that the dimension `TAG` is; empty for the first one that is declared. */
  readonly tagKey: string;
  /** A time zone; null is that of the reader. */
  readonly zone: string | null;
  readonly top: Top;
  readonly chart: CostChart;
  /** The API compares rows that are of no periods. */
  readonly compare: Comparison | null;
  /** The first and the last day of the other period, if it is a custom one. */
  readonly baseFrom: string;
  readonly baseTo: string;
}

/** The API takes at most as many conditions. */
export const MAX_FILTERS = 50;
const MAX_DIMENSIONS = 2;
const DEFAULT_TOP: Top = 25;

function named<T extends string>(known: readonly T[], name: string | null | undefined): T | null {
  return known.find((value) => value.toLowerCase() === name) ?? null;
}

function readFilter(text: string): CostFilter | null {
  const at = text.indexOf(':');
  const found = named(DIMENSIONS, at < 0 ? text : text.slice(0, at));
  // `model:` is the value that is empty, and `model` no value.
  return found ? { dimension: found, value: at < 0 ? null : text.slice(at + 1) } : null;
}

function present<T>(value: T | null): value is T {
  return value !== null;
}

/** What rows are grouped by, as on the command line: `by=day,model`. */
function readBy(text: string | null): Pick<CostsState, 'by' | 'bucket'> {
  const names = (text ?? '').split(',');
  const bucket = names.map((name) => named(BUCKETS, name)).find(present) ?? null;
  const by = [...new Set(names.map((name) => named(DIMENSIONS, name)).filter(present))].slice(0, MAX_DIMENSIONS);
  return { by: by.length === 0 && bucket === null ? ['MODEL'] : by, bucket };
}

export function readCosts(query: LocationQuery): CostsState {
  const { by, bucket } = readBy(one(query, 'by'));
  const zone = one(query, 'zone');
  const top = Number(one(query, 'top'));
  return {
    by,
    bucket,
    range: named(RANGES, one(query, 'range')) ?? '7d',
    from: one(query, 'from') ?? '',
    to: one(query, 'to') ?? '',
    filters: all(query, 'filter').map(readFilter).filter(present).slice(0, MAX_FILTERS),
    tagKey: one(query, 'tag') ?? '',
    zone: zone !== null && isTimeZone(zone) ? zone : null,
    top: TOPS.find((known) => known === top) ?? DEFAULT_TOP,
    chart: named(CHARTS, one(query, 'chart')) ?? 'line',
    compare: bucket === null ? named(COMPARISONS, one(query, 'compare')) : null,
    baseFrom: one(query, 'baseFrom') ?? '',
    baseTo: one(query, 'baseTo') ?? '',
  };
}

function writeBy({ by, bucket }: Pick<CostsState, 'by' | 'bucket'>): string {
  return [...(bucket ? [bucket] : []), ...by].join(',').toLowerCase();
}

export function writeCosts(state: CostsState): Record<string, string | string[]> {
  const filter = state.filters.map(({ dimension: name, value }) =>
    value === null ? name.toLowerCase() : `${name.toLowerCase()}:${value}`,
  );
  const by = writeBy(state);
  return {
    ...(by === 'model' || by === '' ? {} : { by }),
    ...(state.range === '7d' ? {} : { range: state.range }),
    ...(state.range === 'custom' ? { from: state.from, to: state.to } : {}),
    ...(filter.length > 0 ? { filter } : {}),
    ...(state.tagKey ? { tag: state.tagKey } : {}),
    ...(state.zone ? { zone: state.zone } : {}),
    ...(state.top === DEFAULT_TOP ? {} : { top: String(state.top) }),
    ...(state.chart === 'line' ? {} : { chart: state.chart }),
    ...(state.compare && state.bucket === null ? { compare: state.compare } : {}),
    ...(state.compare === 'custom' && state.bucket === null ? { baseFrom: state.baseFrom, baseTo: state.baseTo } : {}),
  };
}

/** A time range. One without an end goes on. */
export interface Span {
  readonly from: Date;
  readonly to: Date | null;
}

/** The time range of two days, of which the last one is included; null if they are none. */
export function daysSpan(first: string, last: string, timeZone: string): { from: Date; to: Date } | null {
  const from = dateToInstant(first, timeZone);
  const to = dateToInstant(last, timeZone, 1);
  return from && to && from < to ? { from, to } : null;
}

/** The time range of a report. Null if a custom range is not valid. */
export function spanOf(state: Pick<CostsState, 'range' | 'from' | 'to'>, now: Date, timeZone: string): Span | null {
  switch (state.range) {
    case 'today':
      return { from: startOfDay(now, timeZone), to: null };
    case '7d':
      return { from: startOfDay(now, timeZone, -6), to: null };
    case '30d':
      return { from: startOfDay(now, timeZone, -29), to: null };
    case 'month':
      return { from: startOfMonth(now, timeZone), to: null };
    case 'custom':
      return daysSpan(state.from, state.to, timeZone);
  }
}

/** The days that a custom range begins with: those that are shown. */
export function asDays(span: Span | null, now: Date, timeZone: string): { from: string; to: string } {
  const to = span?.to ? new Date(span.to.getTime() - 1) : now;
  return { from: localDate(span?.from ?? now, timeZone), to: localDate(to, timeZone) };
}
