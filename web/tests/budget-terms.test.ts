import { describe, expect, it } from 'vitest';
import type { BudgetDetails, BudgetDraft } from '../src/lib/budget-terms';
import { check, draftOf, fieldOf, newDraft, previewTerms, scopesOf, termsOf } from '../src/lib/budget-terms';
import { formatMeasured, isRaised, statesOf } from '../src/lib/budgets';
import { fromLocalInput, toLocalInput } from '../src/lib/local-input';
import { pastMonths } from '../src/lib/months';
import { isOwnLine } from '../src/lib/upload';


const draft = (change: Partial<BudgetDraft> = {}): BudgetDraft => ({ ...newDraft('Europe/Berlin'), name: ' one ', limit: '25', ...change });
const agent = '0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01';

const budget: BudgetDetails = {
  id: 'QnVkZ2V0Og',
  uuid: agent,
  name: 'one',
  scope: { kind: 'CONDITIONS', agentId: null, model: null },
  limit: '25',
  currency: 'USD',
  timeZone: 'UTC',
  thresholds: [50, 80],
  closed: false,
  definedAt: '2026-01-01T00:00:00Z',
  version: 1,
  position: '7',
  months: [],
  alerts: [],
  control: {
    enforcement: 'HARD',
    measure: 'METER',
    meter: 'OUTPUT',
    conditions: [{ dimension: 'agent', value: agent }],
    period: 'DAY',
    anchor: '2024-01-01',
    carryOver: true,
    parts: 4,
    onRefusal: { policy: 'DEGRADE', models: ['a', 'b'], minutes: null },
    onUnreachable: 'CLOSED',
    suspended: false,
  },
};

describe('the terms of a budget', () => {
  it('are what the form has', () => {
    expect(termsOf(draft({ thresholds: '50 %, 80', anchor: '2026-01-05', policy: 'ASK_FOR_APPROVAL', minutes: '15' }))).toEqual({
      name: 'one',
      scope: { tenant: true },
      limit: '25',
      timeZone: 'Europe/Berlin',
      thresholds: [50, 80],
      enforcement: 'HARD',
      measure: { money: true },
      period: 'MONTH',
      anchor: '2026-01-05',
      carryOver: false,
      onRefusal: { askForApproval: 15 },
    });
  });

  it('keep the number of parts, which cannot be changed', () => {
    expect(termsOf(draftOf(budget)).parts).toBe(4);
    expect(termsOf(draft({})).parts).toBeUndefined();
  });

  it('say nothing of the enforcement where there is none, and a preview has one', () => {
    const none = draft({ enforcement: 'NONE' });
    expect(Object.keys(termsOf(none))).toEqual(['name', 'scope', 'limit', 'timeZone', 'thresholds']);
    expect(previewTerms(none).enforcement).toBe('SHADOW');
  });

  it('have conditions in the simplest form', () => {
    const team = { dimension: 'team' as const, key: '', value: agent };
    const tag = { dimension: 'tag' as const, key: ' project ', value: 'apollo' };
    expect(termsOf(draft({ conditions: [{ ...team, dimension: 'agent' }] })).scope).toEqual({ agentId: agent });
    expect(termsOf(draft({ conditions: [team, tag] })).scope).toEqual({
      conditions: [
        { dimension: 'team', value: agent },
        { dimension: 'tag:project', value: 'apollo' },
      ],
    });
  });

  it('are read and written without a loss', () => {
    const again = termsOf(draftOf(budget));
    expect(again).toMatchObject({ measure: { meter: 'OUTPUT' }, period: 'DAY', carryOver: true, onRefusal: { degrade: ['a', 'b'] }, thresholds: [50, 80] });
    // The API does not say in which form the scope was given.
    expect(scopesOf(budget)).toEqual([{ agentId: agent }, { conditions: [{ dimension: 'agent', value: agent }] }]);
  });

  it('are checked for what cannot be sent', () => {
    expect(check(draft())).toEqual({});
    const wrong = { name: '', limit: '1e3', thresholds: '50, many', policy: 'ASK_FOR_APPROVAL' as const, minutes: '' };
    expect(Object.keys(check(draft(wrong)))).toEqual(['name', 'limit', 'thresholds', 'onRefusal']);
    expect(Object.keys(check(draft({ limit: '0', conditions: [{ dimension: 'model', key: '', value: ' ' }] })))).toEqual(['scope', 'limit']);
    expect(Object.keys(check(draft({ enforcement: 'NONE', conditions: [{ dimension: 'team', key: '', value: agent }] })))).toEqual(['scope']);
  });

  it('have errors of the server at their fields', () => {
    expect(fieldOf('INVALID_INPUT', 'scope.conditions')).toBe('scope');
    expect(fieldOf('BAD_THRESHOLD', null)).toBe('thresholds');
    expect(fieldOf('TOO_MANY_APPLYING', null)).toBeNull();
  });
});

describe('a budget', () => {
  const period = { startsAt: '', endsAt: '', limit: '30', carried: '5', charged: '1', assumed: '0', reserved: '0', left: '0', excess: '0', wouldRefuse: 0, unpriced: 0, counted: true, crossedPercent: null, delegated: '0',
    delegations: [],
    pace: null };

  it('is raised if its limit is above the terms and what was carried over', () => {
    expect(isRaised('25', period)).toBe(false);
    expect(isRaised('25', { ...period, limit: '30.5' })).toBe(true);
    expect(isRaised('25', null)).toBe(false);
  });

  it('has all states that it is in', () => {
    expect(statesOf(budget, { ...period, excess: '0.1', limit: '31' }, 0)).toEqual(['force', 'raised', 'over']);
    expect(statesOf({ ...budget, closed: true }, null, 0)).toEqual(['closed']);
    const months = [{ startsAt: '2026-01-01T00:00:00Z', endsAt: '2026-02-01T00:00:00Z', spent: '26', remaining: '-1' }];
    expect(statesOf({ ...budget, control: null, months }, null, Date.parse('2026-01-15T00:00:00Z'))).toEqual(['force', 'over']);
  });

  it('has amounts in its unit', () => {
    expect(formatMeasured('1200', budget)).toBe('1,200 output');
    expect(formatMeasured('1.5', { currency: 'USD', control: { measure: 'CALLS' } })).toBe('1.5 calls');
    expect(formatMeasured('1.5', { currency: 'USD' })).toBe('$1.50');
  });
});

describe('fields of times', () => {
  it('are in the zone of the reader, around a change of the clocks too', () => {
    for (const time of ['2026-03-29T00:30:00.000Z', '2026-03-29T01:30:00.000Z', '2026-10-25T12:00:00.000Z']) {
      const text = toLocalInput(new Date(time), 'Europe/Berlin');
      expect(fromLocalInput(text, 'Europe/Berlin')?.toISOString()).toBe(time);
    }
    expect(fromLocalInput('', 'UTC')).toBeNull();
  });

  it('offer the running month and those before it', () => {
    expect(pastMonths(new Date(2026, 0, 31)).slice(0, 3)).toEqual(['2026-01', '2025-12', '2025-11']);
  });
});

describe('a file', () => {
  it('has lines of Apex, or is one of another tool', () => {
    expect(isOwnLine('\n{"type":"call","id":"a","model":"m"}\n{}')).toBe(true);
    expect(isOwnLine('{"type":"user","message":{}}')).toBe(false);
    expect(isOwnLine('TIMESTAMP,ContextTokens')).toBe(false);
    expect(isOwnLine('[1, 2]')).toBe(false);
  });
});
