/** Times in the zone of the reader. Zones are IANA names, times are instants; nothing here knows the zone of the machine. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const QUARTER_MS = 15 * MINUTE_MS;

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const id = `${key}/${options.timeZone ?? ''}`;
  let found = formats.get(id);
  if (!found) {
    found = new Intl.DateTimeFormat('en-GB', options);
    formats.set(id, found);
  }
  return found;
}

/** Whether the browser knows a zone. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone: name });
    return name !== '';
  } catch {
    return false;
  }
}

/** The zones to choose from: those that the browser knows, UTC first. */
export function timeZones(): string[] {
  return ['UTC', ...Intl.supportedValuesOf('timeZone').filter((name) => name !== 'UTC')];
}

function partsOf(at: Date, timeZone: string): Parts {
  const fields = format('parts', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(at);
  const number = (type: Intl.DateTimeFormatPartTypes) =>
    Number(fields.find((field) => field.type === type)?.value ?? '0');
  return {
    year: number('year'),
    month: number('month'),
    day: number('day'),
    hour: number('hour'),
    minute: number('minute'),
    second: number('second'),
  };
}

/** How far the clocks of a zone are ahead of UTC at a time, in minutes. */
export function offsetMinutes(at: Date, timeZone: string): number {
  const { year, month, day, hour, minute, second } = partsOf(at, timeZone);
  const local = Date.UTC(year, month - 1, day, hour, minute, second);
  return Math.round((local - Math.floor(at.getTime() / 1000) * 1000) / MINUTE_MS);
}

/**
 * The first instant of a local day. Months and days outside their ranges are carried over, as in `Date.UTC`. Where clocks skip
 * midnight, it is the first instant after it.
 */
export function startOfLocalDay(year: number, month: number, day: number, timeZone: string): Date {
  const utc = Date.UTC(year, month - 1, day);
  // The offsets around it: with the one that holds there, the local time is midnight or, if that is skipped, later.
  const candidates = [utc - 12 * HOUR_MS, utc, utc + 14 * HOUR_MS]
    .map((near) => utc - offsetMinutes(new Date(near), timeZone) * MINUTE_MS)
    .sort((a, b) => a - b);
  const wanted = new Date(utc);
  const isThatDay = (at: number) => {
    const parts = partsOf(new Date(at), timeZone);
    return parts.day === wanted.getUTCDate() && parts.month === wanted.getUTCMonth() + 1;
  };
  const first = candidates.find(isThatDay) ?? candidates[candidates.length - 1] ?? utc;
  return new Date(first);
}

/** The start of the day that a time belongs to, or of one some days before or after it. */
export function startOfDay(at: Date, timeZone: string, days = 0): Date {
  const { year, month, day } = partsOf(at, timeZone);
  return startOfLocalDay(year, month, day + days, timeZone);
}

/** The start of the month that a time belongs to. */
export function startOfMonth(at: Date, timeZone: string): Date {
  const { year, month } = partsOf(at, timeZone);
  return startOfLocalDay(year, month, 1, timeZone);
}

/** The start of the quarter of an hour that a time belongs to. */
export function startOfQuarter(at: Date): Date {
  return new Date(Math.floor(at.getTime() / QUARTER_MS) * QUARTER_MS);
}

/** An instant as the API takes it. */
export function toIso(at: Date): string {
  return at.toISOString();
}

/** The local date of a time, such as `2026-03-01`. */
export function localDate(at: Date, timeZone: string): string {
  const { year, month, day } = partsOf(at, timeZone);
  return `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`;
}

/** The first instant of a date such as `2026-03-01`; null if it is none. */
export function dateToInstant(date: string, timeZone: string, days = 0): Date | null {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(date);
  if (!parts) {
    return null;
  }
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const checked = new Date(Date.UTC(year, month - 1, day));
  if (checked.getUTCMonth() !== month - 1 || checked.getUTCDate() !== day) {
    return null;
  }
  return startOfLocalDay(year, month, day + days, timeZone);
}

/** The instant of a local date and time such as `2026-03-01T14:05`; null if it is none. Of two such instants, one is taken. */
export function localToInstant(text: string, timeZone: string): Date | null {
  const utc = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/.test(text) ? Date.parse(`${text}Z`) : NaN;
  if (Number.isNaN(utc)) {
    return null;
  }
  const near = utc - offsetMinutes(new Date(utc), timeZone) * MINUTE_MS;
  return new Date(utc - offsetMinutes(new Date(near), timeZone) * MINUTE_MS);
}

/** A time in a zone, such as `1 Mar 2026, 14:05:09`. */
export function formatTime(at: Date, timeZone: string): string {
  return format('time', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).format(at);
}

/** A time in UTC, such as `1 Mar 2026, 13:05:09 UTC`. */
export function formatUtc(at: Date): string {
  return `${formatTime(at, 'UTC')} UTC`;
}

/** A chart has at most as many periods. */
const MAX_PERIODS = 500;

/** The days between two times, as reports name them; none if there are more than a chart has. */
export function dayKeys(from: Date, to: Date, timeZone: string): string[] {
  const keys: string[] = [];
  for (let day = 0; keys.length <= MAX_PERIODS; day += 1) {
    const start = startOfDay(from, timeZone, day);
    if (start >= to) {
      return keys;
    }
    keys.push(localDate(start, timeZone));
  }
  return [];
}

/** The hour that a time belongs to, as reports name it: `2026-03-01T10:00+01:00`, or `2026-03-01T10:00Z`. */
export function hourKey(at: Date, timeZone: string): string {
  const offset = offsetMinutes(at, timeZone);
  const two = (value: number) => String(value).padStart(2, '0');
  const sign = offset < 0 ? '-' : '+';
  const zone = offset === 0 ? 'Z' : `${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${localDate(at, timeZone)}T${two(partsOf(at, timeZone).hour)}:00${zone}`;
}

/** The hours between two times, as reports name them; none if there are more than a chart has. */
export function hourKeys(from: Date, to: Date, timeZone: string): string[] {
  const keys = new Set<string>();
  // Hours of some zones begin at a quarter of an hour of UTC.
  for (let at = from.getTime(); at < to.getTime(); at += QUARTER_MS) {
    keys.add(hourKey(new Date(at), timeZone));
    if (keys.size > MAX_PERIODS) {
      return [];
    }
  }
  return [...keys];
}

/** The label of a period as reports name it: `2026-03-01` or `2026-03-01T10:00+01:00`. Weeks and months are their own. */
export function formatPeriod(value: string): string {
  const hour = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})/.exec(value);
  if (/^\d{4}-\d{2}$/.test(value)) {
    return value;
  }
  const date = new Date(`${hour?.[1] ?? value}T00:00:00Z`);
  if (Number.isNaN(date.getTime())) {
    return value;
  }
  const day = format('day', { timeZone: 'UTC', month: 'short', day: 'numeric' }).format(date);
  return hour ? `${day}, ${hour[2] ?? ''}` : day;
}

/** A span in words: `12 s`, `3 min`, `5 h`, `2 d`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)} min`;
  }
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
