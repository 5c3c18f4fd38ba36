#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `tandem calibrate`: what it finds is used by run and plan, and comes out the same there; wrong input is one sentence.
set -eu
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
source=$PWD
forms=$source/tests/data/forms
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >base.json <<J
{"model": "ideal", "device": "$source/tests/data/slow_line.json", "engine": {"host_ns": 0},
 "workload": {"arrivals": "poisson", "lengths": "fixed"}, "slo": {"ttft_s": {"p99": 1}}}
J
# Kernels 1.25 times as long and 15 ms on the way, for requests that mostly are alone (test_calibrate.c has the formula).
python3 - <<'P'
with open("levels.csv", "w") as out:
    out.write("rate_per_s,requests,prompt_tokens,output_tokens,ttft_mean_ms,tpot_mean_ms\n")
    for p in range(100, 900, 100):
        ttft, tpot = 15 + 1.25 * (5 + 0.02 * p), 1.25 * (5.1 + 1e-4 * (p + 5.5))
        out.write(f"{0.01 + p * 1e-5},40,{p},11,{ttft},{tpot}\n")
P
"$tandem" calibrate levels.csv --scenario base.json --parameters kernel_factor,front_end_s --seeds 1 --fit 5 \
    --out found.json --scenario-out server.json --csv rows.csv >out.txt
grep -q '^error of the 3 judged, median (signed; p90): TTFT ' out.txt
grep -q "wrote found.json; use it with --set engine=found.json" out.txt
python3 - "$(sha256sum levels.csv | cut -d' ' -f1)" <<'P'
import csv, json, re, sys
found = json.load(open("found.json"))
assert abs(found["kernel_factor"] / 1.25 - 1) < 0.01, found
low, high = found["intervals"]["kernel_factor"]
assert low < found["kernel_factor"] < high, found
assert found["source"].startswith("calibrated on 20") and f"levels.csv (sha256 {sys.argv[1]})" in found["source"]
assert "5 of 8 loads" in found["source"] and "median error on the other 3: TTFT" in found["source"], found["source"]
assert found["errors"]["points"] == 3 and found["host_ns"] == 0
server = json.load(open("server.json"))
assert server["engine"] == "found.json" and server["cluster"]["flow"] == ["latency", "serve"]
assert abs(server["cluster"]["pools"]["latency"]["service_s"] - 0.015) < 1e-3
rows = list(csv.DictReader(open("rows.csv")))
number = r"([-+]?[0-9.]+)"
for metric in "ttft", "tpot":  # what is printed, before and after, is what the rows say
    said = re.search(rf"{metric.upper()} {number} % \({number}; {number}\), before {number} % \({number}; {number}\)", open("out.txt").read().split("judged, median")[1])
    for at, column in (1, "after_ms"), (4, "before_ms"):
        signed = sorted(100 * (float(r[column]) / float(r["measured_ms"]) - 1) for r in rows if r["part"] == "judged" and r["metric"] == metric)
        off = sorted(map(abs, signed))
        wanted = off[1], signed[1], off[1] + 0.8 * (off[2] - off[1])
        assert all(abs(float(said[at + i]) - w) < 0.06 for i, w in enumerate(wanted)), (said[0], wanted)
assert len(rows) == 16 and sum(r["part"] == "judged" for r in rows) == 6, rows
errors = [abs(float(r["after_ms"]) / float(r["measured_ms"]) - 1) for r in rows if r["part"] == "judged" and r["metric"] == "tpot"]
assert abs(found["errors"]["tpot"]["median"] / sorted(errors)[1] - 1) < 1e-6, (found["errors"], errors)
P
# The scenario that is written, of the highest rate, has the very latencies that the calibration saw.
"$tandem" run server.json --db run.db >/dev/null
"$tandem" report --db run.db --format vllm --out run.json
python3 - <<'P'
import csv, json
run, rows = json.load(open("run.json")), list(csv.DictReader(open("rows.csv")))
last = {r["metric"]: float(r["after_ms"]) for r in rows if r["load"] == "0.018 requests/s" and r["statistic"] == "mean"}
assert abs(run["mean_ttft_ms"] / last["ttft"] - 1) < 1e-6 and abs(run["mean_tpot_ms"] / last["tpot"] - 1) < 1e-6, (run, last)
P

# A plan puts kernel times off by what nine in ten judged loads stayed below, other inputs by its own share.
sed 's/"errors":{"points":3,"ttft":{[^}]*},"tpot":{[^}]*}}/"errors":{"points":3,"tpot":{"signed_median":0,"median":0.01,"p90":0.07}}/' found.json >known.json
cat >plan.json <<J
{"scenario": {"model": "ideal", "device": "$source/tests/data/slow_line.json", "engine": "known.json",
   "workload": {"requests": 60, "arrivals": {"name": "poisson", "rate_per_s": 4},
                "lengths": {"prompt": {"name": "fixed", "tokens": 100}, "output": {"name": "fixed", "tokens": 5}}},
   "slo": {"ttft_s": {"p99": 0.5}}},
 "search": {"policy.batching": ["continuous"]}, "objective": "gpus", "replications": 4}
J
"$tandem" plan plan.json --quiet --no-db >plan.txt
grep -qE 'kernel times +are -7 %' plan.txt && grep -qE 'kernel times +are \+7 %' plan.txt && grep -qE 'rate +are \+10 %' plan.txt

# Every form goes through both commands; a folder of stages is one server.
cat >chat.json <<'J'
{"model": "llama-3.1-8b", "device": "h100-sxm", "engine": "vllm-0.19", "workload": {"arrivals": "poisson", "lengths": "fixed"}}
J
for f in vllm.json vllm_detailed.json vllm_appended.json guidellm.json aiperf.json aiperf_phases.json genai_perf.json levels.csv .; do
    "$tandem" validate measured "$forms/$f" --scenario chat.json | tail -1 | grep -qE '^mean absolute error [0-9.]+ %, worst [0-9.]+ %$'
    "$tandem" calibrate "$forms/$f" --scenario chat.json --parameters kernel_factor --seeds 1 --out each.json >/dev/null
    "$tandem" run chat.json --set workload.requests=5 --set engine=each.json --no-db >/dev/null
done
# A folder of a measured run and operating points say themselves what served them.
"$tandem" calibrate "$source/tests/data/measured" --profile h100-sxm --parameters exposed_ns --seeds 1 --out own.json >own.txt
grep -q 'requests.jsonl (sha256 ' own.json

fails_with 2 'needs --scenario SCENARIO, which says the model' "$tandem" calibrate "$forms/vllm.json"
fails_with 2 'tandem calibrate RESULT' "$tandem" calibrate
fails_with 2 'nowhere.json' "$tandem" calibrate nowhere.json --scenario chat.json
fails_with 2 'expected a result of vLLM' "$tandem" calibrate base.json --scenario chat.json
fails_with 2 '--fit 4: expected at most 3, as many as there are load levels' "$tandem" calibrate "$forms/guidellm.json" --scenario chat.json --fit 4
fails_with 2 '--fit 0: expected a whole number from 1' "$tandem" calibrate "$forms/guidellm.json" --scenario chat.json --fit 0
fails_with 2 'front_end_s with commas between, found "magic"' "$tandem" calibrate "$forms/vllm.json" --scenario chat.json --parameters exposed_ns,magic
fails_with 2 'a measured run needs --profile DEVICE' "$tandem" calibrate "$source/tests/data/measured"
fails_with 2 '--scenario chat.json: expected none with results that say what served them' \
    "$tandem" calibrate "$source/tests/data/measured" --profile h100-sxm --scenario chat.json
fails_with 2 'expected no other results next to a folder' \
    "$tandem" calibrate "$source/tests/data/measured" "$forms/vllm.json" --profile h100-sxm
fails_with 2 'cluster.placement: expected cluster.pools and cluster.flow' \
    "$tandem" calibrate "$forms/vllm.json" --scenario chat.json --set cluster.placement=disaggregated
fails_with 1 'no/such/engine.json: cannot be written' \
    "$tandem" calibrate "$forms/vllm.json" --scenario chat.json --parameters kernel_factor --seeds 1 --out no/such/engine.json
# Nothing of what it simulated from stays behind.
mkdir scratch
TMPDIR=$work/scratch "$tandem" calibrate "$forms/vllm_detailed.json" --scenario chat.json --parameters kernel_factor --seeds 1 >/dev/null
[ -z "$(ls scratch)" ]
