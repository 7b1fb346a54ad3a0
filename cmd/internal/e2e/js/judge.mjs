// What axe-core finds wrong with a page.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A context whose pages can be judged. axe-core is no script of a page: the page's policy does not count. */
export async function judged(browser, options) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  await context.addInitScript({ content: axe });
  return context;
}

/** Judges a page as it is now. */
export async function judge(page) {
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  const node = (n) => `${n.target.join(' ')} ${n.any.concat(n.all).map((c) => c.message).join('; ')}`;
  return { checked: found.passes.length, sideways, violations: found.violations.map((v) => `${v.id}: ${v.nodes.map(node).join(' | ')}`) };
}

/** Judges a page light and dark, wide and narrow, and leaves it as it was: [look, what was found] of each. */
export async function judgeAll(page) {
  const before = page.viewportSize();
  const looks = [];
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1440, 390]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height: 844 });
      looks.push([`${colorScheme}, ${width} px`, await judge(page)]);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
  return looks;
}
