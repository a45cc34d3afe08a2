import { computed } from 'vue';
import type { ComputedRef } from 'vue';
import { useSession } from '../stores/session';

/** Whether the reader has all of some permissions. Without them there is no button for what the server would refuse. */
export function useMay(...permissions: readonly string[]): ComputedRef<boolean> {
  const session = useSession();
  return computed(() => permissions.every((permission) => session.viewer?.permissions.includes(permission) === true));
}
