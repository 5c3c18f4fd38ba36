// SPDX-License-Identifier: MIT
// Milliseconds from asking for a page until its script has run, the median of five. usage: node ready.mjs CHROMIUM PAGE
import { chromium } from 'playwright-core';
import { pathToFileURL } from 'node:url';

const [executablePath, file] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
const times = [];
for (let i = 0; i < 5; i++) {
    const page = await browser.newPage();
    await page.goto(pathToFileURL(file).href);
    times.push(Number(await page.evaluate(() => document.documentElement.dataset.ready)));
    await page.close();
}
console.log(times.sort((a, b) => a - b)[2]);
await browser.close();
