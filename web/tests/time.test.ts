import { describe, expect, it } from 'vitest';
import {
  dateToInstant,
  dayKeys,
  formatPeriod,
  formatSpan,
  formatTime,
  formatUtc,
  hourKey,
  hourKeys,
  isTimeZone,
  localDate,
  offsetMinutes,
  startOfDay,
  startOfMonth,
  startOfQuarter,
  toIso,
} from '../src/lib/time';

const at = (text: string) => new Date(text);

describe('time zones', () => {
  it('have the offset that holds at a time', () => {
    expect(offsetMinutes(at('2026-01-15T12:00:00Z'), 'Europe/Berlin')).toBe(60);
    expect(offsetMinutes(at('2026-07-15T12:00:00.500Z'), 'Europe/Berlin')).toBe(120);
    expect(offsetMinutes(at('2026-07-15T12:00:00Z'), 'Asia/Kathmandu')).toBe(345);
    expect(offsetMinutes(at('2026-07-15T12:00:00Z'), 'America/St_Johns')).toBe(-150);
    expect(offsetMinutes(at('2026-07-15T12:00:00Z'), 'UTC')).toBe(0);
  });

  it('have days that begin at local midnight', () => {
    expect(toIso(startOfDay(at('2026-03-01T23:30:00Z'), 'Europe/Berlin'))).toBe('2026-03-01T23:00:00.000Z');
    expect(toIso(startOfDay(at('2026-03-01T02:00:00Z'), 'America/Los_Angeles'))).toBe('2026-02-28T08:00:00.000Z');
    expect(toIso(startOfDay(at('2026-03-01T12:00:00Z'), 'Asia/Kathmandu'))).toBe('2026-02-28T18:15:00.000Z');
    expect(toIso(startOfDay(at('2026-03-01T12:00:00Z'), 'Pacific/Kiritimati'))).toBe('2026-03-01T10:00:00.000Z');
    expect(toIso(startOfDay(at('2026-03-01T05:00:00Z'), 'Pacific/Niue'))).toBe('2026-02-28T11:00:00.000Z');
  });

  it('have days of 23 and 25 hours where clocks change', () => {
    // The day itself, and the one after it, in spring and in autumn.
    expect(toIso(startOfDay(at('2026-03-29T12:00:00Z'), 'Europe/Berlin'))).toBe('2026-03-28T23:00:00.000Z');
    expect(toIso(startOfDay(at('2026-03-29T12:00:00Z'), 'Europe/Berlin', 1))).toBe('2026-03-29T22:00:00.000Z');
    expect(toIso(startOfDay(at('2026-10-25T12:00:00Z'), 'Europe/Berlin'))).toBe('2026-10-24T22:00:00.000Z');
    expect(toIso(startOfDay(at('2026-10-25T12:00:00Z'), 'Europe/Berlin', 1))).toBe('2026-10-25T23:00:00.000Z');
  });

  it('begin a day later where midnight is skipped, and at the first midnight where there are two', () => {
    // In Santiago, clocks went from 23:59:59 to 1:00 on 8 September 2024.
    expect(toIso(startOfDay(at('2024-09-08T15:00:00Z'), 'America/Santiago'))).toBe('2024-09-08T04:00:00.000Z');
    // In Havana, clocks went from 1:00 back to midnight on 3 November 2024.
    expect(toIso(startOfDay(at('2024-11-03T15:00:00Z'), 'America/Havana'))).toBe('2024-11-03T04:00:00.000Z');
  });

  it('have months, and days before and after one', () => {
    expect(toIso(startOfMonth(at('2026-12-31T23:30:00Z'), 'Europe/Berlin'))).toBe('2026-12-31T23:00:00.000Z');
    expect(toIso(startOfDay(at('2026-03-01T12:00:00Z'), 'UTC', -1))).toBe('2026-02-28T00:00:00.000Z');
    expect(localDate(at('2026-03-01T23:30:00Z'), 'Europe/Berlin')).toBe('2026-03-02');
  });

  it('are known by name', () => {
    expect(isTimeZone('Europe/Berlin')).toBe(true);
    expect(isTimeZone('Europe/Nowhere')).toBe(false);
    expect(isTimeZone('')).toBe(false);
  });

  it('show a time in the zone and in UTC', () => {
    expect(formatTime(at('2026-03-01T13:05:09Z'), 'Europe/Berlin')).toBe('1 Mar 2026, 14:05:09');
    expect(formatUtc(at('2026-03-01T13:05:09Z'))).toBe('1 Mar 2026, 13:05:09 UTC');
    expect(formatTime(at('2026-03-01T00:00:00Z'), 'UTC')).toBe('1 Mar 2026, 00:00:00');
  });

  it('read dates, and refuse what is none', () => {
    expect(toIso(dateToInstant('2026-03-01', 'Europe/Berlin') ?? at('1970-01-01'))).toBe('2026-02-28T23:00:00.000Z');
    for (const text of ['2026-02-30', '2026-13-01', '1 March', '']) {
      expect(dateToInstant(text, 'UTC'), text).toBeNull();
    }
  });

  it('have periods as reports name them', () => {
    expect(hourKey(at('2026-03-01T09:59:00Z'), 'Europe/Berlin')).toBe('2026-03-01T10:00+01:00');
    expect(hourKey(at('2026-03-01T09:59:00Z'), 'UTC')).toBe('2026-03-01T09:00Z');
    expect(hourKey(at('2026-03-01T09:10:00Z'), 'America/St_Johns')).toBe('2026-03-01T05:00-03:30');
    // The two hours that clocks call the same are two.
    const autumn = hourKeys(at('2026-10-24T23:00:00Z'), at('2026-10-25T02:00:00Z'), 'Europe/Berlin');
    expect(autumn).toEqual(['2026-10-25T01:00+02:00', '2026-10-25T02:00+02:00', '2026-10-25T02:00+01:00']);
    expect(dayKeys(at('2026-02-27T23:00:00Z'), at('2026-03-02T10:00:00Z'), 'Europe/Berlin')).toEqual(['2026-02-28', '2026-03-01', '2026-03-02']);
    expect(dayKeys(at('2020-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'), 'UTC')).toEqual([]);
  });

  it('have quarters of an hour, periods of reports and spans', () => {
    expect(toIso(startOfQuarter(at('2026-03-01T13:29:59.999Z')))).toBe('2026-03-01T13:15:00.000Z');
    expect(formatPeriod('2026-03-01')).toBe('1 Mar');
    expect(formatPeriod('2026-03-01T10:00+01:00')).toBe('1 Mar, 10:00');
    expect(formatPeriod('2026-W10')).toBe('2026-W10');
    expect([999, 61_000, 7_200_000, 200_000_000].map(formatSpan)).toEqual(['1 s', '1 min', '2 h', '2 d']);
  });
});
