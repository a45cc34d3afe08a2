/** Events of the log as the table has them, and what the page selects them by, because the API does not. */
import type { LogEventFragment } from '../graphql/generated/graphql';

export interface LogRow {
  readonly position: string;
  readonly recordedAt: string;
  readonly type: string;
  readonly category: string;
  readonly streamId: string;
  readonly actor: string;
}

export interface Metadata {
  readonly actor: string;
  readonly command: string | null;
  readonly correlation: string | null;
  readonly causation: string | null;
  /** The id of the trace, from the trace context of the command. */
  readonly trace: string | null;
}

export function metadataOf(text: string): Metadata {
  const parsed: unknown = JSON.parse(text);
  const fields = (typeof parsed === 'object' ? parsed : null) as Record<string, unknown> | null;
  const field = (name: string) => (typeof fields?.[name] === 'string' ? fields[name] : null);
  return {
    actor: field('actor') ?? '',
    command: field('command_id'),
    correlation: field('correlation_id'),
    causation: field('causation_id'),
    trace: field('traceparent')?.split('-')[1] ?? null,
  };
}

export interface Condition {
  readonly actor: string;
  readonly related: string;
}

/** Whether the page selects events itself. */
export function isNarrowed({ actor, related }: Condition): boolean {
  return actor !== '' || related !== '';
}

/** The rows of the events that meet the conditions, in their order. */
export function rowsOf(events: readonly LogEventFragment[], { actor, related }: Condition): LogRow[] {
  const wanted = actor.toLowerCase();
  return events.flatMap((event) => {
    const metadata = metadataOf(event.metadataText);
    const ids = [event.eventId, metadata.command, metadata.correlation, metadata.causation];
    if ((related !== '' && !ids.includes(related)) || !metadata.actor.toLowerCase().includes(wanted)) {
      return [];
    }
    const { position, recordedAt, type, category, streamId } = event;
    return [{ position, recordedAt, type, category, streamId, actor: metadata.actor }];
  });
}
