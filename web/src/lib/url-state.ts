/** What a page shows, as its URL says it. What the URL does not say, or says wrongly, is the default. */
import type { LocationQuery } from 'vue-router';
import type { AgentStatus, Dimension } from '../graphql/generated/graphql';
import { dateToInstant, localDate, startOfDay, startOfMonth } from './time';

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

/** The dimensions that sums are kept by, so that any time range is answered. */
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
] as const satisfies readonly Dimension[];
export type CostDimension = (typeof DIMENSIONS)[number];

export const RANGES = ['today', '7d', '30d', 'month', 'custom'] as const;
export type Range = (typeof RANGES)[number];

/** A condition: calls with this value, or without any. */
export interface CostFilter {
  readonly dimension: CostDimension;
  readonly value: string | null;
}

export interface CostsState {
  readonly by: CostDimension;
  readonly range: Range;
  /** The first and the last day of a custom range, such as `2026-03-01`. */
  readonly from: string;
  readonly to: string;
  readonly filters: readonly CostFilter[];
}

/** The API takes at most as many conditions. */
export const MAX_FILTERS = 50;

function dimension(name: string | null | undefined): CostDimension | null {
  return DIMENSIONS.find((known) => known.toLowerCase() === name) ?? null;
}

function readFilter(text: string): CostFilter | null {
  const at = text.indexOf(':');
  const found = dimension(at < 0 ? text : text.slice(0, at));
  // `model:` is the value that is empty, and `model` no value.
  return found ? { dimension: found, value: at < 0 ? null : text.slice(at + 1) } : null;
}

export function readCosts(query: LocationQuery): CostsState {
  const range = RANGES.find((known) => known === one(query, 'range')) ?? '7d';
  const filters = all(query, 'filter')
    .map(readFilter)
    .filter((filter): filter is CostFilter => filter !== null)
    .slice(0, MAX_FILTERS);
  return {
    by: dimension(one(query, 'by')) ?? 'MODEL',
    range,
    from: one(query, 'from') ?? '',
    to: one(query, 'to') ?? '',
    filters,
  };
}

export function writeCosts(state: CostsState): Record<string, string | string[]> {
  const filter = state.filters.map(({ dimension: name, value }) =>
    value === null ? name.toLowerCase() : `${name.toLowerCase()}:${value}`,
  );
  return {
    ...(state.by === 'MODEL' ? {} : { by: state.by.toLowerCase() }),
    ...(state.range === '7d' ? {} : { range: state.range }),
    ...(state.range === 'custom' ? { from: state.from, to: state.to } : {}),
    ...(filter.length > 0 ? { filter } : {}),
  };
}

/** The time range of a report, and by what its chart is. Null if a custom range is not valid. */
export interface Span {
  readonly from: Date;
  readonly to: Date | null;
  readonly step: 'HOUR' | 'DAY';
}

const TWO_DAYS_MS = 2 * 86_400_000;

export function spanOf(state: CostsState, now: Date, timeZone: string): Span | null {
  switch (state.range) {
    case 'today':
      return { from: startOfDay(now, timeZone), to: null, step: 'HOUR' };
    case '7d':
      return { from: startOfDay(now, timeZone, -6), to: null, step: 'DAY' };
    case '30d':
      return { from: startOfDay(now, timeZone, -29), to: null, step: 'DAY' };
    case 'month':
      return { from: startOfMonth(now, timeZone), to: null, step: 'DAY' };
    case 'custom': {
      const from = dateToInstant(state.from, timeZone);
      // The last day is included.
      const to = dateToInstant(state.to, timeZone, 1);
      if (!from || !to || from >= to) {
        return null;
      }
      return { from, to, step: to.getTime() - from.getTime() <= TWO_DAYS_MS ? 'HOUR' : 'DAY' };
    }
  }
}

/** The days that a custom range begins with: those that are shown. */
export function asDays(span: Span | null, now: Date, timeZone: string): { from: string; to: string } {
  const to = span?.to ? new Date(span.to.getTime() - 1) : now;
  return { from: localDate(span?.from ?? now, timeZone), to: localDate(to, timeZone) };
}
