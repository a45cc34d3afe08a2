import { computed } from 'vue';
import { AgentNamesDocument, HolderNamesDocument } from '../graphql/generated/graphql';
import type { Option } from './options';
import { usePermissions } from './permissions';
import { useData } from './use-data';

/** As many of each kind are named and offered. */
const MAX_NAMES = 500;
const MAX_AGENTS = 300;

const sorted = (options: Option[]) => options.sort((a, b) => a.label.localeCompare(b.label));

/** The names of agents. */
export function useAgentNames() {
  const { may } = usePermissions();
  const { data } = useData(AgentNamesDocument, () => (may('read:agents') ? { first: MAX_AGENTS } : null), { isStill: true });
  const agents = computed(() => data.value?.agents.nodes ?? []);
  const options = computed(() => sorted(agents.value.map(({ id, name }) => ({ value: id, label: name }))));
  /** Whether there may be more agents than are offered. */
  const isCut = computed(() => agents.value.length === MAX_AGENTS);
  const nameOf = (id: string) => agents.value.find((agent) => agent.id === id)?.name ?? id;
  return { options, isCut, nameOf };
}

/** The names of service accounts, users and teams: by id, and as choices among those that can be given something. */
export function useHolderNames() {
  const { data, reload } = useData(HolderNamesDocument, () => ({ first: MAX_NAMES }));
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
