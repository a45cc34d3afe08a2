import { describe, expect, it } from 'vitest';
import { daysOfPeriod, periodKeys, stepOf, weekOf } from '../src/lib/periods';
import { formatPeriod } from '../src/lib/time';

const at = (text: string) => new Date(text);

describe('the periods of a chart', () => {
  it('are as fine as fits', () => {
    const [from, week, year] = [at('2026-01-01T00:00:00Z'), at('2026-01-08T00:00:00Z'), at('2027-01-01T00:00:00Z')];
    expect(stepOf(from, at('2026-01-03T00:00:00Z'), null, 500)).toBe('HOUR');
    expect(stepOf(from, week, null, 500)).toBe('DAY');
    expect(stepOf(from, week, 'HOUR', 500)).toBe('HOUR');
    expect(stepOf(from, week, 'HOUR', 62)).toBe('DAY');
    expect(stepOf(from, year, null, 500)).toBe('DAY');
    expect(stepOf(from, year, null, 62)).toBe('WEEK');
    expect(stepOf(from, at('2029-01-01T00:00:00Z'), null, 62)).toBe('MONTH');
    expect(stepOf(at('1970-01-01T00:00:00Z'), year, 'HOUR', 62)).toBe('MONTH');
  });

  it('are named as reports name them', () => {
    const [from, to] = [at('2025-12-27T23:00:00Z'), at('2026-01-12T23:00:00Z')];
    expect(periodKeys('WEEK', from, to, 'Europe/Berlin')).toEqual(['2025-W52', '2026-W01', '2026-W02', '2026-W03']);
    expect(periodKeys('MONTH', from, to, 'Europe/Berlin')).toEqual(['2025-12', '2026-01']);
    expect(periodKeys('DAY', from, to, 'Europe/Berlin')).toHaveLength(16);
    expect(periodKeys('HOUR', from, at('2025-12-28T01:00:00Z'), 'Europe/Berlin')).toEqual(['2025-12-28T00:00+01:00', '2025-12-28T01:00+01:00']);
  });

  it('are weeks of ISO 8601', () => {
    const weeks = { '2021-01-03': '2020-W53', '2021-01-04': '2021-W01', '2024-12-30': '2025-W01', '2023-11-14': '2023-W46', '2027-01-01': '2026-W53' };
    for (const [date, week] of Object.entries(weeks)) {
      expect(weekOf(date)).toBe(week);
    }
  });

  it('have a first and a last day', () => {
    expect(daysOfPeriod('2020-W53')).toEqual({ from: '2020-12-28', to: '2021-01-03' });
    expect(daysOfPeriod('2025-W01')).toEqual({ from: '2024-12-30', to: '2025-01-05' });
    expect(daysOfPeriod('2021-W01')).toEqual({ from: '2021-01-04', to: '2021-01-10' });
    expect(daysOfPeriod('2024-02')).toEqual({ from: '2024-02-01', to: '2024-02-29' });
    expect(daysOfPeriod('2024-12')).toEqual({ from: '2024-12-01', to: '2024-12-31' });
    expect(daysOfPeriod('2024-02-29')).toEqual({ from: '2024-02-29', to: '2024-02-29' });
    expect(daysOfPeriod('2026-03-01T10:00+01:00')).toEqual({ from: '2026-03-01', to: '2026-03-01' });
    expect(daysOfPeriod('')).toBeNull();
  });

  it('have labels', () => {
    expect([formatPeriod('2026-W10'), formatPeriod('2026-03'), formatPeriod('2026-03-01')]).toEqual(['2026-W10', '2026-03', '1 Mar']);
  });
});
