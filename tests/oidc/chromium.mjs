// Signs in with Debian's Chromium: at the server whose address is given, by the provider `okta`. Prints what the browser saw.
import { chromium } from 'playwright-core';

const server = process.argv[2];
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const json = async () => JSON.parse(await page.innerText('body'));
  const start = `${server}/auth/login/okta?returnTo=/auth/session`;

  await page.goto(start);
  await page.fill('input[name=login]', 'ada');
  await page.fill('input[name=password]', 'x');
  await page.click('button[type=submit]');
  await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
  await page.click('button[type=submit]');
  await page.waitForURL(`${server}/auth/session`);
  const session = await json();

  const readable = (await page.evaluate(() => document.cookie)).split('; ').map((pair) => pair.split('=')[0]);
  const csrf = (await context.cookies(server)).find((cookie) => cookie.name === 'apex_csrf').value;
  // A page that may send requests to its server, unlike an answer in JSON.
  await page.goto(`${server}/graphiql`);
  const loggedOut = await page.evaluate(async (value) => {
    const headers = { 'content-type': 'application/json', 'x-apex-csrf': value };
    return (await fetch('/auth/logout', { method: 'POST', headers, body: '{}' })).json();
  }, csrf).catch((error) => String(error));
  const afterwards = (await page.goto(`${server}/auth/session`)).status();

  await page.goto(start);
  await page.waitForURL(`${server}/auth/session`);
  const again = await json();
  console.log(JSON.stringify({ session, readable: readable.filter((name) => name.startsWith('apex')), loggedOut, afterwards, again }));
} finally {
  await browser.close();
}
