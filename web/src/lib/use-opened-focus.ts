import { nextTick, onMounted, watch } from 'vue';
import type { Ref } from 'vue';

/**
 * Moves the focus to the heading of what the reader has opened, by a link or a button of the page. What is open because the address of
 * the page says so does not take it.
 */
export function useOpenedFocus(heading: Readonly<Ref<HTMLElement | null>>, opened: () => unknown): void {
  async function focus(): Promise<void> {
    const by = document.activeElement;
    if (by?.closest('main') && !by.matches('h1')) {
      await nextTick();
      heading.value?.focus();
    }
  }
  onMounted(focus);
  watch(opened, focus);
}
