#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Pages and comparisons of kept runs.
set -euo pipefail
tandem=$(realpath "$1")
schema=$(realpath "$(dirname "$0")/data/trace_event.schema.json")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
small="--set workload.requests=2000 --set output.requests=true --quiet"
"$tandem" run default $small --set output.timeseries_s=5 --set output.iterations=true
"$tandem" run default $small --set policy.batching=prefill_first
"$tandem" run default --quiet --set workload.requests=3000 --set workload.arrivals.rate_per_s=40 # too many

# A page: balanced, by itself, with the verdict, a table behind every chart, and bands that sum to their means.
"$tandem" report 1 2 3 --no-headroom >out.txt
"$tandem" report --no-headroom --out named.html >out.txt && cmp named.html run-3.html
python3 - <<'P'
import html.parser, re, sqlite3
VOID = {"meta", "br", "line", "circle", "polyline", "path"}
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.text, self.charts = [], "", 0
    def handle_starttag(self, tag, attrs):
        self.charts += tag == "svg"
        for name, value in attrs:
            assert name not in ("src", "href") or value.startswith("#"), (tag, name, value)
        if tag not in VOID:
            self.open.append(tag)
    def handle_startendtag(self, tag, attrs):
        pass
    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()
    def handle_data(self, data):
        self.text += data
for run, verdict, charts in ((1, "SLO met", 11), (2, "SLO met", 5), (3, "Overloaded", 5)):
    source = open("run-%d.html" % run, encoding="utf-8").read()
    page = Page()
    page.feed(source)
    assert not page.open, page.open
    assert verdict in page.text and page.charts == charts, (run, page.charts)
    ours = re.sub(r"<script.*?</script>", "", source, flags=re.S) # the series library names its own address
    assert "http" not in ours and not re.search(r"\bnan\b", ours), run
    assert "not looked for" in page.text and len(source) < 300000, len(source)
assert "class urgent" not in open("run-1.html").read()
db = sqlite3.connect("tandem.db")
for run in (1, 2, 3):
    for metric in ("ttft_s", "e2e_s"):
        total = n = 0
        for scope, count in db.execute("SELECT scope, value FROM metric WHERE run_id = ? AND name = ? AND scope LIKE 'band:%'", (run, metric)).fetchall():
            n += count
            total += count * sum(v for (v,) in db.execute("SELECT value FROM metric WHERE run_id = ? AND scope = ? AND name LIKE ?",
                                                          (run, scope, metric + "_part_%")))
        if run < 3: # every request has its row; bands are of those after the warm-up
            mean, rows = db.execute("SELECT avg(%s), count(*) FROM request WHERE run_id = ? AND id >= (SELECT value FROM metric m WHERE "
                                    "m.run_id = request.run_id AND name = 'warmup_requests')" % metric, (run,)).fetchone()
            assert rows == n and abs(total / n - mean) < 1e-9 * mean, (run, metric, total / n, mean)
P

# One cut for everything: the same requests are left out of every latency, and they are the first to arrive.
python3 - <<'P'
import sqlite3
db = sqlite3.connect("tandem.db")
for run in (1, 2):
    one = lambda name, scope="run", statistic="value": db.execute("SELECT value FROM metric WHERE run_id = ? AND name = ? AND scope = ? AND statistic = ?", (run, name, scope, statistic)).fetchone()[0]
    cut, at = one("warmup_requests"), one("warmup_s")
    assert cut > 0 and at > 0, (run, cut, at)
    first, before = db.execute("SELECT min(CASE WHEN id >= ?2 THEN arrival_s END), max(CASE WHEN id < ?2 THEN arrival_s END) FROM request WHERE run_id = ?1", (run, cut)).fetchone()
    assert abs(first - at) < 1e-9 and before < at, (first, before, at)
    for metric in ("queue_s", "ttft_s", "tpot_s", "e2e_s", "normalized_s"):
        for scope, least in (("run", cut), ("all", 0)):
            n, total, most = db.execute("SELECT count(%s), sum(%s), max(%s) FROM request WHERE run_id = ? AND id >= ?" % ((metric,) * 3), (run, least)).fetchone()
            assert one(metric, scope, "count") == n, (metric, scope)
            assert abs(one(metric, scope, "sum") / total - 1) < 1e-12 and abs(one(metric, scope, "mean") * n / total - 1) < 1e-12
            assert abs(one(metric, scope, "max") - most) < 1e-12 and one(metric, scope, "p99.9") <= one(metric, scope, "max")
    # What was finished after the cut, over the time from then on.
    assert abs(one("requests_per_s") - (2000 - cut) / (one("makespan_s") - at)) < 1e-9
    assert one("kv_use_mean") <= one("kv_use_peak")
P

# Statistics are of what the histogram has without its warm-up.
python3 - <<'P'
import sqlite3
db = sqlite3.connect("tandem.db")
cut = 0
for run in (1, 2, 3):
    for metric in ("queue_s", "ttft_s", "tpot_s", "itl_s", "e2e_s"):
        of = lambda scope: db.execute("SELECT coalesce(sum(count), 0) FROM histogram WHERE run_id = ? AND name = ? AND scope = ?", (run, metric, scope)).fetchone()[0]
        count, = db.execute("SELECT value FROM metric WHERE run_id = ? AND name = ? AND scope = 'run' AND statistic = 'count'", (run, metric)).fetchone()
        assert of("run") - of("warmup") == count, (run, metric)
        cut += of("warmup")
assert cut > 0
P

# What batches were made of: cells hold all iterations and all busy time; every iteration has its row, prompts and all,
# and rows are the same when every iteration is simulated singly.
python3 - <<'P'
import json, sqlite3
db = sqlite3.connect("tandem.db")
iterations, = db.execute("SELECT iterations FROM run WHERE id = 1").fetchone()
cells = db.execute("SELECT sum(iterations), sum(ns), sum(tokens), sum(padded_tokens) FROM batch_cell WHERE run_id = 1").fetchone()
rows = db.execute("SELECT count(*), sum(end_ns - start_ns), sum(decodes + prompt_tokens), sum(padded_tokens) FROM iteration WHERE run_id = 1").fetchone()
assert rows == cells and rows[0] == iterations, (rows, cells, iterations)
prompts = {}
for prompt_tokens, text in db.execute("SELECT prompt_tokens, prompts FROM iteration WHERE run_id = 1"):
    assert prompt_tokens == sum(n for _, n in json.loads(text))
    for request, n in json.loads(text):
        prompts[request] = prompts.get(request, 0) + n
for request, tokens, again in db.execute("SELECT id, prompt_tokens, recomputed_tokens FROM request WHERE run_id = 1"):
    assert again or prompts[request] == tokens, (request, tokens, prompts[request])
P
for step in "" --step; do
    "$tandem" run default --quiet --db "rows$step.db" $step --set workload.requests=300 --set cluster.replicas=2 --set 'output.iterations={"from_s":5,"to_s":20}'
    python3 -c "
import sqlite3, sys
rows = sqlite3.connect('rows$step.db').execute('SELECT * FROM iteration ORDER BY 1,2,3,4').fetchall()
assert len(rows) > 300 and all(5e9 <= r[2] < 20e9 for r in rows)
print(rows)" >"rows$step.txt"
done
cmp rows.txt rows--step.txt

# How much faster requests could come is looked for once, kept, and told.
"$tandem" report 2 --quiet && grep -q 'It would break at <b>' run-2.html
python3 - <<'P'
import sqlite3
kind, base, factor, holds, breaks = sqlite3.connect("tandem.db").execute("SELECT kind, base, factor, holds, breaks FROM headroom WHERE run_id = 2").fetchone()
assert kind == "found" and holds <= factor <= breaks and base > 0, (kind, base, holds, factor, breaks)
P

# Promises to a class, of goodput and of windows stand next to those to everybody.
"$tandem" run default --quiet --db slo.db --set workload.requests=2000 --set workload.priorities='[1,2]' --set slo='{"ttft_s":{"p99":2},"goodput_per_s":5,"windows":{"length_s":60},"classes":{"urgent":{"priority":0,"ttft_s":{"p90":0.01},"attainment":0.9}}}'
"$tandem" report --db slo.db --no-headroom --out slo.html >out.txt
for words in 'SLO not met' '(class urgent)' 'goodput, requests/s' 'windows that kept everything' 'exceeded <b>'; do grep -qF "$words" slo.html; done

# Forms for other tools: cumulative buckets that end with the count, vLLM's keys, a table.
"$tandem" report 1 --format prometheus >metrics.txt
"$tandem" report 1 --format vllm >bench.json
"$tandem" report 1 --format markdown | grep -q '^| TTFT | '
python3 - <<'P'
import json, re
buckets, counts = {}, {}
for line in open("metrics.txt"):
    if line.startswith("#"):
        continue
    name, labels, value = re.fullmatch(r'(vllm:\w+)\{(.*)\} (\S+)\n', line).groups()
    if name.endswith("_bucket"):
        le = re.search(r'le="([^"]+)"', labels)[1]
        buckets.setdefault(name[:-7], []).append((float(le), float(value)))
    if 'finished_reason="abort"' not in labels:
        counts[name] = float(value)
assert set(buckets) >= {"vllm:time_to_first_token_seconds", "vllm:e2e_request_latency_seconds"}, buckets.keys()
for name, all in buckets.items():
    assert all == sorted(all) and [v for _, v in all] == sorted(v for _, v in all), name
    assert all[-1] == (float("inf"), counts[name + "_count"]), name
assert counts["vllm:time_to_first_token_seconds_count"] == 2000 == counts["vllm:request_success_total"]
bench = json.load(open("bench.json"))
assert re.fullmatch(r"\d{8}-\d{6}", bench["date"]) and bench["burstiness"] == 1 and bench["max_concurrency"] is None, bench
assert bench["request_rate"] > 0 and bench["num_gpus"] == bench["tensor_parallel_size"] * bench["data_parallel_size"], bench
assert bench["completed"] == 2000 and bench["mean_ttft_ms"] > 0 and bench["p99_e2el_ms"] > bench["median_e2el_ms"], bench
assert bench["total_output_tokens"] == counts["vllm:generation_tokens_total"]
# One sum over rows, in the counters and in the benchmark's mean, of the same requests: all of them.
import sqlite3, statistics
db = sqlite3.connect("tandem.db")
for name, column, key in (("time_to_first_token_seconds", "ttft_s", "ttft"), ("e2e_request_latency_seconds", "e2e_s", "e2el"),
                          ("request_time_per_output_token_seconds", "tpot_s", "tpot")):
    n, total = db.execute("SELECT count(%s), sum(%s) FROM request WHERE run_id = 1" % (column, column)).fetchone()
    assert abs(counts["vllm:" + name + "_sum"] / total - 1) < 1e-12 and counts["vllm:" + name + "_count"] == n
    assert abs(bench["mean_" + key + "_ms"] * n / 1e3 / total - 1) < 1e-12, (name, bench["mean_" + key + "_ms"], total)
    values = [v for v, in db.execute("SELECT %s FROM request WHERE run_id = 1 AND %s IS NOT NULL" % (column, column))]
    assert abs(bench["std_" + key + "_ms"] / 1e3 / statistics.pstdev(values) - 1) < 1e-9, (name, "is not numpy's std")
assert abs(bench["request_throughput"] * bench["duration"] - 2000) < 1e-6 and bench["failed"] == 0
P
# Pools of a placement have sizes of their own: 3 GPUs are not the 1 that a replica has.
"$tandem" run default --set workload.requests=50 --set cluster.placement='{"name":"disaggregated","decode":{"replicas":2}}' --db placed.db >/dev/null
"$tandem" report --format vllm --db placed.db >placed.json
grep -q '"num_gpus":	null' placed.json
build=$(dirname "$tandem")
promtool=$(command -v promtool "$build/testers/promtool" "$build/../testers/promtool" | head -1 || true)
if [ -z "$promtool" ]; then
    echo "skipped a part: promtool is not there (make testers brings it)"
else # vLLM's names have the colon that promtool would keep for recording rules
    "$promtool" check metrics <metrics.txt >lint.txt 2>&1 || true
    if grep -v "metric names should not contain ':'" lint.txt; then exit 1; fi
fi

# A trace for Perfetto: as its schema says, slices nest, flows begin and end inside slices, everything is there.
"$tandem" run default --quiet --db trace.db --set workload.requests=200 --set output='{"requests":true,"iterations":true,"timeseries_s":1}'
"$tandem" report --db trace.db --format perfetto --out trace.json
python3 - "$schema" <<'P'
import json, sys
trace = json.load(open("trace.json"))
try:
    import jsonschema
    jsonschema.Draft7Validator(json.load(open(sys.argv[1]))).validate(trace)
except ImportError:
    print("skipped a part: python3-jsonschema is not installed")
tracks, flows, names = {}, {}, {}
for e in trace["traceEvents"]:
    if e["ph"] == "X":
        tracks.setdefault((e["pid"], e["tid"]), []).append((round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000)))
    elif e["ph"] in "stf":
        flows.setdefault(e["id"], []).append((round(e["ts"] * 1000), e["ph"], (e["pid"], e["tid"])))
    names[e.get("cat", e["ph"])] = names.get(e.get("cat", e["ph"]), 0) + 1
for track, slices in tracks.items():
    slices.sort(key=lambda s: (s[0], -s[1]))
    open_until = []
    for start, end in slices:
        while open_until and open_until[-1] <= start:
            open_until.pop()
        assert not open_until or end <= open_until[-1], (track, start, end, open_until)
        open_until.append(end)
assert len(flows) == 200, len(flows)
for request, steps in flows.items():
    steps.sort(key=lambda s: (s[0], "stf".index(s[1])))
    phases = "".join(p for _, p, _ in steps)
    assert phases[0] == "s" and phases[-1] == "f" and phases.count("t") >= 1, (request, phases)
    for at, _, track in steps: # where it comes from, where its prompt ran, where its last token came
        assert any(start <= at < end for start, end in tracks[track]), (request, at)
assert names["iteration"] > 1000 and names["C"] > 100, names
P

# A comparison says no more than intervals do; a run next to itself differs by nothing.
"$tandem" compare 1 2 >out.txt
grep -q 'TPOT mean .* A is better by .* (2000 requests in pairs)' out.txt
grep -q '^What serves them differs: policy.batching' out.txt
# What it says of pairs is the mean over 32 batches of neighbours, within a 95 % interval (t of 31 degrees: 2.0395).
python3 - <<'P'
import re, sqlite3
db, said = sqlite3.connect("tandem.db"), open("out.txt").read()
for title, column in ("TTFT mean", "ttft_s"), ("TPOT mean", "tpot_s"), ("E2E mean", "e2e_s"):
    pairs = [d for (d,) in db.execute(f"SELECT y.{column} - x.{column} FROM request x JOIN request y ON y.id = x.id WHERE "
                                      "x.run_id = 1 AND y.run_id = 2 ORDER BY x.id")]
    base = db.execute("SELECT value FROM metric WHERE run_id = 1 AND name = ? AND scope = 'run' AND statistic = 'mean'", (column,)).fetchone()[0]
    parts = [[d for d in pairs[b * len(pairs) // 32:(b + 1) * len(pairs) // 32] if d is not None] for b in range(32)]
    means = [sum(p) / len(p) for p in parts]
    mean = sum(means) / 32
    half = 2.0395134 * (sum((m - mean) ** 2 for m in means) / 31 / 32) ** 0.5
    found = re.search(rf"^ +{title} .* ([-+][0-9.]+) % ± ([0-9.]+) ", said, re.M)
    assert abs(float(found[1]) - 100 * mean / base) < 0.06 and abs(float(found[2]) - 100 * half / base) < 0.06, (found[0], mean / base, half / base)
P
"$tandem" compare 1 1 | grep 'TTFT p50' | grep -q 'no more than chance'
"$tandem" compare 1 2 --out both.html >out.txt
for words in 'B is better than A in' 'policy.batching' 'request by request' 'slowest hundredth'; do grep -qF "$words" both.html; done

# Runs with other workloads are not called better; the one that is overloaded says so first; seeds that differ are named.
"$tandem" compare 1 3 >out.txt
grep -q '^B  OVERLOADED: run 3' out.txt && grep -q '^The workloads differ, so neither is better: .*workload.arrivals.rate_per_s 5.53 → 40' out.txt
if grep -q '[AB] is better' out.txt; then exit 1; fi
"$tandem" compare 1 3 --out both.html >out.txt && grep -q 'B and A had different workloads' both.html && grep -q '<b>B is overloaded</b>' both.html
"$tandem" run default $small --set seed=2
"$tandem" compare 1 4 | grep -q '^The seeds differ, 1 → 2'
# Where both are overloaded, what they get done can be compared, and latencies cannot.
"$tandem" run default $small --set device=rtx-4090 --set workload.arrivals.rate_per_s=40
"$tandem" run default $small --set workload.arrivals.rate_per_s=40
"$tandem" compare 6 5 >out.txt && grep -q 'TTFT mean .* both are overloaded' out.txt
# Far apart: values instead of a ratio.
idle="$small --set workload.requests=400 --set workload.arrivals.rate_per_s=0.05"
"$tandem" run default $idle
"$tandem" run default $idle --set techniques='[{"name":"slow","paper":"none","changes":[{"name":"time","factor":20}]}]'
"$tandem" compare 7 8 | grep -qE 'TPOT mean .* over × 10 .*A is better: +[0-9.]+ ms against +[0-9.]+ m?s'
# Requests that were not served are not hidden by those that were.
"$tandem" run default $small --set cluster.admission.most_waiting=2 --set workload.arrivals.rate_per_s=40
"$tandem" report --no-headroom --out shed.html >out.txt
for words in 'SLO not met' 'were not served and count as infinitely late; the first: shed: too many wait' '<td class="bad">not served</td>'; do grep -qF "$words" shed.html; done

# A sweep's page: every point once, cells that lead to rows, rows that lead to pages of runs that are there when asked for.
"$tandem" sweep default --db study.db --quiet --set workload.requests=300 --vary cluster.replicas=1,2 --vary workload.arrivals.rate_per_s=4,8,16 --replications 2 >out.txt
rm run-*.html # of tandem.db
"$tandem" report sweep:1 --db study.db --runs >out.txt
python3 - <<'P'
import os, re
page = open("sweep-1.html", encoding="utf-8").read()
rows, cells = re.findall(r'<tr id="(point-\d+)">', page), set(re.findall(r'<a href="#(point-\d+)">', page))
assert len(rows) == 6 == len(cells) and cells == set(rows), (rows, cells)
runs = re.findall(r'<a href="(run-\d+\.html)">', page)
assert len(runs) == 6 and all(os.path.exists(r) for r in runs), runs
assert page.count('class="way"') == 6 and "6 of 6 points meet the SLO" in page
P

# A plan's page: what to buy, headroom, the tornado, every family.
cat >plan.json <<'J'
{ "name": "small", "rate_per_s": 20, "objective": "gpus", "replications": 4,
  "scenario": { "model": "llama-3.1-8b", "device": "h100-sxm", "slo": { "ttft_s": { "p99": 1 } },
                "workload": { "arrivals": { "name": "poisson", "rate_per_s": 20 }, "requests": 400,
                              "lengths": { "prompt": { "name": "fixed", "tokens": 1000 }, "output": { "name": "fixed", "tokens": 100 } } } },
  "search": { "policy.batching": ["chunked_prefill", "prefill_first"] } }
J
"$tandem" plan plan.json --db study.db --quiet >out.txt
"$tandem" report plan:1 --db study.db >out.txt
python3 - <<'P'
import json, re, sqlite3
page = open("plan-1.html", encoding="utf-8").read()
answer = json.loads(sqlite3.connect("study.db").execute("SELECT result FROM plan").fetchone()[0])
sizes = [(s["units"], s["gpus"], *(s[k][0] if s["binding"] != "a queue that grows" else None for k in ("ttft_s.p99", "tpot_s.p99")))
         for f in answer["families"] for s in f["sizes"]]
rows = re.findall(r'<tr id="point-\d+">(.*?)</tr>', page)
shown = [[float(v) if v else None for v in re.findall(r'<td(?: data-v="([^"]*)")?>', row)[2:6]] for row in rows]
assert len(shown) == len(sizes) > 3, (shown, sizes)
for got, want in zip(shown, sizes):
    assert all((g is None and w is None) or abs(g / w - 1) < 1e-6 for g, w in zip(got, want)), (got, want)
P
for words in 'Buy 1 node of 8 × h100-sxm' 'TTFT p99 ≤ 1 s' 'How sure:' 'What to expect, against the limits' 'What is bought, and where its price and its times are from' 'Hyperstack, price list (on demand), 2026-08-26' 'efficiencies are defaults, not fitted' 'USD a month' 'TTFT p99 against the rate' 'How much more it bears' 'What it depends on' 'class="way"' 'id="family-2"' 'recommended'; do grep -qF "$words" plan-1.html; done

fails() { # TEXT COMMAND...: with status 2, and this in its one sentence
    local text=$1 got=0
    shift
    "$@" >/dev/null 2>err.txt || got=$?
    [ "$got" = 2 ] && grep -qF -- "$text" err.txt && [ "$(wc -l <err.txt)" = 1 ] || { cat err.txt; exit 1; }
}
fails 'there is no run 99' "$tandem" compare 1 99
fails 'there is no run 99' "$tandem" report 99 --format html
# A page is written also where there is no rate to look for; who asks for it is told why.
rm run-*.html # of other databases
"$tandem" run default --quiet --db closed.db --set workload.arrivals='{"name":"closed_loop","concurrency":8}' --set workload.requests=200
"$tandem" report --db closed.db --out closed.html >out.txt 2>err.txt && grep -q 'no rate at which run 1 would break: .*closed loop' err.txt && grep -q 'not looked for' closed.html
"$tandem" run engine-demo --quiet --db closed.db --set workload.requests=20
fails 'run 2 has no SLO that could break' "$tandem" report --db closed.db --headroom
"$tandem" report 1 --db closed.db --quiet --out closed.html 2>err.txt && [ ! -s err.txt ]
fails 'found a closed loop' "$tandem" report 1 --db closed.db --headroom
fails 'there is no sweep 7' "$tandem" report sweep:7
fails 'there is no plan 7' "$tandem" report plan:7
fails "sweep:x: expected a sweep's number" "$tandem" report sweep:x
fails 'run 2: kept neither requests nor iterations' "$tandem" report 2 --db study.db --format perfetto
fails "two: expected a run's number" "$tandem" compare 1 two
fails 'allowed: html, text, csv, json, markdown, perfetto, prometheus, openmetrics, vllm, vllm-detailed' "$tandem" report --format pdf
# Of several pools a page names each one's costs and KV.
"$tandem" run default --quiet --db pools.db --set workload.requests=200 --set 'cluster={"pools":{"fast":{"replicas":2},"cheap":{"device":"l40s"}}}'
"$tandem" report --db pools.db --out pools.html
for words in 'NVIDIA H100 SXM datasheet' 'NVIDIA L40S datasheet' 'KV blocks of a replica of fast' 'KV tokens of a replica of cheap'; do grep -qF "$words" pools.html; done
