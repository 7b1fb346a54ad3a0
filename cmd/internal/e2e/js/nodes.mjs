// Somebody looks at the page of one node while another dies, and while the server
// between the nodes is away; axe-core looks too.
// Usage: node nodes.mjs URL CHROMIUM OTHER
import { launch, open, tell } from './browser.mjs';
import { judgeAll, judged } from './judge.mjs';

const [url, executable, other] = process.argv.slice(2);
const browser = await launch(executable);
try {
  const complaints = [];
  const page = await open(await judged(browser, { viewport: { width: 1440, height: 900 } }), url, complaints);
  const node = (state) => page.locator(`[data-testid="node-${other}"][data-state="${state}"]`);
  const hub = page.getByTestId('health').getByRole('listitem').first();
  const look = async (step) => tell({ step, text: await page.getByTestId('nodes').innerText(), look: await hub.innerText(), loud: await hub.locator('.dot').getAttribute('class') });
  const judgeIt = async (when) => {
    for (const [name, found] of await judgeAll(page)) tell({ look: `${when}, ${name}`, ...found });
  };
  await node('ready').waitFor();
  await page.getByTestId('nodes').getByText('north', { exact: false }).first().waitFor();
  await hub.getByText('ready').waitFor();
  await look('two');
  await node('gone').waitFor();
  await judgeIt('gone');
  await look('gone');
  await node('ready').waitFor();
  await look('back');
  await hub.getByText('degraded').waitFor();
  await node('silent').waitFor();
  await page.getByTestId('nodes').getByText('degraded').first().waitFor();
  await look('away');
  await judgeIt('away');
  tell({ step: 'end', complaints: complaints.filter((c) => !/readyz/.test(c)) });
} finally {
  await browser.close();
}
