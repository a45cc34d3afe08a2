/** Times of fields for a local date and time, in the zone that the reader chose. */
import { localDate, offsetMinutes } from './time';

const MINUTE_MS = 60_000;

/** A time as a field has it, such as `2026-03-01T14:05`. */
export function toLocalInput(at: Date, timeZone: string): string {
  const local = new Date(at.getTime() + offsetMinutes(at, timeZone) * MINUTE_MS);
  return `${localDate(at, timeZone)}T${local.toISOString().slice(11, 16)}`;
}

/** The time that a field has; null if it has none. A local time that clocks skip is the one after the gap. */
export function fromLocalInput(text: string, timeZone: string): Date | null {
  const utc = Date.parse(`${text}Z`);
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(text) || Number.isNaN(utc)) {
    return null;
  }
  // The offset is that of the time itself, which the first guess may miss by the change of an hour.
  const guess = new Date(utc - offsetMinutes(new Date(utc), timeZone) * MINUTE_MS);
  return new Date(utc - offsetMinutes(guess, timeZone) * MINUTE_MS);
}
