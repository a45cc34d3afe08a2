/** The points of a chart over time. */

export interface ChartPoint {
  /** The period as reports name it. */
  readonly period: string;
  readonly cost: string | null;
  readonly calls: number;
}

interface Row {
  readonly keys: readonly { readonly value?: string | null }[];
  readonly totals: { readonly cost?: string | null; readonly calls: number; readonly toolCalls: number };
}

/**
 * The rows of a report by time, with those of periods in which nothing was called, which reports leave out. There are no points
 * without a row.
 */
export function chartPoints(rows: readonly Row[], periods: readonly string[]): ChartPoint[] {
  const found = new Map(
    rows.map(({ keys, totals }) => {
      const period = keys[0]?.value ?? '';
      return [period, { period, cost: totals.cost ?? null, calls: totals.calls + totals.toolCalls }];
    }),
  );
  if (found.size === 0) {
    return [];
  }
  const filled = periods.map((period) => found.get(period) ?? { period, cost: '0', calls: 0 });
  // A row of a period that is not expected is shown too: nothing is left out of a sum.
  const known = new Set(periods);
  const others = [...found.values()].filter(({ period }) => !known.has(period));
  return others.length === 0 ? filled : [...filled, ...others].sort((a, b) => (a.period < b.period ? -1 : 1));
}

export interface Reduced {
  /** The indices of the values that are drawn, in their order. */
  readonly xs: number[];
  readonly ys: (number | null)[];
}

/**
 * The values that make a difference in a chart of a number of columns of pixels: of each column the lowest and the highest one. All
 * of them if there are not more than that. A column without any value is a gap.
 */
export function reduceToColumns(values: readonly (number | null)[], columns: number): Reduced {
  if (columns < 1 || values.length <= 2 * columns) {
    return { xs: values.map((_value, index) => index), ys: [...values] };
  }
  const reduced: Reduced = { xs: [], ys: [] };
  for (let column = 0; column < columns; column += 1) {
    const start = Math.floor((column * values.length) / columns);
    const end = Math.floor(((column + 1) * values.length) / columns);
    for (const index of extremes(values, start, end)) {
      reduced.xs.push(index);
      reduced.ys.push(values[index] ?? null);
    }
  }
  return reduced;
}

/** Where the lowest and the highest value of a part are, in the order of the values. */
function extremes(values: readonly (number | null)[], start: number, end: number): number[] {
  let [low, high] = [-1, -1];
  for (let index = start; index < end; index += 1) {
    const value = values[index] ?? null;
    if (value !== null) {
      low = low < 0 || value < (values[low] ?? value) ? index : low;
      high = high < 0 || value > (values[high] ?? value) ? index : high;
    }
  }
  if (low < 0) {
    return [start];
  }
  return low === high ? [low] : [Math.min(low, high), Math.max(low, high)];
}
