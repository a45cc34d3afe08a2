/** Charts on a canvas: made when they are shown, as wide as their place, and again when what they show or the theme changes. */
import 'uplot/dist/uPlot.min.css';
import type uPlot from 'uplot';
import { nextTick, onBeforeUnmount, onMounted, watch } from 'vue';
import type { ShallowRef } from 'vue';
import { useSettings } from '../stores/settings';
import { formatPeriod } from './time';

export const PLOT_HEIGHT = 180;
const MIN_WIDTH = 120;
const FONT = '12px system-ui, sans-serif';
/** The least width of a label of the axis of time. */
const LABEL_WIDTH = 110;

export interface PlotPlace {
  readonly Plot: typeof uPlot;
  readonly width: number;
  /** The colour of the class `colour-…` in the present theme. */
  readonly colour: (name: string) => string;
}

export interface Drawing {
  readonly series: uPlot.Series[];
  readonly data: uPlot.AlignedData;
  /** The periods of the axis of time, each at its index. */
  readonly periods: readonly string[];
}

function colourIn(element: HTMLElement): (name: string) => string {
  return (name) => {
    const probe = document.createElement('span');
    probe.className = `colour-${name}`;
    element.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
}

function optionsOf({ width, colour }: PlotPlace, { series, periods }: Drawing): uPlot.Options {
  const axis = { stroke: colour('muted'), font: FONT, grid: { stroke: colour('line'), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: PLOT_HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: [-0.6, Math.max(periods.length, 1) - 0.4] },
      y: { range: (_plot, low, high) => [Math.min(low, 0), high > 0 ? high * 1.05 : 1] },
    },
    axes: [
      {
        ...axis,
        size: 32,
        grid: { show: false },
        splits: (plot) => {
          const every = Math.ceil(periods.length / Math.max(2, Math.floor(plot.width / LABEL_WIDTH)));
          return periods.map((_period, index) => index).filter((index) => index % every === 0);
        },
        values: (_plot, splits) => splits.map((index) => formatPeriod(periods[index] ?? '')),
      },
      { ...axis, size: 64, values: (_plot, splits) => splits.map((value) => `$${String(Number(value.toPrecision(6)))}`) },
    ],
    series,
  };
}

export function usePlot(
  holder: Readonly<ShallowRef<HTMLDivElement | null>>,
  draw: (place: PlotPlace) => Drawing,
  shown: () => unknown,
): void {
  const settings = useSettings();
  let chart: uPlot | null = null;
  let observer: ResizeObserver | null = null;
  let drawn = 0;

  async function redraw(): Promise<void> {
    drawn += 1;
    const own = drawn;
    const { default: Plot } = await import('uplot');
    await nextTick();
    const element = holder.value;
    if (!element || own !== drawn) {
      return;
    }
    chart?.destroy();
    element.replaceChildren();
    const width = Math.max(element.getBoundingClientRect().width, MIN_WIDTH);
    const place = { Plot, width, colour: colourIn(element) };
    const drawing = draw(place);
    chart = new Plot(optionsOf(place, drawing), drawing.data, element);
  }

  onMounted(() => {
    observer = new ResizeObserver(([entry]) => {
      if (chart && entry && entry.contentRect.width > 0) {
        chart.setSize({ width: entry.contentRect.width, height: PLOT_HEIGHT });
      }
    });
    if (holder.value) {
      observer.observe(holder.value);
    }
    void redraw();
  });
  watch([shown, () => settings.isDark], () => void redraw());
  onBeforeUnmount(() => {
    drawn += 1;
    observer?.disconnect();
    chart?.destroy();
  });
}
