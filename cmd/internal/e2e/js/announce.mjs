// An operator at the dashboard: announces, sees it speak and end, and sees a
// reading come.
// Usage: node announce.mjs URL CHROMIUM
import { launch, open, tell } from './browser.mjs';

const [url, executable] = process.argv.slice(2);
const browser = await launch(executable);
try {
  const complaints = [];
  const page = await open(await browser.newContext({ viewport: { width: 1440, height: 900 } }), url, complaints);
  const north = page.getByTestId('area-north');
  await north.getByRole('heading', { name: 'North Wing' }).waitFor();
  await page.getByTestId('area-south').getByRole('heading', { name: 'South Wing' }).waitFor();
  tell({ step: 'open', title: await page.title() });

  await page.getByLabel('Add area, gate or device').selectOption('area:north');
  await page.getByRole('textbox', { name: 'Message' }).fill('Boarding at gate 1');
  await page.getByTestId('announce-when').getByText('Starts').waitFor();
  tell({ step: 'gate', box: await page.getByTestId('gate-gate-1').boundingBox() });
  const quiet = await page.getByTestId('gate-gate-1').evaluate((e) => getComputedStyle(e).backgroundColor);
  await page.getByRole('button', { name: 'Announce', exact: true }).click();

  await page.locator('[data-testid="area-north"][data-state="held"].speaking').waitFor();
  await page.getByTestId('speaking-north').getByText('Boarding at gate 1').waitFor();
  await page.locator('[data-testid="gate-gate-1"].live').waitFor();
  const loud = await page.getByTestId('gate-gate-1').evaluate((e) => getComputedStyle(e).backgroundColor);
  tell({ step: 'speaking', quiet, loud });

  await page.locator('[data-testid="announce-result"][data-state="played"]').waitFor();
  await page.locator('[data-testid="area-north"][data-state="idle"]').waitFor();
  tell({ step: 'played' });

  await page.getByTestId('reading-north-temperature').getByText('21.5').waitFor();
  tell({ step: 'reading', text: await page.getByTestId('reading-north-temperature').innerText() });
  await page.getByTestId('topics').getByText('home/north/hall/temperature').first().waitFor();
  tell({ step: 'end', complaints });
} finally {
  await browser.close();
}
