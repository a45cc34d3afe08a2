// Measures a page with Lighthouse in Debian's Chromium, as on a phone and as on a desk, and prints the scores and what costs points. The
// address of the page is given. Fails if the page is not fully accessible, or has not all of the best practices: the performance depends
// on the machine.
import { launch } from 'chrome-launcher';
import lighthouse, { desktopConfig } from 'lighthouse';

const [address] = process.argv.slice(2);
const CATEGORIES = ['performance', 'accessibility', 'best-practices'];
const WHOLE = ['accessibility', 'best-practices'];
const METRICS = ['first-contentful-paint', 'largest-contentful-paint', 'total-blocking-time', 'cumulative-layout-shift', 'speed-index'];

async function measure(label, config) {
  const chrome = await launch({
    chromePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    chromeFlags: ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage'],
  });
  try {
    const { lhr } = await lighthouse(address, { port: chrome.port, logLevel: 'error', onlyCategories: CATEGORIES }, config);
    const scores = CATEGORIES.map((name) => [name, Math.round(lhr.categories[name].score * 100)]);
    console.log(`${label}: ${scores.map(([name, score]) => `${name} ${score}`).join(', ')}`);
    console.log(`  ${METRICS.map((id) => `${id} ${lhr.audits[id].displayValue}`).join(', ')}`);
    for (const name of CATEGORIES) {
      const parts = lhr.categories[name].auditRefs.map(({ id, weight }) => ({ weight, ...lhr.audits[id] }));
      for (const { id, title, score } of parts.filter(({ weight, score }) => weight > 0 && score !== null && score < 1)) {
        console.log(`  ${name}: ${id} ${score}: ${title}`);
      }
    }
    return scores.every(([name, score]) => !WHOLE.includes(name) || score === 100);
  } finally {
    chrome.kill();
  }
}

const isWhole = [await measure('phone'), await measure('desk', desktopConfig)].every(Boolean);
process.exit(isWhole ? 0 : 1);
