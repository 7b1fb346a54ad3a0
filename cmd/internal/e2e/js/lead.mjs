// Shows who leads an area, by the keyboard alone, and that axe-core finds nothing
// wrong with it.
// Usage: node lead.mjs URL CHROMIUM
import { launch, open, tell } from './browser.mjs';
import { judge, judged } from './judge.mjs';

const [url, executable] = process.argv.slice(2);
const browser = await launch(executable);
try {
  const complaints = [];
  const looks = [];
  for (const [colorScheme, width] of [['light', 1440], ['dark', 390]]) {
    const context = await judged(browser, { colorScheme, viewport: { width, height: 844 } });
    looks.push({ name: `${colorScheme}, ${width} px`, page: await open(context, url, complaints) });
  }
  const { page } = looks[0];
  const button = page.getByTestId('lead-north');
  await button.getByText('leads').waitFor();
  tell({ step: 'led', text: await button.innerText() });
  for (const look of looks) {
    const of = look.page.getByTestId('lead-north');
    await of.getByText('leads').waitFor();
    await of.focus();
    await look.page.keyboard.press('Enter');
    const shown = look.page.getByTestId('lead-window');
    await shown.waitFor();
    tell({ look: look.name, text: await shown.innerText(), ...await judge(look.page) });
    await look.page.keyboard.press('Escape');
    await shown.waitFor({ state: 'detached' });
    if (!(await of.evaluate((e) => e === document.activeElement))) complaints.push(`${look.name}: the focus is lost`);
  }
  await button.getByText('silent').waitFor();
  tell({ step: 'silent', text: await button.innerText() });
  await button.getByText('Split').waitFor();
  await button.click();
  const split = page.getByTestId('lead-split');
  await split.waitFor();
  tell({ step: 'split', text: await split.innerText() });
  tell({ step: 'end', complaints });
} finally {
  await browser.close();
}
