/** The page of a timeline in a browser. Needs Chromium (Debian: apt-get install chromium); where there is none, these tests are skipped. */
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHtml } from '../../src/report/trace/page.js';
import { recycled, type Sample } from './trace-sample.js';

/** For what a browser does in a second, on a host that has others to serve. */
const PATIENCE_MS = 120_000;

const canRun = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

const installed = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find(canRun);
const why = installed === undefined ? ' (skipped: no chromium in PATH)' : '';

describe.skipIf(installed === undefined)(`the page of a timeline in Chromium${why}`, () => {
  let browser: Browser;
  let page: Page;
  let sample: Sample;
  const folder = mkdtempSync(join(tmpdir(), 'murphy-page-'));
  const errors: string[] = [];

  beforeAll(async () => {
    sample = await recycled();
    writeFileSync(join(folder, 'page.html'), toHtml(sample.execution));
    browser = await chromium.launch({
      executablePath: installed as string,
      args: ['--no-sandbox'],
      timeout: PATIENCE_MS,
    });
    page = await browser.newPage({ viewport: { width: 1240, height: 900 } });
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    await page.goto(`file://${join(folder, 'page.html')}`);
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const range = (): Promise<string | null> => page.textContent('#range');

  it('opens without an error, with the whole execution', async () => {
    expect(errors).toEqual([]);
    expect(await range()).toBe(`steps 0 to ${sample.execution.result.steps}`);
    expect(await page.textContent('#timeline .losttext')).toMatch(/^step \d+: bytes lost: discarded$/);
  });

  it('shows the losing step within the first screen', async () => {
    const box = await page.locator('#timeline .mark.lost circle').boundingBox();
    expect(box?.y).toBeLessThan(900);
    expect(await page.isVisible('#story .lost')).toBe(true);
  });

  it('goes to the losing step, zooms and comes back', async () => {
    const step = sample.execution.explanation.event?.step ?? 0;
    await page.click('[data-act=lost]');
    expect(await range()).toMatch(new RegExp(`^steps ${step - 12} to `));
    expect(await page.locator('#timeline text', { hasText: 'dma_inv_range' }).count()).toBeGreaterThan(0);
    await page.click('[data-act=in]');
    const first = Number(/^steps (\d+) to /.exec((await range()) ?? '')?.[1]);
    expect([first > step - 12, first <= step]).toEqual([true, true]);
    await page.click('[data-act=whole]');
    expect(await range()).toBe(`steps 0 to ${sample.execution.result.steps}`);
  });

  it('finds functions in the picture and in the table', async () => {
    await page.click('[data-act=whole]');
    await page.fill('#search', 'flush_all_zero_pkmaps');
    expect(await page.textContent('#matches')).toMatch(/^[1-9]\d* steps$/);
    expect(await page.locator('#timeline .found').count()).toBeGreaterThan(0);
    expect(await page.locator('#steps tr.found').count()).toBeGreaterThan(0);
    await page.fill('#search', '');
    expect(await page.locator('.found').count()).toBe(0);
  });

  it('goes from a sentence of the story to its step', async () => {
    await page.click('#story li:nth-child(2)');
    const step = Number(await page.getAttribute('#story li:nth-child(2)', 'data-step'));
    expect(await range()).toMatch(new RegExp(`^steps ${Math.max(0, step - 12)} to `));
    await page.click('[data-act=whole]');
  });

  it('shows all slots and lines when asked', async () => {
    const before = await page.locator('#timeline .title').count();
    await page.check('#everything');
    expect(await page.locator('#timeline .title').count()).toBeGreaterThan(before);
    await page.uncheck('#everything');
  });

  it('fits into a narrow window', async () => {
    await page.setViewportSize({ width: 400, height: 800 });
    const wider = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    expect(wider).toBe(0);
    await page.setViewportSize({ width: 1240, height: 900 });
  });

  it('leaves the tools and the far steps out of print', async () => {
    await page.emulateMedia({ media: 'print' });
    expect(await page.isVisible('#tools')).toBe(false);
    expect(await page.isVisible('#steps tr.lost')).toBe(true);
    expect(await page.isVisible('#steps tr[data-step="0"]')).toBe(false);
    expect((await page.pdf({ format: 'A4', landscape: true })).length).toBeGreaterThan(10_000);
    await page.emulateMedia({ media: 'screen' });
  });
});
