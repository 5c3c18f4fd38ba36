// SPDX-License-Identifier: MIT
// Drives tandem explore in Chromium as its users do. usage: node explore.mjs CHROMIUM ADDRESS TRACE [FOLDER for pictures]
import { chromium } from 'playwright-core';
import assert from 'node:assert/strict';

const [executablePath, address, trace, pictures] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const wrong = [];
async function open(url, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light', ...options });
    const page = await context.newPage();
    page.on('console', message => message.type() === 'error' && wrong.push(message.text()));
    page.on('pageerror', error => wrong.push(String(error)));
    page.on('request', request => request.url().startsWith(new URL(address).origin) || request.url().startsWith('data:') || wrong.push('asks ' + request.url()));
    await page.goto(url);
    return page;
}
const settled = (page, curves) => page.waitForFunction(n => document.documentElement.dataset.state === 'done' && Number(document.documentElement.dataset.curves) >= n, curves, { timeout: 60000 });
const curves = page => page.evaluate(() => Number(document.documentElement.dataset.curves || 0));
const line = (page, id = 'curve_ttft') => page.locator(`#${id} polyline`).getAttribute('points');
const verdict = page => page.locator('#verdict .big').textContent();

const page = await open(address);
await settled(page, 1);
assert.equal(await verdict(page), 'SLO met');
assert.match(await page.locator('#why').textContent(), /^At 5\.53 requests\/s: TTFT p99 [\d.]+ ms, TPOT p99 [\d.]+ ms; closest to its limit: .*meets the SLO up to [\d.]+\/s, and misses it at [\d.]+\/s\. By formula 17\.\d\/s can be sustained\.$/);
assert.equal(await page.locator('#curve_ttft circle').count(), 13);
assert.equal(await page.locator('#curve_ttft .limit').count(), 1);
assert.match(await page.locator('#cost').textContent(), /GPUs1price[\d.]+ \$\/h/);

// A slider's move changes the curve; how long that takes is printed, not judged.
async function move(id, value) {
    const before = await line(page), n = await curves(page);
    const took = await page.evaluate(([id, value]) => new Promise(done => {
        const svg = document.getElementById('curve_ttft'), e = document.getElementById(id), since = performance.now(), was = svg.querySelector('polyline').getAttribute('points');
        const watch = new MutationObserver(() => {
            const now = svg.querySelector('polyline');
            if (now && now.getAttribute('points') !== was) { watch.disconnect(); done(performance.now() - since); }
        });
        watch.observe(svg, { childList: true });
        e.value = value;
        e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : 'input'));
    }), [id, value]);
    const first = took;
    const since = Date.now();
    await settled(page, n + 1);
    assert.notEqual(await line(page), before, id);
    console.log(`${id}: the curve changed after ${first.toFixed(0)} ms, and was whole ${(Date.now() - since).toFixed(0)} ms later`);
}
await move('replicas', 2);
assert.match(await page.locator('#cost').textContent(), /GPUs2/);
await move('prompt', 36);
await move('device', 'l40s');
await move('rate', 40); // 100 a second
assert.match(await verdict(page), /Overloaded|SLO missed/);
await move('rate', 0);
await move('percentile', 'p50');
await move('ttft', '0.000001');
assert.equal(await verdict(page), 'SLO missed');

// Everything that was moved is in the address, and another window opens the same.
const shared = page.url();
const other = await open(shared);
await settled(other, 1);
assert.equal(await line(other), await line(page));
assert.equal(await verdict(other), await verdict(page));
await page.locator('#copy').click();
await page.waitForFunction(() => document.getElementById('done').textContent.includes('tandem run default --set device=l40s'.slice(0, 18)));
console.log('command ' + (await page.locator('#done').textContent()).replace('Copied: ', ''));

// A kept run is listed.
await page.locator('#keep').click();
await page.waitForFunction(() => document.querySelectorAll('#runs li').length === 1);
assert.match(await page.locator('#runs').textContent(), /^run 1: explored: llama-3\.1-8b on 2 × l40s at 1\/s/);

// A trace takes the place of generated requests; what is none has a sentence.
const traced = await open(address);
await settled(traced, 1);
await traced.locator('#trace').setInputFiles(trace);
await settled(traced, 2);
assert.match(await traced.locator('#trace_shown').textContent(), /: 1,000 requests at [\d.]+\/s$/);
await traced.locator('#trace').setInputFiles({ name: 'none.csv', mimeType: 'text/csv', buffer: Buffer.from('nothing\n') });
await traced.waitForFunction(() => !document.getElementById('error').hidden);
wrong.splice(0, wrong.length, ...wrong.filter(w => !w.includes('400')));

// A wrong token, or none, shows nothing.
const stranger = await open(new URL(address).origin + '/');
assert.match(await stranger.locator('body').textContent(), /expected the token/);
wrong.splice(0, wrong.length, ...wrong.filter(w => !w.includes('401')));

for (const colorScheme of ['light', 'dark'])
    for (const width of [1280, 400]) {
        const view = await open(address, { viewport: { width, height: 900 }, colorScheme });
        await settled(view, 1);
        const wide = await view.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${width}: ${wide} px too wide`);
        if (pictures) await view.screenshot({ path: `${pictures}/explore-${width}-${colorScheme}.png`, fullPage: true });
    }
assert.deepEqual(wrong, []);
await browser.close();
