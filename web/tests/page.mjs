// Drives the page with Debian's Chromium, against the server at the address that is given, whose agent of the given name is active.
// The server is stopped and started again by the reader of the lines that this prints: after `lose` it is stopped, and after
// `restore` it is there again; each is answered by a line on standard input. The last line is what was seen, as JSON.
import { launch, settled, tell, VIEWS, violations } from './browser.mjs';

const [server, name, uuid] = process.argv.slice(2);
const PAGES = [
  { path: '/', heading: 'Overview', shows: ['Spend today', 'Tasks'] },
  { path: '/agents', heading: 'Agents', shows: [name, 'Current task'] },
  { path: `/agents/${uuid}`, heading: name, shows: ['Timeline', 'agent.registered', 'Memory'] },
  { path: '/costs?by=agent&range=today', heading: 'Costs', shows: ['Total', 'Share'] },
  { path: '/budgets', heading: 'Budgets', shows: ['everything', 'Renews'] },
];

const { browser, found, open, examine } = await launch(server);
found.bytes = {};

try {
  // Each page, in both themes, on a desk and on a phone.
  for (const view of VIEWS) {
    const page = await open(view);
    for (const shown of PAGES) {
      await page.goto(`${server}${shown.path}`);
      await settled(page, shown);
      const label = `${view.theme} ${shown.path}`;
      await examine(page, label);
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
  const lasting = await open(VIEWS[0], { isExpected: () => isLost });
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
