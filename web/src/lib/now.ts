import { computed, readonly, ref } from 'vue';
import { startOfQuarter } from './time';

const now = ref(Date.now());
setInterval(() => (now.value = Date.now()), 1000);
const quarter = computed(() => startOfQuarter(new Date(now.value)).getTime());

/** The present time in milliseconds since 1970, which changes each second. */
export const useNow = () => readonly(now);

/** The start of the present quarter of an hour, in milliseconds since 1970. Days and hours of every time zone begin with one. */
export const useQuarter = () => quarter;
