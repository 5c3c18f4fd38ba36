#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Pages and comparisons of kept runs.
set -euo pipefail
tandem=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
small="--set workload.requests=2000 --set output.requests=true --quiet"
"$tandem" run default $small --set output.timeseries_s=5
"$tandem" run default $small --set policy.batching=prefill_first
"$tandem" run default --quiet --set workload.requests=3000 --set workload.arrivals.rate_per_s=40 # too many

# A page: balanced, by itself, with the verdict, a table behind every chart, and bands that sum to their means.
for run in 1 2 3; do "$tandem" report $run --format html >out.txt; done
"$tandem" report --out named.html >out.txt && cmp named.html run-3.html
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
for run, verdict, charts in ((1, "SLO met", 9), (2, "SLO met", 4), (3, "Overloaded", 4)):
    source = open("run-%d.html" % run, encoding="utf-8").read()
    page = Page()
    page.feed(source)
    assert not page.open, page.open
    assert verdict in page.text and page.charts == charts, (run, page.charts)
    assert "http" not in source and not re.search(r"\bnan\b", source), run
    assert len(source) < 300000, len(source)
assert "class urgent" not in open("run-1.html").read()
db = sqlite3.connect("tandem.db")
for run in (1, 2, 3):
    for metric in ("ttft_s", "e2e_s"):
        total = n = 0
        for scope, count in db.execute("SELECT scope, value FROM metric WHERE run_id = ? AND name = ? AND scope LIKE 'band:%'", (run, metric)).fetchall():
            n += count
            total += count * sum(v for (v,) in db.execute("SELECT value FROM metric WHERE run_id = ? AND scope = ? AND name LIKE ?",
                                                          (run, scope, metric + "_part_%")))
        if run < 3: # every request has its row
            mean, rows = db.execute("SELECT avg(%s), count(*) FROM request WHERE run_id = ?" % metric, (run,)).fetchone()
            assert rows == n and abs(total / n - mean) < 1e-9 * mean, (run, metric, total / n, mean)
P

# Promises to a class, of goodput and of windows stand beside those to everybody.
"$tandem" run default --quiet --db slo.db --set workload.requests=2000 --set workload.priorities='[1,2]' --set slo='{"ttft_s":{"p99":2},"goodput_per_s":5,"windows":{"length_s":60},"classes":{"urgent":{"priority":0,"ttft_s":{"p90":0.01},"attainment":0.9}}}'
"$tandem" report --db slo.db --out slo.html >out.txt
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
    counts[name] = float(value)
assert set(buckets) >= {"vllm:time_to_first_token_seconds", "vllm:e2e_request_latency_seconds"}, buckets.keys()
for name, all in buckets.items():
    assert all == sorted(all) and [v for _, v in all] == sorted(v for _, v in all), name
    assert all[-1] == (float("inf"), counts[name + "_count"]), name
assert counts["vllm:time_to_first_token_seconds_count"] == 2000 == counts["vllm:request_success_total"]
bench = json.load(open("bench.json"))
assert bench["completed"] == 2000 and bench["mean_ttft_ms"] > 0 and bench["p99_e2el_ms"] > bench["median_e2el_ms"], bench
assert bench["total_output_tokens"] == counts["vllm:generation_tokens_total"]
P
if command -v promtool >/dev/null; then # vLLM's names have the colon that promtool would keep for recording rules
    promtool check metrics <metrics.txt >lint.txt 2>&1 || true
    if grep -v "metric names should not contain ':'" lint.txt; then exit 1; fi
fi

# A comparison says no more than intervals do; a run beside itself differs by nothing.
"$tandem" compare 1 2 >out.txt
grep -q 'TPOT mean .* A is better by .* (2000 requests in pairs)' out.txt
"$tandem" compare 1 1 | grep 'TTFT p50' | grep -q 'no more than chance'
fails() { # TEXT COMMAND...: with status 2, and this in its one sentence
    local text=$1 got=0
    shift
    "$@" >/dev/null 2>err.txt || got=$?
    [ "$got" = 2 ] && grep -qF -- "$text" err.txt && [ "$(wc -l <err.txt)" = 1 ] || { cat err.txt; exit 1; }
}
fails 'there is no run 9' "$tandem" compare 1 9
fails 'there is no run 9' "$tandem" report 9 --format html
fails "two: expected a run's number" "$tandem" compare 1 two
fails 'allowed: html, text, csv, json, markdown, prometheus, vllm' "$tandem" report --format pdf
