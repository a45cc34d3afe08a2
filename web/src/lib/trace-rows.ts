/** The rows of a page of a trace: spans with what those inside of them used, and where their bars are. */
import type { TraceSpanFieldsFragment } from '../graphql/generated/graphql';
import { addDecimals } from './amounts';
import { isUnpriced, tokensIn } from './calls';

export interface Sum {
  readonly calls: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  /** Null if no call has a price. */
  readonly cost: string | null;
  readonly unpriced: number;
  readonly assumed: number;
}

export interface Bar {
  /** In thousandths of the trace. */
  readonly x: number;
  readonly width: number;
  readonly startUs: number;
}

export interface SpanRow {
  readonly span: TraceSpanFieldsFragment;
  readonly cursor: string;
  /** How many of the rows that follow are inside of it. */
  readonly insideCount: number;
  /** Whether spans inside of it are on the next page too. */
  readonly isPart: boolean;
  readonly sum: Sum;
  readonly bar: Bar | null;
}

type SpanCall = NonNullable<TraceSpanFieldsFragment['call']>;

/** Microseconds since 1970, of a time with up to as many digits; below 2^53 for the next two centuries. */
export function microsOf(time: string): number {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? '';
  return Date.parse(time.replace(/\.\d+/, '')) * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6));
}

export function barOf(span: Pick<TraceSpanFieldsFragment, 'startedAt' | 'durationUs'>, traceStart: string | null, traceUs: number | null): Bar | null {
  if (!span.startedAt || traceStart === null) {
    return null;
  }
  const startUs = Math.max(0, microsOf(span.startedAt) - microsOf(traceStart));
  const whole = Math.max(traceUs ?? 0, 1);
  // A span that has not ended is drawn to the end, and one without a length can still be seen.
  const lengthUs = span.durationUs ?? Math.max(0, whole - startUs);
  const x = Math.min(996, (startUs * 1000) / whole);
  return { x, width: Math.min(Math.max(4, (lengthUs * 1000) / whole), 1000 - x), startUs };
}

function sumOf(calls: readonly SpanCall[]): Sum {
  const costs = calls.map(({ cost }) => cost ?? null).filter((cost) => cost !== null);
  return {
    calls: calls.length,
    tokensIn: calls.reduce((sum, { usage }) => sum + tokensIn(usage), 0),
    tokensOut: calls.reduce((sum, { usage }) => sum + usage.output, 0),
    cost: costs.length === 0 ? null : addDecimals(costs),
    unpriced: calls.filter(isUnpriced).length,
    assumed: calls.filter(({ usageAssumed }) => usageAssumed).length,
  };
}

interface Page {
  readonly edges: readonly { readonly cursor: string; readonly node: TraceSpanFieldsFragment }[];
  readonly hasNextPage: boolean;
  readonly startedAt: string | null;
  readonly durationUs: number | null;
}

/** Spans come each before those inside of it, so those that are around one are the last ones of each lower depth. */
export function rowsOf({ edges, hasNextPage, startedAt, durationUs }: Page): SpanRow[] {
  const calls: SpanCall[][] = edges.map(() => []);
  const inside = edges.map(() => 0);
  const around: number[] = [];
  edges.forEach(({ node }, index) => {
    while (around.length > 0 && (edges[around[around.length - 1] ?? 0]?.node.depth ?? 0) >= node.depth) {
      around.pop();
    }
    for (const outer of around) {
      inside[outer] = (inside[outer] ?? 0) + 1;
    }
    around.push(index);
    if (node.call) {
      for (const outer of around) {
        calls[outer]?.push(node.call);
      }
    }
  });
  return edges.map(({ cursor, node }, index) => ({
    span: node,
    cursor,
    insideCount: inside[index] ?? 0,
    isPart: hasNextPage && around.includes(index),
    sum: sumOf(calls[index] ?? []),
    bar: barOf(node, startedAt, durationUs),
  }));
}

/** The rows that are not inside of a collapsed span. */
export function visibleRows(rows: readonly SpanRow[], collapsed: ReadonlySet<string>): SpanRow[] {
  const visible: SpanRow[] = [];
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index];
    if (row) {
      visible.push(row);
      index += collapsed.has(row.span.spanId) ? row.insideCount : 0;
    }
  }
  return visible;
}

/** A duration such as `12 µs`, `3.4 ms` or `1.25 s`; whole numbers of microseconds are divided, for the eye. */
export function formatUs(us: number): string {
  if (us < 1000) {
    return `${us} µs`;
  }
  return us < 1_000_000 ? `${Math.round(us / 100) / 10} ms` : `${Math.round(us / 10_000) / 100} s`;
}
