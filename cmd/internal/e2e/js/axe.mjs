// Looks at the dashboard with axe-core, light and dark, wide and narrow.
// Usage: node axe.mjs URL CHROMIUM
import { launch, open, tell } from './browser.mjs';
import { judge, judged } from './judge.mjs';

const [url, executable] = process.argv.slice(2);
const browser = await launch(executable);
try {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1440, 390]) {
      const complaints = [];
      const context = await judged(browser, { colorScheme, viewport: { width, height: 844 } });
      const page = await open(context, url, complaints);
      await page.locator('[data-testid="area-north"][data-state="held"]').waitFor();
      await page.getByTestId('reading-north-temperature').getByText('21.5').waitFor();
      tell({ look: `${colorScheme}, ${width} px`, ...await judge(page), complaints });
      await context.close();
    }
  }
} finally {
  await browser.close();
}
