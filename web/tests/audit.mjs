// Drives the page of the log with Debian's Chromium: the address of the server, the UUID of an agent that was registered, activated,
// paused and resumed, and an API key of a reader who may not see contents are given. The reader of the lines that this prints appends
// events: after `pause` it pauses the agent, and after `resume` it resumes it; each is answered by a line on standard input. The last
// line is what was seen, as JSON, with the frames per second at which a table of 100,000 rows scrolls.
import { idle, launch, NARROW, tell, WIDE } from './browser.mjs';

const [server, uuid, viewerKey] = process.argv.slice(2);
const LONG = 100_000;
const SCROLL_MS = 3_000;

const { browser, found, open, examine } = await launch(server);

/** Notes what is wrong with what the page shows, once everything that it asked for is there. */
async function check(page, label) {
  await idle(page);
  await examine(page, label);
}

const row = (page, type) => page.locator('.log tbody tr', { hasText: type }).first();
const positions = (page) =>
  page.locator('.log [data-window-row]').evaluateAll((rows) => rows.map((shown) => shown.getAttribute('data-window-row')));
const addressHas = (page, name, value) =>
  page.waitForFunction(([key, wanted]) => new URLSearchParams(globalThis.location.search).get(key) === wanted, [name, value]);
const status = (page) => page.locator('.values tr', { hasText: '/status' }).last().locator('td').last();

try {
  const page = await open(WIDE);

  // What the server does not know is said, with what it knows.
  await page.goto(`${server}/audit?category=nothing`);
  await page.getByText('unknown category').waitFor();
  found.unknown = await page.getByText('the categories are agent, task').isVisible();

  // Events are selected by the server and by the page, which says how many it has read.
  await page.getByRole('button', { name: 'Show all events' }).click();
  await page.getByLabel('Category', { exact: true }).fill('agent');
  await page.getByLabel('Stream: id of an object').fill(uuid);
  await page.keyboard.press('Enter');
  await addressHas(page, 'stream', uuid);
  await row(page, 'agent.resumed').waitFor();
  found.types = await page.locator('.log [data-window-row] td:nth-child(3)').allTextContents();
  const [resumed, paused, activated, registered] = await positions(page);
  await page.getByLabel('Actor has this in its name').fill('no such actor');
  await page.keyboard.press('Enter');
  found.noActor = await page.getByText('None of the 4 events that were read').waitFor().then(() => true);
  await page.goBack();
  await row(page, 'agent.resumed').waitFor();
  const table = page.locator('.log table');
  found.counts = [await table.getAttribute('aria-rowcount'), await row(page, 'agent.registered').getAttribute('aria-rowindex')];

  // One event, chosen by the keyboard.
  await page.locator('.log').focus();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await addressHas(page, 'event', paused);
  await page.getByText('"a reason to read"').waitFor();
  found.eventHasFocus = await page.evaluate(() => document.activeElement?.matches('h2') === true);
  await check(page, 'event');
  await page.getByRole('button', { name: 'Close the event' }).press('Enter');
  await page.waitForFunction(() => !globalThis.location.search.includes('event='));
  await page.waitForFunction((at) => document.activeElement?.closest('[data-window-row]')?.getAttribute('data-window-row') === at, paused);
  found.focusIsKept = true;

  // All of its correlation, which here is its command alone.
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'All of its correlation' }).click();
  await page.waitForFunction(() => document.querySelectorAll('.log [data-window-row]').length === 1);
  found.related = await positions(page).then((shown) => shown[0] === paused);
  await page.getByText('the log has no newer ones').waitFor();

  // Its object at any moment: the keys move through its versions.
  await page.getByRole('link', { name: 'History of the object up to this event' }).click();
  await page.getByText(`"paused"`).or(status(page)).first().waitFor();
  await page.waitForFunction(() => document.querySelector('input[type=range]')?.value === '3');
  found.statuses = [await status(page).textContent()];
  const slider = page.getByLabel('As of version');
  await slider.focus();
  await page.keyboard.press('ArrowLeft');
  await addressHas(page, 'as_of', activated);
  await page.locator('.values tr', { hasText: '/status' }).getByText('active').waitFor();
  found.statuses.push(await status(page).textContent());
  await page.keyboard.press('Home');
  await addressHas(page, 'as_of', registered);
  await page.locator('.values tr', { hasText: '/status' }).getByText('registered').waitFor();
  found.spoken = await slider.getAttribute('aria-valuetext');
  await page.keyboard.press('End');
  await addressHas(page, 'as_of', resumed);

  // Two moments compared, by a position that is typed.
  await page.getByRole('button', { name: 'Compare two moments' }).click();
  await page.getByLabel('Compared with position').fill('no position');
  await page.keyboard.press('Enter');
  found.badPosition = await page.getByText('no position is no position').isVisible();
  await page.getByLabel('Compared with position').fill(activated);
  await page.keyboard.press('Enter');
  await addressHas(page, 'compare', activated);
  await page.locator('ol.list li', { hasText: 'agent.paused' }).waitFor();
  found.between = await page.locator('ol.list li').count();
  await page.getByLabel('Compared with position').fill(paused);
  await page.keyboard.press('Enter');
  await addressHas(page, 'compare', paused);
  const changed = page.locator('.values').first().locator('tr', { hasText: '/status' });
  await changed.getByText('paused').waitFor();
  found.changed = await changed.locator('td').allTextContents();
  await check(page, 'history');

  // The same address on a phone, in the other theme.
  const narrow = await open(NARROW);
  await narrow.goto(page.url());
  await narrow.locator('.values').nth(1).waitFor();
  await check(narrow, 'narrow history');
  await narrow.context().close();

  // New events come by themselves. While they are paused none is shown, and then none is missing.
  await page.goto(`${server}/audit?category=agent&stream=${uuid}`);
  await row(page, 'agent.resumed').waitFor();
  await page.locator('.connection[data-state=live]').waitFor();
  await tell('pause');
  await page.waitForFunction(() => document.querySelectorAll('.log [data-window-row]').length === 5);
  await page.getByLabel('Follow new events').press('Space');
  await addressHas(page, 'tail', 'off');
  await tell('resume');
  await tell('pause');
  await page.getByText('Paused. It goes on after position').waitFor();
  await page.waitForFunction(() => !document.querySelector('.connection')?.textContent?.includes('behind'));
  found.whilePaused = (await positions(page)).length;
  await page.getByLabel('Follow new events').press('Space');
  await page.waitForFunction(() => document.querySelectorAll('.log [data-window-row]').length === 7);
  found.afterPause = new Set(await positions(page)).size;
  await check(page, 'tail');
  await page.context().close();

  // A reader who may not see contents is told so, and is refused nothing.
  const reader = await open(WIDE, { key: viewerKey });
  await reader.goto(`${server}/audit?category=agent&stream=${uuid}&tail=off&event=${paused}&object=agent/${uuid}`);
  await reader.getByText('it takes the permission read:contents').waitFor();
  found.saysWhatIsHidden = await reader.getByText('they take the permission read:contents').isVisible();
  found.hidesReason = (await reader.getByText('a reason to read').count()) === 0;
  await check(reader, 'reader');
  await reader.context().close();

  found.long = await scrollLongTable();
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);

/** Answers with a long table, scrolls it, and counts the frames. Only the rows are made up; the table is that of the page. */
async function scrollLongTable() {
  const long = await open(WIDE);
  const nodes = Array.from({ length: LONG }, (_unused, index) => ({
    id: String(index),
    position: String(index + 1),
    category: 'task',
    streamId: uuid,
    version: 1,
    eventId: uuid,
    type: 'task.progressed',
    recordedAt: '2026-03-01T12:00:00Z',
    metadataText: '{"actor":"measured"}',
  }));
  const answer = JSON.stringify({ data: { events: { pageInfo: { hasPreviousPage: false }, nodes } } });
  await long.route('**/graphql', (route) =>
    route.request().postData()?.includes('query EventsBefore') ? route.fulfill({ contentType: 'application/json', body: answer }) : route.continue(),
  );
  await long.goto(`${server}/audit?tail=off`);
  await long.locator(`.log table[aria-rowcount="${LONG + 1}"]`).waitFor();
  const measured = await long.evaluate(async (durationMs) => {
    const box = document.querySelector('.log');
    const frame = () => new Promise((resolve) => globalThis.requestAnimationFrame(resolve));
    const step = 240;
    let [frames, longestMs, mostRows] = [0, 0, 0];
    const begin = await frame();
    let [now, last] = [begin, begin];
    while (now - begin < durationMs) {
      box.scrollTop += step;
      now = await frame();
      frames += 1;
      longestMs = Math.max(longestMs, now - last);
      mostRows = Math.max(mostRows, box.querySelectorAll('[data-window-row]').length);
      last = now;
    }
    return { framesPerSecond: Math.round((frames * 1000) / (now - begin)), longestFrameMs: Math.round(longestMs), mostRows, scrolledPx: box.scrollTop };
  }, SCROLL_MS);
  // The keys reach the last row, which is the first event.
  await long.locator('.log').focus();
  await long.keyboard.press('End');
  await long.locator('.log [data-window-row="1"]').waitFor();
  const lastRow = await long.locator('.log [data-window-row="1"]').getAttribute('aria-rowindex');
  await check(long, 'long');
  // A row that is scrolled away leaves the focus with the table.
  await long.locator('.log [data-window-row="1"] [data-row]').focus();
  await long.evaluate(() => (document.querySelector('.log').scrollTop = 0));
  await long.locator(`.log [data-window-row="${LONG}"]`).waitFor();
  const focusStays = await long.evaluate(() => document.activeElement === document.querySelector('.log'));
  await long.context().close();
  return { ...measured, lastRow, focusStays };
}
