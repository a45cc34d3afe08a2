// Drives the pages of budgets and of the first run with Debian's Chromium, against the server at the address that is given, with the API
// keys of an administrator and of a viewer. It has no data at first. The reader of the lines that this prints fills it: after `fill`
// there is a budget `guard` with an alert and a request for approval, which is answered by a line on standard input. The last line is
// what was seen, as JSON.
import { idle, launch, NARROW, tell, WIDE } from './browser.mjs';

const [server, admin, viewer] = process.argv.slice(2);
// Two calls of a model with a known price, of 2.5 dollars each, and a line that is refused.
const LINES = [
  { type: 'call', id: 'a', agent: 'dropped', provider: 'openai', model: 'gpt-4o', usage: { input: 1_000_000 } },
  { type: 'call', id: 'b', agent: 'dropped', provider: 'openai', model: 'gpt-4o', usage: { input: 1_000_000 } },
  { type: 'call', id: 'c', agent: 'dropped', provider: 'openai', model: 'gpt-4o', prompt: 'x' },
];

const { browser, found, open, examine } = await launch(server);

const heading = (page, name) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
async function settled(page, name) {
  await heading(page, name);
  await idle(page);
}

/** The overview of an empty tenant leads to the first data: a file that is dropped, whose cost appears, and a key for exporters. */
async function firstRun() {
  const page = await open(WIDE, { key: admin });
  await page.goto(`${server}/`);
  await settled(page, 'Overview');
  await page.getByRole('link', { name: 'Get the first data' }).click();
  await settled(page, 'Start');
  await page.getByText('Waiting for the first call').waitFor();
  await examine(page, 'light /start');
  const content = LINES.map((line) => JSON.stringify(line)).join('\n');
  await page.locator('.drop').evaluate((element, text) => {
    const files = new globalThis.DataTransfer();
    files.items.add(new globalThis.File([text], 'calls.jsonl'));
    element.dispatchEvent(new globalThis.DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));
  }, content);
  await page.getByText('is recorded', { exact: true }).waitFor();
  found.dropped = {
    recorded: await page.getByText('2 recorded').isVisible(),
    refused: await page.getByText('1 refused').isVisible(),
  };
  await page.getByText('Records that were refused').click();
  found.dropped.reason = await page.getByText(/^line 3: .*prompt/).isVisible();
  // The calls come by the subscription, with their cost.
  const cost = page.locator('.first-cost').first();
  await cost.waitFor();
  found.dropped.cost = await cost.textContent();
  found.dropped.link = await page.locator('a[href^="/calls/"]').first().getAttribute('href');
  await page.getByRole('button', { name: 'Create a key for it' }).click();
  await page.getByText('shown only here and only once').waitFor();
  const snippet = await page.locator('pre').textContent();
  found.key = { isShown: /authorization=Bearer [^$"]{20,}"/.test(snippet), isOwn: !snippet.includes(admin) };
  await examine(page, 'light /start, filled');
  await page.context().close();
}

/** The sample is sent by the page, twice: the second time, all of it is known. */
async function sample() {
  const page = await open(NARROW, { key: admin });
  await page.goto(`${server}/start`);
  await settled(page, 'Start');
  await page.getByRole('button', { name: 'Send the sample' }).click();
  await page.getByRole('link', { name: 'Show what the sample cost' }).waitFor();
  found.sample = await page.getByText('13 recorded').isVisible();
  await examine(page, 'dark /start, sample');
  await page.getByRole('link', { name: 'Show what the sample cost' }).click();
  await settled(page, 'Costs');
  await page.getByText('$0.23').first().waitFor();
  await page.context().close();
}

/** A budget is defined by the keyboard alone, with what the server finds wrong at its field, and a preview before it is saved. */
async function define() {
  const page = await open(WIDE, { key: admin });
  const key = (name) => page.keyboard.press(name);
  await page.goto(`${server}/budgets`);
  await settled(page, 'Budgets');
  await key('Control+k');
  await page.keyboard.type('new budget');
  await page.getByRole('option', { name: 'New budget' }).waitFor();
  await key('Enter');
  await settled(page, 'New budget');
  await page.getByLabel('Name', { exact: true }).focus();
  await key('Enter');
  found.nameNeeded = await page.getByText('Give the budget a name.').isVisible();
  await page.keyboard.type('typed');
  for (const [label, text] of [['Limit in US dollars', '3'], ['Alerts at (percent)', '2000']]) {
    await page.getByLabel(label).focus();
    await key('Control+a');
    await page.keyboard.type(text);
  }
  await key('Enter');
  // Only the server knows what a threshold may be.
  await page.locator('input[aria-invalid=true]').waitFor();
  found.serverError = await page.evaluate(() => document.activeElement.closest('.field').querySelector('.bad').textContent);
  await examine(page, 'light /budgets/new, with an error');
  await key('Control+a');
  await page.keyboard.type('50, 80');
  await page.getByLabel('Month', { exact: true }).focus();
  await key('ArrowUp');
  await key('Tab');
  await key('Enter');
  await page.getByText(/calls would have been refused/).waitFor();
  found.preview = await page.getByText(/calls would have been refused/).textContent();
  await examine(page, 'light /budgets/new, with a preview');
  await page.getByRole('button', { name: 'Define the budget' }).focus();
  await key('Enter');
  await settled(page, 'typed');
  found.defined = new URL(page.url()).pathname;
  await page.getByRole('rowheader', { name: 'Defined' }).waitFor();
  await page.context().close();
}

/** An operator answers a request, acknowledges an alert, raises the limit and suspends the budget. */
async function operate() {
  const page = await open(WIDE, { key: admin });
  const confirm = async (button, reason) => {
    await page.getByRole('dialog').getByLabel('Reason').fill(reason);
    await page.getByRole('dialog').getByRole('button', { name: button }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  };
  await page.goto(`${server}/budgets`);
  await settled(page, 'Budgets');
  await page.getByText(/Denied in/).waitFor();
  await examine(page, 'light /budgets');
  await page.getByRole('button', { name: 'Approve' }).click();
  await examine(page, 'light, dialog of an approval');
  await confirm('Approve', 'release day');
  await page.getByText('No request waits for an answer.').waitFor();
  await page.getByRole('button', { name: 'Acknowledge' }).click();
  await confirm('Acknowledge', 'known');
  await page.locator('.badge[data-status=ACKNOWLEDGED]').waitFor();
  await page.getByLabel('State').selectOption('raised');
  await page.locator('.budget').getByRole('link', { name: 'guard', exact: true }).waitFor();
  found.filtered = await page.locator('.budget').count();
  await page.locator('.budget').getByRole('link', { name: 'guard', exact: true }).click();
  await settled(page, 'guard');
  await page.getByText('Approved').waitFor();
  await page.getByText('It does not fit into what is left').first().waitFor();
  await page.getByRole('button', { name: 'Raise', exact: true }).click();
  await page.getByRole('dialog').getByLabel(/By how much/).fill('1.5');
  await examine(page, 'light, dialog of a raise');
  await confirm('Raise', 'more to do');
  await page.getByText('Raised by $1.50').waitFor();
  await page.getByRole('button', { name: 'Suspend' }).click();
  await confirm('Suspend', 'a trial');
  await page.locator('.badge[data-status=SUSPENDED]').waitFor();
  await page.getByRole('button', { name: 'Change terms' }).click();
  await settled(page, 'Change the terms of guard');
  await page.getByLabel('Limit in US dollars').fill('9');
  await page.getByLabel('Limit in US dollars').press('Enter');
  await settled(page, 'guard');
  await page.getByRole('rowheader', { name: 'Terms changed' }).waitFor();
  await examine(page, 'light /budgets/UUID');
  found.operated = true;
  await page.context().close();
}

/** A viewer sees what is there, and no button that would be refused. */
async function view() {
  const page = await open(NARROW, { key: viewer });
  const buttons = async () => (await page.locator('main').getByRole('button').allTextContents()).concat(await page.locator('main a.button').allTextContents());
  await page.goto(`${server}/budgets`);
  await settled(page, 'Budgets');
  await page.getByText('guard').first().waitFor();
  await examine(page, 'dark /budgets, a viewer');
  const ofList = await buttons();
  await page.locator('.budget').getByRole('link', { name: 'guard', exact: true }).click();
  await settled(page, 'guard');
  await page.getByRole('rowheader', { name: 'Suspended' }).waitFor();
  await examine(page, 'dark /budgets/UUID, a viewer');
  const ofBudget = await buttons();
  await page.goto(`${server}/start`);
  await settled(page, 'Start');
  await page.getByText('Your credential may not report calls').waitFor();
  await examine(page, 'dark /start, a viewer');
  const commands = /budget$|approve|deny|acknowledge|resolve|suspend|resume|raise|close|change|send|create/i;
  found.refusable = [...ofList, ...ofBudget, ...(await buttons())].filter((text) => commands.test(text.trim()));
  found.showsToken = (await page.locator('main').textContent()).includes(viewer);
  await page.context().close();
}

try {
  await firstRun();
  await sample();
  await tell('fill');
  await define();
  await operate();
  await view();
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);
