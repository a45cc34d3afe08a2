// Drives the pages of calls and traces with Debian's Chromium, against the server at the address that is given, which has the trace of
// the given id: a span without usage, and inside of it a call of the given model, with the text "What is up?", and one
// without a price. The call of the given id is corrected and voided. What was seen is printed as JSON.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [server, trace, model, call] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const PAGES = [
  { path: '/calls?range=30d', heading: 'Calls', shows: [model, 'unpriced'] },
  { path: `/calls/${call}`, heading: `Call: ${model}`, shows: ['Usage by meter', 'Total', 'call.recorded'] },
  { path: `/traces/${trace}`, heading: 'Trace', shows: ['answer the question', 'Tokens in, out'] },
  { path: '/costs?range=30d', heading: 'Costs', shows: [model, 'Total'] },
];
const VIEWS = [
  { theme: 'light', viewport: { width: 1280, height: 900 } },
  { theme: 'dark', viewport: { width: 390, height: 844 } },
];

const found = { errors: [], foreign: [], violations: [], sideways: [] };
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });

/** Opens a tab and notes what it complains of. */
async function open({ theme, viewport }) {
  const context = await browser.newContext({ viewport, colorScheme: theme, timezoneId: 'Europe/Berlin', reducedMotion: 'reduce' });
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
    if (url.host !== new URL(server).host && url.protocol !== 'data:') {
      found.foreign.push(request.url());
    }
  });
  return page;
}

/** Notes what axe finds, and whether the page is wider than its window. */
async function check(page, label) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: values }), RULES);
  found.violations.push(
    ...violations.map(({ id, nodes }) => `${label}: ${id}: ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join(', ')}`),
  );
  if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) {
    found.sideways.push(label);
  }
  if (process.env.SCREENSHOTS) {
    await page.screenshot({ path: `${process.env.SCREENSHOTS}/${label.replace(/\W+/g, '-')}.png`, fullPage: true });
  }
}

async function settled(page, { heading, shows }) {
  await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
  for (const text of shows) {
    await page.getByText(text, { exact: false }).first().waitFor({ state: 'attached' });
  }
  await page.waitForFunction(() => document.querySelector('.bone') === null);
  await page.locator('.connection[data-state=live]').waitFor();
}

try {
  for (const view of VIEWS) {
    const page = await open(view);
    for (const shown of PAGES) {
      await page.goto(`${server}${shown.path}`);
      await settled(page, shown);
      await check(page, `${view.theme} ${shown.path.slice(0, 8)}`);
    }
    await page.context().close();
  }

  // From the overview to the receipt of a call by the keyboard alone.
  const page = await open(VIEWS[0]);
  await page.goto(server);
  await page.locator('.connection[data-state=live]').waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  await page.keyboard.type('go to calls');
  await page.keyboard.press('Enter');
  await settled(page, { heading: 'Calls', shows: ['unpriced'] });
  const before = await page.locator('[data-row]').count();
  await page.keyboard.press('/');
  // A whole id would open the call.
  await page.keyboard.type(call.slice(0, -1));
  await page.waitForFunction(() => document.querySelectorAll('[data-row]').length === 1);
  found.narrowed = [before, await page.locator('[data-row]').count(), new URL(page.url()).searchParams.get('q')];
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await settled(page, PAGES[1]);
  await page.goto(`${server}/calls`);
  await page.getByRole('searchbox').fill(call);
  await settled(page, PAGES[1]);
  found.receipt = await page.getByRole('row', { name: /^Total/ }).innerText();
  found.receiptText = await page.locator('pre').innerText();

  // Its trace, by the link; a span is collapsed, and another one opened, by the keyboard.
  await page.getByRole('link', { name: trace }).press('Enter');
  await settled(page, PAGES[2]);
  found.spans = await page.locator('[data-row]').allInnerTexts();
  found.bars = await page.locator('svg.fall').count();
  await page.getByRole('button', { name: 'Hide the spans inside of answer the question' }).press('Enter');
  found.collapsed = await page.locator('[data-row]').count();
  await page.getByRole('button', { name: 'Show the spans inside of answer the question' }).press('Enter');
  await page.keyboard.press('j');
  await page.locator('[data-row]').nth(1).press('Enter');
  await page.getByRole('button', { name: 'Show the texts of this span' }).press('Enter');
  await page.waitForFunction(() => document.querySelector('.bone') === null);
  await page.getByText('What is up?').waitFor();
  await check(page, 'trace with details');
  await page.getByRole('link', { name: 'Call and receipt' }).press('Enter');
  await page.getByRole('button', { name: 'Correct', exact: true }).waitFor();

  // From a row of the costs to its calls.
  await page.goto(`${server}/costs?range=30d`);
  await settled(page, PAGES[3]);
  await page.locator('tbody td.number a').first().press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Calls', exact: true }).waitFor();
  const drilled = new URL(page.url()).searchParams;
  found.drilled = [drilled.get('range'), drilled.get('filter')?.startsWith('model:')];

  // The call is corrected: nothing without a change, then with one; then it is voided.
  await page.goto(`${server}/calls/${call}`);
  await page.getByRole('button', { name: 'Correct', exact: true }).press('Enter');
  await page.getByRole('dialog', { name: 'Correct this call?' }).waitFor();
  await page.getByLabel('Reason').fill('checked by keyboard');
  await page.keyboard.press('Enter');
  await page.getByText('Change at least one field.').waitFor();
  await check(page, 'correct');
  await page.getByLabel('Team').fill('platform');
  await page.keyboard.press('Enter');
  await page.getByText('The call is corrected.').waitFor();
  await page.getByText('platform', { exact: true }).waitFor();
  await page.getByRole('rowheader', { name: 'call.corrected' }).waitFor();
  await page.getByRole('button', { name: 'Void', exact: true }).press('Enter');
  await page.getByRole('dialog', { name: 'Void this call?' }).waitFor();
  await page.getByLabel('Reason').fill('reported twice');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'The call was voided' }).waitFor();
  await check(page, 'voided');
  found.voided = true;
  await page.goto(`${server}/traces/00000000000000000000000000000001`);
  await page.getByRole('heading', { name: 'There is no such trace' }).waitFor();
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);
