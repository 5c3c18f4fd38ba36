#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Twice as long a document takes about twice the work to read: instructions are counted by callgrind, so that neither the
# clock nor the machine matters. What walks a list anew for each of its elements takes four times the work.
# usage: release_linear.sh TANDEM
set -euo pipefail
tandem=$(realpath "$1")
command -v valgrind >/dev/null || { echo "skipped: valgrind is not installed"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 - <<'P'
import json

def write(name, document):
    with open(name + ".json", "w") as file:
        json.dump(document, file)

chat = {"model": "llama-3.1-8b", "device": "h100-sxm", "workload": {"requests": 10}}
for size, n in ("once", 6000), ("twice", 12000):
    names = [f"k{i}" for i in range(n)]
    write("keys." + size, dict.fromkeys(names, 1))
    pools = {f"pool{i}": {"replicas": 1} for i in range(15)} | {"web": {"kind": "delay", "service_s": 1}}
    write("flow." + size, chat | {"cluster": {"pools": pools, "flow": [["pool0"] * n]}})
    write("search." + size, {"scenario": "default", "search": {name: [1] for name in names[:n // 2]}})
    write("values." + size, {"scenario": chat, "vary": {"model": names[:n // 50]}})
    write("measured." + size, {"date": "20260101-000000", "backend": "vllm", "num_prompts": n, "completed": n // 2, "duration": 9,
                              "request_rate": 2, "request_throughput": 2, "mean_ttft_ms": 9, "total_input_tokens": n, "total_output_tokens": n,
                              "input_lens": [9] * (n // 2), "output_lens": [2] * (n // 2), "ttfts": [0.1] * (n // 2),
                              "itls": [0.1] * (n // 2 - 1) + [""]})
P

work() { # COMMAND...: the status does not matter: most of these documents are refused at their end
    { valgrind --tool=callgrind --callgrind-out-file=/dev/null "$tandem" "$@" 2>&1 || true; } | awk '/Collected/ { print $4 }'
}
while read -r name command; do
    read -ra words <<<"$command"
    once=$(work "${words[@]//FILE/$name.once.json}") twice=$(work "${words[@]//FILE/$name.twice.json}")
    echo "$name: $once instructions, and $twice for twice as much"
    awk -v a="$once" -v b="$twice" 'BEGIN { exit !(b < 2.6 * a) }' || { echo "expected less than 2.6 times as many"; exit 1; }
done <<'C'
keys run FILE --no-db
flow run FILE --no-db
search plan FILE --no-db
values sweep FILE --no-db -j 1
measured validate measured FILE --profile h100-sxm
C
