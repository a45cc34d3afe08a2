import { useSession } from '../stores/session';

export interface Permissions {
  /** Whether the reader has a permission, such as `command:tasks`. Until the server has said so, nobody has any. */
  readonly may: (permission: string) => boolean;
  /** Whether the server has said that the reader does not have it. */
  readonly lacks: (permission: string) => boolean;
}

export function usePermissions(): Permissions {
  const session = useSession();
  const has = (permission: string) => session.viewer?.permissions.includes(permission);
  return { may: (permission) => has(permission) === true, lacks: (permission) => has(permission) === false };
}
