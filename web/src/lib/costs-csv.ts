/** The report that is shown, as a file for spreadsheets. */
import { texts } from '../texts';
import type { CostRow, Report, Totals } from './costs';
import { remainderOf } from './costs';
import { csvOf } from './csv';

const FIELDS = ['cost', 'calls', 'toolCalls', 'failedCalls', 'unpricedCalls', 'assumedCalls', 'inputTokens', 'outputTokens'] as const;

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

type Changed = Pick<CostRow, 'totals' | 'base' | 'change'>;

function figures({ totals, base, change }: Changed, isCompared: boolean): (string | number | null)[] {
  const own = FIELDS.map((field) => totals[field]);
  return [...own, totals.currency, ...(isCompared ? [base?.cost ?? null, change?.cost ?? null, change?.costPercent ?? null] : [])];
}

/** Amounts are exact. The rows add up to the last line: what is on other pages is a line too. */
export function costsCsv(report: Report, rows: readonly CostRow[], by: readonly string[], isCut: boolean): string {
  const isCompared = report.base !== null;
  const header = ['row', ...by.map((name) => name.toLowerCase()), ...FIELDS.map(snake), 'currency'];
  const compared = isCompared ? ['base_cost', 'cost_change', 'cost_change_percent'] : [];
  const line = (kind: string, labels: readonly string[], changed: Changed) => [kind, ...by.map((_name, index) => labels[index] ?? ''), ...figures(changed, isCompared)];
  const alone = (totals: Totals): Changed => ({ totals, base: null, change: null });
  return csvOf([
    [...header, ...compared],
    ...rows.map((row) => line(row.isRest ? 'rest' : 'row', row.labels, row)),
    ...(isCut ? [line('other pages', [texts.costs.otherPages], alone(remainderOf(report.total, rows)))] : []),
    line('total', [], { totals: report.total, base: report.base, change: report.change }),
  ]);
}
