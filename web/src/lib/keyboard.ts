import { onBeforeUnmount, onMounted } from 'vue';

/** What the keys do. */
export interface KeyActions {
  openPalette: () => void;
  openHelp: () => void;
  /** Whether shortcuts of a single key are on. */
  hasSingleKeys: () => boolean;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}

/** The row after the one that has the focus, or before it; the first one if none has. */
function moveToRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = at < 0 ? rows[by > 0 ? 0 : rows.length - 1] : rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  next?.focus();
}

export function useKeyboard(actions: KeyActions): void {
  function onKey(event: KeyboardEvent): void {
    if (document.querySelector('dialog[open]')) {
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      actions.openPalette();
      return;
    }
    if (!actions.hasSingleKeys() || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) {
      return;
    }
    switch (event.key) {
      case '/': {
        event.preventDefault();
        const field = document.querySelector<HTMLElement>('[data-search]');
        if (field) {
          field.focus();
        } else {
          actions.openPalette();
        }
        break;
      }
      case 'j':
        moveToRow(1);
        break;
      case 'k':
        moveToRow(-1);
        break;
      case '?':
        actions.openHelp();
        break;
    }
  }
  onMounted(() => window.addEventListener('keydown', onKey));
  onBeforeUnmount(() => window.removeEventListener('keydown', onKey));
}
