import { describe, expect, it } from 'vitest';
import { chartPoints } from '../src/lib/chart';

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
