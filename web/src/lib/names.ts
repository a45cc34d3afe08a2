import { computed } from 'vue';
import { AgentNamesDocument, BudgetNamesDocument } from '../graphql/generated/graphql';
import type { BudgetNamesQuery } from '../graphql/generated/graphql';
import { useData } from './use-data';

/** As many are known by name; others are shown by their id. */
const MAX_AGENTS = 500;
const MAX_BUDGETS = 500;

/** The names of agents, by global id and by UUID. */
export function useAgentNames() {
  const { data } = useData(AgentNamesDocument, () => ({ first: MAX_AGENTS }), { isStill: true });
  const agents = computed(() => data.value?.agents.nodes ?? []);
  const byId = computed(() => new Map(agents.value.flatMap(({ id, uuid, name }) => [[id, name] as const, [uuid, name] as const])));
  const isCut = computed(() => agents.value.length >= MAX_AGENTS);
  return { agents, isCut, nameOf: (id: string) => byId.value.get(id) ?? id };
}

export type NamedBudget = BudgetNamesQuery['budgets']['nodes'][number];

/** Budgets by global id, with the unit of their amounts. */
export function useBudgetNames(given: () => NamedBudget | null = () => null) {
  const { data } = useData(BudgetNamesDocument, () => (given() === null ? { first: MAX_BUDGETS } : null), { isStill: true });
  const byId = computed(() => {
    const own = given();
    return new Map((own ? [own] : (data.value?.budgets.nodes ?? [])).map((budget) => [budget.id, budget]));
  });
  /** Addresses take both forms of the id. */
  const addressOf = (id: string) => ({ name: 'budget', params: { budget: byId.value.get(id)?.uuid ?? id } });
  return { byId, addressOf, nameOf: (id: string) => byId.value.get(id)?.name ?? id };
}
