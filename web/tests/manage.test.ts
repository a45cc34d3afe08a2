import { describe, expect, it } from 'vitest';
import type { PriceFieldsFragment } from '../src/graphql/generated/graphql';
import { actorOf } from '../src/lib/metadata';
import type { Difference } from '../src/lib/prices';
import { addDifferences, conditionsOf, repriceCommand, setPriceCommand } from '../src/lib/prices';
import { shellWord } from '../src/lib/shell';

type Component = PriceFieldsFragment['components'][number];

const difference = (day: string, before: string, after: string): Difference => ({
  model: 'm',
  day,
  calls: 1,
  unpricedBefore: 1,
  before,
  after,
  difference: after,
  currency: 'USD',
});

describe('words of a shell', () => {
  it('are one word, whatever they contain', () => {
    expect(shellWord("it's; $(x)")).toBe(String.raw`'it'\''s; $(x)'`);
  });

  it('name a model in commands', () => {
    expect(repriceCommand("m'")).toContain(String.raw`--model 'm'\'''`);
    expect(repriceCommand(null)).not.toContain('--model');
  });
});

describe('the command that sets a price', () => {
  const priceOf = (command: string) => {
    const body = /-d '(.*)'$/.exec(command)?.[1] ?? '';
    return JSON.parse(body).variables.input.prices[0];
  };

  it('names the provider and the model', () => {
    expect(priceOf(setPriceCommand('http://x', 'p', 'm'))).toMatchObject({ provider: 'p', model: 'm' });
  });

  it('sets the price of the maker for calls without a provider', () => {
    expect(priceOf(setPriceCommand('http://x', null, 'm'))).toMatchObject({ listPrice: true });
  });
});

describe('differences', () => {
  it('of several parts are added exactly, by model and day', () => {
    const sums = new Map<string, Difference>();
    addDifferences(sums, [difference('2026-01-01', '0', '0.1'), difference('2026-01-02', '0', '1')]);
    addDifferences(sums, [difference('2026-01-01', '0.3', '0.2')]);
    expect([...sums.values()]).toMatchObject([
      { day: '2026-01-01', calls: 2, unpricedBefore: 2, before: '0.3', after: '0.3' },
      { day: '2026-01-02', calls: 1, after: '1' },
    ]);
  });
});

describe('conditions of a rate', () => {
  const rateOf = (when: Partial<NonNullable<Component['when']>> | null): Component => ({
    meter: 'INPUT',
    rate: '1',
    per: 1_000_000,
    when: when && { context: null, serviceTier: null, speed: null, region: null, time: null, ...when },
  });

  it('are named, all of them', () => {
    expect(conditionsOf(rateOf(null))).toBe('');
    expect(conditionsOf(rateOf({ context: { above: 200_000, graduated: false }, serviceTier: 'batch' }))).toBe(
      'prompts above 200,000 tokens, service tier batch',
    );
    expect(conditionsOf(rateOf({ time: { from: '16:30', to: '00:30', utcOffsetMinutes: -60, weekdays: [1, 7] } }))).toBe(
      '16:30 to 00:30 (UTC −60 min) on Mon, Sun',
    );
  });
});

describe('the actor of an event', () => {
  it('is read from its metadata, if they have one', () => {
    expect(actorOf({ actor: 'api' })).toBe('api');
    expect(actorOf('{}')).toBeNull();
    expect(actorOf({ actor: 1 })).toBeNull();
  });
});
