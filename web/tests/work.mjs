// Drives the pages of tasks and task graphs with Debian's Chromium, against the server at the address that is given, which has a
// task graph of five tasks of two agents; what is given after it are the id of the graph, the UUIDs of its tasks that are completed
// and that wait, the position of the event that submitted the completed one, and the token of a reader who may change nothing. The
// last line is what was seen, as JSON.
import { launch, settled, VIEWS } from './browser.mjs';

const [server, dag, completed, waiting, submittedAt, readerToken] = process.argv.slice(2);
const PAGES = [
  { path: `/tasks?dag=${dag}`, heading: 'Tasks', shows: ['Collect the changes', '5 of 5 loaded tasks are shown', '$3.00'] },
  { path: `/tasks/${completed}`, heading: 'Collect the changes', shows: ['12 changes', 'task.completed', '$3.00', 'The task is shown as it is now.'] },
  { path: `/tasks/${completed}?asOf=${submittedAt}`, heading: 'Collect the changes', shows: ['Waiting', 'Later events are left out', 'no call'] },
  { path: `/dags/${dag}`, heading: 'Task graph', shows: ['Agent writer', 'They are no dependencies', 'Tasks of the graph', '$3.00'] },
];

const { browser, found, open, examine } = await launch(server);

const isIn = (page, status) => page.locator(`.heading .state[data-status=${status}]`).waitFor();
const hasRows = (page, count) => page.waitForFunction((rows) => document.querySelectorAll('[data-row]').length === rows, count);

try {
  // Each page, in both themes, on a desk and on a phone.
  for (const view of VIEWS) {
    const page = await open(view);
    for (const shown of PAGES) {
      await page.goto(`${server}${shown.path}`);
      await settled(page, shown);
      await examine(page, `${view.theme} ${shown.path}`);
    }
    await page.context().close();
  }

  // Tasks are searched and filtered, and the address says how.
  let isLost = false;
  const page = await open(VIEWS[0], { isExpected: () => isLost });
  await page.goto(`${server}${PAGES[0].path}`);
  await settled(page, PAGES[0]);
  await page.keyboard.press('/');
  await page.keyboard.type('writer links');
  await hasRows(page, 1);
  await page.getByLabel('Search by title').fill('');
  await page.getByLabel('Status').selectOption('Running');
  await hasRows(page, 1);
  found.filtered = new URL(page.url()).searchParams.get('status');
  await page.goto(`${server}/tasks?status=running&q=nothing+of+this`);
  await page.getByText('No task among those that are loaded').waitFor();

  // A task is submitted; what is missing is said.
  await page.getByRole('button', { name: 'Show all tasks' }).click();
  await page.getByLabel('Task graph').fill(dag);
  await page.getByLabel('Task graph').press('Enter');
  await hasRows(page, 5);
  await page.getByRole('button', { name: 'Submit a task' }).click();
  const dialog = page.getByRole('dialog', { name: 'Submit a task' });
  await dialog.getByRole('button', { name: 'Submit' }).click();
  found.needed = (await dialog.getByText('Give a title.').isVisible()) && (await dialog.getByText('Choose an agent.').isVisible());
  await examine(page, 'the form of a new task');
  await dialog.getByLabel('Title').fill('Thank the readers');
  await dialog.getByRole('combobox', { name: 'Agent' }).selectOption('planner');
  await dialog.getByRole('button', { name: 'Submit' }).click();
  await page.getByText('Thank the readers is submitted.').waitFor();
  await page.getByRole('rowheader', { name: 'Thank the readers' }).waitFor();
  found.submitted = true;

  // A task is started, and cancelled by a command whose first answer is lost: it is sent again under the same id.
  await page.goto(`${server}/tasks/${waiting}`);
  await isIn(page, 'SUBMITTED');
  await page.getByRole('button', { name: 'Start' }).click();
  await page.getByRole('button', { name: 'Start the task' }).click();
  await isIn(page, 'RUNNING');
  // The event comes by the subscription, without a reload of the page.
  await page.getByRole('rowheader', { name: 'task.started' }).waitFor();
  const ids = [];
  await page.route('**/graphql', async (route) => {
    const { query, variables } = route.request().postDataJSON();
    if (!query.includes('cancelTask')) {
      return route.continue();
    }
    ids.push(variables.input.commandId);
    if (ids.length > 1) {
      return route.continue();
    }
    await route.fetch();
    return route.abort();
  });
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.getByRole('button', { name: 'Cancel the task' }).click();
  found.reasonNeeded = await page.getByText('Give a reason.').isVisible();
  await page.getByLabel('Reason').fill('checked in a browser');
  await examine(page, 'the dialog of a command');
  isLost = true;
  await page.getByRole('button', { name: 'Cancel the task' }).click();
  await page.getByText('The server did not say whether the command took effect').waitFor();
  await page.getByRole('button', { name: 'Cancel the task' }).click();
  await page.getByText('is cancelled.').waitFor();
  await page.unroute('**/graphql');
  isLost = false;
  await isIn(page, 'CANCELLED');
  found.sentAgain = ids.length === 2 && ids[0] === ids[1];
  found.offered = await page.locator('.heading .actions button').count();
  await examine(page, 'the cancelled task');

  // The task as of an earlier event, chosen in its timeline, and back.
  await page.getByRole('link', { name: 'Show the task as of task.started' }).click();
  await isIn(page, 'RUNNING');
  await page.getByRole('button', { name: 'Event before' }).click();
  await isIn(page, 'SUBMITTED');
  await page.getByLabel('Position of the log').fill('all of it');
  await page.getByLabel('Position of the log').press('Enter');
  found.badPosition = await page.getByText('A position is a whole number from 1 on.').isVisible();
  await page.getByLabel('Position of the log').fill('1');
  await page.getByLabel('Position of the log').press('Enter');
  await page.getByRole('heading', { level: 1, name: 'The task was not submitted yet at position 1' }).waitFor();
  await page.getByRole('button', { name: 'Back to now' }).click();
  await isIn(page, 'CANCELLED');
  found.travelled = true;

  // The graph: zoomed by a button and a key, and walked to a task by the keyboard alone.
  await page.goto(`${server}${PAGES[3].path}`);
  await settled(page, PAGES[3]);
  const drawing = page.locator('.graph > svg');
  const before = await drawing.getAttribute('viewBox');
  await page.getByRole('button', { name: 'Nearer' }).click();
  const near = await drawing.getAttribute('viewBox');
  await page.getByRole('group', { name: 'Graph of 6 tasks' }).press('0');
  found.zoomed = before !== near && before === (await drawing.getAttribute('viewBox'));
  found.nodes = await page.locator('.graph [data-status]').count();
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowRight');
  const target = await page.evaluate(() => document.activeElement.getAttribute('href'));
  await page.keyboard.press('Enter');
  await page.locator('.heading .state').waitFor();
  found.walked = target.startsWith('/tasks/') && new URL(page.url()).pathname === target;
  await page.context().close();

  // A reader who may not change tasks is offered nothing that would be refused.
  const reader = await open(VIEWS[0]);
  await reader.addInitScript((token) => globalThis.sessionStorage.setItem('apex.token', token), readerToken);
  await reader.goto(`${server}/dags/${dag}`);
  await settled(reader, PAGES[3]);
  await reader.getByRole('link', { name: 'Publish', exact: true }).click();
  await reader.getByText('Notes and outcomes take the permission read:contents.').waitFor();
  await reader.getByRole('rowheader', { name: 'task.submitted' }).waitFor();
  found.readerIsOffered = await reader.locator('.heading .actions button').count();
  await examine(reader, 'the task for a reader');
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);
