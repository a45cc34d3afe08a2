import { describe, expect, it } from 'vitest';
import type { CostsState } from '../src/lib/url-state';
import { MAX_FILTERS, readAgents, readCosts, spanOf, writeAgents, writeCosts } from '../src/lib/url-state';

const DEFAULT: CostsState = {
  by: ['MODEL'],
  bucket: null,
  range: '7d',
  from: '',
  to: '',
  filters: [],
  tagKey: '',
  zone: null,
  top: 25,
  chart: 'line',
  compare: null,
  baseFrom: '',
  baseTo: '',
};

describe('the state of a page in its URL', () => {
  it('is the default where the URL says nothing, and the URL of the default is empty', () => {
    expect(readCosts({})).toEqual(DEFAULT);
    expect(writeCosts(DEFAULT)).toEqual({});
    expect(readAgents({})).toEqual({ status: null, text: '' });
    expect(writeAgents({ status: null, text: '' })).toEqual({});
  });

  it('is the same after it was written and read', () => {
    const states: CostsState[] = [
      { ...DEFAULT, by: ['AGENT'], range: 'custom', from: '2026-03-01', to: '2026-03-31' },
      { ...DEFAULT, by: [], bucket: 'DAY' },
      { ...DEFAULT, by: ['TAG', 'MODEL'], bucket: 'WEEK', tagKey: 'team', zone: 'Europe/Berlin', top: 100, chart: 'stacked' },
      { ...DEFAULT, by: ['TASK'], compare: 'previous' },
      { ...DEFAULT, compare: 'custom', baseFrom: '2026-01-01', baseTo: '2026-01-31' },
      { ...DEFAULT, range: 'month', filters: [{ dimension: 'MODEL', value: 'a:b/c d' }, { dimension: 'TEAM', value: null }] },
      { ...DEFAULT, filters: [{ dimension: 'TOOL', value: '' }] },
    ];
    for (const state of states) {
      expect(readCosts(writeCosts(state))).toEqual(state);
    }
    expect(readAgents(writeAgents({ status: 'PAUSED', text: 'a b' }))).toEqual({ status: 'PAUSED', text: 'a b' });
  });

  it('is the default where the URL is wrong', () => {
    expect(readCosts({ by: 'nothing', range: '1y', filter: ['nothing:x', 'model:y'] })).toEqual({
      ...DEFAULT,
      filters: [{ dimension: 'MODEL', value: 'y' }],
    });
    expect(readCosts({ by: ['agent', 'team'] }).by).toEqual(['AGENT']);
    expect(readCosts({ by: 'agent,agent,nothing,team,model,day,hour' })).toEqual({ ...DEFAULT, by: ['AGENT', 'TEAM'], bucket: 'DAY' });
    expect(readCosts({ zone: 'Nowhere', top: '7', chart: 'pie', compare: 'next' })).toEqual(DEFAULT);
    // The API compares no rows of periods.
    expect(readCosts({ by: 'day', compare: 'previous' }).compare).toBeNull();
    expect(readAgents({ status: 'ACTIVE' }).status).toBeNull();
    expect(readCosts({ filter: Array.from({ length: 80 }, (_unused, index) => `model:${index}`) }).filters).toHaveLength(MAX_FILTERS);
  });

  it('selects a time range', () => {
    const now = new Date('2026-03-15T13:00:00Z');
    const from = (state: CostsState) => spanOf(state, now, 'Europe/Berlin')?.from.toISOString();
    expect(from({ ...DEFAULT, range: 'today' })).toBe('2026-03-14T23:00:00.000Z');
    expect(from(DEFAULT)).toBe('2026-03-08T23:00:00.000Z');
    expect(from({ ...DEFAULT, range: 'month' })).toBe('2026-02-28T23:00:00.000Z');
    const custom = (first: string, last: string) => spanOf({ ...DEFAULT, range: 'custom', from: first, to: last }, now, 'UTC');
    expect(custom('2026-03-01', '2026-03-01')?.to?.toISOString()).toBe('2026-03-02T00:00:00.000Z');
    expect(custom('2026-03-02', '2026-03-01')).toBeNull();
    expect(custom('', '2026-03-01')).toBeNull();
  });
});
