// Finds calls, a receipt and a trace on the page with the keyboard: the address of the server, the id of a trace that has two spans, a
// chat within an agent's step, the UUID of a call that is voided, and an API key of a reader who may void none are given. Prints what
// was seen, as JSON.
import { launch, NARROW, WIDE } from './browser.mjs';

const [server, trace, voided, viewerKey] = process.argv.slice(2);
const { browser, found, open, check } = await launch(server);

try {
  // From the overview to a receipt by the keyboard alone.
  const page = await open(WIDE);
  await page.goto(server);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.keyboard.type('go to calls');
  await page.getByRole('option', { name: 'Go to Calls' }).waitFor();
  await page.keyboard.press('Enter');
  await page.locator('[data-row]').first().waitFor();
  await check(page, 'calls');
  found.rows = await page.locator('[data-row]').allTextContents();
  await page.keyboard.press('/');
  await page.keyboard.type('writer');
  await page.waitForFunction(() => document.querySelectorAll('[data-row]').length === 1);
  await page.locator('h1').focus();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 2, name: 'Receipt' }).waitFor();
  await check(page, 'a call');
  const amounts = page.locator('table', { hasText: 'Rate' }).locator('.amount');
  found.receipt = await amounts.evaluateAll((shown) => shown.map((amount) => amount.getAttribute('title')));
  await page.getByText('The receipt as text').click();
  found.receiptText = /2.?000.?000/.test((await page.locator('pre').first().textContent()) ?? '');

  // Conditions that the server looks for are in the address, and so are those that nothing meets.
  await page.goto(`${server}/calls?outcome=timeout`);
  await page.locator('[data-row]').first().waitFor();
  found.timeouts = await page.locator('[data-row]').allTextContents();
  await page.getByLabel('Model').fill('no such model');
  await page.keyboard.press('Enter');
  await page.getByText('No call meets these conditions.').waitFor();
  await check(page, 'no calls');

  // The id of a trace opens it.
  await page.goto(`${server}/calls`);
  await page.getByRole('searchbox').fill(trace);
  await page.getByRole('heading', { level: 1, name: 'Trace' }).waitFor();
  await page.getByRole('rowheader', { name: 'chat' }).waitFor();
  await check(page, 'a trace');
  found.spans = await page.locator('.spans tbody th').allTextContents();
  found.bars = await page.locator('.span-bar').evaluateAll((bars) => bars.map((bar) => bar.getAttribute('aria-label')));
  await page.getByRole('button', { name: 'Hide the spans within step' }).press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('.spans tbody tr').length === 1);
  await page.getByRole('button', { name: 'Show the spans within step' }).press('Enter');
  await page.getByRole('rowheader', { name: 'chat' }).waitFor();
  await page.goto(`${server}/traces/ffffffffffffffffffffffffffffffff`);
  await page.getByRole('heading', { level: 1, name: 'No such trace' }).waitFor();

  // A call is voided, with a reason.
  await page.goto(`${server}/calls/${voided}`);
  await page.getByRole('button', { name: 'Void the call' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Void the call' }).click();
  found.reasonNeeded = await dialog.getByText('Give a reason.').isVisible();
  await dialog.getByRole('textbox').fill('reported twice');
  await check(page, 'voiding');
  await dialog.getByRole('button', { name: 'Void the call' }).click();
  await page.getByRole('heading', { level: 1, name: 'No such call' }).waitFor();
  found.voided = true;

  // A reader who may not void it has no button for it; in the other theme, on a phone.
  const reader = await open(NARROW, viewerKey);
  await reader.goto(`${server}/traces/${trace}`);
  await reader.getByRole('rowheader', { name: 'chat' }).waitFor();
  await check(reader, 'a trace, narrow');
  await reader.getByRole('link', { name: 'chat' }).click();
  await reader.getByRole('heading', { level: 2, name: 'Receipt' }).waitFor();
  await check(reader, 'a call, narrow');
  found.readerVoids = await reader.getByRole('button', { name: 'Void the call' }).count();
  await reader.goto(`${server}/calls`);
  await reader.locator('[data-row]').first().waitFor();
  await check(reader, 'calls, narrow');
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);
