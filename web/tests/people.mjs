// Two people at once, each with a browser of their own, at the agent with the given UUID, which is active: each sees what the other one
// does without loading the page again, and both may do the same. The address of the server is given. Prints what was seen, as JSON.
import { idle, launch, NARROW, WIDE } from './browser.mjs';

const [server, uuid] = process.argv.slice(2);
const { browser, found, open, examine } = await launch(server);
const status = (page, wanted) => page.locator(`.heading .badge[data-status=${wanted}]`).waitFor();

async function pause(page, reason) {
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  await page.getByRole('dialog').getByRole('textbox').fill(reason);
}

try {
  const [ada, bob] = [await open(WIDE), await open(NARROW)];
  for (const page of [ada, bob]) {
    await page.goto(`${server}/agents/${uuid}`);
    await status(page, 'ACTIVE');
    await page.locator('.connection[data-state=live]').waitFor();
  }

  await pause(ada, 'paused by ada');
  await ada.getByRole('dialog').getByRole('button', { name: 'Pause', exact: true }).click();
  await Promise.all([status(ada, 'PAUSED'), status(bob, 'PAUSED')]);
  found.reason = await bob.getByText('paused by ada').first().isVisible();
  await bob.getByRole('button', { name: 'Resume', exact: true }).click();
  await Promise.all([status(ada, 'ACTIVE'), status(bob, 'ACTIVE')]);

  // Both pause it before either knows of the other.
  await pause(ada, 'ada again');
  await pause(bob, 'bob too');
  await Promise.all([ada, bob].map((page) => page.getByRole('dialog').getByRole('button', { name: 'Pause', exact: true }).click()));
  await Promise.all([status(ada, 'PAUSED'), status(bob, 'PAUSED')]);
  // One of them is told that the reason of the other one stands.
  const told = [ada, bob].map((page) => page.getByText('already paused, for a different reason'));
  await Promise.any(told.map((text) => text.waitFor()));
  found.told = (await told[0].count()) + (await told[1].count());
  for (const [page, who] of [[ada, 'ada'], [bob, 'bob']]) {
    await idle(page);
    await examine(page, who);
  }
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);
