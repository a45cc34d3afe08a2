/** The figures of a stacked chart: the costs of some series by period, and of all others. */
import type { CostStackQuery, CostTopQuery } from '../graphql/generated/graphql';
import { texts } from '../texts';
import { addDecimals, compareDecimals, subtractDecimals, toPixels } from './amounts';
import { chartPoints } from './chart';

/** A chart is of at most as many rows of a report: those of one page. */
export const MAX_ROWS = 500;
/** A stack has at most as many series, and all others. */
export const MAX_SERIES = 8;

export type Cost = string | null;

export interface Series {
  readonly label: string;
  /** Which colour and pattern it has. */
  readonly paint: number;
  /** By period. Null if calls are in it, and none of them has a price. */
  readonly costs: readonly Cost[];
}

export interface Stack {
  readonly periods: readonly string[];
  readonly series: readonly Series[];
  readonly totals: readonly Cost[];
}

export interface SeriesKey {
  readonly value: string | null;
  readonly label: string;
}

export function seriesKeys(top: CostTopQuery): SeriesKey[] {
  return top.usageReport.nodes
    .filter(({ isRest }) => !isRest)
    .map(({ keys }) => {
      const value = keys[0]?.value ?? null;
      return { value, label: keys[0]?.name ?? value ?? texts.costs.noValue };
    });
}

/** The costs of the series add up to those of all calls, exactly: what is in no series is in the last one. */
export function stackOf({ all, parts }: CostStackQuery, keys: readonly SeriesKey[], expected: readonly string[]): Stack {
  const points = chartPoints(all.nodes, expected);
  const costs = new Map(parts.nodes.map(({ keys: [period, of], totals }) => [cell(period?.value, of?.value), totals.cost]));
  const costOf = (period: string, value: string | null): Cost => {
    const cost = costs.get(cell(period, value));
    return cost === undefined ? '0' : cost;
  };
  const periods = points.map(({ period }) => period);
  const totals = points.map(({ cost }) => cost);
  const series = keys.map(({ value, label }, paint) => ({
    label,
    paint,
    costs: periods.map((period) => costOf(period, value)),
  }));
  const rest = totals.map((total, index) => subtractDecimals(total ?? '0', sumOf(series.map((one) => one.costs[index] ?? null)) ?? '0'));
  const hasRest = rest.some((cost) => compareDecimals(cost, '0') !== 0);
  return { periods, totals, series: hasRest ? [...series, { label: texts.costs.rest, paint: MAX_SERIES, costs: rest }] : series };
}

/** The sum of the costs that are known; null if there are others, and none is known to be more than nothing. */
export function sumOf(costs: readonly Cost[]): Cost {
  const sum = addDecimals(costs.map((cost) => cost ?? '0'));
  return costs.includes(null) && compareDecimals(sum, '0') === 0 ? null : sum;
}

function cell(period: string | null | undefined, value: string | null | undefined): string {
  return JSON.stringify([period ?? null, value ?? null]);
}

/** How high each series ends above the ones before it, for the position of pixels. */
export function heightsOf({ periods, series }: Stack): number[][] {
  let below = periods.map(() => '0');
  return series.map(({ costs }) => {
    below = below.map((height, index) => addDecimals([height, costs[index] ?? '0']));
    return below.map((height) => toPixels(height) ?? 0);
  });
}
