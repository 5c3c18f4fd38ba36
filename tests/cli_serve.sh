#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tandem serve: what clients measure is the simulation of what they sent, bit for bit in simulated time; and no client
# brings it down.
set -euo pipefail
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
clients=$(realpath "$(dirname "$0")")/clients
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

start() { # OPTION...: sets server and port
    : >said
    "$tandem" serve default --port 0 "$@" >said 2>errors &
    server=$!
    for _ in $(seq 200); do
        port=$(sed -n 's|.*http://127.0.0.1:\([0-9]*\)/v1.*|\1|p' said)
        [ -z "$port" ] || return 0
        kill -0 "$server" 2>/dev/null || { cat errors; exit 1; }
        sleep 0.05
    done
    echo "the server has not said where it listens" && exit 1
}

ends() { # STATUS
    local got=0
    wait "$server" || got=$?
    server=
    [ "$got" = "$1" ] || { echo "expected status $1, found $got:"; cat said errors; exit 1; }
}

# The rows of the served run are those of the simulated one, and the client's own clock never runs ahead of them.
same() { # NAME REQUESTS SPEED RATE SETTING...
    local name=$1 requests=$2 speed=$3 rate=$4 settings=()
    shift 4
    for s; do settings+=(--set "$s"); done
    rm -f served.db simulated.db
    start --requests "$requests" --speed "$speed" --arrivals arrivals.jsonl --db served.db --set output.requests=true "${settings[@]}"
    python3 "$clients/serve.py" load "$port" measured.json "$requests" "$rate"
    ends 0
    "$tandem" run default --quiet --db simulated.db --set output.requests=true "${settings[@]}" --set workload.trace=arrivals.jsonl
    python3 - "$name" "$requests" "$speed" <<'P'
import json, sqlite3, sys
name, count, speed = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
rows = []
for db in ("served.db", "simulated.db"):
    c = sqlite3.connect(db)
    c.row_factory = sqlite3.Row
    rows.append([tuple(r)[1:] for r in c.execute("SELECT * FROM request ORDER BY id")])
    times = {r["id"]: r for r in c.execute("SELECT * FROM request")}
assert len(rows[0]) == count, (name, len(rows[0]))
assert rows[0] == rows[1], (name, next((a, b) for a, b in zip(*rows) if a != b))
lags = []
for m in json.load(open("measured.json")):
    assert m["status"] == 200 and m["done"], m
    row = times[m["own"]["request"]]
    assert m["usage"] == {"prompt_tokens": m["prompt"], "completion_tokens": m["asked"], "total_tokens": m["prompt"] + m["asked"]}, m
    assert m["text"] == " token" * m["asked"], m
    assert abs(m["own"]["ttft_s"] - row["ttft_s"]) < 1e-9 and abs(m["own"]["e2e_s"] - row["e2e_s"]) < 1e-9, (m["own"], dict(row))
    for seen, simulated in ((m["times"][0], row["ttft_s"]), (m["times"][-1], row["e2e_s"])):
        lags.append(seen - simulated / speed)
        assert lags[-1] > -1e-6, (name, seen, simulated, speed)
lags.sort()
print(f"{name}: {count} requests; the client saw tokens {1e3 * lags[len(lags) // 2]:.1f} ms after the simulated instant at the median, {1e3 * lags[-1]:.1f} ms at most")
P
}

same "as they are" 40 1 40
same "replicas that find prefixes" 40 4 80 cluster.replicas=2 policy.batching=unified_budget policy.prefix_caching=true
same "prefill apart" 40 4 80 'cluster.placement={"name":"disaggregated","decode":{"replicas":2}}'
same "stages" 30 4 80 cluster.pipeline_parallel=2 policy.batching=piggyback
same "a delay before and after" 30 4 80 'cluster={"pools":{"retrieve":{"kind":"delay","servers":8,"service_s":0.03},"serve":{},"filter":{"kind":"delay","service_s":0.01}},"flow":["retrieve","serve","filter"]}'
same "an engine that schedules ahead" 40 4 80 engine=vllm-0.19 'policy={}'
same "replicas that fail" 40 20 80 cluster.replicas=3 'cluster.failures={"mtbf_s":2,"mttr_s":1}'

# The kept run names the trace that it was of, and counts add up.
[ "$(query served.db "SELECT name FROM run")" = "chat on one H100 (served live)" ]
grep -q '"trace":"arrivals.jsonl"' <<<"$(query served.db "SELECT scenario FROM run")"

# Metrics count what was asked; Ctrl-C simulates to the end what is there, at once, and keeps it.
start --requests 100 --db interrupted.db --client-wait 2 --connections 48 --set output.requests=true
if command -v curl >/dev/null; then
    curl -sS -d '{"prompt":"hello","max_tokens":3}' "http://localhost:$port/v1/completions" | grep -q '"completion_tokens":3'
    curl -sS "http://127.0.0.1:$port/metrics" >metrics
    grep -q '^vllm:generation_tokens_total{engine="0",model_name="llama-3.1-8b"} 3$' metrics
    grep -q '^vllm:time_to_first_token_seconds_count{engine="0",model_name="llama-3.1-8b"} 1$' metrics
    curl -sS "http://127.0.0.1:$port/v1/models" | grep -q '"id":"llama-3.1-8b"'
    (curl -sS -N -d '{"prompt":"hello","max_tokens":30000,"stream":true}' "http://localhost:$port/v1/completions" >long) &
    client=$!
    for _ in $(seq 100); do [ -s long ] && break || sleep 0.05; done
    kill -INT "$server"
    ends 0
    wait "$client" || true
    [ "$(query interrupted.db "SELECT finished FROM run")" = 2 ]
    [ "$(query interrupted.db "SELECT max(output_tokens) FROM request")" = 30000 ]
fi

start --no-db --client-wait 2 --connections 48 --speed 100
python3 "$clients/serve.py" hostile "$port"
fails_with 2 "127.0.0.1:$port: Address already in use" "$tandem" serve default --port "$port" --no-db
kill -TERM "$server"
ends 0

# A key, where one is asked for.
start --no-db --api-key secret
python3 - "$port" <<'P'
import http.client, sys
for headers, expected in (({}, 401), ({"Authorization": "Bearer secre"}, 401), ({"Authorization": "Bearer secret"}, 200)):
    c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    c.request("GET", "/v1/models", headers=headers)
    assert c.getresponse().status == expected, headers
P
kill -INT "$server"
ends 0
grep -q 'nobody came' said

fails_with 2 '--port 65536: expected a whole number from 1 to 65535' "$tandem" serve default --port 65536
fails_with 2 '--speed 0: expected a number from 0.001 to 1000' "$tandem" serve default --speed 0
fails_with 2 'address 1.2.3: expected an IPv4 address' "$tandem" serve default --port 0 --address 1.2.3 --no-db
fails_with 2 'found 0 arguments, expected: tandem serve SCENARIO' "$tandem" serve
