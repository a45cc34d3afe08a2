import { computed } from 'vue';
import { AgentNamesDocument, BudgetNamesDocument, HolderNamesDocument } from '../graphql/generated/graphql';
import type { BudgetNamesQuery } from '../graphql/generated/graphql';
import type { Option } from './options';
import { usePermissions } from './permissions';
import { useData } from './use-data';

/** As many are known by name; others are shown by their id. */
const MAX_AGENTS = 500;
const MAX_BUDGETS = 500;
const MAX_HOLDERS = 500;

const sorted = (options: Option[]) => options.sort((a, b) => a.label.localeCompare(b.label));

/** The names of agents, by global id and by UUID, and agents as choices. A reader who may not list them sees their ids. */
export function useAgentNames() {
  const { may } = usePermissions();
  const { data } = useData(AgentNamesDocument, () => (may('read:agents') ? { first: MAX_AGENTS } : null), { isStill: true });
  const agents = computed(() => data.value?.agents.nodes ?? []);
  const byId = computed(() => new Map(agents.value.flatMap(({ id, uuid, name }) => [[id, name] as const, [uuid, name] as const])));
  const options = computed(() => sorted(agents.value.map(({ id, name }) => ({ value: id, label: name }))));
  /** Whether there may be more agents than are named and offered. */
  const isCut = computed(() => agents.value.length >= MAX_AGENTS);
  return { agents, byId, options, isCut, nameOf: (id: string) => byId.value.get(id) ?? id };
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

/** The names of service accounts, users and teams: by id, and as choices among those that can be given something. */
export function useHolderNames() {
  const { data, reload } = useData(HolderNamesDocument, () => ({ first: MAX_HOLDERS }));
  const names = computed(() => {
    const { serviceAccounts, users, teams } = data.value ?? {};
    return new Map<string, string>([
      ...(serviceAccounts?.nodes ?? []).map(({ id, name }) => [id, name] as const),
      ...(users?.nodes ?? []).map(({ id, email, displayName }) => [id, displayName ?? email ?? id] as const),
      ...(teams?.nodes ?? []).map(({ id, name }) => [id, name] as const),
    ]);
  });
  const named = (nodes: readonly { id: string }[] | undefined) =>
    sorted((nodes ?? []).map(({ id }) => ({ value: id, label: names.value.get(id) ?? id })));
  const accounts = computed(() => named(data.value?.serviceAccounts.nodes.filter(({ disabled }) => !disabled)));
  const users = computed(() => named(data.value?.users.nodes.filter(({ disabled }) => !disabled)));
  const teams = computed(() => named(data.value?.teams.nodes.filter(({ closed }) => !closed)));
  const isCut = computed(() => {
    const { serviceAccounts, users: people, teams: groups } = data.value ?? {};
    return [serviceAccounts, people, groups].some((list) => list?.pageInfo.hasNextPage);
  });
  const nameOf = (id: string) => names.value.get(id) ?? id;
  return { accounts, users, teams, isCut, nameOf, reload };
}
