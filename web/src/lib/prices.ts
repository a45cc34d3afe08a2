import type { PriceFieldsFragment, RepricingPartFragment } from '../graphql/generated/graphql';
import { texts } from '../texts';
import { addDecimals, formatCount } from './amounts';
import { shellWord } from './shell';

const own = texts.prices;
type Component = PriceFieldsFragment['components'][number];

/** The conditions of a component, as a reader reads them; empty if it always applies. */
export function conditionsOf({ when }: Component): string {
  if (!when) {
    return '';
  }
  const { context, serviceTier, speed, region, time } = when;
  const parts = [
    context ? own.above(formatCount(context.above), context.graduated) : null,
    serviceTier ? own.tier(serviceTier) : null,
    speed ? own.speed(speed) : null,
    region ? own.region(region) : null,
    time ? own.time(time.from, time.to, time.utcOffsetMinutes, time.weekdays.map((day) => own.weekdays[day - 1] ?? String(day))) : null,
  ];
  return parts.filter(Boolean).join(', ');
}

/** The request that sets the price of a model, whose rates the reader fills in. */
export function setPriceCommand(origin: string, provider: string | null, model: string): string {
  const price = {
    provider: provider ?? own.providerBlank,
    model,
    // Calls that name no provider are charged at the price of the maker of the model.
    ...(provider === null ? { listPrice: true } : {}),
    effectiveFrom: '2020-01-01T00:00:00Z',
    components: [
      { meter: 'INPUT', rate: own.rateBlank },
      { meter: 'OUTPUT', rate: own.rateBlank },
    ],
  };
  const query = 'mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome error { message } } }';
  const body = JSON.stringify({ query, variables: { input: { source: 'by hand', prices: [price] } } });
  return `curl ${origin}/graphql -H 'content-type: application/json' -d ${shellWord(body)}`;
}

/** The command that charges calls again. */
export function repriceCommand(model: string | null): string {
  return `apex prices reprice${model === null ? '' : ` --model ${shellWord(model)}`} --apply --reason 'a price was missing'`;
}

export type Difference = RepricingPartFragment['differences'][number];

/** Adds the differences of a further part to those by model and day. */
export function addDifferences(sums: Map<string, Difference>, part: readonly Difference[]): void {
  for (const found of part) {
    const key = JSON.stringify([found.model, found.day]);
    const before = sums.get(key);
    sums.set(
      key,
      before === undefined
        ? found
        : {
            ...found,
            calls: before.calls + found.calls,
            unpricedBefore: before.unpricedBefore + found.unpricedBefore,
            before: addDecimals([before.before, found.before]),
            after: addDecimals([before.after, found.after]),
            difference: addDecimals([before.difference, found.difference]),
          },
    );
  }
}
