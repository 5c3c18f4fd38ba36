/* What a page can do beyond being read: the light or dark button, series that zoom, tables that sort, ways that light up. */
(() => {
    'use strict';
    const root = document.documentElement;
    const plots = [];
    const colour = name => getComputedStyle(root).getPropertyValue(name).trim();
    const dark = () => root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    const repaint = () => plots.forEach(p => p.redraw(false, true));

    const button = document.createElement('button');
    button.id = 'theme';
    button.type = 'button';
    button.textContent = 'light or dark';
    button.onclick = () => {
        root.dataset.theme = dark() ? 'light' : 'dark';
        repaint();
    };
    document.body.prepend(button);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);

    /* Series: drag to zoom, double click or 0 for all, + and - and the arrows for who has no mouse. All charts move together. */
    function zoom(from, to) {
        plots.forEach(p => p.setScale('x', { min: from, max: to }));
        root.dataset.shown = from + ' ' + to;
    }
    const all = p => [p.data[0][0], p.data[0][p.data[0].length - 1]];
    function press(event, p) {
        const [first, last] = all(p), { min, max } = p.scales.x, width = max - min, step = width / 4;
        const ways = {
            '+': () => [min + step, max - step],
            '-': () => [min - width / 2, max + width / 2],
            ArrowLeft: () => [min - step, max - step],
            ArrowRight: () => [min + step, max + step],
            0: () => [first, last],
        };
        const way = ways[event.key === '=' ? '+' : event.key];
        if (!way)
            return;
        event.preventDefault();
        let [from, to] = way();
        if (from < first) [from, to] = [first, Math.min(last, to + first - from)];
        if (to > last) [from, to] = [Math.max(first, from - (to - last)), last];
        zoom(from, to);
    }
    function plot(box, x, series) {
        const axis = { stroke: () => colour('--soft'), grid: { stroke: () => colour('--grid'), width: 1 }, ticks: { stroke: () => colour('--grid') } };
        const p = new uPlot({
            title: series.title,
            width: box.clientWidth,
            height: 240,
            scales: { x: { time: false }, y: { range: (u, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
            axes: [{ ...axis }, { ...axis, size: 60 }],
            cursor: { sync: { key: 'series' }, drag: { x: true, y: false } },
            series: [{ label: 'at s' }, { label: series.title, stroke: () => colour('--c' + series.colour), width: 1.5, points: { show: false } }],
            hooks: { setSelect: [u => u.select.width > 0 && zoom(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'))],
                     ready: [u => u.over.addEventListener('dblclick', () => zoom(...all(u)))] },
        }, [x, series.y], box);
        box.tabIndex = 0;
        box.setAttribute('role', 'img');
        box.setAttribute('aria-label', series.title + ' over time; plus, minus, arrows and 0 zoom; the table below has the numbers');
        box.addEventListener('keydown', event => press(event, p));
        plots.push(p);
    }
    document.querySelectorAll('script.series').forEach(source => {
        const { x, series } = JSON.parse(source.textContent), place = document.createElement('div');
        place.className = 'plots';
        source.parentElement.classList.add('plotted');
        source.after(place);
        for (const each of series) {
            const box = document.createElement('div');
            place.append(box);
            plot(box, x, each);
        }
        new ResizeObserver(() => plots.forEach(p => {
            const width = p.root.parentElement.clientWidth;
            if (Math.abs(width - p.width) > 1)
                p.setSize({ width, height: 240 });
        })).observe(place);
    });

    /* A click on a heading sorts by that column. */
    document.querySelectorAll('table.sortable').forEach(table => {
        const heads = [...table.querySelectorAll('th')];
        heads.forEach((head, column) => {
            const sorter = document.createElement('button');
            sorter.type = 'button';
            sorter.textContent = head.textContent;
            head.replaceChildren(sorter);
            head.setAttribute('aria-sort', 'none');
            sorter.onclick = () => {
                const up = head.getAttribute('aria-sort') !== 'ascending', rows = [...table.querySelectorAll('tr')].slice(1);
                const key = row => {
                    const cell = row.cells[column], value = cell.dataset.v ?? cell.textContent;
                    return value === '' || isNaN(value) ? value : Number(value);
                };
                rows.sort((a, b) => (key(a) > key(b) ? 1 : key(a) < key(b) ? -1 : 0) * (up ? 1 : -1));
                heads.forEach(h => h.setAttribute('aria-sort', 'none'));
                head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
                rows.forEach(row => row.parentElement.append(row));
            };
        });
    });

    /* A way through parallel axes and its row light up together. */
    document.querySelectorAll('path.way').forEach(way => {
        const row = document.getElementById(way.dataset.row);
        const light = on => [way, row].forEach(e => e && e.classList.toggle('lit', on));
        for (const e of [way, row])
            if (e) {
                e.addEventListener('mouseenter', () => light(true));
                e.addEventListener('mouseleave', () => light(false));
            }
        way.addEventListener('click', () => row && row.scrollIntoView({ block: 'center' }));
    });
    root.dataset.ready = String(Math.round(performance.now()));
})();
