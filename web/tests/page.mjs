// Drives the page with Debian's Chromium, against the server at the address that is given, whose agent of the given name is active.
// The server is stopped and started again by the reader of the lines that this prints: after `lose` it is stopped, and after
// `restore` it is there again; each is answered by a line on standard input. The last line is what was seen, as JSON.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [server, name, uuid] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const PAGES = [
  { path: '/', heading: 'Overview', shows: ['Spend today', 'Tasks'] },
  { path: '/agents', heading: 'Agents', shows: [name, 'Current task'] },
  { path: `/agents/${uuid}`, heading: name, shows: ['Timeline', 'agent.registered', 'Memory'] },
  { path: '/costs?by=agent&range=today', heading: 'Costs', shows: ['Total', 'Share'] },
  { path: '/budgets', heading: 'Budgets', shows: ['everything', 'Renews'] },
];
const VIEWS = [
  { theme: 'light', viewport: { width: 1280, height: 900 } },
  { theme: 'dark', viewport: { width: 390, height: 844 } },
];

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const tell = async (word) => {
  console.log(word);
  await lines.next();
};
const found = { errors: [], foreign: [], violations: [], sideways: [], bytes: {} };
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });

/** Opens a tab and notes what it complains of. Lost connections are complained of too, so `isLost` says when they are expected. */
async function open({ theme, viewport }, isLost = () => false) {
  const context = await browser.newContext({ viewport, colorScheme: theme, timezoneId: 'Europe/Berlin', reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !isLost()) {
      found.errors.push(`${page.url()}: ${message.text()}`);
    }
  });
  page.on('pageerror', (error) => found.errors.push(`${page.url()}: ${error.message}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.host !== new URL(server).host && url.protocol !== 'data:') {
      found.foreign.push(request.url());
    }
  });
  return page;
}

async function violations(page) {
  await page.evaluate(axe);
  const { violations: all } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: values }), RULES);
  return all.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join(', ')}`);
}

/** Waits until the page has what it asked for: its heading and its texts, and no bones of what is loading. */
async function settled(page, { heading, shows }) {
  await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
  for (const text of shows) {
    await page.getByText(text, { exact: false }).first().waitFor({ state: 'attached' });
  }
  await page.waitForFunction(() => document.querySelector('.bone') === null);
  await page.locator('.connection[data-state=live]').waitFor();
}

try {
  // Each page, in both themes, on a desk and on a phone.
  for (const view of VIEWS) {
    const page = await open(view);
    for (const shown of PAGES) {
      await page.goto(`${server}${shown.path}`);
      await settled(page, shown);
      const label = `${view.theme} ${shown.path}`;
      found.violations.push(...(await violations(page)).map((violation) => `${label}: ${violation}`));
      if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) {
        found.sideways.push(label);
      }
    }
    await page.context().close();
  }

  // The controls: what axe and the log of the browser are there to find is found.
  const control = await open(VIEWS[0]);
  await control.goto(`${server}/budgets`);
  await settled(control, PAGES[4]);
  await control.evaluate(() => {
    document.querySelector('main').append(document.createElement('button'));
    const inline = document.createElement('script');
    inline.textContent = 'document.title = "inline"';
    document.body.append(inline);
  });
  const planted = { violations: await violations(control), title: await control.title(), errors: found.errors.length };
  found.planted = { violations: planted.violations, title: planted.title, errors: found.errors.splice(0) };
  await control.context().close();

  // What the first page takes over the wire, compressed.
  const first = await open(VIEWS[0]);
  const session = await first.context().newCDPSession(first);
  await session.send('Network.enable');
  const kinds = new Map();
  session.on('Network.responseReceived', ({ requestId, response }) => kinds.set(requestId, new URL(response.url).pathname));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const path = kinds.get(requestId) ?? '';
    if (path === '/' || path.startsWith('/assets/')) {
      found.bytes[path] = encodedDataLength;
    }
  });
  await first.goto(`${server}/`);
  await settled(first, PAGES[0]);
  await first.locator('canvas').waitFor();
  await first.context().close();

  // An agent is paused by the keyboard alone, and resumed by what undoes it.
  const page = await open(VIEWS[0]);
  await page.goto(`${server}/agents`);
  await settled(page, PAGES[1]);
  await page.keyboard.press('/');
  await page.keyboard.type(name);
  await page.waitForFunction(() => document.querySelectorAll('[data-row]').length === 1);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await settled(page, PAGES[2]);
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  await page.keyboard.type('pause');
  await page.getByRole('option', { name: `Pause ${name}` }).waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: `Pause ${name}?` }).waitFor();
  found.dialogViolations = await violations(page);
  await page.keyboard.press('Enter');
  found.reasonNeeded = await page.getByText('Give a reason.').isVisible();
  await page.keyboard.type('checked by keyboard');
  await page.keyboard.press('Enter');
  await page.locator('.badge[data-status=PAUSED]').waitFor();
  found.paused = await page.getByText('checked by keyboard').first().isVisible();
  // The event comes by the subscription, without a reload of the page.
  await page.getByRole('rowheader', { name: 'agent.paused' }).first().waitFor();
  found.afterPause = await violations(page);
  await page.getByRole('button', { name: 'Undo' }).press('Enter');
  await page.locator('.badge[data-status=ACTIVE]').waitFor();
  found.resumed = true;
  await page.context().close();

  // A lost server is shown, what was loaded stays, and the page goes on by itself when the server is back.
  let isLost = false;
  const lasting = await open(VIEWS[0], () => isLost);
  await lasting.goto(`${server}/agents`);
  await settled(lasting, PAGES[1]);
  // The other pages are loaded ahead, so that they are there without the server.
  await lasting.waitForFunction(() => performance.getEntriesByType('resource').some(({ name }) => name.includes('/CostsPage')));
  isLost = true;
  await tell('lose');
  await lasting.locator('.connection[data-state=lost]').waitFor();
  await lasting.getByRole('button', { name: 'Connect now' }).waitFor();
  found.lost = { rows: await lasting.locator('[data-row]').count(), violations: await violations(lasting) };
  await lasting.getByRole('link', { name: 'Costs' }).click();
  await lasting.getByRole('alert').first().waitFor();
  found.lost.error = await lasting.getByText('The server cannot be reached').first().isVisible();
  await lasting.getByRole('link', { name: 'Agents' }).click();
  await tell('restore');
  await settled(lasting, PAGES[1]);
  isLost = false;
  found.restored = await lasting.locator('[data-row]').count();
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);
