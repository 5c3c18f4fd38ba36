#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What bounds memory: --max-memory, the length of files and lines, and windows that are kept only where requests came.
set -euo pipefail
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Ten million requests that come faster than one GPU serves them wait in memory, which has an end.
cat >overload.json <<'J'
{"model": "llama-3.1-8b", "device": "h100-sxm",
 "workload": {"requests": 10000000, "arrivals": {"name": "poisson", "rate_per_s": 1e6},
              "lengths": {"prompt": {"name": "fixed", "tokens": 100}, "output": {"name": "fixed", "tokens": 10}}}}
J
fails_with 1 'out of memory within --max-memory' "$tandem" run overload.json --db bounded.db --quiet --max-memory 200M
[ "$(query bounded.db 'SELECT count(*) FROM run')" = 0 ]
"$tandem" run default --no-db --quiet --set workload.requests=100 >free.txt
"$tandem" run default --no-db --quiet --set workload.requests=100 --max-memory=1.5G >bounded.txt
[ "$(grep -v 'wall' free.txt)" = "$(grep -v 'wall' bounded.txt)" ]
for size in 100K x 5X -3 1e30 4G4 ''; do
    fails_with 2 "--max-memory $size: expected at least 4M" "$tandem" list --max-memory "$size"
done

# No file is read into memory without end, whatever it holds.
truncate -s 4G sparse
fails_with 2 'line is longer than 1048576 bytes' "$tandem" trace stat sparse --max-memory 64M
head -c 400M /dev/zero | tr '\0' 1 | gzip -1 >bomb.csv.gz
fails_with 2 'line is longer than 1048576 bytes' "$tandem" trace stat bomb.csv.gz --max-memory 64M
python3 -c 'print("[" + "1, " * 24000000 + "1]")' >long.json
fails_with 2 'long.json: is longer than 67108864 bytes' "$tandem" run long.json --no-db

# Thirty requests in 95 years, judged by the minute.
"$tandem" run overload.json --no-db --max-memory 64M --set workload.requests=30 \
    --set workload.arrivals.rate_per_s=1e-8 --set slo.ttft_s.p99=1 --set slo.windows.length_s=60 >years.txt
grep -q '30 of 30 windows of 60 s kept everything' years.txt
