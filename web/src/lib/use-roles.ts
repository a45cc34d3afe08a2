import { computed } from 'vue';
import type { Role, RoleInput } from '../graphql/generated/graphql';
import { RoleDefinitionsDocument } from '../graphql/generated/graphql';
import type { Option } from './options';
import { useData } from './use-data';

/** As many roles are named and offered. */
const MAX_ROLES = 200;
const CUSTOM = 'custom:';

/** The roles that can be granted, and all permissions on the data of a tenant, which are those of an admin. */
export function useRoles() {
  const { data, problem, reload } = useData(RoleDefinitionsDocument, () => ({ first: MAX_ROLES, after: null }));
  const definitions = computed(() => data.value?.roles.nodes ?? []);
  const builtIn = computed<Option[]>(() =>
    definitions.value.flatMap(({ builtIn: role, name }) => (role ? [{ value: role, label: name }] : [])),
  );
  const options = computed<Option[]>(() => [
    ...builtIn.value,
    ...definitions.value.flatMap(({ custom, name }) => (custom && !custom.withdrawn ? [{ value: CUSTOM + custom.id, label: name }] : [])),
  ]);
  const permissions = computed<Option[]>(() =>
    (definitions.value.find(({ builtIn: role }) => role === 'ADMIN')?.permissions ?? []).map((name) => ({ value: name, label: name })),
  );
  const isCut = computed(() => data.value?.roles.pageInfo.hasNextPage === true);

  function namesOf(roles: readonly Role[], customIds: readonly string[]): string {
    const ofCustom = (id: string) => definitions.value.find(({ custom }) => custom?.id === id)?.name ?? id;
    const ofBuiltIn = (role: Role) => builtIn.value.find(({ value }) => value === role)?.label ?? role.toLowerCase();
    return [...roles.map(ofBuiltIn), ...customIds.map(ofCustom)].join(', ');
  }

  return { definitions, builtIn, options, permissions, isCut, namesOf, data, problem, reload };
}

/** A role as a command names it, from the value of a choice. */
export function roleInput(value: string): RoleInput {
  return value.startsWith(CUSTOM) ? { customId: value.slice(CUSTOM.length) } : { builtIn: value as Role };
}
