// A person at the dashboard of a hub that asks who he is: the form, wide and
// narrow, a wrong password, the right one, an announcement, and out again.
// Usage: node signin.mjs URL CHROMIUM NAME PASSWORD
import { launch, tell, watch } from './browser.mjs';
import { judge, judged } from './judge.mjs';

const [url, executable, name, password] = process.argv.slice(2);
const browser = await launch(executable);
try {
  const context = await judged(browser, { viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const complaints = [];
  await watch(page, complaints);
  await page.goto(url);
  await page.getByTestId('sign-in').waitFor();
  tell({ step: 'asked', ...await judge(page) });
  for (const width of [1440, 390]) {
    await page.setViewportSize({ width, height: 900 });
    tell({ step: `asked at ${width} px`, box: await page.getByTestId('sign-in').boundingBox() });
  }
  await page.setViewportSize({ width: 1440, height: 900 });

  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill('not this one');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByTestId('sign-wrong').waitFor();
  tell({ step: 'wrong', text: await page.getByTestId('sign-wrong').innerText() });

  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
  await page.locator('[data-testid="live"][data-state="live"]').waitFor();
  const cookies = await context.cookies();
  tell({
    step: 'in',
    text: await page.getByTestId('who').innerText(),
    cookie: cookies.map((c) => `${c.httpOnly} ${c.sameSite}`).join(),
    seen: await page.evaluate(() => document.cookie),
  });

  await page.getByLabel('Add area, gate or device').selectOption('area:north');
  await page.getByRole('textbox', { name: 'Message' }).fill('Boarding at gate 1');
  await page.getByRole('button', { name: 'Announce', exact: true }).click();
  await page.getByTestId('announce-result').waitFor();
  await page.reload();
  await page.locator('[data-testid="live"][data-state="live"]').waitFor();
  tell({ step: 'announced' });

  await page.getByTestId('sign-out').click();
  await page.getByTestId('sign-in').waitFor();
  // That nobody is signed in, and that a password is wrong, the browser tells as
  // an error of the network; so it does of what a page that is left had asked for.
  tell({ step: 'out', complaints: complaints.filter((c) => !/401|ERR_ABORTED/.test(c)) });
} finally {
  await browser.close();
}
