import { describe, expect, it } from 'vitest';
import { addDecimals } from '../src/lib/amounts';
import type { CostView, Report, Totals } from '../src/lib/costs';
import { chartedBy, drillDown, exportPath, formatChange, formatPercentChange, remainderOf, reportVariables, rowsOf } from '../src/lib/costs';
import { costsCsv } from '../src/lib/costs-csv';
import { csvOf, withoutFormula } from '../src/lib/csv';
import { heightsOf, stackOf, sumOf } from '../src/lib/stack';
import { readCosts } from '../src/lib/url-state';

const QUARTER = new Date('2026-03-15T13:15:00Z');

function view(query: Record<string, string | string[]>): CostView {
  return { state: readCosts(query), span: { from: new Date('2026-03-01T00:00:00Z'), to: null }, zone: 'UTC', tagKey: 'team', quarter: QUARTER };
}

function totals(cost: string | null, calls = 1): Totals {
  return {
    cost,
    currency: 'USD',
    calls,
    toolCalls: 0,
    failedCalls: 0,
    unpricedCalls: cost === null ? calls : 0,
    assumedCalls: 0,
    inputTokens: '10',
    outputTokens: '9007199254740993',
  };
}

function reportOf(values: readonly (readonly [string | null, string | null])[], rest: string | null = null): Report {
  const row = (value: string | null, cost: string | null, isRest: boolean) => ({
    keys: [{ dimension: 'MODEL' as const, value, id: null, name: null }],
    isRest,
    totals: totals(cost),
    base: null,
    change: null,
  });
  const nodes = [...values.map(([value, cost]) => row(value, cost, false)), ...(rest === null ? [] : [row(null, rest, true)])];
  const sum = addDecimals(nodes.map((node) => node.totals.cost ?? '0'));
  return {
    pageInfo: { hasNextPage: false, endCursor: null },
    position: '1',
    summedFrom: '',
    baseFrom: null,
    baseTo: null,
    nodes,
    total: { ...totals(sum, nodes.length), outputTokens: addDecimals(nodes.map((node) => node.totals.outputTokens)) },
    base: null,
    change: null,
  };
}

describe('what is asked for', () => {
  it('has the key of a tag only for a report that is by it', () => {
    expect(reportVariables(view({}), null)).toMatchObject({ by: ['MODEL'], tagKey: null, top: 25, first: 26, to: null, compare: null });
    expect(reportVariables(view({ by: 'tag' }), null)?.tagKey).toBe('team');
    expect(reportVariables(view({ filter: 'tag:x' }), null)?.tagKey).toBe('team');
    expect(reportVariables(view({ by: 'day' }), 'c')).toMatchObject({ by: ['DAY'], top: null, after: 'c' });
  });

  it('has an end if it is compared, and another period that is valid', () => {
    const previous = reportVariables(view({ compare: 'previous' }), null);
    expect(previous).toMatchObject({ to: '2026-03-15T13:30:00.000Z', compare: { previous: true } });
    expect(reportVariables(view({ compare: 'custom', baseFrom: '2026-02-02', baseTo: '2026-02-01' }), null)).toBeNull();
    const custom = reportVariables(view({ compare: 'custom', baseFrom: '2026-02-01', baseTo: '2026-02-01' }), null);
    expect(custom?.compare).toEqual({ from: '2026-02-01T00:00:00.000Z', to: '2026-02-02T00:00:00.000Z' });
  });

  it('is charted by days where no sums are kept by hours', () => {
    const charted = (query: Record<string, string>, of: 'TASK' | 'MODEL' | null) => chartedBy(readCosts(query), of);
    expect([charted({}, 'MODEL'), charted({}, 'TASK'), charted({ filter: 'dag:x' }, null), charted({ by: 'hour' }, 'TASK')]).toEqual([null, 'DAY', 'DAY', 'HOUR']);
  });

  it('is exported with the same range and filters', () => {
    const path = exportPath(view({ filter: ['model:a&b', 'team', 'tag:x'] }), 'csv');
    const query = new URLSearchParams(path.split('?')[1]);
    expect(query.getAll('filter')).toEqual(['model=a&b', 'team=', 'tag:team=x']);
    expect([query.get('from'), query.get('to'), query.get('format')]).toEqual(['2026-03-01T00:00:00.000Z', null, 'csv']);
  });
});

describe('the rows', () => {
  it('add up to the total with what is on other pages', () => {
    const report = reportOf([['a', '0.3'], ['b', '0.000000000001'], [null, null]], '7');
    const rows = rowsOf(report, readCosts({}));
    expect(rows.map(({ labels }) => labels[0])).toEqual(['a', 'b', 'none', 'All others']);
    expect(remainderOf(report.total, rows)).toMatchObject({ cost: '0.000000000000', calls: 0, outputTokens: '0' });
    expect(remainderOf(report.total, rows.slice(0, 1))).toMatchObject({ cost: '7.000000000001', calls: 3 });
    expect(remainderOf({ ...report.total, cost: null }, rows).cost).toBeNull();
  });

  it('are opened by their values and their period', () => {
    const state = readCosts({ by: 'week,model,team', filter: ['model:b', 'user:u'] });
    const opened = drillDown(state, [
      { dimension: 'WEEK', value: '2026-W10' },
      { dimension: 'MODEL', value: 'a' },
      { dimension: 'TEAM', value: null },
    ]);
    expect(opened).toMatchObject({ by: ['AGENT'], bucket: null, range: 'custom', from: '2026-03-02', to: '2026-03-08' });
    expect(opened.filters).toEqual([
      { dimension: 'USER', value: 'u' },
      { dimension: 'MODEL', value: 'a' },
      { dimension: 'TEAM', value: null },
    ]);
    const days = drillDown(readCosts({ by: 'month' }), [{ dimension: 'MONTH', value: '2026-02' }]);
    expect(days).toMatchObject({ by: [], bucket: 'DAY', from: '2026-02-01', to: '2026-02-28' });
    expect(rowsOf(reportOf([], '1'), state)[0]?.drill).toBeNull();
  });

  it('differ with a sign', () => {
    expect([formatChange('1.5', 'USD'), formatChange('-1.5', 'USD'), formatChange('0', 'USD')]).toEqual(['+$1.50', '−$1.50', '$0.00']);
    expect([formatPercentChange('1234.56'), formatPercentChange('-0.04')]).toEqual(['+1,234.56 %', '−0.04 %']);
  });
});

describe('a file for spreadsheets', () => {
  it('runs nothing and keeps numbers', () => {
    expect(['=1+1', ' +a', '@x', '－1', '\tx', '-1.5', '+2', 'a=b', ''].map(withoutFormula)).toEqual(["'=1+1", "' +a", "'@x", "'－1", "'\tx", '-1.5', '+2', 'a=b', '']);
    expect(csvOf([['a,b', 'say "x"', null, 3], ['=A1,"', '', '-1', 0]])).toBe('"a,b","say ""x""",,3\r\n"\'=A1,""",,-1,0\r\n');
  });

  it('has exact amounts, and adds up', () => {
    const report = reportOf([['=a', '0.1'], ['b', '0.20']]);
    const rows = rowsOf(report, readCosts({}));
    expect(costsCsv(report, rows.slice(0, 1), ['MODEL'], true).split('\r\n').map((line) => line.split(',').slice(0, 4))).toEqual([
      ['row', 'model', 'cost', 'calls'],
      ['row', "'=a", '0.1', '1'],
      ['other pages', 'Rows of other pages', '0.20', '1'],
      ['total', '', '0.30', '2'],
      [''],
    ]);
  });
});

describe('a stack', () => {
  const spend = (cost: string | null) => ({ cost, currency: 'USD' as const, calls: 1, toolCalls: 0, failedCalls: 0, unpricedCalls: 0 });
  const all = { nodes: [{ keys: [{ value: 'd1' }], totals: spend('10') }, { keys: [{ value: 'd3' }], totals: spend('0.3') }] };
  const part = (period: string, value: string | null, cost: string | null) => ({ keys: [{ value: period }, { value }], totals: { cost } });
  const parts = { pageInfo: { hasNextPage: false }, nodes: [part('d1', 'a', '6'), part('d1', null, '3.5'), part('d3', 'a', '0.1'), part('d3', null, null)] };
  const keys = [
    { value: 'a', label: 'a' },
    { value: null, label: 'none' },
  ];

  it('adds up to all calls, by what is in no series', () => {
    const stack = stackOf({ all, parts }, keys, ['d1', 'd2', 'd3']);
    expect(stack.totals).toEqual(['10', '0', '0.3']);
    expect(stack.series.map(({ label, costs }) => [label, ...costs])).toEqual([
      ['a', '6', '0', '0.1'],
      ['none', '3.5', '0', null],
      ['All others', '0.5', '0', '0.2'],
    ]);
    expect(heightsOf(stack)).toEqual([
      [6, 0, 0.1],
      [9.5, 0, 0.1],
      [10, 0, 0.3],
    ]);
  });

  it('does not take what has no price for nothing', () => {
    expect([sumOf(['0', null]), sumOf(['1', null]), sumOf(['0', '0.0']), sumOf([])]).toEqual([null, '1', '0.0', '0']);
  });

  it('has no rest where there is none', () => {
    const whole = { ...parts, nodes: [part('d1', 'a', '10'), part('d3', 'a', '0.30')] };
    expect(stackOf({ all, parts: whole }, keys.slice(0, 1), ['d1', 'd3']).series).toHaveLength(1);
  });
});
