/** Who caused an event, as its metadata says; null if it does not. */
export function actorOf(metadata: unknown): string | null {
  const actor = typeof metadata === 'object' && metadata !== null && 'actor' in metadata ? metadata.actor : null;
  return typeof actor === 'string' ? actor : null;
}
