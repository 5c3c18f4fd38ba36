#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# sweep and plan on the command line: tables, resumption after a kill, MPI ranks of which one dies, exit statuses.
set -euo pipefail
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
small="--set workload.requests=500 --quiet"

until_some_points() { # FILE: of a sweep that runs
    for _ in $(seq 200); do
        sleep 0.05
        [ -e "$1" ] && [ "$(query "$1" 'SELECT count(*) FROM sweep_point' 2>/dev/null || echo 0)" -gt 4 ] && return
    done
}

# Every point is a run; ranges; the same points whatever the number of threads.
"$tandem" sweep default $small --vary workload.arrivals.rate_per_s=2..8:3 --vary policy.batching=chunked_prefill,prefill_first --csv a.csv -j 1 >out.txt
grep -q '6 points, 6 runs' out.txt
"$tandem" sweep default $small --no-db --vary device=h100-sxm,nonesuch | grep -q '^2 points, 1 of which cannot be run, '
[ "$(query tandem.db 'SELECT count(*) FROM sweep_point p JOIN run r ON r.id = p.run_id')" = 6 ]
"$tandem" sweep default $small --vary workload.arrivals.rate_per_s=2..8:3 --vary policy.batching=chunked_prefill,prefill_first --csv b.csv --no-db >out.txt
cmp a.csv b.csv

# A point keeps the rows that its scenario asks for, iterations, too.
"$tandem" sweep default $small --vary cluster.replicas=1,2 --set workload.requests=50 --set output.iterations=true --db rows.db >out.txt
[ "$(query rows.db 'SELECT count(DISTINCT run_id) FROM iteration')" = 2 ]

# The best of them, with paired differences; a precision.
"$tandem" sweep default $small --no-db --vary policy.batching=continuous,prefill_first,chunked_prefill --best least --metric e2e_s.mean --set workload.arrivals.rate_per_s=10 >out.txt
grep -q 'best by e2e_s.mean' out.txt && grep -q 'pairs)' out.txt
"$tandem" sweep default $small --no-db --vary cluster.replicas=1 --precision 0.02 --metric e2e_s.mean --csv c.csv >out.txt
python3 - <<'P'
import csv
row = next(csv.DictReader(open("c.csv")))
mean, low, high = (float(row[k]) if row.get(k) else None for k in ("e2e_s.p50", "e2e_s.p50.low", "e2e_s.p50.high"))
assert int(row["replications"]) >= 4 and low < mean < high, row
P

# Two that eight replications cannot tell apart get more, as many as they may.
cat >close.json <<'P'
{"scenario": "default", "vary": {"policy.batching.token_budget": [2000, 2048], "workload.requests": [100]},
 "best": "least", "metric": "e2e_s.mean", "replications": 12, "indifference": 0.0001}
P
"$tandem" sweep close.json --no-db --csv close.csv >out.txt
grep -q '2 points, 24 runs' out.txt
[ "$(cut -d, -f3 close.csv | tail -n +2 | sort -u)" = 12 ]

# Killed in the middle, it goes on; interrupted, it says so.
many="--vary workload.arrivals.rate_per_s=2..8:300 --set workload.requests=1000 --db k.db"
"$tandem" sweep default $many --quiet >/dev/null 2>&1 & job=$!
until_some_points k.db
kill -9 $job
wait $job 2>/dev/null || true
[ "$(query k.db 'SELECT count(*) < 300 FROM sweep_point')" = 1 ]
"$tandem" sweep default $many >out.txt 2>err.txt
grep -q 'goes on where sweep 1' err.txt
[ "$(query k.db 'SELECT count(*) FROM sweep_point')" = 300 ] && [ "$(query k.db 'SELECT count(*) FROM run')" = 300 ]
[ "$(query k.db 'SELECT count(*) FROM sweep')" = 1 ]

fails_with 2 'default is a scenario itself' "$tandem" sweep default --set scenario.workload.requests=5 --vary cluster.replicas=1,2
fails_with 2 '--vary cluster.replicas: expected PATH=VALUES' "$tandem" sweep default --vary cluster.replicas
fails_with 2 'vary: expected an object of scenario paths' "$tandem" sweep default --no-db
fails_with 2 'none of the points can be run' "$tandem" sweep default --no-db --quiet --vary model=nonesuch
fails_with 2 '-j 0: expected a whole number from 1 to 4096' "$tandem" sweep default --vary seed=1 -j 0

# Ranges: whole numbers one after another, equal steps, equal ratios; all points are there.
values() { # VALUES: of cluster.replicas or a rate, as the table's CSV has them
    "$tandem" sweep default --set workload.requests=20 --no-db --quiet --csv v.csv --vary "$1" >/dev/null
    tail -n +2 v.csv | cut -d, -f1 | tr -d '"' | paste -sd' '
}
[ "$(values cluster.replicas=1..4)" = '1 2 3 4' ]
[ "$(values cluster.replicas=4..6)" = '4 5 6' ]
[ "$(values workload.arrivals.rate_per_s=0.5..2:lin:4)" = '0.5 1 1.5 2' ]
[ "$(values workload.arrivals.rate_per_s=1..4:3)" = '1 2.5 4' ]
[ "$(values workload.arrivals.rate_per_s=1..4:log:3)" = '1 2 4' ]
[ "$(values 'policy.batching={"name":"continuous","max_sequences":8},prefill_first' | wc -l)" = 1 ]
[ "$(values 'about="a, b",c')" = 'a c' ] # cut -d, stops in the middle of the first

# What is not read in full is no list and no range.
for values in 4-8 4x 0x2,3 1,,2 1,2, ,1 1..4,8 1..4: 1..4:log 1..4:log:3x 1..4:lin: 1..nan 0.5..2 1.5..3 '{"a":1' '"a' '[1,2'; do
    fails_with 2 'expected values parted by commas' "$tandem" sweep default --no-db --vary "cluster.replicas=$values"
done
fails_with 2 'a range whose "from" is below its "to"' "$tandem" sweep default --no-db --vary cluster.replicas=8..4
fails_with 2 'a range whose "from" is below its "to"' "$tandem" sweep default --no-db --vary cluster.replicas=3..3
fails_with 2 'expected a whole number from 2 to 100000, found 2.5' "$tandem" sweep default --no-db --vary seed=1..4:2.5
fails_with 2 'has 1 twice' "$tandem" sweep default --no-db --vary cluster.replicas=1,2,1
fails_with 2 'cluster.replicas: is there twice' "$tandem" sweep default --no-db --vary cluster.replicas=1 --vary cluster.replicas=2
fails_with 2 'would overwrite policy.batching.token_budget' "$tandem" sweep default --no-db --vary policy.batching.token_budget=256,512 --vary policy.batching=chunked_prefill
fails_with 2 '--replications 2x: expected a number' "$tandem" sweep default --no-db --vary seed=1,2 --replications 2x
fails_with 2 'replications: expected a whole number from 8' "$tandem" sweep default --no-db --vary seed=1,2 --replications 4 --best least
fails_with 2 'expected "best" or "precision", not both' "$tandem" sweep default --no-db --vary seed=1,2 --precision 0.1 --best least

# A scenario's capacity, a formula next to it, a plan, and one that cannot be met.
"$tandem" plan default --set workload.requests=2000 --quiet >out.txt
grep -q 'sustains .* requests/s within its SLO' out.txt
"$tandem" plan default --analytic --set workload.requests=2000 >out.txt
grep -q 'Allen-Cunneen' out.txt
"$tandem" plan chat-70b --analytic --set scenario.workload.requests=1000 >out.txt
grep -q 'fewest units that can bear it' out.txt && grep -q 'TPOT, mean' out.txt
cat >plan.json <<'P'
{ "name": "small", "rate_per_s": 30, "scenario": "default", "replications": 8, "sensitivity": 0, "cost_model_confidence": 0,
  "search": { "device": ["h100-sxm", "l40s"], "policy.batching": ["chunked_prefill", "prefill_first"] },
  "prices_per_h": { "h100-sxm": 3, "l40s": 1 } }
P
"$tandem" plan plan.json --set scenario=default --json plan-out.json --quiet >out.txt
grep -q 'recommended' out.txt && grep -q 'runner-up' out.txt && grep -q 'why not the others' out.txt
python3 - <<'P'
import json
plan = json.load(open("plan-out.json"))
chosen = plan["families"][plan["recommendation"]]
assert chosen["fate"] == "found" and chosen["units"] >= 1, chosen["label"]
assert plan["headroom"]["rate"][1] >= 1, plan["headroom"]
P
[ "$(query tandem.db "SELECT count(*) FROM plan WHERE status = 'done' AND name = 'small'")" = 1 ]
[ "$(query tandem.db 'SELECT count(*) > 20 FROM plan_point')" = 1 ]
got=0; "$tandem" plan plan.json --quiet --no-db --set constraints.gpus=1 >out.txt || got=$?
[ "$got" = 3 ] && grep -q 'NOTHING MEETS THE SLO' out.txt && grep -q 'Closest comes' out.txt
fails_with 2 'prices_per_h: has no price for mi300x' "$tandem" plan plan.json --quiet --no-db --set 'search={"device":["mi300x"]}'

# What is bought: whole nodes at listed prices, or at one's own; GPUs one by one; a spare node; JSON says all of it.
"$tandem" plan plan.json --no-db --quiet --set 'search={"device":["h100-sxm"]}' --set 'prices_per_h={}' --json bill.json >out.txt
grep -q 'node of 8 × h100-sxm: 8 GPUs to buy, ' out.txt && grep -q 'h100-sxm: 3.20 USD a GPU and hour, Hyperstack, price list (on demand), 2026-08-26' out.txt
grep -q '25.60 USD an hour, 18688 a month of 730 hours' out.txt
python3 - <<'P'
import json
plan = json.load(open("bill.json"))
family = plan["families"][plan["recommendation"]]
bill = next(s for s in family["sizes"] if s["units"] == family["units"])["bill"]
assert bill["nodes"] == 1 and bill["gpus_to_buy"] == 8 and bill["gpus_needed"] == family["units"], bill
assert abs(bill["cost_per_month"] - 8 * 3.2 * 730) < 1e-6 and bill["currency"] == "USD", bill
assert bill["devices"][0]["price_date"] == "2026-08-26" and bill["devices"][0]["cost_model"], bill
P
"$tandem" plan plan.json --no-db --quiet --set 'search={"device":["h100-sxm"]}' --price h100-sxm=2.5,l4=1 --set buy.spare_nodes=1 >out.txt
grep -q "2 nodes of 8 × h100-sxm (1 of them spare)" out.txt && grep -q '40.00 an hour' out.txt && grep -q "the plan's own price" out.txt
grep -q 'one node lost   meets the SLO' out.txt
"$tandem" plan plan.json --no-db --quiet --set 'search={"device":["h100-sxm"]}' --set buy.by=gpu >out.txt
grep -q '^    [0-9]* × h100-sxm$' out.txt
fails_with 2 '--price: expected DEVICE=PRICE,..., as in h100-sxm=2.99, found "h100-sxm"' "$tandem" plan plan.json --no-db --price h100-sxm
fails_with 2 '--price: is of a plan; default is a scenario by itself' "$tandem" plan default --price h100-sxm=2
fails_with 2 'tandem plan: --replications 3: expected a power of two from 4 to 4096' "$tandem" plan default --replications 3
fails_with 2 'tandem plan: --tolerance 2: expected a number from 0.0001 to 1' "$tandem" plan default --tolerance 2
fails_with 2 '--format json: is of runs; a plan is a page (html), and JSON or Markdown by plan --json or --markdown' "$tandem" report plan:1 --format json
fails_with 2 '--format csv: is of runs; a sweep is a page (html), and rows by sweep --csv' "$tandem" report sweep:1 --format csv
fails_with 2 'search.cluster.replicas: expected another path' "$tandem" plan plan.json --no-db --set 'search={"cluster.replicas":[1]}'
fails_with 2 'search.device: has "l40s" twice' "$tandem" plan plan.json --no-db --set 'search={"device":["l40s","l40s"]}'
fails_with 2 'search.device: is there twice' "$tandem" plan plan.json --no-db --set 'search={"device":["l40s"],"device":["h100-sxm"]}'
fails_with 2 'prices_per_h.l40s: is there twice' "$tandem" plan plan.json --no-db --set 'prices_per_h={"l40s":1,"l40s":2}'
fails_with 2 'replications 6: expected a power of two from 4 to 4096' "$tandem" plan plan.json --no-db --replications 6
fails_with 2 '--confidence 0.9x: expected a number' "$tandem" plan plan.json --no-db --confidence 0.9x

cat >small.json <<'P'
{ "name": "small", "model": "llama-3.1-8b", "device": "h100-sxm",
  "workload": { "arrivals": { "name": "poisson", "rate_per_s": 10 }, "requests": 300,
                "lengths": { "prompt": { "name": "lognormal", "median": 800, "sigma": 0.7 }, "output": { "name": "lognormal", "median": 100, "sigma": 0.7 } } },
  "slo": { "ttft_s": { "p90": 0.4 }, "e2e_s": { "p90": 6 } } }
P
# The cost model's error is in the answer: how sure it is, what is needed at each quantile, what to measure.
"$tandem" plan plan.json --no-db --quiet --set scenario=small.json --set 'search={"device":["h100-sxm"]}' --replications 4 --set cost_model_confidence=0.8 --set buy.by=gpu --json sure.json >out.txt
grep -q 'meets the SLO with .* % confidence (80 % asked for)' out.txt && grep -q '90 % interval' out.txt && grep -q 'to know more, measure' out.txt
python3 - <<'P'
import json
sure = json.load(open("sure.json"))["certainty"]
units = [level["units"] for level in sure["recommendation"]["levels"]]
assert units == sorted(units) and sure["confidence"] >= 0.75 and sure["recommendation"]["points"] > 0, sure
assert [e["name"] for e in sure["expected"]][:2] == ["ttft_s.p90", "e2e_s.p90"] and sure["expected"][0]["limit"] == 0.4, sure
assert all(e["low"] <= e["value"] <= e["high"] for e in sure["expected"]) and "rival" not in sure, sure
P

# What a plan names is what it has tried: its first trial run by itself, and the others by their seeds, have the margins
# that the plan says, here of what is recommended and of the runner-up.
command_of() { # TITLE: the command under it in out.txt
    sed -n "/$1/,\$p" out.txt | grep -m1 -o 'tandem run .*' | sed "s|^tandem|'$tandem'|"
}
"$tandem" plan plan.json --no-db --quiet --set scenario=small.json --replications 4 --set cost_model_confidence=0.9 --json a.json >out.txt
for title in recommended runner-up; do
    for seed in 1000 1001 1002 1003; do
        eval "$(command_of "$title") --set seed=$seed --quiet --db again.db"
    done
done
python3 - <<'P'
import json, sqlite3, statistics
plan = json.load(open("a.json"))
db = sqlite3.connect("again.db")
value = lambda name, run: db.execute("SELECT value FROM metric WHERE run_id = ? AND name = ?", (run, name)).fetchone()[0]
for first, role in ((1, "recommendation"), (5, "runner_up")):
    family = plan["families"][plan[role]]
    size = next(s for s in family["sizes"] if s["units"] == family["units"])
    # A run whose queue grows has a margin of at most -0.05 in a plan.
    margins = [min(value("slo_margin", run), -0.05 if value("overloaded", run) else 1e9) for run in range(first, first + 4)]
    assert size["replications"] == 4, size
    assert abs(statistics.median(margins) - size["typical_margin"]) < 1e-9, (margins, size)
    assert abs(min(margins) - size["least_margin"]) < 1e-9, (margins, size)
P

# A size of the JSON is a scenario by itself.
python3 - <<'P'
import json
plan = json.load(open("a.json"))
size = plan["families"][plan["recommendation"]]["sizes"][0]
json.dump(dict(size["scenario"], seed=plan["seed"]), open("size.json", "w"))
P
"$tandem" run size.json --no-db --quiet

# Requests longer than the model's longest sequence take nothing of what is bought: the cheaper device is chosen, though
# a formula of all requests would want three of it.
cat >long.json <<'P'
{ "model": "yi-34b", "device": "a100-80gb", "cluster": { "tensor_parallel": 2 },
  "workload": { "arrivals": { "name": "poisson", "rate_per_s": 2 }, "requests": 500,
                "lengths": { "prompt": { "name": "lognormal", "median": 7059, "sigma": 0.476, "max": 16384 }, "output": { "name": "lognormal", "median": 208, "sigma": 0.45, "max": 1024 } } },
  "policy": { "batching": "unified_budget" }, "slo": { "goodput_per_s": 0.1 } }
P
cat >cheaper.json <<'P'
{ "name": "cheaper", "scenario": "long.json", "search": { "device": ["a100-80gb", "h100-sxm"] }, "sensitivity": 0, "buy": { "by": "gpu" }, "cost_model_confidence": 0,
  "prices_per_h": { "a100-80gb": 1.8, "h100-sxm": 3 }, "replications": 4 }
P
"$tandem" plan cheaper.json --no-db --quiet >out.txt
grep -A2 'recommended  1 unit of a100-80gb' out.txt | grep -q '3.60 an hour'
grep -q '% of requests are not served, one of them because: longer than the model' out.txt

# No number of units helps: 0.05 s for a prompt of 8 000 tokens is less than an idle replica takes.
got=0; "$tandem" plan cheaper.json --no-db --quiet --json none.json \
    --set 'scenario={"model":"llama-3.1-70b","device":"h100-sxm","cluster":{"tensor_parallel":4},"workload":{"arrivals":{"name":"poisson","rate_per_s":2},"requests":200,"lengths":{"prompt":{"name":"fixed","tokens":8000},"output":{"name":"fixed","tokens":20}}},"slo":{"ttft_s":{"p99":0.05},"attainment":0.99}}' >out.txt || got=$?
[ "$got" = 3 ] && grep -q 'Closest comes' out.txt && grep -q 'No number of units helps' out.txt
grep -q 'attainment misses 100 times what it may' out.txt # 200 of 200, 2 may
python3 - <<'P'
import json
plan = json.load(open("none.json"))
closest = next(s for s in plan["families"][plan["closest"]]["sizes"] if s["units"] == plan["closest_units"])
assert plan["alone"]["attainment"] == 0 and plan["alone"]["ttft_s.p99"] > 0.05, plan["alone"]
assert closest["typical_margin"] <= -4.6, closest
P

# A scenario by itself that misses its SLO at any rate, and one that meets it at any: both say what it was like there.
got=0; "$tandem" plan default --quiet --set workload.requests=200 --set 'slo={"ttft_s":{"p99":0.001}}' >out.txt || got=$?
[ "$got" = 3 ] && grep -q 'misses its SLO at any rate: at .* where hardly any request meets another' out.txt && grep -q 'times its limit; TTFT p99' out.txt
"$tandem" plan default --quiet --set workload.requests=20 --set 'slo={"ttft_s":{"p99":100000}}' >out.txt
grep -q 'meets its SLO at any rate that was tried: at .* the last of them' out.txt
fails_with 2 'none of the configurations can be run: h100-sxm: scenario: slo.ttft_s.p75' "$tandem" plan cheaper.json --no-db --quiet --set 'search={"device":["h100-sxm"]}' --set 'scenario={"model":"llama-3.1-8b","device":"h100-sxm","workload":{"arrivals":{"name":"poisson","rate_per_s":2},"requests":200,"lengths":{"prompt":{"name":"fixed","tokens":80},"output":{"name":"fixed","tokens":20}}},"slo":{"ttft_s":{"p75":0.05}}}'
