import { computed } from 'vue';
import { AgentNamesDocument } from '../graphql/generated/graphql';
import { useData } from './use-data';

/** As many agents are known by name; others are shown by their UUID. */
const MAX_NAMED = 200;

/** The names of agents by their global ids. */
export function useAgentNames() {
  const { data } = useData(AgentNamesDocument, () => ({ first: MAX_NAMED }), { isStill: true });
  return computed(() => new Map((data.value?.agents.nodes ?? []).map(({ id, name }) => [id, name])));
}
