// Debian's Chromium, and what it complained about.
import { chromium } from 'playwright-core';

const flags = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const tell = (what) => {
  process.stdout.write(`${JSON.stringify(what)}\n`);
};

// How long a script waits for what must come, in milliseconds: longer than a test
// does, which then says what did not.
const patience = 120_000;

/** Starts a browser with a fresh profile. */
export function launch(executablePath) {
  return chromium.launch({ executablePath, headless: true, chromiumSandbox: false, args: flags, timeout: patience });
}

/** Has complaints get what a page or its policy complains about, and the page be waited for. */
export async function watch(page, complaints) {
  page.setDefaultTimeout(patience);
  page.on('console', (m) => {
    if (m.type() === 'error' || m.type() === 'warning') complaints.push(`console: ${m.text()} (${m.location().url})`);
  });
  page.on('pageerror', (e) => complaints.push(`error: ${e.message}`));
  page.on('requestfailed', (r) => complaints.push(`request: ${r.url()} ${r.failure()?.errorText}`));
  page.on('response', (r) => {
    if (r.status() >= 400) complaints.push(`answer ${r.status()}: ${r.url()}`);
  });
  await page.exposeFunction('violated', (what) => complaints.push(`policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) => window.violated(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}`));
  });
}

/** Opens the dashboard; complaints gets what the page or its policy complained about. */
export async function open(context, url, complaints) {
  const page = await context.newPage();
  await watch(page, complaints);
  await page.goto(url);
  await page.locator('[data-testid="live"][data-state="live"]').waitFor();
  return page;
}
