import { defineStore } from 'pinia';
import { ref } from 'vue';

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly isProblem: boolean;
  readonly action: { readonly label: string; readonly run: () => void } | null;
}

/** As many messages are shown at once; older ones are removed. None is removed by time, so that each can be read. */
const MAX_TOASTS = 3;

export const useToasts = defineStore('toasts', () => {
  const toasts = ref<Toast[]>([]);
  let last = 0;

  function show(text: string, options: Partial<Pick<Toast, 'isProblem' | 'action'>> = {}): void {
    last += 1;
    const toast = { id: last, text, isProblem: options.isProblem ?? false, action: options.action ?? null };
    toasts.value = [...toasts.value, toast].slice(-MAX_TOASTS);
  }

  function dismiss(id: number): void {
    toasts.value = toasts.value.filter((toast) => toast.id !== id);
  }

  /** Removes all messages, and what they offer to undo: they are of another reader. */
  function clear(): void {
    toasts.value = [];
  }

  return { toasts, show, dismiss, clear };
});
