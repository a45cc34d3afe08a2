// Debian's Chromium, as the programs beside this drive it: tabs that note what they complain of, and a check of what a page shows.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
export const WIDE = { theme: 'light', viewport: { width: 1280, height: 900 } };
export const NARROW = { theme: 'dark', viewport: { width: 390, height: 844 } };

/** Starts the browser for the pages of a server. What is wrong with them is collected in `found`. */
export async function launch(server) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const found = { errors: [], foreign: [], violations: [], sideways: [] };

  /** A tab, of a reader with a key if one is given. */
  async function open({ theme, viewport }, key = null) {
    const context = await browser.newContext({ viewport, colorScheme: theme, timezoneId: 'Europe/Berlin', reducedMotion: 'reduce' });
    if (key !== null) {
      await context.addInitScript((token) => globalThis.sessionStorage.setItem('apex.token', token), key);
    }
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) {
        found.errors.push(`${page.url()}: ${message.text()}`);
      }
    });
    page.on('pageerror', (error) => found.errors.push(`${page.url()}: ${error.message}`));
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.host !== new URL(server).host && !['data:', 'blob:'].includes(url.protocol)) {
        found.foreign.push(request.url());
      }
    });
    return page;
  }

  /** Waits until everything that the page asked for is there, and notes what is wrong with what it shows. */
  async function check(page, label) {
    await page.waitForFunction(() => document.querySelector('.bone') === null);
    await page.locator('.connection[data-state=live]').waitFor();
    await page.evaluate(axe);
    const { violations } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: values }), RULES);
    found.violations.push(
      ...violations.map(({ id, nodes }) => `${label}: ${id}: ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join(', ')}`),
    );
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) {
      found.sideways.push(label);
    }
  }

  return { browser, found, open, check };
}
