// Opens views of the costs at the server at the address that is given, with Debian's Chromium, in some time zones, and prints what their
// tables say, as JSON: exact amounts, and counts. Looks at both themes, and does what the page offers.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [server, zones, range, ...views] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const LOOKS = ['by=model,provider&chart=stacked&zone=UTC&filter=provider:openai', 'by=source&compare=previous', 'by=day,model&top=10', 'by=tag'];
/** The first value of a parameter counts, so that this is another time range. */
const COMPARED = 'by=model&range=custom&from=2024-01-01&to=2026-12-31&compare=custom&baseFrom=2023-01-01&baseTo=2023-12-31';
const THEMES = [
  { theme: 'light', viewport: { width: 1280, height: 900 } },
  { theme: 'dark', viewport: { width: 390, height: 844 } },
];

const found = { errors: [], foreign: [], violations: [], sideways: [], tables: {} };
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });

async function open({ theme, viewport }, timezoneId) {
  const context = await browser.newContext({ viewport, colorScheme: theme, timezoneId, reducedMotion: 'reduce' });
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

async function show(page, view) {
  await page.goto(`${server}/costs?${view}&${range}`);
  await page.getByRole('heading', { level: 1, name: 'Costs', exact: true }).waitFor();
  await settled(page);
  await page.locator('.connection[data-state=live]').waitFor();
}

async function settled(page) {
  await page.waitForFunction(() => document.querySelector('.bone') === null);
  await page.locator('[data-cost-total], .empty').first().waitFor();
}

/** The texts of the cells of the table, with the exact amounts in place of the rounded ones. */
function table(page) {
  return page.evaluate(() => {
    const text = (cell) => cell.querySelector('.amount')?.getAttribute('title') ?? cell.textContent.trim();
    const line = (row) => [...row.cells].map(text);
    const total = document.querySelector('[data-cost-total]');
    const shown = total.closest('table');
    return {
      headings: line(shown.tHead.rows[0]),
      rows: [...shown.tBodies[0].rows].map(line),
      total: line(total),
    };
  });
}

async function violations(page) {
  await page.evaluate(axe);
  const { violations: all } = await page.evaluate((values) => globalThis.axe.run(document, { runOnly: values }), RULES);
  return all.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join(', ')}`);
}

/** What is saved by a click. */
async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()]);
  return { name: download.suggestedFilename(), text: readFileSync(await download.path(), 'utf8') };
}

try {
  for (const zone of zones.split(',')) {
    const page = await open(THEMES[0], zone);
    found.tables[zone] = {};
    for (const view of views) {
      await show(page, view);
      found.tables[zone][view] = await table(page);
    }
    await page.context().close();
  }

  for (const view of THEMES) {
    const page = await open(view, 'Europe/Berlin');
    for (const look of LOOKS) {
      await show(page, look);
      const details = page.locator('main details:not([open]) > summary');
      while ((await details.count()) > 0) {
        await details.first().click();
      }
      found.violations.push(...(await violations(page)).map((violation) => `${view.theme} ${look}: ${violation}`));
      if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) {
        found.sideways.push(`${view.theme} ${look}`);
      }
    }
    await page.context().close();
  }

  // Two periods.
  const page = await open(THEMES[0], 'Europe/Berlin');
  await show(page, COMPARED);
  found.compared = await table(page);

  // What is chosen is in the address, and a row opens what it consists of.
  await show(page, 'by=provider');
  await page.getByLabel('And by').selectOption('MODEL');
  await page.getByLabel('Rows of').selectOption('MONTH');
  await page.getByRole('button', { name: 'Stacked' }).click();
  await page.waitForFunction(() => new URLSearchParams(location.search).get('by') === 'month,provider,model');
  await settled(page);
  await page.locator('.legend li').first().waitFor();
  found.stacked = await page.locator('.legend li').count();
  found.report = await saved(page, 'Save this table as CSV');
  found.calls = await saved(page, 'Save the calls as CSV');
  await page.locator('[data-row]').first().click();
  await page.waitForFunction(() => new URLSearchParams(location.search).getAll('filter').length === 2);
  await settled(page);
  found.drilled = Object.fromEntries(new URL(page.url()).searchParams);
  // A filter that is typed, and one for calls without any value, which only adds an alternative.
  await page.getByText('Add a filter').click();
  await page.getByLabel('Filter on').selectOption('TEAM');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.waitForFunction(() => new URLSearchParams(location.search).getAll('filter').includes('team'));
  found.filtered = true;
  // What the server refuses is shown with what it says.
  await page.goto(`${server}/costs?by=model&filter=agent:nobody`);
  await page.getByRole('alert').first().waitFor();
  found.refused = await page.getByRole('alert').first().textContent();
  await page.context().close();
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);
