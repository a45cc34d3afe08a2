import { computed, watch } from 'vue';
import { AgentEventsDocument, NewAlertsDocument, PulseDocument } from '../graphql/generated/graphql';
import { useLive } from '../stores/live';
import { useSession } from '../stores/session';
import { useSettings } from '../stores/settings';
import { useToasts } from '../stores/toasts';
import { texts } from '../texts';
import { useNow } from './now';
import { follow } from './subscriptions';
import { startOfDay, toIso } from './time';

/** The page is told of the growth of the log at most as often, in milliseconds. */
const PULSE_MS = 1_000;

/** Follows the log as long as the reader is signed in: the spend of the day, events of agents, and alerts. */
export function useLiveLog(): void {
  const [live, session, settings, toasts] = [useLive(), useSession(), useSettings(), useToasts()];
  const now = useNow();
  const day = computed(() => toIso(startOfDay(new Date(now.value), settings.zone)));
  let alertPosition: string | null = null;

  const start = () => [
    follow(
      PulseDocument,
      () => ({ from: day.value, intervalMs: PULSE_MS }),
      ({ usageTotals }) => {
        live.pulse = usageTotals;
        // Where the others resume if they are interrupted before they have seen anything.
        live.agentPosition ??= usageTotals.position;
        alertPosition ??= usageTotals.position;
      },
      live.refused,
    ),
    follow(
      AgentEventsDocument,
      () => ({ after: live.agentPosition, filter: { category: 'agent' } }),
      ({ events }) => (live.agentPosition = events.position),
    ),
    follow(
      NewAlertsDocument,
      () => ({ after: alertPosition }),
      ({ budgetAlerts }) => {
        alertPosition = budgetAlerts.position;
        toasts.show(texts.overview.newAlert(String(budgetAlerts.thresholdPercent), budgetAlerts.month));
      },
    ),
  ];

  watch(
    [() => session.needed === null, () => session.generation, day],
    ([isSignedIn], _before, onCleanup) => {
      const stops = isSignedIn ? start() : [];
      onCleanup(() => stops.forEach((stop) => stop()));
    },
    { immediate: true },
  );
}
