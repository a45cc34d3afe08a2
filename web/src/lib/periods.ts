/** The periods of time of reports, as their keys name them. */
import { dayKeys, hourKeys, localDate, startOfDay } from './time';
import type { Bucket } from './url-state';

const DAY_MS = 86_400_000;
/** The longest time that is charted by hours where no period was chosen. */
const MAX_HOURLY_MS = 2 * DAY_MS;
/** At least as long as a period of each kind may be short of: enough to know that there are not too many. */
const SHORTEST_MS: Readonly<Record<Bucket, number>> = { HOUR: DAY_MS / 24, DAY: DAY_MS, WEEK: 7 * DAY_MS, MONTH: 28 * DAY_MS };
const COARSER: Readonly<Record<Bucket, Bucket>> = { HOUR: 'DAY', DAY: 'WEEK', WEEK: 'MONTH', MONTH: 'MONTH' };

/** The finest period that a time is charted by: the one that was chosen, or a coarser one if there would be more than `most`. */
export function stepOf(from: Date, to: Date, chosen: Bucket | null, most: number): Bucket {
  const lengthMs = to.getTime() - from.getTime();
  let step = chosen ?? (lengthMs <= MAX_HOURLY_MS ? 'HOUR' : 'DAY');
  // One more than the time is long of begins or ends within it, and a day of 23 hours is one more too.
  while (step !== 'MONTH' && lengthMs / SHORTEST_MS[step] + 2 > most) {
    step = COARSER[step];
  }
  return step;
}

function utcDay(date: string): Date {
  return new Date(`${date}T00:00:00Z`);
}

function isoDate(day: Date): string {
  return day.toISOString().slice(0, 10);
}

function plusDays(date: string, days: number): string {
  return isoDate(new Date(utcDay(date).getTime() + days * DAY_MS));
}

/** The week of ISO 8601 that a date belongs to, such as `2023-W46`: the year is that of its Thursday. */
export function weekOf(date: string): string {
  const day = utcDay(date);
  const thursday = new Date(day.getTime() + (3 - ((day.getUTCDay() + 6) % 7)) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}

/** The weeks or months between two times, by their first days. */
function datesBetween(from: Date, to: Date, timeZone: string, next: (date: string) => string): string[] {
  const last = localDate(new Date(to.getTime() - 1), timeZone);
  const dates: string[] = [];
  for (let date = localDate(startOfDay(from, timeZone), timeZone); date <= last; date = next(date)) {
    dates.push(date);
  }
  return dates;
}

function firstOfNextMonth(date: string): string {
  const day = utcDay(date);
  return isoDate(new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 1)));
}

function nextMonday(date: string): string {
  return plusDays(date, 7 - ((utcDay(date).getUTCDay() + 6) % 7));
}

/** The keys of the periods between two times; none if there are more than a chart has. */
export function periodKeys(step: Bucket, from: Date, to: Date, timeZone: string): string[] {
  switch (step) {
    case 'HOUR':
      return hourKeys(from, to, timeZone);
    case 'DAY':
      return dayKeys(from, to, timeZone);
    case 'WEEK':
      return datesBetween(from, to, timeZone, nextMonday).map(weekOf);
    case 'MONTH':
      return datesBetween(from, to, timeZone, firstOfNextMonth).map((date) => date.slice(0, 7));
  }
}

/** The first and the last day of a period, by its key; of an hour, those of its day. Null if the key names none. */
export function daysOfPeriod(key: string): { from: string; to: string } | null {
  const week = /^(\d{4})-W(\d{2})$/.exec(key);
  if (week) {
    // The 4th of January is in the first week.
    const monday = plusDays(nextMonday(`${week[1] ?? ''}-01-04`), (Number(week[2]) - 2) * 7);
    return { from: monday, to: plusDays(monday, 6) };
  }
  if (/^\d{4}-\d{2}$/.test(key)) {
    return { from: `${key}-01`, to: plusDays(firstOfNextMonth(`${key}-01`), -1) };
  }
  const day = /^\d{4}-\d{2}-\d{2}/.exec(key)?.[0];
  return day ? { from: day, to: day } : null;
}
