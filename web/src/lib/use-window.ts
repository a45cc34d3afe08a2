/** The rows of a long table that are drawn: those in sight, and some around them. All rows have the same height. */
import { computed, onBeforeUnmount, ref, watch } from 'vue';
import type { ComputedRef, Ref } from 'vue';

/** What a table has before it is measured. */
const ASSUMED_ROW_PX = 36;
const OVERSCAN = 12;

export interface Viewport {
  readonly count: number;
  readonly rowPx: number;
  readonly scrollPx: number;
  readonly viewPx: number;
  readonly overscan: number;
}

/** The rows from `first` to before `end` are drawn; the others take the height `beforePx` above and `afterPx` below them. */
export interface Slice {
  readonly first: number;
  readonly end: number;
  readonly beforePx: number;
  readonly afterPx: number;
}

export function sliceOf({ count, rowPx, scrollPx, viewPx, overscan }: Viewport): Slice {
  const seen = Math.min(Math.max(Math.floor(scrollPx / rowPx), 0), count);
  const first = Math.max(seen - overscan, 0);
  const end = Math.min(seen + Math.ceil(viewPx / rowPx) + 1 + overscan, count);
  return { first, end, beforePx: first * rowPx, afterPx: (count - end) * rowPx };
}

export interface Window {
  readonly slice: ComputedRef<Slice>;
  /** Keeps the same rows in sight after rows were added above them, unless the first row is in sight. */
  keepInSight: (added: number) => void;
}

/**
 * Follows a scrolling element that has a table. Rows that are drawn have the attribute `data-window-row`, by which their height is
 * measured.
 */
export function useWindow(box: Readonly<Ref<HTMLElement | null>>, count: () => number): Window {
  const [scrollPx, viewPx, rowPx] = [ref(0), ref(0), ref(ASSUMED_ROW_PX)];
  const slice = computed(() =>
    sliceOf({ count: count(), rowPx: rowPx.value, scrollPx: scrollPx.value, viewPx: viewPx.value, overscan: OVERSCAN }),
  );

  function measure(): void {
    viewPx.value = box.value?.clientHeight ?? 0;
    const height = box.value?.querySelector('[data-window-row]')?.getBoundingClientRect().height ?? 0;
    rowPx.value = height > 0 ? height : rowPx.value;
  }

  function onScroll(): void {
    scrollPx.value = box.value?.scrollTop ?? 0;
  }

  // The size changes with the density, too, since it is in units of the text.
  const resizes = new ResizeObserver(measure);
  watch(
    box,
    (element, before) => {
      before?.removeEventListener('scroll', onScroll);
      resizes.disconnect();
      if (element) {
        element.addEventListener('scroll', onScroll, { passive: true });
        resizes.observe(element);
        onScroll();
      }
    },
    { immediate: true, flush: 'post' },
  );
  watch(() => count() > 0, measure, { flush: 'post' });
  onBeforeUnmount(() => {
    box.value?.removeEventListener('scroll', onScroll);
    resizes.disconnect();
  });

  function keepInSight(added: number): void {
    if (box.value && box.value.scrollTop > 0) {
      box.value.scrollTop += added * rowPx.value;
      onScroll();
    }
  }

  return { slice, keepInSight };
}
