"use strict";
const $ = id => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const ask = (path, options = {}) => fetch(path, { ...options, headers: { Authorization: "Bearer " + token } });
/* Sliders of logarithmic scales. */
const fromSlider = { rate: v => Number((10 ** (v / 20)).toPrecision(4)), prompt: v => Math.round(2 ** (v / 4) * 8), output: v => Math.round(2 ** (v / 4) * 4) };
const toSlider = { rate: v => 20 * Math.log10(v), prompt: v => 4 * Math.log2(v / 8), output: v => 4 * Math.log2(v / 4) };
const colours = ["--p0", "--p1", "--p2", "--p3", "--p4", "--p5", "--p6", "--p7", "--p8", "--p9", "--p10", "--p11"];
let start, trace = null, points = [], running = null, timer = 0, touched = new Set();

const at = (o, path) => path.split(".").reduce((o, k) => o == null ? undefined : o[k], o);
const named = v => typeof v === "object" && v ? v.name ?? v.policy : v;
const number = (v, digits = 3) => v == null ? "–" : Number(v.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 6 });
const seconds = v => v == null ? "–" : v >= 1 ? number(v) + " s" : number(v * 1e3) + " ms";
const value = id => fromSlider[id] ? fromSlider[id](Number($(id).value)) : $(id).value;

function fill(id, names, chosen) {
    $(id).replaceChildren(...[...new Set(chosen ? [chosen, ...names] : names)].map(n => new Option(n, n)));
    if (chosen) $(id).value = chosen;
}

/* What each control sets: only what has been moved is set, so that the scenario stands otherwise as it was named. */
const paths = {
    model: ["model"], device: ["device"], tensor: ["cluster.tensor_parallel"], engine: ["engine"], batching: ["policy.batching"],
    routing: ["cluster.routing"], replicas: ["cluster.replicas"], prompt: ["workload.lengths.prompt.median"],
    output: ["workload.lengths.output.median"]
};
const numeric = new Set(["tensor", "replicas", "prompt", "output"]);

function settings() {
    const out = {};
    for (const [id, [path]] of Object.entries(paths))
        if (touched.has(id) && !(trace && (id === "prompt" || id === "output")) && value(id) !== "")
            out[path] = numeric.has(id) ? Number(value(id)) : value(id);
    const p = $("percentile").value;
    if (["ttft", "tpot", "percentile"].some(id => touched.has(id)))
        for (const id of ["ttft", "tpot"])
            if (Number($(id).value) > 0) out[`slo.${id}_s`] = { [p]: Number($(id).value) };
    return out;
}

function showValues() {
    for (const id of ["replicas", "rate", "prompt", "output"]) $(id + "_shown").textContent = number(Number(value(id)));
}

function element(tag, attributes, text) {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text != null) e.textContent = text;
    return e;
}

/* A step of 1, 2 or 5 times a power of ten that gives about four ticks. */
function ticks(most) {
    const raw = most / 4, power = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw);
    return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
}

function draw(id, metric, title, limit) {
    const p = $("percentile").value, svg = $(id), left = 56, right = 450, top = 30, bottom = 200;
    const sorted = points.filter(q => q[metric][p] != null).sort((a, b) => a.rate_per_s - b.rate_per_s);
    svg.replaceChildren(element("text", { x: left, y: 16, class: "title" }, `${title} ${p}, s`));
    if (!sorted.length) return;
    const x1 = Math.max(...sorted.map(q => q.rate_per_s)) || 1, within = sorted.filter(q => !q.overloaded).map(q => q[metric][p]);
    const y1 = 1.15 * Math.max(limit ? 1.6 * limit : 0, ...(limit ? within.filter(v => v < 4 * limit) : within.length ? within : sorted.map(q => q[metric][p])), 1e-6);
    const x = v => left + (right - left) * v / x1, y = v => bottom - (bottom - top) * Math.min(v, y1) / y1;
    for (const t of ticks(x1)) svg.append(element("line", { x1: x(t), x2: x(t), y1: bottom, y2: bottom + 4, class: "grid" }), element("text", { x: x(t), y: bottom + 17, "text-anchor": "middle" }, number(t)));
    for (const t of ticks(y1)) svg.append(element("line", { x1: left, x2: right, y1: y(t), y2: y(t), class: "grid" }), element("text", { x: left - 6, y: y(t) + 4, "text-anchor": "end" }, number(t)));
    svg.append(element("text", { x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle" }, "requests/s"));
    svg.append(element("polyline", { class: "line", points: sorted.map(q => `${x(q.rate_per_s)},${y(q[metric][p])}`).join(" ") }));
    for (const q of sorted) {
        const dot = element("circle", { cx: x(q.rate_per_s), cy: y(q[metric][p]), r: q === points[0] ? 6 : 3.5, class: q === points[0] ? "now" : q.asked && !q.met ? "missed" : "dot" });
        dot.append(element("title", {}, `${number(q.rate_per_s)} requests/s: ${seconds(q[metric][p])}${q.overloaded ? ", overloaded" : ""}`));
        svg.append(dot);
    }
    const above = sorted.map(q => q[metric][p]).filter(v => v > y1);
    if (above.length) svg.append(element("text", { x: right, y: top - 8, "text-anchor": "end" }, `↑ up to ${seconds(Math.max(...above))}`));
    if (limit) svg.append(element("line", { x1: left, x2: right, y1: y(limit), y2: y(limit), class: "limit" }), element("text", { x: right, y: y(limit) - 5, "text-anchor": "end" }, `limit ${seconds(limit)}`));
}

function row(table, cells) {
    const tr = table.insertRow();
    cells.forEach((c, i) => { const td = i ? tr.insertCell() : tr.appendChild(Object.assign(document.createElement("th"), { scope: "row" })); td.textContent = c; });
}

function show() {
    const now = points[0], p = $("percentile").value, limits = { ttft: Number($("ttft").value), tpot: Number($("tpot").value) };
    if (!now) return;
    const good = now.asked && now.met;
    $("verdict").className = "verdict " + (!now.asked ? "" : good ? "good" : "bad");
    $("verdict").querySelector(".big").textContent = now.overloaded ? "Overloaded" : !now.asked ? "No SLO asked" : good ? "SLO met" : "SLO missed";
    const held = points.filter(q => q.met).map(q => q.rate_per_s), missed = points.filter(q => q.asked && !q.met).map(q => q.rate_per_s);
    const most = held.length ? Math.max(...held) : null, next = missed.filter(r => most == null || r > most);
    $("why").textContent = `At ${number(now.rate_per_s)} requests/s: TTFT ${p} ${seconds(now.ttft_s[p])}, TPOT ${p} ${seconds(now.tpot_s[p])}` +
        (now.binding ? `; closest to its limit: ${now.binding}` : "") + (now.unserved ? `; ${now.unserved} of ${now.requests} not served` : "") + ". " +
        (now.asked && points.length > 2 ? most == null ? "No rate of the curve meets the SLO." : `The curve meets the SLO up to ${number(most)}/s` + (next.length ? `, and misses it at ${number(Math.min(...next))}/s.` : ".") : "") +
        (now.sustainable_per_s != null ? ` By formula ${number(now.sustainable_per_s)}/s can be sustained.` : "");
    draw("curve_ttft", "ttft_s", "TTFT", limits.ttft);
    draw("curve_tpot", "tpot_s", "TPOT", limits.tpot);
    const parts = Object.entries(now.parts).map(([n, v], i) => [n, v, `var(${colours[i]})`]).filter(q => q[1] > 0);
    $("parts").replaceChildren(...parts.map(([n, v, c]) => { const d = document.createElement("div"); d.style.cssText = `flex:${v};background:${c}`; d.title = `${n} ${number(100 * v)} %`; return d; }));
    $("legend").replaceChildren(...parts.map(([n, v, c]) => { const s = document.createElement("span"), i = document.createElement("i"); i.style.background = c; s.append(i, `${n.replaceAll("_", " ")} ${number(100 * v)} %`); return s; }));
    const price = $("price").value === "" ? null : Number($("price").value), body = $("cost").tBodies[0], an_hour = price == null ? null : price * now.gpus;
    body.replaceChildren();
    row(body, ["GPUs", number(now.gpus)]);
    row(body, ["price", price == null ? "no price: say one" : `${number(an_hour)} $/h, ${number(an_hour * 730, 4)} $ a month of 730 h`]);
    row(body, ["a million output tokens", price == null || !(now.output_tokens_per_s > 0) ? "–" : `${number(an_hour / 3600 / now.output_tokens_per_s * 1e6)} $`]);
    row(body, ["output", `${number(now.output_tokens_per_s)} tokens/s, ${number(now.output_tokens_per_s / now.gpus)} a GPU`]);
    row(body, ["kernel times", now.costs]);
    const list = $("points").tBodies[0];
    list.replaceChildren();
    for (const q of [...points].sort((a, b) => a.rate_per_s - b.rate_per_s))
        row(list, [number(q.rate_per_s), number(q.ttft_s[p]), number(q.tpot_s[p]), q.overloaded ? "overloaded" : !q.asked ? "not asked" : q.met ? "met" : "missed"]);
    document.documentElement.dataset.points = points.length;
}

function fail(text) {
    $("error").hidden = !text;
    $("error").textContent = text;
}

async function lines(body, signal, take) {
    const answer = await ask("curve", { method: "POST", body: JSON.stringify(body), signal });
    const reader = answer.body.getReader(), decoder = new TextDecoder();
    let rest = "";
    for (;;) {
        const { done, value } = await reader.read();
        rest += done ? "\n" : decoder.decode(value, { stream: true });
        const whole = rest.split("\n");
        rest = whole.pop();
        for (const line of whole) if (line.trim()) take(JSON.parse(line));
        if (done) return;
    }
}

const body = more => ({ settings: settings(), rate_per_s: value("rate"), requests: Number($("requests").value), trace: trace !== null, ...more });

async function run() {
    if (running) running.abort();
    const mine = running = new AbortController();
    let first = true;
    document.documentElement.dataset.state = "running";
    try {
        await lines(body({ points: 13 }), mine.signal, line => {
            if (mine.signal.aborted) return;
            if (line.error) { fail(line.error); return; }
            if (first) { points = []; fail(""); }
            first = false;
            points.push(line);
            show();
        });
        if (!mine.signal.aborted) {
            document.documentElement.dataset.state = "done";
            document.documentElement.dataset.curves = Number(document.documentElement.dataset.curves || 0) + 1;
        }
    } catch (e) {
        if (!mine.signal.aborted) fail("The explorer does not answer: is it still running?");
    }
}

function state() {
    const out = {};
    for (const id of [...touched]) out[id] = $(id).value;
    return out;
}

/* The settings are in the URL behind #, which no server is sent. */
function moved(id) {
    touched.add(id);
    if (id === "device" && !touched.has("price")) $("price").value = start.devices[$("device").value] || "";
    showValues();
    history.replaceState(null, "", location.pathname + location.search + "#" + new URLSearchParams(state()));
    if (id === "price") { show(); return; }
    clearTimeout(timer);
    timer = setTimeout(run, 20);
}

const quote = text => /^[A-Za-z0-9_.,:=\/-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'";
function command() {
    const sets = Object.entries(settings()).map(([k, v]) => `${k}=${typeof v === "object" ? JSON.stringify(v) : v}`);
    if (trace) sets.push(`workload.trace=${trace.name}`, `workload.rate_scale=${value("rate") / trace.rate_per_s}`, `workload.limit=${$("requests").value}`);
    else sets.push(`workload.arrivals.rate_per_s=${value("rate")}`, `workload.requests=${$("requests").value}`);
    return ["tandem", "run", quote(start.name), ...sets.flatMap(s => ["--set", quote(s)])].join(" ");
}

async function copy(text) {
    try { await navigator.clipboard.writeText(text); $("done").textContent = "Copied: " + text; }
    catch { $("done").textContent = text; }
}

async function runs() {
    const list = await (await ask("runs")).json();
    if (!Array.isArray(list)) return;
    $("runs").replaceChildren(...list.map(r => Object.assign(document.createElement("li"), { textContent: `run ${r.id}: ${r.name}, ${r.started.slice(0, 16).replace("T", " ")}${r.met === "" ? "" : r.met === "1" ? ", SLO met" : ", SLO missed"} (tandem report ${r.id})` })));
    if (!list.length) $("runs").textContent = "none yet";
}

async function keep() {
    $("keep").disabled = true;
    try {
        await lines(body({ points: 1, keep: true }), undefined, line => { $("done").textContent = line.error || `Kept as run ${line.kept}`; });
        await runs();
    } finally { $("keep").disabled = false; }
}

async function take(file) {
    const answer = await ask("trace", { method: "POST", body: file }), found = await answer.json();
    if (!answer.ok) { fail(found.error?.message || found.error); return; }
    trace = { name: file.name, ...found };
    $("trace_shown").textContent = `${file.name}: ${number(found.requests)} requests at ${number(found.rate_per_s)}/s`;
    for (const label of document.querySelectorAll(".lengths")) label.hidden = true;
    $("untrace").hidden = false;
    $("rate").value = toSlider.rate(found.rate_per_s);
    moved("rate");
}

function untrace() {
    trace = null;
    $("trace").value = $("trace_shown").textContent = "";
    $("untrace").hidden = true;
    for (const label of document.querySelectorAll(".lengths")) label.hidden = false;
    run();
}

async function begin() {
    const answer = await ask("start");
    if (!answer.ok) { fail("This address has no token, or an old one: open the one that tandem explore has printed."); return; }
    start = await answer.json();
    const s = start.scenario, slo = s.slo || {}, p = Object.keys(slo.ttft_s || slo.tpot_s || { p99: 0 })[0];
    $("what").textContent = s.name || start.name;
    fill("model", start.models, s.model);
    fill("device", Object.keys(start.devices), s.device);
    fill("engine", ["", ...start.engines], named(s.engine) || "");
    $("engine").options[0].text ||= "as the device says";
    fill("batching", start.batching, named(at(s, "policy.batching")));
    fill("routing", start.routing, named(at(s, "cluster.routing")) || "round_robin");
    $("replicas").value = at(s, "cluster.replicas") || 1;
    $("tensor").value = at(s, "cluster.tensor_parallel") || 1;
    $("rate").value = toSlider.rate(at(s, "workload.arrivals.rate_per_s") || 5);
    $("prompt").value = toSlider.prompt(at(s, "workload.lengths.prompt.median") || 512);
    $("output").value = toSlider.output(at(s, "workload.lengths.output.median") || 128);
    if ([...$("percentile").options].some(o => o.value === p)) $("percentile").value = p;
    $("ttft").value = at(slo, "ttft_s." + p) ?? "";
    $("tpot").value = at(slo, "tpot_s." + p) ?? "";
    $("price").value = start.devices[s.device] || "";
    for (const [id, v] of new URLSearchParams(location.hash.slice(1)))
        if ($(id) && $("controls").contains($(id)) && id !== "trace") { $(id).value = v; touched.add(id); }
    if (touched.has("device") && !touched.has("price")) $("price").value = start.devices[$("device").value] || "";
    showValues();
    for (const e of $("controls").querySelectorAll("select, input:not([type=file])")) e.addEventListener(e.tagName === "SELECT" ? "change" : "input", () => moved(e.id));
    $("controls").addEventListener("submit", e => e.preventDefault());
    $("copy").onclick = () => copy(command());
    $("share").onclick = () => copy(location.origin + location.pathname + location.search + "#" + new URLSearchParams(state()));
    $("keep").onclick = keep;
    $("untrace").onclick = untrace;
    $("trace").onchange = () => $("trace").files[0] && take($("trace").files[0]);
    for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]])
        $("drop").addEventListener(name, e => { e.preventDefault(); $("drop").classList.toggle("over", over); if (name === "drop" && e.dataTransfer.files[0]) take(e.dataTransfer.files[0]); });
    run();
    runs();
}
begin();
