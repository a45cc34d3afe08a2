import { describe, expect, it } from 'vitest';
import type { TraceSpanFieldsFragment } from '../src/graphql/generated/graphql';
import { barOf, formatUs, microsOf, rowsOf, visibleRows } from '../src/lib/trace-rows';

const usage = { input: 10, output: 1, cacheRead: 5, cacheWrite5Min: 0, cacheWrite1Hour: 0 };

function span(spanId: string, depth: number, cost?: string | null): { cursor: string; node: TraceSpanFieldsFragment } {
  const call = cost === undefined ? null : { id: spanId, uuid: spanId, kind: 'LLM' as const, model: 'm', tool: null, usageAssumed: false, cost, usage };
  const unused = { parentSpanId: null, name: null, kind: null, statusMessage: null, service: null, scope: null, agent: null };
  return { cursor: spanId, node: { ...unused, spanId, depth, status: 'OK', startedAt: '2026-03-10T10:00:01Z', durationUs: 500_000, call } };
}

const page = { startedAt: '2026-03-10T10:00:00Z', durationUs: 2_000_000, hasNextPage: true };
const rows = rowsOf({ ...page, edges: [span('a', 0), span('b', 1, '0.1'), span('c', 2, '0.2'), span('d', 1, null), span('e', 0), span('f', 1, '1')] });

describe('rows of a trace', () => {
  it('sums what the spans inside of a span used, exactly', () => {
    expect(rows[0]?.sum).toEqual({ calls: 3, tokensIn: 45, tokensOut: 3, cost: '0.3', unpriced: 1, assumed: 0 });
    expect(rows[1]?.sum.cost).toBe('0.3');
    expect(rows[3]?.sum).toMatchObject({ cost: null, unpriced: 1 });
  });
  it('says of which spans a part is on the next page', () => {
    expect(rows.filter(({ isPart }) => isPart).map(({ span: { spanId } }) => spanId)).toEqual(['e', 'f']);
  });
  it('leaves out what is inside of a collapsed span', () => {
    expect(rows.map(({ insideCount }) => insideCount)).toEqual([3, 1, 0, 0, 1, 0]);
    expect(visibleRows(rows, new Set(['b', 'e'])).map(({ cursor }) => cursor)).toEqual(['a', 'b', 'd', 'e']);
  });
  it('places bars by time, also of spans without a length or an end', () => {
    expect(rows[0]?.bar).toEqual({ x: 500, width: 250, startUs: 1_000_000 });
    expect(barOf({ startedAt: page.startedAt, durationUs: 0 }, page.startedAt, 0)).toEqual({ x: 0, width: 4, startUs: 0 });
    expect(barOf({ startedAt: '2026-03-10T10:00:02Z', durationUs: null }, page.startedAt, 2_000_000)).toEqual({ x: 996, width: 4, startUs: 2_000_000 });
    expect(barOf({ startedAt: null, durationUs: 1 }, page.startedAt, 1)).toBeNull();
  });
  it('reads and writes microseconds', () => {
    expect(microsOf('2026-03-10T10:00:00.0000015Z') - microsOf('2026-03-10T10:00:00Z')).toBe(1);
    expect([12, 3400, 1_250_000].map(formatUs)).toEqual(['12 µs', '3.4 ms', '1.25 s']);
  });
});
