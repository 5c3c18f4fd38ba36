#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The engine as a user meets it: checked, serving, profiled; what it says of a GPU that is not there.
set -eu
tandem=$(realpath "$1")
source=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$source/tests" "$source/engine_ref" "$work/"
cd "$work"

says() { # STATUS TEXT COMMAND...
    local status=$1 text=$2 out got=0
    shift 2
    out=$("$@" 2>&1) || got=$?
    [ "$got" = "$status" ] || { echo "expected status $status, found $got: $*: $out"; exit 1; }
    grep -qF -- "$text" <<<"$out" || { echo "expected \"$text\", found: $out"; exit 1; }
}

[ "$("$tandem" engine check | grep -c ' ok$')" = 12 ]
tiny="--set model=tests/data/tiny_llama.json --set workload.requests=20 --set workload.arrivals.rate_per_s=1000"
"$tandem" engine serve engine-demo $tiny --set output.requests=true >served.txt
grep -q '20 arrived = 20 finished + 0 rejected + 0 unfinished' served.txt
grep -q 'engine demo (served by cpu)' served.txt
grep -q 'on 1 × engine (cpu)' served.txt
grep -q "the engine's own steps, on the wall clock; of busy time 100.0 % measured" served.txt
"$tandem" run engine-demo $tiny --set output.requests=true --quiet
python3 - <<'P' # the same requests, served and simulated
import sqlite3
db = sqlite3.connect("tandem.db")
rows = [db.execute("SELECT id, arrival_s, prompt_tokens, output_tokens FROM request WHERE run_id = ? ORDER BY id", (r,)).fetchall() for r in (1, 2)]
assert rows[0] == rows[1] and len(rows[0]) == 20
P

printf 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,40,5\n2023-11-16 18:15:46.7000000,9,3\n' >two.csv
"$tandem" engine serve two.csv --policy continuous --set model=tests/data/tiny_llama.json | grep -q '2 arrived = 2 finished'
"$tandem" engine profile --model tests/data/tiny_llama.json --most 64 --point-s 0.0001 --out tiny.json --quiet
"$tandem" run engine-demo $tiny --set device=tiny.json --no-db | grep -q '20 finished'
"$tandem" profile check tiny.json | grep -q '^decode_attention'
[ ! -e tiny.json.points ]

# The engine that decodes in a process of its own: as many tokens move, the same requests finish.
apart='cluster.placement={"name":"disaggregated"}'
for peer in "" "--peer shared" "--peer socket"; do
    "$tandem" engine serve engine-demo $tiny --set "$apart" $peer >apart.txt
    grep -q '20 arrived = 20 finished' apart.txt
    grep -q 'blocks at .* GB/s between engines'"${peer:+ in two processes}" apart.txt
done
says 2 'has no engine that could be in a process of its own' "$tandem" engine serve engine-demo $tiny --peer shared
says 2 '--peer tcp: expected shared or socket' "$tandem" engine serve engine-demo --peer tcp

# Interrupted, a validation goes on with what it has: the first cell is stated in full, the second cut short.
cp "$source/workloads/scenarios/engine-demo.json" mine.json
validate() { "$tandem" validate engine mine.json --policies continuous,chunked_prefill --repeats 1 --plot page.html $tiny 2>&1; }
"$tandem" validate engine mine.json --policies continuous,chunked_prefill --repeats 1 $tiny >cut.txt 2>&1 &
until [ -s engine-validation.points ] || ! kill -0 $! 2>/dev/null; do sleep 0.05; done
kill -INT $!
wait $! || true
if [ -s engine-validation.points ]; then # else it had ended before it could be interrupted
    grep -q 'interrupted; the same command goes on' cut.txt
    head -c 200 engine-validation.points >>engine-validation.points.cut
    cat engine-validation.points.cut >>engine-validation.points
    sed -i 's/"seed": 1/"seed": 2/' mine.json # of another scenario nothing is there, whatever its name
    "$tandem" validate engine mine.json --policies continuous --repeats 1 $tiny >other.txt 2>&1 &
    until [ -s other.txt ]; do sleep 0.05; done
    kill -INT $! || true # it has ended where it took what is of the other one
    wait $! || true
    grep -q '^repeat 1 of 1: profile, about 110 s left$' other.txt
    [ "$(grep -c 'was there' other.txt)" = 0 ]
    sed -i 's/"seed": 2/"seed": 1/' mine.json
    validate >rest.txt
    grep -q '^repeat 1 of 1: continuous, all at once, was there$' rest.txt
    grep -q '^repeat 1 of 1: chunked_prefill, 95 %, about .* s left$' rest.txt
else
    validate >rest.txt
fi
[ ! -e engine-validation.points ]
# Each policy at its capacity and shares of it; replayed to the nanosecond; one repeat has no interval.
grep -q '1 repeat, which has no interval' rest.txt
for load in 'all at once' '50 %' '85 %' '95 %'; do
    [ "$(grep -c "^\(continuous\|chunked_prefill\) *$load  *[0-9.]* .* [+-][0-9.]* " rest.txt)" -ge 2 ] || { cat rest.txt; exit 1; }
done
grep -q 'replay: 8 runs, 160 requests, .* largest difference of a stamp 0 ns, 0 batches differ' rest.txt
grep -q '^all  *decodes after prompts ' rest.txt
grep -q 'drift alone would change mean TTFT' rest.txt
[ "$(grep -ci 'nan' rest.txt)" = 0 ]
grep -q '<td>decodes after prompts</td>' page.html
grep -q '<td>few</td>' page.html
# The page's table of iterations says what the text's does.
python3 - <<'P'
import re
page, rows = open("page.html").read(), 0
for line in open("rest.txt"):
    row = re.match(r"(continuous|chunked_prefill) +([a-z ]+?) +(\d+) +([\d.]+) +([\d.]+) +([-+][\d.]+) +([-+][\d.]+) +([\d.]+)$", line)
    if row:
        rows += 1
        cells = (*row.groups()[:5], row[6] + " %", row[7] + " %", row[8] + " %")
        assert "<tr><td>" + "</td><td>".join(cells) + "</td></tr>" in page, cells
assert rows >= 4, rows
P
# A trace has no rate to be set: it is served as it stands.
cat >stated.json <<'J'
{"name": "stated", "model": "tests/data/tiny_llama.json", "device": "cpu-xeon-2s", "policy": {"batching": "unified_budget", "kv_block_tokens": 16, "kv_blocks": 100}, "workload": {"trace": "two.csv"}, "output": {"warmup": "none"}}
J
"$tandem" validate engine stated.json --policies continuous --seconds 10 >stated.txt 2>&1 || { cat stated.txt; exit 1; }
grep -q '^continuous  *as stated ' stated.txt || { cat stated.txt; exit 1; }
[ "$(grep -ci 'nan' stated.txt)" = 0 ]

says 2 'serves no scenario with policy.prefix_caching' "$tandem" engine serve engine-demo $tiny --set policy.prefix_caching=true
says 2 'backend tpu: expected cpu, cpu-reference or cuda' "$tandem" engine check --backend tpu
says 2 'expected: tandem engine check | bench' "$tandem" engine
says 2 '--pace fast: expected a number from 0 to 1000000' "$tandem" engine serve engine-demo --pace fast
says 2 '--rows -5: expected a number from 1 to 1000000' "$tandem" engine serve engine-demo --rows -5
says 2 '--threads 0: expected a number from 1 to 256' "$tandem" engine bench --threads 0
says 2 '--loads: found 0, expected up to 8 numbers from 1 to 100' "$tandem" validate engine --loads 50,0
says 2 '--seconds 3: expected a number from 10 to 100000' "$tandem" validate engine --seconds 3
says 2 '--policies: found magic' "$tandem" validate engine --policies magic
if [ -e "$(dirname "$tandem")/tandem-cuda.so" ]; then
    # It loads; where there is no GPU that is what it says, where there is one it must be right.
    "$tandem" engine check --backend cuda >cuda.txt 2>&1 || grep -q 'CUDA: ' cuda.txt
else
    says 2 'make builds it where it finds nvcc' "$tandem" engine check --backend cuda
fi

# A profile measured on a GPU is a device like any other.
"$tandem" run default --set model=llama-3.1-8b --set device="$source/profiles/measured/h200-llama-3.1-8b.json" --set engine=tandem-cuda \
    --set workload.requests=50 --db gpu.db >gpu.txt
grep -q 'NVIDIA H200' gpu.txt

# What the script for a machine with a GPU would run, and what it lacks.
says 2 'usage: engine_ref/gpu_check.sh' bash engine_ref/gpu_check.sh
says 2 'found no kit/tandem' bash engine_ref/gpu_check.sh kit results
mkdir -p kit/lib kit/include/cjson && touch kit/tandem kit/tandem-cuda.so kit/lib/libopenblas.so.0 kit/include/cjson/cJSON.h
[ "$(bash engine_ref/gpu_check.sh --dry-run kit results | grep -c 'at most')" = 10 ]
says 2 'no step is called vaildate' bash engine_ref/gpu_check.sh --dry-run kit results vaildate
[ ! -e results ]
