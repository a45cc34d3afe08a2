/** Prints how long a chart of 100,000 points takes: its reduction to columns of pixels, and its drawing by Chromium with and without. */
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';
import { reduceToColumns } from '../src/lib/chart.ts';

const [POINTS, COLUMNS, ROUNDS] = [100_000, 1280, 20];

function median(times: readonly number[]): string {
  return `${([...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0).toFixed(1)} ms`;
}

const values = Array.from({ length: POINTS }, (_unused, index) => Math.abs(Math.sin(index / 5000)) * 100 + (index % 97));
const times = Array.from({ length: ROUNDS }, () => {
  const start = performance.now();
  reduceToColumns(values, COLUMNS);
  return performance.now() - start;
});
const reduced = reduceToColumns(values, COLUMNS);
const all = { xs: values.map((_value, index) => index), ys: values };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  const page = await browser.newPage({ viewport: { width: COLUMNS, height: 400 } });
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve('uplot/dist/uPlot.iife.min.js') });
  const drawn = (data: { xs: readonly number[]; ys: readonly (number | null)[] }) =>
    page.evaluate(
      async ({ xs, ys, rounds }) => {
        interface Plot {
          destroy: () => void;
        }
        const { uPlot } = globalThis as unknown as { uPlot: new (options: unknown, data: unknown, place: HTMLElement) => Plot };
        const taken: number[] = [];
        for (let round = 0; round < rounds; round += 1) {
          const start = performance.now();
          const options = { width: innerWidth, height: 180, scales: { x: { time: false } }, series: [{}, { stroke: 'blue', width: 2, points: { show: false } }] };
          const plot = new uPlot(options, [xs, ys], document.body);
          // It draws in a microtask. What was drawn is read, so that the time has all of the drawing.
          await new Promise((done) => setTimeout(done));
          document.querySelector('canvas')?.getContext('2d')?.getImageData(0, 0, 1, 1);
          taken.push(performance.now() - start);
          plot.destroy();
        }
        return taken;
      },
      { ...data, rounds: ROUNDS },
    );
  const figures = { points: POINTS, columns: COLUMNS, drawnPoints: reduced.xs.length, reduction: median(times), drawing: median(await drawn(reduced)), drawingWithout: median(await drawn(all)) };
  console.log(JSON.stringify(figures, null, 2));
} finally {
  await browser.close();
}
