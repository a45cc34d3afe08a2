import { defineStore } from 'pinia';
import { computed, ref } from 'vue';
import type { ViewerQuery } from '../graphql/generated/graphql';

const KEY = 'apex.token';

export type Needed = 'missing' | 'refused' | 'ended';

/** Who reads the page. A key or token is kept for this tab only; the cookies of a session are not readable by the page. */
export const useSession = defineStore('session', () => {
  const token = ref<string | null>(sessionStorage.getItem(KEY));
  const viewer = ref<ViewerQuery['viewer'] | null>(null);
  /** Why the reader has to sign in; null if not. */
  const needed = ref<Needed | null>(null);
  /** How often someone signed in: what was loaded before is loaded again. */
  const generation = ref(0);
  const hasToken = computed(() => token.value !== null);

  function setToken(given: string | null): void {
    token.value = given;
    if (given === null) {
      sessionStorage.removeItem(KEY);
    } else {
      sessionStorage.setItem(KEY, given);
    }
  }

  /** Asks for a credential, because the server refuses the one that was sent. One that was given since then is kept. */
  function require(sent: string | null): void {
    if (sent !== token.value) {
      return;
    }
    viewer.value = null;
    needed.value ??= sent === null ? 'missing' : 'refused';
    // Otherwise it would be sent with every request, instead of the cookies of a session that an identity provider begins.
    setToken(null);
  }

  function signedIn(): void {
    needed.value = null;
    generation.value += 1;
  }

  return { token, hasToken, viewer, needed, generation, setToken, require, signedIn };
});
