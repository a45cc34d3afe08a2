/** Alerts of budgets with enforcement: those of thresholds, and those of conditions that are watched. */
import type { ThresholdsQuery, WatchesQuery } from '../graphql/generated/graphql';
import type { ConditionKey } from './budget-commands';
import { formatMeasured } from './budgets';
import type { Measured } from './budgets';
import { formatAmount, formatCount } from './amounts';
import { texts } from '../texts';

/** An alert that is not resolved, as it is shown. */
export interface ShownAlert {
  readonly key: string;
  readonly budgetId: string;
  /** Whether nobody has answered it. */
  readonly isFiring: boolean;
  readonly title: string;
  readonly detail: string;
  readonly raisedAt: string;
  readonly source: { readonly kind: 'threshold'; readonly position: string } | { readonly kind: 'condition'; readonly key: ConditionKey };
}

type Budgets = ReadonlyMap<string, Measured>;
const DOLLARS: Measured = { currency: 'USD' };

export function thresholdAlerts(nodes: ThresholdsQuery['budgetThresholds']['nodes'], budgets: Budgets): ShownAlert[] {
  return nodes
    .filter(({ status }) => status !== 'RESOLVED')
    .map(({ budgetId, position, thresholdPercent, spent, limit, crossedAt, status }) => {
      const budget = budgets.get(budgetId) ?? DOLLARS;
      return {
        key: `threshold-${position}`,
        budgetId,
        isFiring: status === 'FIRING',
        title: texts.budgetAlerts.threshold(String(thresholdPercent)),
        detail: texts.budgets.used(formatMeasured(spent, budget), formatMeasured(limit, budget)),
        raisedAt: crossedAt,
        source: { kind: 'threshold', position },
      };
    });
}

type ConditionAlert = WatchesQuery['budgetWatches'][number]['alerts'][number];

/** What was observed, in its unit, and what it was compared with. */
function observedOf({ condition, observed, reference }: ConditionAlert, budget: Measured): string {
  switch (condition) {
    case 'ANOMALY':
      return texts.budgetAlerts.observed(formatAmount(observed), formatAmount(reference));
    case 'UNPRICED':
      return texts.budgets.calls(formatCount(observed));
    case 'NO_DATA':
      return texts.budgetAlerts.minutes(formatCount(observed));
    default:
      return texts.budgetAlerts.observed(formatMeasured(observed, budget), formatMeasured(reference, budget));
  }
}

export function conditionAlerts(watches: WatchesQuery['budgetWatches'], budgets: Budgets): ShownAlert[] {
  return watches.flatMap(({ budgetId, alerts }) =>
    alerts
      .filter(({ status }) => status !== 'RESOLVED')
      .map((alert) => ({
        key: `condition-${budgetId}-${alert.balanceId}-${alert.termsVersion}-${alert.condition}`,
        budgetId,
        isFiring: alert.status === 'FIRING',
        title: texts.budgetAlerts.conditions[alert.condition],
        detail: observedOf(alert, budgets.get(budgetId) ?? DOLLARS),
        raisedAt: alert.raisedAt,
        source: { kind: 'condition', key: { budgetId, balanceId: alert.balanceId, termsVersion: alert.termsVersion, condition: alert.condition } } as const,
      })),
  );
}
