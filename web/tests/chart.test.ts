import { describe, expect, it } from 'vitest';
import { chartPoints, reduceToColumns } from '../src/lib/chart';

describe('the points of a chart', () => {
  const row = (value: string, cost: string | null) => ({ keys: [{ value }], totals: { cost, calls: 2, toolCalls: 1 } });

  it('are those of all periods, also of those without calls', () => {
    const points = chartPoints([row('b', '1.5'), row('d', null)], ['a', 'b', 'c', 'd']);
    expect(points).toEqual([
      { period: 'a', cost: '0', calls: 0 },
      { period: 'b', cost: '1.5', calls: 3 },
      { period: 'c', cost: '0', calls: 0 },
      { period: 'd', cost: null, calls: 3 },
    ]);
  });

  it('leave no row out', () => {
    expect(chartPoints([row('b', '1'), row('x', '2')], ['a', 'b']).map(({ period }) => period)).toEqual(['a', 'b', 'x']);
    expect(chartPoints([row('b', '1')], []).map(({ period }) => period)).toEqual(['b']);
    expect(chartPoints([], ['a'])).toEqual([]);
  });
});

describe('a chart of more values than columns of pixels', () => {
  const values = Array.from({ length: 100_000 }, (_unused, index) => Math.sin(index / 700) * 10 + (index % 13));

  it('has at most two of a column, in their order, with the extremes of each', () => {
    const columns = 640;
    const { xs, ys } = reduceToColumns(values, columns);
    expect(xs.length).toBeLessThanOrEqual(2 * columns);
    expect(xs).toEqual([...new Set(xs)].sort((a, b) => a - b));
    expect(ys).toEqual(xs.map((x) => values[x]));
    for (let column = 0; column < columns; column += 1) {
      const [start, end] = [Math.floor((column * values.length) / columns), Math.floor(((column + 1) * values.length) / columns)];
      const kept = ys.filter((_y, index) => (xs[index] ?? 0) >= start && (xs[index] ?? 0) < end);
      const part = values.slice(start, end);
      expect([Math.min(...(kept as number[])), Math.max(...(kept as number[]))]).toEqual([Math.min(...part), Math.max(...part)]);
    }
  });

  it('keeps a single peak, and gaps', () => {
    const flat: (number | null)[] = Array.from({ length: 100_000 }, () => 1);
    flat[54_321] = 99;
    flat.fill(null, 0, 50_000);
    const { xs, ys } = reduceToColumns(flat, 100);
    expect(xs).toContain(54_321);
    expect(ys.filter((y) => y === null)).toHaveLength(50);
    expect(Math.max(...ys.map((y) => y ?? 0))).toBe(99);
  });

  it('is all of them where they are few', () => {
    expect(reduceToColumns([3, null, 1], 2)).toEqual({ xs: [0, 1, 2], ys: [3, null, 1] });
    expect(reduceToColumns([], 5)).toEqual({ xs: [], ys: [] });
    expect(reduceToColumns([1], 0)).toEqual({ xs: [0], ys: [1] });
  });
});
