#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What measurements become: profiles that are shown, constants fitted to kernels and to a served run, operating points and
# results with every request that are judged. The numbers are worked out by hand next to each.
set -eu
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
source=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 - "$source" <<'P'
import os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1] + "/tests/faults")
from commands import CHAT, FILES
for name in FILES:
    if name.startswith(("bundle/", "aic/")):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        open(name, "w").write(FILES[name])
open("chat.json", "w").write(CHAT)
P

# A measured profile is shown table by table.
"$tandem" profile import bundle/tp1 --out own.json >/dev/null
"$tandem" profile show own.json >shown.txt
for line in 'measured, costing llama-3.1-8b with tensor parallel 1' 'qkv_proj           2 points: tokens 1 … 8' \
    'decode_attention   2 points: sequences 1 … 2, mean KV 16 … 16' 'moe                4 points: tokens 1 … 2, awake experts 8 … 16'; do
    grep -qF -- "$line" shown.txt || { echo "expected \"$line\", found:"; cat shown.txt; exit 1; }
done
# Every second layer of the model keeps the last 128 tokens alone.
"$tandem" profile show h100-sxm --model gpt-oss-120b --tensor-parallel 2 | grep -q 'groups of layers, 1 of which keep the last 128 tokens' ||
    { "$tandem" profile show h100-sxm --model gpt-oss-120b --tensor-parallel 2; exit 1; }
fails_with 2 'profile dance: unknown action; allowed: import, show, check, fit' "$tandem" profile dance own.json

# Two GPUs exchange 2 × 1024 and 2 × 1048576 bytes in 20 and 50 µs: 2095104 bytes in 30 µs are 69.84 GB/s, and 1024
# elements wait 20 µs less their 29 ns.
"$tandem" profile fit h100-sxm --kernels aic/engine --name mine --out fit.json >fit.txt
grep -q '^all-reduce                2 .* 0.0      0.0$' fit.txt
grep -q '^experts fp8            none$' fit.txt
grep -q '^refused: attention_launch_ns = [0-9]*, since such kernels launch within 30000 ns' fit.txt
python3 - <<'P'
import json
fit = json.load(open("fit.json"))
assert fit["name"] == "mine" and fit["system"] == "h100-sxm", fit
assert fit["link_bytes_per_s"] == 69.84e9 and fit["link_latency_ns"] == 19970, fit
assert fit["attention_launch_ns"] == 0 and "all-reduce 0.0" in fit["source"], fit
P
"$tandem" run chat.json --no-db --quiet --set device=fit.json --set workload.requests=20 >/dev/null

# Host work that is fitted is written as it is printed.
"$tandem" profile fit h100-sxm --host "$source/tests/data/measured" --out host.json >host.txt
python3 - <<'P'
import json, re
host = json.load(open("host.json"))
said = re.match(r"host work ([0-9.]+) µs an iteration \+ ([0-9.]+) µs a sequence: mean absolute error ([0-9.]+) % → ([0-9.]+) %",
                open("host.txt").read())
assert abs(float(said[1]) * 1e3 / host["host_ns"] - 1) < 1e-3, (said[0], host)
assert abs(float(said[2]) * 1e3 / host["host_ns_per_sequence"] - 1) < 1e-3, (said[0], host)
assert float(said[4]) < float(said[3]), said[0]
P
fails_with 2 'nowhere' "$tandem" profile fit h100-sxm --host nowhere --out none.json
[ ! -e none.json ]

# Operating points of one server are load levels; of two they are not, and costs have to be named.
python3 - <<'P'
head = ("id,silicon_data_source,backend,backend_version,model_path,system,mode,isl,osl,gemm_quant_mode,batch_size,tp_size,"
        "pp_size,attention_dp_size,moe_tp_size,moe_ep_size,silicon_ttft_ms,silicon_tpot_ms\n")
row = "{},here,{},0.19.0,x/Llama-3.1-8B,h100_sxm,agg,1000,50,,{},1,1,1,,,{},{}\n"
open("points.csv", "w").write(head + row.format("a", "vllm", 4, 60, 9) + row.format("b", "vllm", 8, 70, 10))
open("two.csv", "w").write(head + row.format("a", "vllm", 4, 60, 9) + row.format("b", "sglang", 8, 70, 10))
P
"$tandem" validate measured points.csv --profile h100-sxm --csv points.out --no-db --plot points.html >points.txt
python3 - <<'P'
import csv, re
rows = list(csv.DictReader(open("points.out")))
assert [(r["id"], float(r["tpot_ms"]), float(r["ttft_ms"])) for r in rows] == [("a", 9, 60), ("b", 10, 70)], rows
errors = [float(r["simulated_tpot_ms"]) / float(r["tpot_ms"]) - 1 for r in rows]
said = re.search(r"^all +2 +([-+0-9.]+) %", open("points.txt").read(), re.M)
assert abs(float(said[1]) - 50 * sum(errors)) < 0.06, (said[0], errors)  # the median of two is their mean
page = open("points.html").read()
assert page.count("<circle") == 4, page.count("<circle")  # TTFT and TPOT of two
for r in rows:
    tpot, ttft, simulated_tpot, simulated_ttft = (float(r[k]) for k in ("tpot_ms", "ttft_ms", "simulated_tpot_ms", "simulated_ttft_ms"))
    cells = re.search(f"<tr><td>{r['id']}</td>(.*)</tr>", page)[1].replace(" %", "").replace("<td>", "").split("</td>")
    wanted = (tpot, simulated_tpot, 100 * (simulated_tpot / tpot - 1), ttft, simulated_ttft, 100 * (simulated_ttft / ttft - 1))
    for cell, value, last_digit in zip(cells, wanted, (0.01, 0.01, 0.1, 1, 1, 0.1)):
        assert abs(float(cell) - value) <= 0.51 * last_digit + 1e-3, (cells, wanted)  # the rows have six digits
P
fit_points=("$tandem" calibrate --parameters kernel_factor --seeds 1 -j 1 --out c.json)
"${fit_points[@]}" points.csv --profile h100-sxm --fit 1 >calibrated.txt
grep -q 'error of the 1 judged' calibrated.txt
python3 -c 'import json; assert "1 of 2 loads" in json.load(open("c.json"))["source"]'
fails_with 2 'points.csv: operating points need --profile DEVICE' "${fit_points[@]}" points.csv
fails_with 2 'two.csv: b: expected points of one server, found another than that of a' "${fit_points[@]}" two.csv --profile h100-sxm
fails_with 2 'points.csv: expected one file of operating points, found a second' "${fit_points[@]}" points.csv points.csv --profile h100-sxm
fails_with 2 'two.csv: a: expected points that can be simulated' "${fit_points[@]}" two.csv --profile a100-80gb

# GuideLLM's result with every request: arrivals count from the first, and it is replayed as it came.
python3 - "$source" <<'P'
import json, sys
result = json.load(open(sys.argv[1] + "/tests/data/forms/guidellm.json"))
for kept, strategy in zip(result["benchmarks"], ({"type_": "poisson", "rate": 2.5}, {"type_": "throughput", "max_concurrency": 4})):
    kept["config"]["strategy"] = strategy
    kept["requests"]["successful"] = [
        {"request_start_time": 1e9 + 0.4 * i, "prompt_tokens": 500, "output_tokens": 100, "time_to_first_token_ms": 100,
         "request_latency": 1.09} for i in range(50)]
del result["benchmarks"][2:]
json.dump(result, open("whole.json", "w"))
result["benchmarks"][0]["requests"]["successful"][7]["prompt_tokens"] = 0
json.dump(result, open("partly.json", "w"))
result["benchmarks"][0]["requests"]["successful"][7]["prompt_tokens"] = "many"
json.dump(result, open("wrong.json", "w"))
P
"$tandem" validate measured whole.json --scenario chat.json --no-db >whole.txt
"$tandem" validate measured partly.json --scenario chat.json --no-db >partly.txt
fails_with 2 'benchmarks[0].requests.successful[7].prompt_tokens: expected' "$tandem" validate measured wrong.json --scenario chat.json --no-db
cmp -s whole.txt partly.txt && { echo "a result without a request's tokens is replayed all the same"; exit 1; }

# Theory, briefly: eight closed forms, each with the share of intervals that hold it.
# A batch of eight is filled also where the requests are no whole number of them.
"$tandem" validate theory --seeds 2 --requests 801 --rho 0.5 -j 2 >theory.txt
[ "$(grep -cE '[012] of 2$' theory.txt)" = 8 ]
awk '/^M\/G\[8,8\]/ { exit !($5 > 0.7 * $4 && $5 < 1.3 * $4) }' theory.txt || { cat theory.txt; exit 1; }
grep -qE '^M/M/1 +0.50 +1.000000 ' theory.txt && grep -qE '^M/D/1 +0.50 +0.500000 ' theory.txt # S ρ/(1−ρ), and half of it
