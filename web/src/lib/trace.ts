/** A trace as a tree with a waterfall: which rows are shown, and where the bar of each is. */

/** What is known of a span for its place. The spans come in the order of the tree, each with its depth. */
export interface Placed {
  readonly spanId: string;
  readonly depth: number;
  readonly startedAt?: string | null;
  readonly durationUs?: number | null;
}

export interface TraceRow<S extends Placed> {
  readonly span: S;
  readonly hasChildren: boolean;
  readonly isOpen: boolean;
  /** The bar in thousandths of the trace's duration; null of a span without a time. */
  readonly bar: { readonly start: number; readonly length: number } | null;
  /** Microseconds since the trace began; null of a span without a time. */
  readonly afterUs: number | null;
}

/** The rows of a tree: all but those within spans that are closed. */
export function traceRows<S extends Placed>(
  spans: readonly S[],
  closed: ReadonlySet<string>,
  startedAt: string | null | undefined,
  durationUs: number | null | undefined,
): TraceRow<S>[] {
  const rows: TraceRow<S>[] = [];
  let hiddenBelow = Number.POSITIVE_INFINITY;
  spans.forEach((span, index) => {
    if (span.depth > hiddenBelow) {
      return;
    }
    const isOpen = !closed.has(span.spanId);
    const hasChildren = (spans[index + 1]?.depth ?? 0) > span.depth;
    hiddenBelow = isOpen ? Number.POSITIVE_INFINITY : span.depth;
    const afterUs = startedAt && span.startedAt ? Math.max(0, microseconds(span.startedAt) - microseconds(startedAt)) : null;
    rows.push({ span, hasChildren, isOpen, afterUs, bar: bar(afterUs, span.durationUs ?? 0, durationUs ?? 0) });
  });
  return rows;
}

/** A bar is at least two thousandths wide, so that it is seen. */
function bar(afterUs: number | null, lengthUs: number, wholeUs: number): TraceRow<Placed>['bar'] {
  if (afterUs === null) {
    return null;
  }
  const share = (us: number): number => (wholeUs > 0 ? Math.min(1000, Math.round((us * 1000) / wholeUs)) : 0);
  const start = Math.min(share(afterUs), 998);
  return { start, length: Math.min(Math.max(2, share(lengthUs)), 1000 - start) };
}

/** Microseconds since 1970 of a time with up to nine digits of a second, which a `Date` would cut to milliseconds. */
function microseconds(time: string): number {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? '';
  const whole = Date.parse(time.replace(/\.\d+/, ''));
  return whole * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0'));
}

/** A duration as a person reads it. */
export function formatUs(us: number): string {
  if (us < 1000) {
    return `${String(us)} µs`;
  }
  return us < 1_000_000 ? `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms` : `${(us / 1_000_000).toFixed(us < 10_000_000 ? 2 : 1)} s`;
}
