/** Which calls are shown, as the URL says it. What the URL does not say, or says wrongly, is any. */
import type { LocationQuery } from 'vue-router';
import type { CallFilter, CallOutcome } from '../graphql/generated/graphql';
import { one } from './url-state';

export const OUTCOMES = ['OK', 'ERROR', 'TIMEOUT', 'CANCELLED', 'REFUSED'] as const satisfies readonly CallOutcome[];
/** Conditions of which the value is a text. */
const TEXTS = ['model', 'provider', 'tool', 'agent', 'task', 'conversation', 'trace'] as const;

export interface CallsState extends Readonly<Record<(typeof TEXTS)[number], string>> {
  readonly outcome: CallOutcome | null;
  /** Times with their zone, or empty. */
  readonly from: string;
  readonly to: string;
  readonly unpriced: boolean;
  /** What the loaded calls are searched for. */
  readonly text: string;
}

function time(text: string | null): string {
  return text !== null && !Number.isNaN(Date.parse(text)) ? text : '';
}

export function readCalls(query: LocationQuery): CallsState {
  const texts = TEXTS.map((name) => [name, one(query, name) ?? ''] as const);
  return {
    ...(Object.fromEntries(texts) as Record<(typeof TEXTS)[number], string>),
    outcome: OUTCOMES.find((outcome) => outcome.toLowerCase() === one(query, 'outcome')) ?? null,
    from: time(one(query, 'from')),
    to: time(one(query, 'to')),
    unpriced: one(query, 'unpriced') === '1',
    text: one(query, 'q') ?? '',
  };
}

export function writeCalls(state: CallsState): Record<string, string> {
  const { outcome, unpriced, text, ...texts } = state;
  const all = { ...texts, outcome: outcome?.toLowerCase() ?? '', unpriced: unpriced ? '1' : '', q: text };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
}

/** The conditions that the server looks for. */
export function callFilter(state: CallsState): CallFilter {
  const given = (text: string): string | null => text || null;
  return {
    model: given(state.model),
    provider: given(state.provider),
    tool: given(state.tool),
    agentId: given(state.agent),
    taskId: given(state.task),
    conversation: given(state.conversation),
    traceId: given(state.trace),
    outcome: state.outcome,
    from: given(state.from),
    to: given(state.to),
    unpriced: state.unpriced,
  };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TRACE = /^[0-9a-f]{32}$/i;

/** The page of what a pasted text is the id of; null if it is no id. */
export function pageOfId(text: string): { name: 'call'; params: { call: string } } | { name: 'trace'; params: { trace: string } } | null {
  const id = text.trim();
  if (UUID.test(id)) {
    return { name: 'call', params: { call: id } };
  }
  return TRACE.test(id) ? { name: 'trace', params: { trace: id.toLowerCase() } } : null;
}
