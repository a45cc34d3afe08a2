// Debian's Chromium, as the programs beside this drive it: tabs that note what they complain of, and checks of what a page shows.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
export const WIDE = { theme: 'light', viewport: { width: 1280, height: 900 } };
export const NARROW = { theme: 'dark', viewport: { width: 390, height: 844 } };
export const VIEWS = [WIDE, NARROW];

let lines = null;

/** Prints a word, and waits until the reader of the output has answered it by a line on standard input. */
export async function tell(word) {
  lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log(word);
  await lines.next();
}

/** What axe finds in what is shown. */
export async function violations(page) {
  await page.evaluate(axe);
  const { violations: all } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: values }), RULES);
  return all.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join(', ')}`);
}

/** Waits until everything that the page asked for is there: there are no bones of what is loading, and the page is live. */
export async function idle(page) {
  await page.waitForFunction(() => document.querySelector('.bone') === null);
  await page.locator('.connection[data-state=live]').waitFor();
}

/** Waits until the page has what it asked for, with its heading and its texts. */
export async function settled(page, { heading, shows }) {
  await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
  for (const text of shows) {
    await page.getByText(text, { exact: false }).first().waitFor({ state: 'attached' });
  }
  await idle(page);
}

/**
 * Starts the browser for the pages of a server, which may ask for what is of the server or of its own schemes. What is wrong with them is
 * collected in `found`.
 */
export async function launch(server, { timeoutMs = 30_000, ownSchemes = ['data:'] } = {}) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const found = { errors: [], foreign: [], violations: [], sideways: [] };

  /** A tab, of a reader with a key if one is given. It notes what it complains of, unless that is expected. */
  async function open({ theme, viewport }, { key = null, timezoneId = 'Europe/Berlin', isExpected = () => false } = {}) {
    const context = await browser.newContext({ viewport, colorScheme: theme, timezoneId, reducedMotion: 'reduce' });
    if (key !== null) {
      await context.addInitScript((token) => globalThis.sessionStorage.setItem('apex.token', token), key);
    }
    const page = await context.newPage();
    page.setDefaultTimeout(timeoutMs);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && !isExpected()) {
        found.errors.push(`${page.url()}: ${message.text()}`);
      }
    });
    page.on('pageerror', (error) => found.errors.push(`${page.url()}: ${error.message}`));
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.host !== new URL(server).host && !ownSchemes.includes(url.protocol)) {
        found.foreign.push(request.url());
      }
    });
    return page;
  }

  /** Notes what axe finds in what is shown, and whether the page is wider than the window. `SCREENSHOTS` is a folder for pictures. */
  async function examine(page, label) {
    found.violations.push(...(await violations(page)).map((violation) => `${label}: ${violation}`));
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) {
      found.sideways.push(label);
    }
    if (process.env.SCREENSHOTS) {
      await page.screenshot({ path: `${process.env.SCREENSHOTS}/${label.replace(/\W+/g, '-')}.png`, fullPage: true });
    }
  }

  return { browser, found, open, examine };
}
