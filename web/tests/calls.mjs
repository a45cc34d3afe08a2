// Drives the pages of calls and traces with Debian's Chromium, against the server at the address that is given, which has the trace of
// the given id: a span without usage, and inside of it a call of the given model, with the text "What is up?", and one
// without a price. The call of the given id is corrected and voided. What was seen is printed as JSON.
import { launch, settled, VIEWS } from './browser.mjs';

const [server, trace, model, call] = process.argv.slice(2);
const PAGES = [
  { path: '/calls?range=30d', heading: 'Calls', shows: [model, 'unpriced'] },
  { path: `/calls/${call}`, heading: `Call: ${model}`, shows: ['Usage by meter', 'Total', 'call.recorded'] },
  { path: `/traces/${trace}`, heading: 'Trace', shows: ['answer the question', 'Tokens in, out'] },
  { path: '/costs?range=30d', heading: 'Costs', shows: [model, 'Total'] },
];

const { browser, found, open, examine } = await launch(server);

try {
  for (const view of VIEWS) {
    const page = await open(view);
    for (const shown of PAGES) {
      await page.goto(`${server}${shown.path}`);
      await settled(page, shown);
      await examine(page, `${view.theme} ${shown.path.slice(0, 8)}`);
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
  await examine(page, 'trace with details');
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
  await examine(page, 'correct');
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
  await examine(page, 'voided');
  found.voided = true;
  await page.goto(`${server}/traces/00000000000000000000000000000001`);
  await page.getByRole('heading', { name: 'There is no such trace' }).waitFor();
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);
