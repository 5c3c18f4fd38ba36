#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The program as a user meets it: summaries, rows, exit statuses, sentences for bad input.
set -eu
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
source=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

small="--set workload.requests=300"
"$tandem" run default $small >out.txt
grep -q '300 arrived = 300 finished + 0 rejected + 0 unfinished' out.txt
grep -q 'SLO MET' out.txt
"$tandem" report --format csv | grep -q '^1,ttft_s,run,p99,'
"$tandem" report 1 --format json | python3 -c 'import json,sys; rows=json.load(sys.stdin); assert any(r["name"]=="e2e_s" for r in rows)'
"$tandem" report --format text | grep -q goodput_per_s

# Two runs of one scenario give the same rows; two processes may write at once.
"$tandem" run default $small --quiet &
"$tandem" run default $small --quiet
wait
for i in 2 3; do "$tandem" report $i --format csv | sed "s/^$i,//" >"$i.csv"; done
cmp 2.csv 3.csv

# Ranks step together on a device whose iterations could be stretched.
"$tandem" run default $small --no-db --quiet --set model=qwen3-30b-a3b --set cluster.data_parallel=2 --set device=ideal-batch-server

# Fast forward and one iteration at a time: the same rows in every table.
for policy in static_padded static_prepacked continuous prefill_first chunked_prefill unified_budget; do
    for mode in "" --step; do
        "$tandem" run default $small --set policy.batching=$policy --set policy.kv_blocks=3000 --set cluster.replicas=2 \
            --set output.requests=true --set output.timeseries_s=0.7 --quiet --db "rows$mode.db" $mode
    done
    for db in rows.db rows--step.db; do
        python3 - $db >"$db.txt" <<'P'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for table in "metric histogram station theory request time_parts timeseries".split():
    for row in db.execute(f"SELECT * FROM {table}"):
        print(table, *map(repr, row))
for row in db.execute("SELECT scenario_hash, simulated_s, arrived, finished, rejected, unfinished, iterations FROM run"):
    print(*map(repr, row))
P
    done
    cmp rows.db.txt rows--step.db.txt
    rm rows.db rows--step.db
done

# Per-request rows: one each, and their parts sum to the whole.
"$tandem" run default $small --set output.requests=true --quiet
python3 - <<'P'
import sqlite3
db = sqlite3.connect("tandem.db")
assert db.execute("PRAGMA user_version").fetchone()[0] == 7
n, worst = db.execute("""SELECT count(*), max(abs(e2e_s - (SELECT sum(ns) FROM time_parts p
    WHERE p.run_id = r.run_id AND p.request_id = r.id) * 1e-9)) FROM request r WHERE run_id = 4""").fetchone()
assert n == 300 and worst < 1e-9, (n, worst)
assert db.execute("SELECT max(little_residual) FROM station").fetchone()[0] <= 1e-9
P

# More requests than are sorted at a time: each is there once, whole, and their tokens are the workload's.
"$tandem" run default --set workload.requests=20000 --set output.requests=true --quiet --db many.db
python3 - <<'P'
import sqlite3
db = sqlite3.connect("many.db")
n, least, most, prompts = db.execute("SELECT count(DISTINCT id), min(id), max(id), sum(prompt_tokens) FROM request").fetchone()
assert (n, most - least) == (20000, 19999), (n, least, most)
assert prompts == db.execute("SELECT value FROM metric WHERE name = 'prompt_tokens' AND scope = 'all'").fetchone()[0]
whole, parts = db.execute("SELECT (SELECT sum(round(e2e_s * 1e9)) FROM request), (SELECT sum(ns) FROM time_parts)").fetchone()
assert whole == parts, (whole, parts)
assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok" and not db.execute("PRAGMA foreign_key_check").fetchall()
P
rm many.db

# Verdicts: of requests that are not served, of none that had a value, of a queue that grows; counts that add up.
got=0; "$tandem" run default $small --set cluster.admission.most_waiting=1 --set workload.arrivals.rate_per_s=100 --set slo='{"ttft_s":{"p99":1000}}' --check-slo --db verdicts.db >out.txt || got=$?
[ "$got" = 3 ]
grep -q 'SLO NOT MET' out.txt
grep -q 'were not served and count as infinitely late; the first: shed: too many wait' out.txt
grep -q 'miss ttft_s .* not served' out.txt
got=0; "$tandem" run default $small --set workload.lengths.output='{"name":"fixed","tokens":1}' --set slo='{"tpot_s":{"p99":1}}' --check-slo --db verdicts.db >out.txt || got=$?
[ "$got" = 3 ]
grep -q 'SLO NOT JUDGED: no value to judge tpot_s p99 by' out.txt
if grep -q nan out.txt; then exit 1; fi
got=0; "$tandem" run default $small --set workload.arrivals.rate_per_s=200 --set slo='{"ttft_s":{"p99":1000}}' --check-slo --db verdicts.db >out.txt || got=$?
[ "$got" = 3 ]
head -1 out.txt | grep -q '^OVERLOADED: the queue of replica:0 grew'
grep -q 'SLO NOT MET while the queue grows' out.txt
"$tandem" run default $small --set cluster.replicas=2 --set cluster.failures='{"mtbf_s":3,"mttr_s":1,"requests":"lost"}' --db verdicts.db >out.txt
grep -q 'the first one because: its replica failed' out.txt
python3 - <<'P'
import sqlite3
db = sqlite3.connect("verdicts.db")
assert db.execute("SELECT count(*) FROM run WHERE arrived <> finished + rejected + lost + unfinished").fetchone()[0] == 0
assert db.execute("SELECT lost FROM run WHERE id = 4").fetchone()[0] > 0
assert [v for v, in db.execute("SELECT verdict FROM v_run_summary ORDER BY id LIMIT 3")] == ["not met", "not met", "overloaded"]
pool = dict(db.execute("SELECT name, value FROM metric WHERE run_id = 1 AND name LIKE 'kv_%' AND scope = 'run'"))
assert pool["kv_pool_tokens"] == 16 * pool["kv_pool_blocks"] and abs(pool["kv_max_concurrency"] - pool["kv_pool_tokens"] / 131072) < 1e-9
assert pool["kv_use_mean"] <= pool["kv_use_peak"]
P
# A batching server is always busy, and at a third of what it can do.
"$tandem" run default $small --no-db --set output.iterations=true --set output.requests=true --set output.timeseries_s=1 >out.txt
grep -qE '^  load +3[0-9]\.. % of the 1[0-9.]+ requests/s that can be sustained, by formula$' out.txt
grep -q 'busy 9' out.txt
# The formula knows nothing of prefixes that are found.
"$tandem" run default --set workload.requests=300 --no-db --set policy.prefix_caching=true --set 'workload.prefixes={"groups":5,"tokens":500}' >prefixes.txt
grep -q 'can be sustained if no prefix were found, by formula$' prefixes.txt
"$tandem" help run | grep -q '^usage: tandem run'
grep -qE 'ρ 0\.3[0-9]+,' out.txt
got=0; "$tandem" run default $small --set slo.ttft_s.p99=0.001 --check-slo --no-db >/dev/null || got=$?
[ "$got" = 3 ]
# A server's command line: what it says, what is left out, and --set goes before it; a device of its own limits.
"$tandem" run --like 'vllm serve meta-llama/Llama-3.1-8B-Instruct -dp 2 --max-num-seqs 32 --max-model-len 9000' $small --set device=l40s --no-db >like.txt
[ "$(head -1 like.txt)" = 'like model=llama-3.1-8b engine.preset=vllm-0.19 policy.batching.max_sequences=32 cluster.tensor_parallel=1 cluster.replicas=2' ]
[ "$(sed -n 2p like.txt)" = "left out --max-model-len: the model's longest sequence holds" ]
grep -q 'llama-3.1-8b on 2 × l40s, unified_budget' like.txt
"$tandem" run default --set device=l40s --set engine=vllm-0.19 --set cluster.replicas=2 --set policy='{"batching":{"name":"unified_budget","token_budget":2048,"max_sequences":32}}' $small --no-db >stated.txt
for line in TTFT E2E; do cmp <(grep " $line " like.txt) <(grep " $line " stated.txt); done
"$tandem" run default --like 'sglang serve --model llama-3.1-8b' --set policy.batching=trtllm $small --no-db | grep -q ', trtllm, '
[ -z "$("$tandem" run --like 'trtllm-serve llama-3.1-8b' $small --no-db --quiet)" ]
fails_with 2 'like: -tp: expected a whole number from 1, found "four"' "$tandem" run --like 'vllm serve llama-3.1-8b -tp four'
fails_with 2 'cluster.pools: expected none with --like' "$tandem" run default --set cluster='{"pools":{"a":{}}}' --like 'vllm serve llama-3.1-8b'
fails_with 2 'slo.ttft_s.p99: expected a number from 1e-09 to 1e+09, found "soon"' "$tandem" run default --set slo.ttft_s.p99=soon
fails_with 2 'unknown key "polcy"' "$tandem" run default --set polcy.order=fcfs
fails_with 2 'policy.batching.token_budget: expected a whole number from 1 to 1e+06 tokens, found 0' \
    "$tandem" run default --set policy.batching.token_budget=0
fails_with 2 'workload.rate_scale: expected none with closed_loop arrivals' \
    "$tandem" run default --set workload.arrivals='{"name": "closed_loop", "concurrency": 8}' --set workload.rate_scale=2
fails_with 2 'unknown model "llama-9"; allowed: bloom-176b, deepseek-r1' "$tandem" run default --set model=llama-9
fails_with 2 'does not fit on 1' "$tandem" run default --set model=llama-3.1-70b
fails_with 2 'nothing.json: cannot be opened' "$tandem" run nothing.json
fails_with 2 'unknown option --dbs' "$tandem" run default --dbs x
fails_with 2 'unknown command "rum"' "$tandem" rum
printf '{"name": "x",\n "seed": }' >bad.json
fails_with 2 'bad.json:2: not valid JSON' "$tandem" run bad.json

# A measured run next to a simulated one: the table, its last line, and rows in the database; what is wrong is named.
mkdir measured
cat >measured/meta.json <<'J'
{"model": "x/Llama-3.1-8B", "engine_kwargs": {"max_num_seqs": 8}}
J
for i in 0 1 2 3 4; do
    echo "{\"input_toks\": 100, \"output_toks\": 5, \"arrival_time\": 10$i.0, \"queued_ts\": $i.0, \"first_token_ts\": $i.1, \"last_token_ts\": $i.5}"
done >measured/requests.jsonl
"$tandem" validate measured measured --profile h100-sxm --db measured.db | tail -1 | grep -qE '^mean absolute error [0-9.]+ %, worst [0-9.]+ %$'
[ "$(python3 -c 'import sqlite3; print(sqlite3.connect("measured.db").execute("select count(*) from validation").fetchone()[0])')" = 15 ]
"$tandem" validate measured measured --profile h100-sxm --no-db --plot measured.html | tail -1 >/dev/null
[ "$(grep -c '<svg' measured.html)" = 3 ] && grep -q 'prefers-color-scheme' measured.html && [ ! -e measured.html.new ]
fails_with 1 'no/such/page.html: cannot be written' "$tandem" validate measured measured --profile h100-sxm --no-db --plot no/such/page.html
fails_with 2 'needs --profile DEVICE' "$tandem" validate measured measured
# Hashes of the prompts' blocks next to the run: six blocks of the five prompts are the same, so first tokens come earlier
# than without. Both figures are printed, the one with hashes last; the other is all there is without the file, or with
# --no-hashes.
"$tandem" validate measured measured --profile h100-sxm --no-db >plain.txt
for i in 0 1 2 3 4; do
    echo "{\"arrival_s\": $i, \"prompt_tokens\": 100, \"output_tokens\": 5, \"hash_tokens\": 16, \"hash_ids\": [1, 2, 3, 4, 5, 6]}"
done >measured/prefix_hashes.jsonl
"$tandem" validate measured measured --profile h100-sxm --no-db >hashed.txt
"$tandem" validate measured measured --profile h100-sxm --no-db --no-hashes >left_out.txt
cmp plain.txt left_out.txt
[ "$(head -4 hashed.txt)" = "without prefix hashes:
$(tail -3 plain.txt)" ]
[ "$(sed -n 5p hashed.txt)" = 'with prefix hashes:' ]
python3 - <<'P'
plain, hashed = ([l.split() for l in open(f)] for f in ("plain.txt", "hashed.txt"))
ttft = lambda rows: float([r for r in rows if r[:2] == ["TTFT", "mean"]][0][3])
assert ttft(hashed) < ttft(plain), (ttft(hashed), ttft(plain))
errors = {(r[0], r[1]): float(r[4]) for r in hashed if r and r[0] in ("TTFT", "TPOT", "E2E")}
signed, absolute = (next(r for r in hashed[5:] if r and r[0] == name) for name in ("signed", "absolute"))
mean = lambda f, rows: sum(f(e) for e in rows) / len(rows)
for row, f in ((signed, float), (absolute, abs)): # of each metric, of each statistic, and of all
    of = lambda name: [e for k, e in errors.items() if name in k]
    expected = [mean(f, of(n)) for n in ("TTFT", "TPOT", "E2E", "mean", "p50", "p90", "p95", "p99")]
    expected.append(mean(f, list(errors.values())))
    found = [float(w) for w in row[1:] if w[0] in "+-"]
    assert len(found) == 9 and all(abs(a - b) < 0.011 for a, b in zip(found, expected)), (found, expected)
P
sed -i '3s/"prompt_tokens": 100/"prompt_tokens": 99/' measured/prefix_hashes.jsonl
fails_with 2 'measured/prefix_hashes.jsonl:3: expected the request of measured/requests.jsonl:3, of 100 prompt and 5 output tokens, found 99 and 5' \
    "$tandem" validate measured measured --profile h100-sxm --no-db
head -2 measured/prefix_hashes.jsonl >fewer && mv fewer measured/prefix_hashes.jsonl
fails_with 2 'measured/prefix_hashes.jsonl: expected as many requests as in measured/requests.jsonl, found fewer' \
    "$tandem" validate measured measured --profile h100-sxm --no-db
rm measured/prefix_hashes.jsonl
sed -i 's/"queued_ts": 3.0/"queued_ts": "x"/' measured/requests.jsonl
fails_with 2 'measured/requests.jsonl:4: queued_ts: expected a number from 0 to 1e+12, found "x"' \
    "$tandem" validate measured measured --profile h100-sxm --no-db
fails_with 2 'nowhere/meta.json: cannot be opened' "$tandem" validate measured nowhere --profile h100-sxm

fails_with 2 'nowhere: cannot be opened' "$tandem" validate distserve nowhere
fails_with 2 'measured: holds no runs; expected files like vllm-300-3.jsonl' "$tandem" validate distserve measured
fails_with 2 'expected theory, measured, distserve or engine' "$tandem" validate measure

# Operating points, on a device of 1000 ns an iteration, 10 a prompt token, 100 a decode and 1 a KV token: a prompt of 10
# takes 1100 ns, its two decodes 1111 and 1112; a TPOT is kept in whole nanoseconds, 1111.
cat >points.csv <<'C'
id,backend,model_path,system,mode,isl,osl,gemm_quant_mode,batch_size,tp_size,pp_size,attention_dp_size,silicon_ttft_ms,silicon_tpot_ms
a,vllm,x/Ideal,line2,agg,10,3,,1,1,1,,0.0011,0.001111
b,vllm,x/Ideal,line2,disagg,10,3,,1,1,1,,1,2
c,vllm,x/Unheard-Of,line2,agg,10,3,,1,1,1,,1,3
d,vllm,x/Ideal,line2,agg,1e8,3,,1,1,1,,1,4
e,vllm,x/Ideal,line3,agg,10,3,,1,1,1,,1,5
C
"$tandem" validate measured points.csv --profile "$source/tests/data/line2.json" --set cluster.pools.front_end.service_s=0 \
    --set cluster.pools.latency.service_s=0 \
    --set engine.exposed_ns=0 --set engine.exposed_ns_per_sequence=0 --db points.db --csv rows.csv >points.txt
grep -q '^left out: 1 points, disaggregated, and the number of workers is not given' points.txt
grep -q '^left out: 1 points, measured on another system' points.txt
grep -q '^left out: 1 points, a model that is not shipped' points.txt
[ "$(wc -l <rows.csv)" = 6 ] && grep -qE '^a,line2,vllm,,x/Ideal,,agg,vllm-0.12,dense,bf16,(fit|judge),1,1,0.001111,0.001111,0.0011,0.0011,$' rows.csv
[ "$(tail -1 points.txt)" = 'mean absolute error 0.00 %, worst 0.00 %' ]
sed 's/0.001111$/x/' points.csv >bad.csv
fails_with 2 'bad.csv:2: silicon_tpot_ms: expected a number above 0, found "x"' \
    "$tandem" validate measured bad.csv --profile "$source/tests/data/line2.json" --no-db
sed 's/tp_size/tps/' points.csv >bad.csv
fails_with 2 'bad.csv:1: has no column "tp_size"' "$tandem" validate measured bad.csv --profile h100-sxm --no-db

# Traces: generated, looked at, converted, compressed, replayed; a bad line is named.
"$tandem" trace generate default --out gen.jsonl
[ "$(wc -l <gen.jsonl)" = 20000 ]
"$tandem" trace stat gen.jsonl | grep -q '^requests       20000 '
echo '{"workload": {"arrivals": "closed_loop", "lengths": "fixed"}}' >closed.json
fails_with 2 'workload.arrivals: expected arrivals with times of their own' "$tandem" trace generate closed.json
gzip -k gen.jsonl
"$tandem" trace convert gen.jsonl.gz >again.jsonl
cmp gen.jsonl again.jsonl
printf 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:47,abc,4\n' >bad.csv
fails_with 2 'bad.csv:3:21: expected ContextTokens' "$tandem" trace stat bad.csv

# Everything listed can be described, and help is there for every command.
for p in $("$tandem" list policies | awk '/^  / {print $1}' | grep -vE 'recompute|swap|on_demand|reserve_max|predicted'); do
    "$tandem" describe "$p" >/dev/null
done
for t in $("$tandem" list techniques | awk '/^  / {print $1}'); do "$tandem" describe "$t" >/dev/null; done
for t in minference swiftkv kivi-2bit speculative; do
    "$tandem" run default $small --no-db --set techniques="[\"$t\"]" | grep -q "SLO MET"
done
fails_with 2 'unknown technique "magic"; allowed: kivi-2bit, minference' "$tandem" run default $small --no-db --set techniques='["magic"]'
for c in run list describe trace profile report validate calibrate; do "$tandem" $c --help | grep -q '^usage: tandem'; done
"$tandem" list | grep -q h100-sxm
"$tandem" describe default >mine.json && "$tandem" run mine.json $small --no-db | grep -q "SLO MET"
"$tandem" profile show h100-sxm | grep -q 'KV cache'
cat >tables.json <<'EOF'
{"name": "small", "kind": "tables", "base": "rtx-4090", "model": "llama-3.1-8b", "source": "made up",
 "tables": [{"op": "qkv_proj", "axes": [{"name": "tokens", "at": [1, 2, 4, 8]}], "ns": [10, 12, 20, 30]}]}
EOF
"$tandem" profile check tables.json >check.txt
grep -q '^below the datasheet: [a-z_]*: [0-9]* of [0-9]* points take less than peak arithmetic and bandwidth allow, the lowest [0-9]* % of it at ' check.txt
grep -q "^small: made up$" check.txt
grep -qE '^qkv_proj +tokens +4 1 … 8 +2 +10.56 +11.00 +11.11 +1 +20.00 +20.00 +20.00  at 2$' check.txt
# 50 MB of weights in 1 µs are more than an RTX 4090 can read; in 100 µs they are not.
mkdir fast && printf 'layer,tokens,time_us\nqkv_proj,1,1\nqkv_proj,2,100\n' >fast/dense.csv
printf 'layer,sequences,time_us\nlm_head,1,2000\nlm_head,2,2001\n' >fast/per_sequence.csv
printf 'prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n16,0,0,0,50\n32,0,0,0,60\n0,0,1,16,50\n0,0,2,16,60\n' >fast/attention.csv
"$tandem" profile import fast --base rtx-4090 --out fast.json >imported.txt
grep -q '^1 of [0-9]* points take less than peak arithmetic and bandwidth of the datasheet allow; `tandem profile check fast.json` says which$' imported.txt
"$tandem" profile check fast.json | grep -q '^below the datasheet: qkv_proj: 1 of 2 points take less than peak arithmetic and bandwidth allow, the lowest 2 % of it at 1$'
mkdir bundle && printf 'layer,tokens,time_us\nqkv_proj,1,5.5\nqkv_proj,2,\n' >bundle/dense.csv
fails_with 2 'bundle/dense.csv:3: time_us: expected a number of at least 0, found ""' "$tandem" profile import bundle
printf 'layer,time_us\n' >bundle/dense.csv
fails_with 2 'bundle/dense.csv:1: has no column "tokens"' "$tandem" profile import bundle
fails_with 2 'nowhere/gemm_perf.csv: cannot be opened' "$tandem" profile fit h100-sxm --kernels nowhere
fails_with 2 'h100-sxm: has no measured tables' "$tandem" profile check h100-sxm
