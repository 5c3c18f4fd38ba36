#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Traces as a user meets them: what they are taken for, and one sentence for what is not one.
set -eu
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

says() { # TEXT COMMAND...
    local text=$1 out
    shift
    out=$("$@")
    grep -qF -- "$text" <<<"$out" || { echo "expected \"$text\", found: $out"; exit 1; }
}

# Two prompts of 6 400 tokens in 100 blocks of 64, the first ten of them the same: 640 tokens are found again, whether
# the lines say 64 or their numbers of ids do.
python3 - <<'P'
import json
ids = [list(range(100)), list(range(10)) + list(range(200, 290))]
with open("mooncake.jsonl", "w") as out:
    for i in range(2):
        print(json.dumps({"timestamp": 5000 * i, "input_length": 6400, "output_length": 20, "hash_ids": ids[i]}), file=out)
with open("odd.jsonl", "w") as out:
    for i in range(2):
        print(json.dumps({"timestamp": 200 * i, "input_length": 20, "output_length": 8, "hash_ids": [0, 1]}), file=out)
with open("seconds.jsonl", "w") as out:
    for i in range(2):
        print(json.dumps({"timestamp": 61.114 + i, "input_length": 33, "output_length": 8, "hash_ids": [0, 1, 2 + i]}), file=out)
P
says "hash blocks    64 tokens (the only size that every line fits)" "$tandem" trace stat mooncake.jsonl
says "times in ms (assumed, as the format has them" "$tandem" trace stat mooncake.jsonl
"$tandem" trace convert mooncake.jsonl --out ours.jsonl
says "hash blocks    64 tokens (as the lines say)" "$tandem" trace stat ours.jsonl
for trace in mooncake ours; do
    "$tandem" run default --set workload.trace=$trace.jsonl --set policy.batching=unified_budget \
        --set policy.prefix_caching=true --set output.requests=true --quiet --db $trace.db
    python3 - $trace.db <<'P'
import sqlite3, sys
found = sqlite3.connect(sys.argv[1]).execute("SELECT cached_tokens FROM request ORDER BY id").fetchall()
assert found == [(0,), (640,)], found
P
done
fails_with 2 'odd.jsonl:1: 2 hash_ids for a prompt of 20 tokens, expected 1' "$tandem" trace stat odd.jsonl
says "hash blocks    16 tokens (as stated)" "$tandem" trace stat odd.jsonl --block-tokens 16
"$tandem" run default --set workload.trace=odd.jsonl --set workload.block_tokens=16 --quiet --no-db
fails_with 2 '--block-tokens 0: expected a whole number from 1' "$tandem" trace stat odd.jsonl --block-tokens 0
fails_with 2 'workload.block_tokens: expected a whole number' "$tandem" run default --set workload.trace=odd.jsonl \
    --set workload.block_tokens=0.5 --no-db
fails_with 2 'block_tokens: expected only with a mooncake or bailian trace' "$tandem" trace stat ours.jsonl --block-tokens 16

# Seconds where the format has milliseconds.
fails_with 2 'seconds.jsonl:1:1: expected "timestamp" in whole milliseconds' "$tandem" trace stat seconds.jsonl
says "requests       2 in 1.000 s" "$tandem" trace stat seconds.jsonl --time-unit s --block-tokens 16
says "times in s (as stated)" "$tandem" trace stat seconds.jsonl --time-unit s --block-tokens 16
says "simulated" "$tandem" run default --set workload.trace=seconds.jsonl --set workload.time_unit=s \
    --set workload.block_tokens=16 --no-db
says "2 arrived" "$tandem" run default --no-db --set workload.requests=2 --set \
    'workload.lengths={"name":"empirical","trace":"seconds.jsonl","time_unit":"s","block_tokens":16}'
fails_with 2 '--time-unit is an option of stat, convert, not of generate' "$tandem" trace generate default --time-unit s

# A trace that is set takes the place of the generator; what else is set holds for it, in any order.
for i in $(seq 0 9); do echo "{\"arrival_s\": $i, \"prompt_tokens\": 100, \"output_tokens\": 5}"; done >ten.jsonl
says "10 arrived" "$tandem" run default --set workload.trace=ten.jsonl --no-db
says "4 arrived" "$tandem" run default --set workload.requests=4 --set workload.trace=ten.jsonl --no-db
says "4 arrived" "$tandem" run default --set workload.trace=ten.jsonl --set workload.requests=4 --no-db
fails_with 2 'found "trace" and "arrivals", expected one' "$tandem" run default --set workload.trace=ten.jsonl \
    --set workload.arrivals=at_once --no-db
sed 's/"workload": {/&"trace": "ten.jsonl",/' >both.json <<'S'
{"model": "llama-3.1-8b", "device": "h100-sxm", "workload": {"arrivals": "poisson", "lengths": "fixed"}}
S
fails_with 2 'both.json: workload: found "trace" and "arrivals", expected one' "$tandem" run both.json --no-db
echo '{"model": "llama-3.1-8b", "device": "h100-sxm", "workload": {"trace": "ten.jsonl", "repeat": 3}}' >traced.json
says "30 arrived" "$tandem" run traced.json --no-db
says "7 arrived" "$tandem" run traced.json --no-db --set workload.arrivals=poisson --set workload.lengths=fixed \
    --set workload.requests=7

# So do traces that are varied, in options and in sweep files. Of two requests each, both traces are the same.
head -3 ten.jsonl >three.jsonl
"$tandem" sweep default --vary workload.trace=ten.jsonl,three.jsonl --quiet --no-db --csv varied.csv >/dev/null
echo '{"scenario": "default", "vary": {"workload.trace": ["ten.jsonl", "three.jsonl"]}}' >sweep.json
"$tandem" sweep sweep.json --quiet --no-db --csv file.csv >/dev/null
cmp varied.csv file.csv
"$tandem" sweep default --set workload.requests=2 --vary workload.trace=ten.jsonl,three.jsonl --quiet --no-db \
    --csv two.csv >/dev/null
python3 - <<'P'
import csv
def makespans(file):
    return [row["makespan_s"] for row in csv.DictReader(open(file))]
ten, three = map(float, makespans("varied.csv"))
assert 9 < ten < 10 and 2 < three < 3, (ten, three)
first, second = makespans("two.csv")
assert first == second and 1 < float(first) < 2, (first, second)
P

# A file without requests, in every format, for every command that reads one.
printf 'TIMESTAMP,ContextTokens,GeneratedTokens\n' >header.csv
: >empty.csv
gzip -k header.csv
for command in "trace stat" "trace convert"; do
    fails_with 2 'header.csv: has a header and no requests' "$tandem" $command header.csv
    fails_with 2 'header.csv.gz: has a header and no requests' "$tandem" $command header.csv.gz
    for format in azure mooncake stamps tandem; do
        fails_with 2 'empty.csv: is empty, expected a trace' "$tandem" $command empty.csv --format $format
    done
done
fails_with 2 'header.csv: has a header and no requests' "$tandem" run default --set workload.trace=header.csv --no-db
fails_with 2 'empty.csv: is empty, expected a trace' "$tandem" run default --set workload.trace=empty.csv --no-db
fails_with 2 'header.csv: has a header and no requests' "$tandem" run default --no-db \
    --set 'workload.lengths={"name":"empirical","trace":"header.csv"}'

# What comes after the last row is read, or named.
printf 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,12,1\n\0\1\2\n' >junk.csv
fails_with 2 'junk.csv:3: expected text, found a NUL byte' "$tandem" trace stat junk.csv
printf 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,12,1\n\377\376\n' >junk.csv
fails_with 2 'junk.csv:3: has 1 fields, expected' "$tandem" trace stat junk.csv
fails_with 2 "$work: is a folder, expected a file" "$tandem" trace stat "$work"
gzip -c ten.jsonl | head -c 60 >cut.jsonl.gz
fails_with 2 'the gzip file ends here, in the middle of its data' "$tandem" trace stat cut.jsonl.gz

# Requests that ask for nothing are counted with the reason.
printf '{"arrival_s": 0, "prompt_tokens": 0, "output_tokens": 5}\n{"arrival_s": 0, "prompt_tokens": 5, "output_tokens": 5}\n' >zero.jsonl
says "empty prompt" "$tandem" run default --set workload.trace=zero.jsonl --no-db

# Measured points with commas within quotes; columns do not shift.
cat >points.csv <<'S'
id,silicon_data_source,backend,model_path,system,mode,gemm_quant_mode,isl,osl,batch_size,tp_size,pp_size,attention_dp_size,silicon_ttft_ms,silicon_tpot_ms
a,"db-dump, config ""81""",vllm,meta-llama/Llama-3.1-8B,h100_sxm,agg,bfloat16,1024,128,16,1,1,1,80,9.1
S
sed 's/"db-dump, config ""81"""/db-dump/' points.csv >plain.csv
"$tandem" validate measured points.csv --profile h100-sxm --no-db >quoted.txt
"$tandem" validate measured plain.csv --profile h100-sxm --no-db >plain.txt
cmp quoted.txt plain.txt

# A server whose first tokens come before its requests are queued has mixed up its clocks.
mkdir server
echo '{"model": "meta-llama/Llama-3.1-8B"}' >server/meta.json
echo '{"input_toks": 5, "output_toks": 3, "arrival_time": 1, "queued_ts": 7, "first_token_ts": 6, "last_token_ts": 8}' >server/requests.jsonl
fails_with 2 'requests.jsonl:1: expected queued_ts, first_token_ts and last_token_ts in that order, found 7, 6, 8' \
    "$tandem" validate measured server --profile h100-sxm --no-db
