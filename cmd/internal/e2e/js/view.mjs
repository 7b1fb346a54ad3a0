// Somebody looks at the page of a host that serves it alone, while the node of the hub
// goes and comes back.
// Usage: node view.mjs URL CHROMIUM
import { launch, open, tell } from './browser.mjs';

const [url, executable] = process.argv.slice(2);
const browser = await launch(executable);
try {
  const page = await open(await browser.newContext({ viewport: { width: 1440, height: 900 } }), url, []);
  const north = page.getByTestId('area-north');
  const hub = page.getByTestId('health').getByRole('listitem').first();
  await north.waitFor();
  await page.locator('[data-testid="node-hub-1"][data-state="ready"]').waitFor();
  await hub.getByText('ready').waitFor();
  tell({ step: 'open', text: await page.getByTestId('nodes').innerText(), look: await hub.innerText() });
  await page.getByTestId('reading-north-temperature').getByText('21.5').waitFor();
  tell({ step: 'reading' });
  await page.getByTestId('reading-north-temperature').getByText('22.5').waitFor();
  await page.locator('[data-testid="area-north"][data-state="held"]').waitFor();
  tell({ step: 'held' });
  await hub.getByText('degraded').waitFor();
  tell({ step: 'degraded', loud: await hub.locator('.dot').getAttribute('class') });
  await page.locator('[data-testid="live"][data-state="live"]').waitFor();
  await hub.getByText('ready').waitFor();
  await page.getByTestId('reading-north-temperature').getByText('23.5').waitFor();
  tell({ step: 'back' });
} finally {
  await browser.close();
}
