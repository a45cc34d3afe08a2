import type { Directive } from 'vue';

function setHeight(element: HTMLElement, px: number): void {
  element.style.height = `${px}px`;
}

/** Sets the height of an element in pixels, where the policy of the page allows no attribute `style`. */
export const vHeight: Directive<HTMLElement, number> = {
  mounted: (element, { value }) => setHeight(element, value),
  updated: (element, { value, oldValue }) => {
    if (value !== oldValue) {
      setHeight(element, value);
    }
  },
};
