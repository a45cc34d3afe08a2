// Signs in with Debian's Chromium: at the server whose address is given, by the provider `okta`. Prints what the browser saw.
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const server = process.argv[2];
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

// Another site, with a form whose answer is a redirect to the server, as a provider's last answer is.
const redirecting = createServer((request, response) => {
  if (request.method === 'POST') {
    response.writeHead(303, { location: `${server}/auth/session` });
    response.end();
  } else {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<form method="post"><button type="submit">Continue</button></form>');
  }
});
await new Promise((listening) => redirecting.listen(0, '127.0.0.1', listening));
const otherSite = `http://localhost:${redirecting.address().port}/`;

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

  await page.goto(otherSite);
  await page.click('button');
  await page.waitForURL(`${server}/auth/session`);
  const byRedirect = await json();

  // A page that may send requests to its server, unlike an answer in JSON.
  await page.goto(`${server}/graphiql`);
  const readable = (await page.evaluate(() => document.cookie)).split('; ').map((pair) => pair.split('=')[0]);
  const csrf = (await context.cookies(server)).find((cookie) => cookie.name === 'apex_csrf').value;
  const loggedOut = await page.evaluate(async (value) => {
    const headers = { 'content-type': 'application/json', 'x-apex-csrf': value };
    return (await fetch('/auth/logout', { method: 'POST', headers, body: '{}' })).json();
  }, csrf).catch((error) => String(error));
  const afterwards = (await page.goto(`${server}/auth/session`)).status();

  await page.goto(start);
  await page.waitForURL(`${server}/auth/session`);
  const again = await json();
  console.log(JSON.stringify({ session, byRedirect, readable: readable.filter((name) => name.startsWith('apex')), loggedOut, afterwards, again }));
} finally {
  await browser.close();
  redirecting.close();
}
