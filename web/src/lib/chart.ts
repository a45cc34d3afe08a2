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
