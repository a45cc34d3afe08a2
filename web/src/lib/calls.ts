/** What the page of calls shows, as its URL says it: the filters and the time of a report of costs, and some of its own. */
import type { LocationQuery } from 'vue-router';
import type { CallFieldsFragment, CallFilter, CallKind, CallOutcome } from '../graphql/generated/graphql';
import { texts } from '../texts';
import type { CostDimension, CostFilter, CostsState, Span } from './url-state';
import { one, readCosts, writeCosts } from './url-state';
import { toIso } from './time';

export interface CallsState extends CostsState {
  readonly kind: CallKind | null;
  readonly task: string | null;
  readonly isUnpriced: boolean;
  readonly text: string;
  /** The cursor that the list goes on after. */
  readonly after: string | null;
}

export const OUTCOMES = ['OK', 'ERROR', 'TIMEOUT', 'CANCELLED', 'REFUSED'] as const satisfies readonly CallOutcome[];
export const KINDS = ['LLM', 'TOOL'] as const satisfies readonly CallKind[];

export function readCalls(query: LocationQuery): CallsState {
  return {
    ...readCosts(query),
    kind: KINDS.find((kind) => kind.toLowerCase() === one(query, 'kind')) ?? null,
    task: one(query, 'task') || null,
    isUnpriced: one(query, 'unpriced') === 'true',
    text: one(query, 'q') ?? '',
    after: one(query, 'after') || null,
  };
}

/** What a report has and a list of calls has not, as it is by default. */
export const NO_GROUPS = { by: ['MODEL'], bucket: null, top: 25, chart: 'line', compare: null } as const;

export function writeCalls(state: CallsState): Record<string, string | string[]> {
  return {
    ...writeCosts({ ...state, ...NO_GROUPS }),
    ...(state.kind ? { kind: state.kind.toLowerCase() } : {}),
    ...(state.task ? { task: state.task } : {}),
    ...(state.isUnpriced ? { unpriced: 'true' } : {}),
    ...(state.text ? { q: state.text } : {}),
    ...(state.after ? { after: state.after } : {}),
  };
}

/** The values that a dimension may have: one of several is enough, as in reports. */
function valuesOf(filters: readonly CostFilter[], dimension: CostDimension): (string | null)[] {
  return filters.filter((filter) => filter.dimension === dimension).map(({ value }) => value);
}

/** The one value that the API can look for; null if it cannot. */
function only(filters: readonly CostFilter[], dimension: CostDimension): string | null {
  const values = valuesOf(filters, dimension);
  return values.length === 1 ? (values[0] ?? null) : null;
}

/** The conditions that the server applies to all calls. */
export function filterOf(state: CallsState, span: Span): CallFilter {
  return {
    kind: state.kind,
    agentId: only(state.filters, 'AGENT'),
    model: only(state.filters, 'MODEL'),
    provider: only(state.filters, 'PROVIDER'),
    tool: only(state.filters, 'TOOL'),
    outcome: OUTCOMES.find((outcome) => outcome === only(state.filters, 'OUTCOME')?.toUpperCase()) ?? null,
    conversation: only(state.filters, 'CONVERSATION'),
    taskId: state.task ?? only(state.filters, 'TASK'),
    from: toIso(span.from),
    to: span.to ? toIso(span.to) : null,
    unpriced: state.isUnpriced,
  };
}

/** The UUID in a global id, which is `Agent:UUID` in unpadded base 64. */
export function uuidOf(globalId: string | null): string | null {
  return globalId === null ? null : (atob(globalId).split(':')[1] ?? null);
}

function valueOf(call: CallFieldsFragment, dimension: CostDimension, tagKey: string): string | null {
  switch (dimension) {
    case 'AGENT':
      return uuidOf(call.agentId ?? null);
    case 'TASK':
      return uuidOf(call.taskId ?? null);
    case 'DAG':
      return uuidOf(call.dagId ?? null);
    case 'CONVERSATION':
      return call.conversation ?? null;
    case 'TAG':
      return call.tags.find(({ key }) => key === tagKey)?.value ?? null;
    case 'OUTCOME':
      return call.outcome ?? null;
    case 'MODEL':
      return call.model ?? null;
    case 'PROVIDER':
      return call.provider ?? null;
    case 'TEAM':
      return call.team ?? null;
    case 'USER':
      return call.user ?? null;
    case 'KEY':
      return call.key ?? null;
    case 'TOOL':
      return call.tool ?? null;
    case 'SOURCE':
      return call.source;
  }
}

function meets(call: CallFieldsFragment, { filters, tagKey }: CallsState): boolean {
  // Outcomes are in lower case in reports.
  return filters.every(({ dimension }) => {
    const value = valueOf(call, dimension, tagKey)?.toLowerCase() ?? null;
    return valuesOf(filters, dimension).some((wanted) => (wanted?.toLowerCase() ?? null) === value);
  });
}

/** The calls among those that were read that meet what the server cannot look for. */
export function narrow(calls: readonly CallFieldsFragment[], state: CallsState, nameOf: (agent: string) => string): CallFieldsFragment[] {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  return calls.filter((call) => {
    const agent = call.agentId ? nameOf(call.agentId) : null;
    const tags = call.tags.map(({ key, value }) => `${key}=${value}`);
    const fields = [call.uuid, call.provider, call.model, call.tool, call.team, call.user, call.key, call.conversation, call.source, call.error];
    const text = [...fields, call.outcome, agent, ...tags].filter(Boolean).join(' ').toLowerCase();
    return meets(call, state) && words.every((word) => text.includes(word));
  });
}

/** Tokens of the prompt with those of the cache, which prompts are thought of with. */
export function tokensIn({ input, cacheRead, cacheWrite5Min, cacheWrite1Hour }: CallFieldsFragment['usage']): number {
  return input + cacheRead + cacheWrite5Min + cacheWrite1Hour;
}

export function outcomeOf(call: Pick<CallFieldsFragment, 'outcome' | 'error'>): string {
  return call.outcome ? texts.outcome[call.outcome] : call.error ? texts.outcome.ERROR : texts.none;
}

/** Calls of tools need no price. */
export function isUnpriced({ kind, cost }: { kind: CallKind; cost?: string | null }): boolean {
  return kind === 'LLM' && (cost ?? null) === null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TRACE = /^[0-9a-f]{32}$/i;

/** The page of what a pasted text is the id of; null if it is no id. */
export function pageOfId(text: string): { name: 'call'; params: { call: string } } | { name: 'trace'; params: { trace: string } } | null {
  const id = text.trim().toLowerCase();
  if (UUID.test(id)) {
    return { name: 'call', params: { call: id } };
  }
  return TRACE.test(id) ? { name: 'trace', params: { trace: id } } : null;
}
