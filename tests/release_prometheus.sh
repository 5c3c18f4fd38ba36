#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A run as a Prometheus' data: promtool takes it in, and a real Prometheus answers every expression of our dashboard with
# numbers, of which some are known.
# usage: release_prometheus.sh TANDEM
set -euo pipefail
tandem=$(realpath "$1")
cd "$(dirname "$0")/.."
testers=$(dirname "$tandem")/testers
PATH=$(realpath -m "$testers"):$PATH
command -v prometheus >/dev/null && command -v promtool >/dev/null || { echo "skipped: prometheus is not installed (make testers)"; exit 0; }
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null; wait 2>/dev/null; rm -rf "$folder"' EXIT
cp docs/examples/grafana.json "$folder/"
cd "$folder"
"$tandem" run default --quiet --db run.db --set workload.requests=2000 --set policy.prefix_caching=true \
    --set workload.prefixes='{"groups":10,"tokens":500}' --set output.requests=true
"$tandem" report --db run.db --format openmetrics --out metrics.txt
[ "$(tail -1 metrics.txt)" = '# EOF' ]
promtool tsdb create-blocks-from openmetrics metrics.txt data >blocks.txt
"$tandem" report --db run.db --format prometheus | promtool check metrics >check.txt 2>&1 || true # it dislikes vLLM's colons
! grep -v "should not contain ':'" check.txt

echo '{}' >prometheus.yml
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus --config.file=prometheus.yml --storage.tsdb.path=data --storage.tsdb.retention.time=10y \
    --web.listen-address="127.0.0.1:$port" >server.txt 2>&1 & server=$!
python3 - "$port" <<'PYTHON'
import json, math, sqlite3, sys, time, urllib.error, urllib.parse, urllib.request

db = sqlite3.connect("run.db")
duration, started = db.execute("SELECT simulated_s, strftime('%s', started_at) FROM run").fetchone()
end = float(started)


def ask(expression, at):
    query = urllib.parse.urlencode({"query": expression, "time": f"{at:.3f}"})
    return json.load(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/api/v1/query?{query}", timeout=20))["data"]["result"]


for attempt in range(300):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/-/ready", timeout=5)
        break
    except (urllib.error.URLError, OSError):
        time.sleep(0.1)
expressions = [target["expr"] for panel in json.load(open("grafana.json"))["panels"] for target in panel["targets"]]
assert len(expressions) > 30
for expression in expressions:
    filled = expression.replace("$model", "llama-3.1-8b").replace("$__rate_interval", "60s")
    values = [float(r["value"][1]) for r in ask(filled, end - duration / 2)]
    assert values and not any(math.isnan(v) for v in values), (filled, values)


def one(expression, at=end):
    result = ask(expression, at)
    assert len(result) == 1, (expression, result)
    return float(result[0]["value"][1])


rows = db.execute("SELECT arrival_s, queue_s, ttft_s, e2e_s, prompt_tokens, output_tokens, cached_tokens FROM request").fetchall()
assert one('vllm:request_success_total{finished_reason="stop"}') == len(rows) == 2000
assert one("vllm:prompt_tokens_total") == sum(r[4] for r in rows) and one("vllm:generation_tokens_total") == sum(r[5] for r in rows)
assert abs(one("vllm:time_to_first_token_seconds_sum") - sum(r[2] for r in rows)) < 1e-6
assert abs(one("vllm:request_decode_time_seconds_sum") - sum(r[3] - r[2] for r in rows)) < 1e-6
assert one('vllm:e2e_request_latency_seconds_bucket{le="1.0"}') == sum(r[3] <= 1 for r in rows)
assert one("vllm:prefix_cache_hits_total") == sum(r[6] for r in rows) > 0
# In the middle: as many as then had ended, ran and waited, at the last point that Prometheus has.
at = float(ask("timestamp(vllm:num_requests_running)", end - duration / 2)[0]["value"][1]) - (end - duration)
near = [at - 1e-3, at + 1e-3] # time stamps have milliseconds
ended = sorted(sum(r[0] + r[3] <= t for r in rows) for t in near)
running = sorted(sum(r[0] + r[1] <= t < r[0] + r[3] for r in rows) for t in near)
assert ended[0] <= one('vllm:request_success_total{finished_reason="stop"}', end - duration / 2) <= ended[1]
assert running[0] - 1 <= one("vllm:num_requests_running", end - duration / 2) <= running[1] + 1
PYTHON
