// SPDX-License-Identifier: MIT
// Opens our pages in Chromium as their readers do. usage: node pages.mjs CHROMIUM FOLDER, where run.html, bare.html, sweep.html,
// plan.html and both.html are. Prints how long each took until it could be used.
import { chromium } from 'playwright-core';
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const [executablePath, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const address = name => pathToFileURL(`${folder}/${name}.html`).href;

async function open(name, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light', ...options });
    const page = await context.newPage();
    page.wrong = [];
    page.on('console', message => message.type() === 'error' && page.wrong.push(message.text()));
    page.on('pageerror', error => page.wrong.push(String(error)));
    page.on('request', request => request.url().startsWith('file:') || page.wrong.push('asks the network for ' + request.url()));
    await page.goto(address(name));
    return page;
}
async function close(page) {
    assert.deepEqual(page.wrong, []);
    await page.context().close();
}
const background = page => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const shown = page => page.evaluate(() => document.documentElement.dataset.shown?.split(' ').map(Number));

// A page answers at once, at any width, with no error and nothing from elsewhere; charts have ink and words for who cannot see them.
for (const [name, verdict] of [['run', /^SLO met$/], ['bare', /^SLO met$/], ['sweep', /points meet the SLO$/], ['plan', /^Buy \d+ nodes? of 8 × /], ['both', /^B is better than A in/]])
    for (const width of [1280, 400]) {
        const page = await open(name, { viewport: { width, height: 900 } });
        assert.match(await page.locator('.verdict .big').first().textContent(), verdict);
        assert.ok(await page.locator('.verdict .big').first().isVisible());
        const found = await page.evaluate(() => ({
            wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
            ready: Number(document.documentElement.dataset.ready),
            unnamed: document.querySelectorAll('svg:not([role=img][aria-label])').length,
            headless: [...document.querySelectorAll('table')].filter(t => !t.querySelector('th')).length,
            empty: [...document.querySelectorAll('svg')].filter(s => s.getClientRects().length && !s.querySelector('polyline, path, rect, circle')).length,
            drawn: [...document.querySelectorAll('svg polyline')].filter(l => l.getBBox().width > 50).length,
        }));
        assert.ok(found.wide <= 0, `${name} at ${width}: ${found.wide} pixels too wide`);
        assert.equal(found.unnamed + found.headless + found.empty, 0, JSON.stringify({ name, width, ...found }));
        if (name === 'run' || name === 'both')
            assert.ok(found.drawn >= 4, JSON.stringify(found));
        if (width === 1280)
            console.log(`${name}: could be used after ${found.ready} ms`);
        await close(page);
    }

// Series: canvases have pixels of their colour; a drag looks closer in all of them, a double click shows all again; so do keys.
{
    const page = await open('run');
    const inked = await page.evaluate(() => [...document.querySelectorAll('.plots canvas')].map(c => {
        const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, colours = new Set();
        for (let i = 0; i < pixels.length; i += 4)
            if (pixels[i + 3] > 200 && Math.max(...pixels.slice(i, i + 3)) - Math.min(...pixels.slice(i, i + 3)) > 60)
                colours.add(i);
        return colours.size;
    }));
    assert.ok(inked.length === 6 && inked.every(n => n > 200), String(inked));
    assert.ok(await page.locator('.plotted > .charts').isHidden());
    const over = page.locator('.plots .u-over').first();
    await over.scrollIntoViewIfNeeded();
    const box = await over.boundingBox();
    await page.mouse.move(box.x + box.width * 0.25, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 5 });
    await page.mouse.up();
    const [from, to] = await shown(page), end = await page.evaluate(() => JSON.parse(document.querySelector('script.series').textContent).x.at(-1));
    assert.ok(from > end * 0.2 && to < end * 0.55 && to - from > end * 0.2, `${from} ${to} of ${end}`);
    await page.locator('.plots > div').first().focus();
    await page.keyboard.press('+');
    const closer = await shown(page);
    assert.ok(Math.abs(closer[1] - closer[0] - (to - from) / 2) < 1e-6 * end, String(closer));
    await page.keyboard.press('ArrowRight');
    assert.ok((await shown(page))[0] > closer[0]);
    await over.dblclick();
    const [first, last] = await shown(page);
    assert.ok(last === end && first < from, `${first} ${last}`);

    // Light and dark, by the button and by the system.
    const light = await background(page);
    await page.locator('#theme').click();
    assert.notEqual(await background(page), light);
    await page.locator('#theme').click();
    assert.equal(await background(page), light);
    await close(page);
    const dark = await open('run', { colorScheme: 'dark' });
    assert.notEqual(await background(dark), light);
    await close(dark);
}

// On paper, and without a script, charts stand still but are there.
{
    const page = await open('run');
    await page.emulateMedia({ media: 'print' });
    assert.ok(await page.locator('.plots').isHidden() && await page.locator('.plotted > .charts svg').first().isVisible());
    await close(page);
    const plain = await open('run', { javaScriptEnabled: false });
    assert.ok(await plain.locator('script.series ~ .charts svg').first().isVisible());
    await close(plain);
}

// Five questions of a reader are answered by the first screen of the page.
{
    const page = await open('run');
    const words = await page.locator('.verdict').first().textContent();
    for (const answer of [/SLO met/, /would break at [\d.]+ requests\/s/, /Slowest hundredth by first token \(p99 TTFT [^)]+\): \d+ % /, /Padding wasted [\d.]+ %/, /costed beyond what was measured/])
        assert.match(words, answer);
    const box = await page.locator('.verdict').first().boundingBox();
    assert.ok(box.y + box.height < 900, JSON.stringify(box));
    await close(page);
}

// A sweep: a cell leads to its row, a heading sorts, a way and its row light up together, a row leads to its run.
{
    const page = await open('sweep');
    const cell = page.locator('svg.heat a').first(), row = (await cell.getAttribute('href')).slice(1);
    await cell.click();
    assert.equal(await page.evaluate(() => location.hash.slice(1)), row);
    const sorter = page.locator('table.sortable th', { hasText: 'TTFT p99' }).locator('button');
    const column = () => page.evaluate(() => [...document.querySelectorAll('table.sortable tr')].slice(1).map(r => Number(r.cells[4].dataset.v)));
    await sorter.click();
    const rising = await column();
    assert.deepEqual(rising, [...rising].sort((a, b) => a - b));
    await sorter.click();
    assert.deepEqual(await column(), rising.toReversed?.() ?? [...rising].reverse());
    const way = page.locator('path.way').first();
    await way.dispatchEvent('mouseenter');
    assert.match(await page.locator('#' + await way.getAttribute('data-row')).getAttribute('class'), /lit/);
    const link = page.locator('table.sortable td a').first();
    await link.click();
    assert.match(page.url(), /run-\d+\.html$/);
    assert.ok(await page.locator('.verdict .big').isVisible());
    await close(page);
}
await browser.close();
