import { describe, expect, it } from 'vitest';
import { formatUs, traceRows } from '../src/lib/trace';

const START = '2026-03-10T10:00:00.000000Z';
const span = (spanId: string, depth: number, afterUs: number, durationUs: number) => ({
  spanId,
  depth,
  startedAt: `2026-03-10T10:00:00.${String(afterUs).padStart(6, '0')}Z`,
  durationUs,
});
const spans = [span('a', 0, 0, 1000), span('b', 1, 100, 500), span('c', 2, 200, 1), span('d', 1, 700, 300), span('e', 0, 999, 1)];

describe('the tree of a trace', () => {
  it('places each bar by its time, to the microsecond', () => {
    const rows = traceRows(spans, new Set(), START, 1000);
    expect(rows.map(({ span: { spanId }, bar }) => [spanId, bar?.start, bar?.length])).toEqual([
      ['a', 0, 1000],
      ['b', 100, 500],
      ['c', 200, 2],
      ['d', 700, 300],
      ['e', 998, 2],
    ]);
    expect(rows.map(({ hasChildren }) => hasChildren)).toEqual([true, true, false, false, false]);
  });

  it('hides what is within a closed span, however deep, and nothing else', () => {
    const shown = (...closed: string[]) => traceRows(spans, new Set(closed), START, 1000).map((row) => row.span.spanId).join('');
    expect(shown('b')).toBe('abde');
    expect(shown('a')).toBe('ae');
    expect(shown('a', 'b')).toBe('ae');
    expect(shown('e')).toBe('abcde');
  });

  it('has no bar of a span without a time, and a bar in a trace without a duration', () => {
    const rows = traceRows([{ spanId: 'a', depth: 0 }, span('b', 0, 0, 0)], new Set(), START, 0);
    expect(rows.map(({ bar, afterUs }) => [bar, afterUs])).toEqual([
      [null, null],
      [{ start: 0, length: 2 }, 0],
    ]);
  });

  it('writes durations', () => {
    expect([7, 1500, 12_345, 1_234_567, 61_000_000].map(formatUs)).toEqual(['7 µs', '1.5 ms', '12 ms', '1.23 s', '61.0 s']);
  });
});
