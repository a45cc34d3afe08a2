// Manages an installation on the page, with Debian's Chromium: the address of the server, the name of an agent with a memory of notes and
// a call without a price, the model of that call, and the positions of two parked events of a task are given, of which neither can be
// applied. Prints how far it is, a line each, and what was seen, as JSON.
import { launch, VIEWS } from './browser.mjs';

const [server, agent, model, parked, waiting] = process.argv.slice(2);
/** All are looked at in the dark on a phone; those where no step ends also in the light on a desk. */
const PAGES = [
  { path: '/memory', shows: ['The build needs Java 17.'] },
  { path: '/prices', isLightToo: true, shows: ['Input tokens'] },
  { path: '/prices?section=unpriced', isLightToo: true, shows: [model] },
  { path: '/prices?section=discounts', isLightToo: true, shows: ['There is no discount'] },
  { path: '/prices?section=versions', isLightToo: true, shows: ['Version 1'] },
  { path: '/prices?section=repricing', shows: ['Find the differences'] },
  { path: '/settings', shows: ['importer'] },
  { path: '/settings?section=people', shows: ['ada@example.org'] },
  { path: '/settings?section=teams', shows: ['research'] },
  { path: '/settings?section=roles', shows: ['Built in', 'importer'] },
  { path: '/settings?section=alerts', shows: ['on call', 'alert_endpoint.test'] },
  { path: '/settings?section=health', isLightToo: true, shows: ['Checkpoint', 'partitions'] },
  { path: '/settings?section=parked', shows: ['Skipped'] },
  { path: '/settings?section=connect', isLightToo: true, shows: ['OTEL_EXPORTER_OTLP_ENDPOINT'] },
];

const { browser, found, open, examine } = await launch(server, { timeoutMs: 20_000 });
found.done = {};

async function show(page, { path, shows }) {
  await page.goto(`${server}${path}`);
  for (const text of shows) {
    await page.getByText(text).first().waitFor({ state: 'attached' });
  }
  await page.waitForFunction(() => document.querySelector('.bone') === null);
}

const button = (page, name) => page.getByRole('button', { name, exact: true });
const press = (page, name) => button(page, name).first().click();
/** The message that a command is answered with. */
const told = (page, text) => page.locator('.toast').getByText(text).first().waitFor();

/** Fills the dialog's fields, by their labels, and sends it. */
async function send(page, action, fields = {}) {
  const dialog = page.getByRole('dialog');
  for (const [label, value] of Object.entries(fields)) {
    const field = dialog.getByLabel(label, { exact: true }).first();
    if (value === true) {
      await field.check();
    } else if (await field.evaluate((element) => element.tagName === 'SELECT')) {
      await field.selectOption({ label: value });
    } else {
      await field.fill(value);
    }
  }
  await button(dialog, action).click();
}

async function done(page) {
  await page.getByRole('dialog').waitFor({ state: 'detached' });
}

const steps = {
  /** The answer to the first attempt is lost: what is sent again is the same command. */
  async account(page, state) {
    await show(page, { path: '/settings', shows: ['Service accounts'] });
    state.isLosing = true;
    const ids = [];
    await page.route('**/graphql', async (route) => {
      const body = route.request().postDataJSON();
      if (!body.query.includes('createServiceAccount')) {
        return route.continue();
      }
      ids.push(body.variables.input.commandId);
      return ids.length === 1 ? route.fetch().then(() => route.abort()) : route.continue();
    });
    await press(page, 'New service account');
    await examine(page, 'dialog of an account');
    await send(page, 'Create', { Name: 'importer', agent: true });
    await page.getByRole('dialog').getByText('did not say whether the command took effect').waitFor();
    await send(page, 'Create');
    await done(page);
    await page.unroute('**/graphql');
    state.isLosing = false;
    await page.getByRole('rowheader', { name: 'importer' }).first().waitFor();
    found.done.sameCommand = ids.length === 2 && ids[0] === ids[1];
    found.done.accounts = await page.getByRole('rowheader', { name: 'importer' }).count();
  },

  async key(page, state) {
    await press(page, 'New key importer');
    await examine(page, 'dialog of a key');
    await send(page, 'Create the key', { 'Valid for': '30 days' });
    await done(page);
    const secret = page.getByRole('region', { name: 'Your new API key' });
    state.key = await secret.locator('code').textContent();
    found.done.secret = state.key.startsWith('apex_');
    await examine(page, 'secret');
    await secret.getByRole('button', { name: 'I have kept it' }).click();
    found.done.secretGone = (await page.getByText(state.key).count()) === 0;
    await page.getByRole('button', { name: /^Rotate / }).first().click();
    await send(page, 'Rotate');
    await done(page);
    const rotated = await page.getByRole('region', { name: 'Your new API key' }).locator('code').textContent();
    await press(page, 'I have kept it');
    // The one that came last is revoked, and the first one is valid for a day.
    const id = rotated.split('_').map((part) => part.replaceAll('-', '')).find((part) => /^[0-9a-f]{32}$/.test(part));
    const uuid = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    await press(page, `Revoke ${uuid}`);
    await send(page, 'Revoke');
    await page.getByText('Give a reason.').waitFor();
    await send(page, 'Revoke', { Reason: 'only for the test' });
    await done(page);
    await page.getByText('Revoked').first().waitFor();
  },

  async people(page) {
    await show(page, { path: '/settings?section=people', shows: ['Nobody was invited.'] });
    await press(page, 'Invite a person');
    await send(page, 'Invite', { 'E-mail address': 'ada@example.org', viewer: true });
    await done(page);
    const link = await page.getByRole('region', { name: 'The link of the invitation' }).locator('code').textContent();
    found.done.invitation = link.startsWith(`${server}/auth/invitation?token=`);
    await press(page, 'I have kept it');
    await page.getByText('Waiting').first().waitFor();
  },

  async teams(page) {
    await show(page, { path: '/settings?section=teams', shows: ['There is no team yet'] });
    await press(page, 'New team');
    await send(page, 'Save', { Name: 'research' });
    await done(page);
    await page.getByRole('link', { name: 'research' }).click();
    await page.getByLabel('Add an agent').selectOption({ label: agent });
    await button(page, 'Add').last().click();
    await told(page, `${agent} is in the team.`);
    await button(page, `Remove ${agent}`).waitFor();
    await examine(page, 'a team');
    await show(page, { path: '/settings?section=roles', shows: ['Who has a role', 'Built in'] });
    await press(page, 'Grant a role');
    await send(page, 'Grant', { Holder: 'research (team)', Role: 'viewer' });
    await done(page);
    await button(page, 'Revoke viewer research').waitFor();
  },

  /** A test fails, since nothing has the name; what waits is a dead letter once the endpoint is disabled, and is sent again. */
  async alerts(page) {
    await show(page, { path: '/settings?section=alerts', shows: ['There is no endpoint yet'] });
    await press(page, 'New endpoint');
    await send(page, 'Define', { Name: 'on call', URL: 'https://hooks.invalid/apex' });
    await done(page);
    await page.getByRole('region', { name: 'The secret of the webhook' }).getByText('whsec_').first().waitFor();
    await press(page, 'I have kept it');
    await press(page, 'Test on call');
    await told(page, 'A test is sent to on call.');
    await page.getByRole('rowheader', { name: 'alert_endpoint.test' }).waitFor();
    await press(page, 'Silence for 8 h on call');
    await send(page, 'Silence', { Reason: 'maintenance' });
    await done(page);
    await press(page, 'End the silence on call');
    await told(page, 'on call is not silenced any more.');
    await press(page, 'Disable on call');
    await send(page, 'Disable', { Reason: 'nobody is there' });
    await done(page);
    await page.locator('.badge', { hasText: 'Dead letter' }).waitFor();
    found.done.noRedelivery = (await page.getByRole('button', { name: /^Send again/ }).count()) === 0;
    await press(page, 'Enable on call');
    await told(page, 'on call is enabled.');
    await page.getByRole('button', { name: /^Send again/ }).click();
    await send(page, 'Send again', { Reason: 'it is back' });
    await done(page);
    await told(page, 'Dead letters to on call are sent again.');
  },

  async parked(page) {
    await show(page, { path: '/settings?section=parked', shows: ['Parked events'] });
    await button(page, `Skip tasks ${parked}`).waitFor();
    found.done.waits = (await button(page, `Skip tasks ${waiting}`).count()) === 0;
    await press(page, `Skip tasks ${parked}`);
    await examine(page, 'dialog of a parked event');
    await send(page, 'Skip', { Reason: 'it was never submitted' });
    await done(page);
    await page.getByText('it was never submitted').waitFor();
    await press(page, `Retry tasks ${waiting}`);
    await send(page, 'Retry', { Reason: 'the cause is removed' });
    await done(page);
    await told(page, '0 events of the stream were applied, and 1 are still parked.');
    found.done.retried = true;
    await press(page, `Skip tasks ${waiting}`);
    await send(page, 'Skip', { Reason: 'nor was this' });
    await done(page);
    await page.getByText('nor was this').waitFor();
    await page.getByText('No event is parked.').waitFor();
    found.done.skipped = true;
  },

  async prices(page) {
    await show(page, { path: '/prices?section=unpriced', isLightToo: true, shows: [model] });
    await page.getByText('With commands').first().click();
    found.done.command = await page.getByText('setPrices').first().isVisible();
    await press(page, `Set a price ${model}`);
    await examine(page, 'dialog of a price');
    await page.getByLabel('US dollars').nth(0).fill('a lot');
    await page.getByLabel('US dollars').nth(1).fill('2');
    await send(page, 'Set the price');
    await page.getByRole('dialog').getByText('"a lot" is no amount').waitFor();
    await page.getByLabel('US dollars').nth(0).fill('1.25');
    await send(page, 'Set the price');
    await done(page);
    await told(page, `The price of ${model} is set`);
    await show(page, { path: `/prices?model=${model}`, shows: ['$1.25'] });
    await show(page, { path: '/prices?section=repricing', shows: ['Find the differences'] });
    await page.getByLabel('Only this model, as calls name it').fill(model);
    await press(page, 'Find the differences');
    await page.getByRole('rowheader', { name: model }).waitFor();
    found.done.difference = await page.locator('tfoot .amount').last().textContent();
    await examine(page, 'differences');
    await show(page, { path: '/prices?section=versions', isLightToo: true, shows: ['Version 1'] });
    await page.getByRole('link', { name: 'Version 1', exact: true }).click();
    await page.getByText('Price book as of version 1').waitFor();
  },

  async memory(page) {
    await show(page, { path: '/memory?q=notes', shows: ['Notes are in'] });
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'One memory' }).waitFor();
    await page.getByRole('rowheader', { name: 'memory.stored' }).waitFor();
    await examine(page, 'a memory');
    await press(page, 'Share with all agents');
    await send(page, 'Share with all agents');
    await done(page);
    await page.getByRole('rowheader', { name: 'memory.shared' }).waitFor();
    await press(page, 'Forget');
    await send(page, 'Forget', { Reason: 'it is out of date' });
    await done(page);
    await page.getByText('The memory was forgotten.').first().waitFor();
    await page.getByRole('rowheader', { name: 'memory.forgotten' }).waitFor();
    found.done.forgotten = (await button(page, 'Forget').count()) === 0;
    await page.getByRole('link', { name: 'All memories' }).click();
    await press(page, 'Store a memory');
    await send(page, 'Store', { Agent: agent, Text: 'The build needs Java 17.', Tags: 'build, java' });
    await done(page);
    await show(page, { path: '/memory', shows: ['The build needs Java 17.'] });
  },

  /** A reader with a key that may little is told what is missing, and is offered nothing that would be refused. */
  async limited(_page, state) {
    const page = await open(VIEWS[0], { key: state.key });
    await show(page, { path: '/settings', shows: ['read:identities'] });
    await show(page, { path: '/settings?section=parked', shows: ['read_projections:installation'] });
    await show(page, { path: '/settings?section=health', isLightToo: true, shows: ['read_metrics:installation'] });
    await show(page, { path: '/prices', isLightToo: true, shows: ['Input tokens'] });
    found.done.limited = (await page.getByRole('button', { name: /Set a price|New price/ }).count()) === 0;
    await examine(page, 'a limited reader');
    await page.context().close();
  },
};

try {
  const state = { isLosing: false, key: null };
  const page = await open(VIEWS[0], { isExpected: () => state.isLosing });
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step(page, state);
    } catch (error) {
      if (process.env.SCREENSHOTS) {
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/failed-${name}.png` });
      }
      throw error;
    }
    await examine(page, `after ${name}`);
    console.log(name);
  }
  await page.context().close();

  for (const view of VIEWS) {
    const tab = await open(view);
    for (const shown of PAGES.filter(({ isLightToo }) => view.theme === 'dark' || isLightToo)) {
      console.log(`${view.theme} ${shown.path}`);
      await show(tab, shown);
      await examine(tab, `${view.theme} ${shown.path}`);
      if (process.env.SCREENSHOTS) {
        await tab.screenshot({ path: `${process.env.SCREENSHOTS}/${view.theme}${shown.path.replaceAll(/\W+/g, '-')}.png` });
      }
    }
    await tab.context().close();
  }
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
process.exit(0);
