// Signs a person in on the page, with Debian's Chromium: the address of the server, the e-mail address and the password of a user, and
// the UUID of an agent that is registered are given. Prints what was seen, as JSON.
import { chromium } from 'playwright-core';

const [server, email, password, agent] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const seen = {};

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const asks = () => page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  const isLive = () => page.locator('.connection[data-state=live]').waitFor();
  const signIn = async (secret) => {
    await page.getByLabel('E-mail address').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(secret);
    await page.getByLabel('Password', { exact: true }).press('Enter');
  };

  await page.goto(`${server}/agents/${agent}`);
  await asks();
  await signIn('not the password');
  await page.getByText('Signing in failed').waitFor();
  seen.refused = true;
  await signIn(password);
  await isLive();

  // A mutation, which needs the value of the cookie that scripts can read.
  await page.getByRole('button', { name: 'Activate' }).click();
  await page.locator('.badge[data-status=ACTIVE]').waitFor();
  seen.activated = true;
  seen.stored = await page.evaluate(() => sessionStorage.getItem('apex.token'));

  // An access token that has ended is replaced, without the person.
  await context.clearCookies({ name: 'apex_access' });
  await page.reload();
  await isLive();
  await page.locator('.badge[data-status=ACTIVE]').waitFor();
  seen.renewed = (await context.cookies(server)).some(({ name }) => name === 'apex_access');

  await page.getByRole('button', { name: 'Settings' }).click();
  // A session that the server did not end goes on, and the reader is told.
  await page.route('**/auth/logout', (route) => route.fulfill({ status: 503, json: {} }));
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('alert').getByText('You are still signed in').waitFor();
  await page.unroute('**/auth/logout');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await asks();
  seen.signedOut = true;
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
