/** What the pages of tasks show, as their URLs say it. What a URL does not say, or says wrongly, is the default. */
import type { LocationQuery } from 'vue-router';
import type { TaskStatus } from '../graphql/generated/graphql';
import { one } from './url-state';

export const TASK_STATUSES = ['SUBMITTED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const satisfies readonly TaskStatus[];

export interface TasksState {
  readonly status: TaskStatus | null;
  /** Global ids or UUIDs of an agent and of a task graph. */
  readonly agent: string | null;
  readonly dag: string | null;
  readonly text: string;
  /** The cursor of the last task before those that are shown. */
  readonly after: string | null;
}

export const ALL_TASKS: TasksState = { status: null, agent: null, dag: null, text: '', after: null };

/** A global id or a UUID as the API takes both; null if the text can be neither. */
export function readId(text: string | null): string | null {
  const trimmed = text?.trim() ?? '';
  return /^[\w-]{1,200}$/.test(trimmed) ? trimmed : null;
}

export function readTasks(query: LocationQuery): TasksState {
  const given = one(query, 'status');
  return {
    status: TASK_STATUSES.find((status) => status.toLowerCase() === given) ?? null,
    agent: readId(one(query, 'agent')),
    dag: readId(one(query, 'dag')),
    text: one(query, 'q') ?? '',
    after: one(query, 'after') || null,
  };
}

export function writeTasks({ status, agent, dag, text, after }: TasksState): Record<string, string> {
  return {
    ...(status ? { status: status.toLowerCase() } : {}),
    ...(agent ? { agent } : {}),
    ...(dag ? { dag } : {}),
    ...(text ? { q: text } : {}),
    ...(after ? { after } : {}),
  };
}

/** A position of the log as a URL or a field has it; null if the text is none. */
export function readPosition(text: string | null): string | null {
  const digits = (text ?? '').replace(/[\s,]/g, '');
  return /^[1-9]\d{0,18}$/.test(digits) ? digits : null;
}

/** The tasks whose title, agent or id has all words of a text, in any case. */
export function found<T extends { readonly title: string; readonly uuid: string; readonly agent?: { readonly name: string } | null }>(
  tasks: readonly T[],
  text: string,
): T[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return tasks.filter((task) => {
    const searched = [task.title, task.agent?.name, task.uuid].filter(Boolean).join(' ').toLowerCase();
    return words.every((word) => searched.includes(word));
  });
}

/** Parts of a list, each of at most as many items. */
export function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_none, index) => items.slice(index * size, (index + 1) * size));
}
