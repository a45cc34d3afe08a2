import { defineStore } from 'pinia';
import { computed, ref, watch } from 'vue';
import { isTimeZone } from '../lib/time';

export const THEMES = ['system', 'light', 'dark'] as const;
export const DENSITIES = ['comfortable', 'compact'] as const;
export type Theme = (typeof THEMES)[number];
export type Density = (typeof DENSITIES)[number];

const KEY = 'apex.settings';

interface Stored {
  theme?: unknown;
  density?: unknown;
  zone?: unknown;
  keys?: unknown;
}

function read(): Stored {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    return typeof stored === 'object' && stored !== null ? stored : {};
  } catch {
    return {};
  }
}

/** What the reader chose for this browser. */
export const useSettings = defineStore('settings', () => {
  const stored = read();
  const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  const theme = ref<Theme>(THEMES.find((known) => known === stored.theme) ?? 'system');
  const density = ref<Density>(DENSITIES.find((known) => known === stored.density) ?? 'comfortable');
  /** A zone that was chosen; null is that of the browser. */
  const chosenZone = ref<string | null>(typeof stored.zone === 'string' && isTimeZone(stored.zone) ? stored.zone : null);
  const singleKeys = ref(stored.keys !== false);
  const zone = computed(() => chosenZone.value ?? ownZone);

  const systemIsDark = ref(false);
  const preference = window.matchMedia('(prefers-color-scheme: dark)');
  systemIsDark.value = preference.matches;
  preference.addEventListener('change', (event) => (systemIsDark.value = event.matches));
  const isDark = computed(() => theme.value === 'dark' || (theme.value === 'system' && systemIsDark.value));

  watch(
    [theme, density, chosenZone, singleKeys],
    () => {
      document.documentElement.dataset.theme = theme.value;
      document.documentElement.dataset.density = density.value;
      try {
        const kept = { theme: theme.value, density: density.value, zone: chosenZone.value, keys: singleKeys.value };
        localStorage.setItem(KEY, JSON.stringify(kept));
      } catch {
        // A browser that keeps nothing still shows the page as it was chosen.
      }
    },
    { immediate: true },
  );

  return { theme, density, chosenZone, zone, ownZone, singleKeys, isDark };
});
