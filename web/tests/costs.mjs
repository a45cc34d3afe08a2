// Opens views of the costs at the server at the address that is given, with Debian's Chromium, in some time zones, and prints what their
// tables say, as JSON: exact amounts, and counts. Looks at both themes, and does what the page offers.
import { readFileSync } from 'node:fs';
import { launch, VIEWS } from './browser.mjs';

const [server, zones, range, ...views] = process.argv.slice(2);
const LOOKS = ['by=model,provider&chart=stacked&zone=UTC&filter=provider:openai', 'by=source&compare=previous', 'by=day,model&top=10', 'by=tag'];
/** The first value of a parameter counts, so that this is another time range. */
const COMPARED = 'by=model&range=custom&from=2024-01-01&to=2026-12-31&compare=custom&baseFrom=2023-01-01&baseTo=2023-12-31';

const { browser, found, open, examine } = await launch(server, { ownSchemes: ['data:', 'blob:'] });
found.tables = {};

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

/** What is saved by a click. */
async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()]);
  return { name: download.suggestedFilename(), text: readFileSync(await download.path(), 'utf8') };
}

try {
  for (const zone of zones.split(',')) {
    const page = await open(VIEWS[0], { timezoneId: zone });
    found.tables[zone] = {};
    for (const view of views) {
      await show(page, view);
      found.tables[zone][view] = await table(page);
    }
    await page.context().close();
  }

  for (const view of VIEWS) {
    const page = await open(view);
    for (const look of LOOKS) {
      await show(page, look);
      const details = page.locator('main details:not([open]) > summary');
      while ((await details.count()) > 0) {
        await details.first().click();
      }
      await examine(page, `${view.theme} ${look}`);
    }
    await page.context().close();
  }

  // Two periods.
  const page = await open(VIEWS[0]);
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
