// Looks at the dashboard with axe-core, light and dark, wide and narrow.
// Usage: node axe.mjs URL CHROMIUM
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { launch, open, tell } from './browser.mjs';

const [url, executable] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await launch(executable);
try {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1440, 390]) {
      const complaints = [];
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 844 }, reducedMotion: 'reduce' });
      await context.addInitScript({ content: axe }); // not a script of the page: its policy does not count
      const page = await open(context, url, complaints);
      await page.locator('[data-testid="area-north"][data-state="held"]').waitFor();
      await page.getByTestId('reading-north-temperature').getByText('21.5').waitFor();
      const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      tell({
        look: `${colorScheme}, ${width} px`,
        checked: found.passes.length,
        sideways,
        violations: found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.join(' ')} ${n.any.concat(n.all).map((c) => c.message).join('; ')}`).join(' | ')}`),
        complaints,
      });
      await context.close();
    }
  }
} finally {
  await browser.close();
}
