import { computed } from 'vue';
import type { ComputedRef } from 'vue';
import { useSession } from '../stores/session';

/** Whether the reader has a permission; null while that is not known yet, so that nothing is asked for that would be refused. */
export function usePermission(name: () => string): ComputedRef<boolean | null> {
  const session = useSession();
  return computed(() => session.viewer?.permissions.includes(name()) ?? null);
}
