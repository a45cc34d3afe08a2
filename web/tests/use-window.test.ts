import { describe, expect, it } from 'vitest';
import type { Viewport } from '../src/lib/use-window';
import { sliceOf } from '../src/lib/use-window';

const TABLE: Viewport = { count: 100_000, rowPx: 20, scrollPx: 0, viewPx: 400, overscan: 5 };

describe('the rows of a long table that are drawn', () => {
  it('are those in sight and some around them', () => {
    expect(sliceOf(TABLE)).toEqual({ first: 0, end: 26, beforePx: 0, afterPx: 99_974 * 20 });
    expect(sliceOf({ ...TABLE, scrollPx: 1_000 })).toEqual({ first: 45, end: 76, beforePx: 900, afterPx: 99_924 * 20 });
  });

  it('are as many wherever the table is scrolled to, and the whole has one height', () => {
    for (let scrollPx = 0; scrollPx <= TABLE.count * TABLE.rowPx; scrollPx += 77_777) {
      const { first, end, beforePx, afterPx } = sliceOf({ ...TABLE, scrollPx });
      expect(end - first).toBeLessThanOrEqual(31);
      expect(beforePx + (end - first) * TABLE.rowPx + afterPx).toBe(TABLE.count * TABLE.rowPx);
      const [top, bottom] = [Math.floor(scrollPx / TABLE.rowPx), Math.floor((scrollPx + TABLE.viewPx) / TABLE.rowPx)];
      expect(first).toBeLessThanOrEqual(top);
      expect(end).toBeGreaterThanOrEqual(Math.min(bottom, TABLE.count));
    }
  });

  it('are all of a short table, and none of an empty one', () => {
    expect(sliceOf({ ...TABLE, count: 3 })).toEqual({ first: 0, end: 3, beforePx: 0, afterPx: 0 });
    expect(sliceOf({ ...TABLE, count: 0 })).toEqual({ first: 0, end: 0, beforePx: 0, afterPx: 0 });
  });

  it('are the last ones when the table became shorter than it is scrolled, or is pulled beyond its ends', () => {
    expect(sliceOf({ ...TABLE, count: 10, scrollPx: 5_000 })).toEqual({ first: 5, end: 10, beforePx: 100, afterPx: 0 });
    expect(sliceOf({ ...TABLE, scrollPx: -80 }).first).toBe(0);
  });

  it('fit rows whose height is no whole number of pixels', () => {
    const { first, end, beforePx } = sliceOf({ ...TABLE, rowPx: 20.5, scrollPx: 2_050 });
    expect([first, beforePx]).toEqual([95, 95 * 20.5]);
    expect(end).toBe(100 + 20 + 1 + 5);
  });
});
