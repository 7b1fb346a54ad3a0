// An operator puts a sensor that is new into an area, and sees which template of
// another is not understood.
// Usage: node inbox.mjs URL CHROMIUM
import { launch, open, tell } from './browser.mjs';

const [url, executable] = process.argv.slice(2);
const browser = await launch(executable);
try {
  const complaints = [];
  const page = await open(await browser.newContext({ viewport: { width: 1440, height: 900 } }), url, complaints);
  await page.getByTestId('area-north').waitFor();
  const fresh = page.getByTestId('new-plug');
  await fresh.waitFor();
  tell({ step: 'new', text: await fresh.innerText() });
  await page.getByText('remote: action single').first().waitFor();
  await page.getByLabel('Put plug into an area').selectOption('north');
  await fresh.waitFor({ state: 'detached' });
  await page.getByTestId('reading-north-power').getByText('60').waitFor();
  const strange = page.getByTestId('strange-odd');
  await strange.waitFor();
  await page.getByTestId('sensors').getByText('a 7 b').first().waitFor();
  tell({ step: 'strange', text: `${await strange.getAttribute('title')} ${await page.getByTestId('sensors').innerText()}` });
  tell({ step: 'end', complaints });
} finally {
  await browser.close();
}
