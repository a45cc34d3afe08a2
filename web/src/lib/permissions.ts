import { computed } from 'vue';
import type { ComputedRef } from 'vue';
import { useSession } from '../stores/session';

export interface Permissions {
  /** Whether the server has said which permissions the reader has. */
  readonly isKnown: ComputedRef<boolean>;
  /** Whether the reader has a permission, such as `command:tasks`. Until the server has said so, nobody has any. */
  readonly may: (permission: string) => boolean;
  /** Whether the server has said that the reader does not have it. */
  readonly lacks: (permission: string) => boolean;
}

/** What the reader may do, so that nothing is offered that would be refused. */
export function usePermissions(): Permissions {
  const session = useSession();
  const has = (permission: string) => session.viewer?.permissions.includes(permission);
  return {
    isKnown: computed(() => session.viewer !== null),
    may: (permission) => has(permission) === true,
    lacks: (permission) => has(permission) === false,
  };
}

/** Whether the reader has all of some permissions. */
export function useMay(...permissions: readonly string[]): ComputedRef<boolean> {
  const { may } = usePermissions();
  return computed(() => permissions.every(may));
}
