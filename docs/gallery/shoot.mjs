// SPDX-License-Identifier: MIT
// usage: node shoot.mjs CHROMIUM PAGES PICTURES
import { chromium } from 'playwright-core';
import { pathToFileURL } from 'node:url';

const [executablePath, pages, pictures] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });

// From the top of one element to the bottom of another.
async function shoot(page, from, to, name) {
    const [top, bottom] = await Promise.all([from, to].map(s => page.locator(s).first().boundingBox()));
    await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true, clip: { x: 0, y: top.y - 12, width: page.viewportSize().width, height: bottom.y + bottom.height - top.y + 24 } });
}
async function open(name, colorScheme = 'light', width = 1040) {
    const page = await (await browser.newContext({ viewport: { width, height: 900 }, colorScheme })).newPage();
    await page.goto(pathToFileURL(`${pages}/${name}.html`).href);
    await page.waitForTimeout(200);
    return page;
}
let page = await open('run-1');
await shoot(page, 'h1', 'dl.numbers', 'verdict');
await shoot(page, '#latency', '#latency ~ .charts', 'latency');
await shoot(page, '#time', '.legend', 'where-the-time-went');
await shoot(page, '#batches', 'svg.heat', 'batches');
page = await open('run-1', 'dark');
await shoot(page, '#series', '.plots', 'series-dark');
page = await open('run-3', 'light', 400);
await shoot(page, 'h1', '.verdict', 'narrow');
page = await open('sweep-1');
await shoot(page, 'h1', '#maps ~ .charts', 'sweep');
await shoot(page, '#ways', 'svg.wide', 'ways');
page = await open('plan-1');
await shoot(page, 'h1', '#front ~ .charts', 'plan');
page = await open('compare');
await shoot(page, 'h1', '#latency ~ .charts', 'compare');
await browser.close();
