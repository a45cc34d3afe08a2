/** What the page of the log shows, as its URL says it. */
import type { LocationQuery } from 'vue-router';
import type { EventFilter } from '../graphql/generated/graphql';
import { one } from './url-state';

/** An aggregate: the category and the id of its stream. */
export interface ObjectKey {
  readonly category: string;
  readonly id: string;
}

export interface AuditState {
  readonly category: string;
  readonly types: readonly string[];
  readonly stream: string;
  /** A part of the name of the actor. */
  readonly actor: string;
  /** The id of an event, a command, a correlation or a cause. */
  readonly related: string;
  /** The position from which on events are listed, the newest first; null is the end of the log. */
  readonly at: string | null;
  /** Whether new events are shown as they are appended; null is the default. */
  readonly follows: boolean | null;
  /** The position of the event that is shown. */
  readonly event: string | null;
  /** The object whose history is shown, as of a position, compared with it as of another one. */
  readonly object: ObjectKey | null;
  readonly asOf: string | null;
  readonly compare: string | null;
}

/** Every event, from the end of the log back: what links start from that select others. */
export const EVERYTHING = { category: '', types: [], stream: '', actor: '', related: '', at: null, follows: null } as const satisfies Partial<AuditState>;

/** The text of a position as the API takes it; null if it is none. */
export function toPosition(text: string | null): string | null {
  const digits = text?.trim().replaceAll(/[,\s]/g, '') ?? '';
  return /^\d{1,18}$/.test(digits) ? String(BigInt(digits)) : null;
}

/** The position that is some events away from another one, and not below 0. */
export function moved(position: string, by: bigint): string {
  const at = BigInt(position) + by;
  return String(at < 0n ? 0n : at);
}

/** The names in a list that is separated by commas or spaces. */
export function toTypes(text: string): string[] {
  return [...new Set(text.split(/[,\s]+/).filter(Boolean))];
}

function readObject(text: string | null): ObjectKey | null {
  const [category = '', id = ''] = text?.split('/') ?? [];
  return category !== '' && id !== '' ? { category, id } : null;
}

export function readAudit(query: LocationQuery): AuditState {
  const text = (name: string) => one(query, name)?.trim() ?? '';
  const tail = one(query, 'tail');
  return {
    category: text('category'),
    types: toTypes(text('types')),
    stream: text('stream'),
    actor: text('actor'),
    related: text('related').toLowerCase(),
    at: toPosition(one(query, 'at')),
    follows: tail === 'on' ? true : tail === 'off' ? false : null,
    event: toPosition(one(query, 'event')),
    object: readObject(one(query, 'object')),
    asOf: toPosition(one(query, 'as_of')),
    compare: toPosition(one(query, 'compare')),
  };
}

export function writeAudit(state: AuditState): Record<string, string> {
  const entries: [string, string | null][] = [
    ['category', state.category],
    ['types', state.types.join(',')],
    ['stream', state.stream],
    ['actor', state.actor],
    ['related', state.related],
    ['at', state.at],
    ['tail', state.follows === null ? null : state.follows ? 'on' : 'off'],
    ['event', state.event],
    ['object', state.object ? `${state.object.category}/${state.object.id}` : null],
    ['as_of', state.object ? state.asOf : null],
    ['compare', state.object ? state.compare : null],
  ];
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null && entry[1] !== ''));
}

/** Whether new events are shown: unless the reader says otherwise, only where the list begins at the end of the log. */
export function isFollowing({ follows, at }: AuditState): boolean {
  return follows ?? at === null;
}

/** What the server selects events by; null if it is everything. */
export function eventFilter({ category, types, stream }: AuditState): EventFilter | null {
  const filter: EventFilter = {
    ...(category === '' ? {} : { category }),
    ...(types.length === 0 ? {} : { types: [...types] }),
    ...(stream === '' ? {} : { streamId: stream }),
  };
  return Object.keys(filter).length === 0 ? null : filter;
}
