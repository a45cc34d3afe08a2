/** Who gave the command of an event, by its metadata; null if they do not say. */
export function actorOf(metadata: unknown): string | null {
  // JSON that GraphQL cannot represent is sent as a text of it.
  const read: unknown = typeof metadata === 'string' ? parse(metadata) : metadata;
  const actor = typeof read === 'object' && read !== null && 'actor' in read ? read.actor : null;
  return typeof actor === 'string' ? actor : null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

interface Positioned {
  readonly position: string;
}

/** The events before and after a position, of events in their order; `at` is null for now, which is after all of them. */
export function besides<E extends Positioned>(events: readonly E[], at: string | null): { before: E | null; after: E | null } {
  const now = at === null ? null : BigInt(at);
  if (now === null) {
    return { before: events.at(-2) ?? null, after: null };
  }
  // What is shown as of a position is what the last event up to it left.
  const upTo = events.filter(({ position }) => BigInt(position) <= now);
  return { before: upTo.at(-2) ?? null, after: events[upTo.length] ?? null };
}
