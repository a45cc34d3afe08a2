// Opens the page of a server that wants a credential, with Debian's Chromium: the address and the token are given. Prints what was
// seen, as JSON.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [server, token] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const seen = { foreign: [] };

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  const context = await browser.newContext();
  context.on('request', (request) => {
    if (new URL(request.url()).host !== new URL(server).host && !request.url().startsWith('data:')) {
      seen.foreign.push(request.url());
    }
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const asks = (tab) => tab.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  const enters = (tab) => tab.locator('.connection[data-state=live]').waitFor();

  await page.goto(`${server}/agents`);
  await asks(page);
  seen.asked = true;
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  seen.violations = violations.map(({ id }) => id);

  const field = page.getByLabel('API key or token');
  await field.fill('coffee');
  await field.press('Enter');
  await page.getByText('The server refuses this credential.').waitFor();
  await asks(page);
  seen.refused = true;

  await field.fill(token);
  await field.press('Enter');
  await enters(page);
  await page.getByRole('heading', { level: 1, name: 'Agents' }).waitFor();
  seen.entered = true;
  seen.inLocalStorage = await page.evaluate((secret) => JSON.stringify({ ...localStorage }).includes(secret), token);

  await page.reload();
  await enters(page);
  seen.kept = true;
  const other = await context.newPage();
  await other.goto(server);
  await asks(other);
  seen.otherTabAsked = true;
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
