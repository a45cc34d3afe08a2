/** The part of a drawing that is shown, in the units of the drawing. */
export interface View {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const MARGIN = 24;
/** The smallest part that is shown, and how much of what is shown is panned by one step. */
const MIN_WIDTH = 320;
/** Texts of a drawing can be read from this scale on. */
const MIN_SCALE = 0.6;
const STEP = 0.2;

/** All of a drawing, with a margin. */
export function whole(width: number, height: number): View {
  return { x: -MARGIN, y: -MARGIN, width: width + 2 * MARGIN, height: height + 2 * MARGIN };
}

/** The whole if its texts can be read in as many pixels, otherwise its start, in the middle of its height. */
export function readable(all: View, pixels: { readonly width: number; readonly height: number }): View {
  const width = pixels.width / MIN_SCALE;
  const height = pixels.height / MIN_SCALE;
  return all.width <= width ? all : { x: all.x, y: all.y + (all.height - height) / 2, width, height };
}

/** The view with another scale around its centre: nearer if the factor is above 1. It is never farther than the whole. */
export function zoomed(view: View, factor: number, all: View): View {
  const most = Math.max(all.width, MIN_WIDTH);
  const width = Math.min(Math.max(view.width / factor, Math.min(MIN_WIDTH, most)), most);
  const height = (view.height * width) / view.width;
  return { x: view.x + (view.width - width) / 2, y: view.y + (view.height - height) / 2, width, height };
}

/** The view moved by a number of steps. Its centre stays in the drawing, so that it is never lost. */
export function panned(view: View, right: number, down: number, all: View): View {
  return moved(view, right * STEP * view.width, down * STEP * view.height, all);
}

/** The view moved by units of the drawing. */
export function moved(view: View, right: number, down: number, all: View): View {
  const within = (start: number, size: number, from: number, length: number) =>
    Math.min(Math.max(start, from - size / 2), from + length - size / 2);
  return {
    ...view,
    x: within(view.x + right, view.width, all.x, all.width),
    y: within(view.y + down, view.height, all.y, all.height),
  };
}

/** The view if it has a box, otherwise moved so that the box is in its centre. */
export function showing(view: View, box: View): View {
  const isIn =
    box.x >= view.x &&
    box.y >= view.y &&
    box.x + box.width <= view.x + view.width &&
    box.y + box.height <= view.y + view.height;
  return isIn ? view : { ...view, x: box.x + (box.width - view.width) / 2, y: box.y + (box.height - view.height) / 2 };
}

export type Direction = 'left' | 'right' | 'up' | 'down';

interface Point {
  readonly x: number;
  readonly y: number;
}

/** The nearest other point in a direction; what is aside counts double. Null if there is none. */
export function nearest<P extends Point>(points: readonly P[], from: Point, direction: Direction): P | null {
  let best: { point: P; distance: number } | null = null;
  for (const point of points) {
    const [right, down] = [point.x - from.x, point.y - from.y];
    const ahead = { left: -right, right, up: -down, down }[direction];
    const aside = Math.abs(direction === 'left' || direction === 'right' ? down : right);
    const distance = ahead + 2 * aside;
    if (ahead > 0 && (best === null || distance < best.distance)) {
      best = { point, distance };
    }
  }
  return best?.point ?? null;
}
