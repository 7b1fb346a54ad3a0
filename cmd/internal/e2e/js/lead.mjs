// Shows who leads an area, by the keyboard alone, and that axe-core finds nothing
// wrong with it.
// Usage: node lead.mjs URL CHROMIUM
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { launch, open, tell } from './browser.mjs';

const [url, executable] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await launch(executable);
try {
  const complaints = [];
  const looks = [];
  for (const [colorScheme, width] of [['light', 1440], ['dark', 390]]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 844 }, reducedMotion: 'reduce' });
    await context.addInitScript({ content: axe });
    looks.push({ name: `${colorScheme}, ${width} px`, page: await open(context, url, complaints) });
  }
  const { page } = looks[0];
  const button = page.getByTestId('lead-north');
  await button.getByText('leads').waitFor();
  tell({ step: 'led', text: await button.innerText() });
  for (const look of looks) {
    const of = look.page.getByTestId('lead-north');
    await of.focus();
    await look.page.keyboard.press('Enter');
    const shown = look.page.getByTestId('lead-window');
    await shown.waitFor();
    const found = await look.page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    const sideways = await look.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    tell({ look: look.name, text: await shown.innerText(), checked: found.passes.length, sideways, violations: found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(' | ')}`) });
    await look.page.keyboard.press('Escape');
    await shown.waitFor({ state: 'detached' });
    if (!(await of.evaluate((e) => e === document.activeElement))) complaints.push(`${look.name}: the focus is lost`);
  }
  await button.getByText('silent').waitFor();
  tell({ step: 'silent', text: await button.innerText() });
  await button.getByText('Split').waitFor({ timeout: 90_000 });
  await button.click();
  const split = page.getByTestId('lead-split');
  await split.waitFor();
  tell({ step: 'split', text: await split.innerText() });
  tell({ step: 'end', complaints });
} finally {
  await browser.close();
}
