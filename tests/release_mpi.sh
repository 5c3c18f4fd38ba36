#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sweeps on three ranks of an MPI job: the same table as on threads, and nothing lost when a rank dies.
set -euo pipefail
tandem=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
if ! [ -e "$(dirname "$tandem")/tandem-mpi.so" ]; then
    echo "skipped: there is no tandem-mpi.so, mpicc was not found" && exit
elif ! mpirun --version 2>/dev/null | grep -q 'Open MPI'; then
    echo "skipped: mpirun is not Open MPI's" && exit
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

count() { # SQL FILE
    python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[2]).execute(sys.argv[1]).fetchone()[0])' "$1" "$2"
}

points="--vary workload.arrivals.rate_per_s=2..8:3 --vary policy.batching=chunked_prefill,prefill_first"
"$tandem" sweep default --set workload.requests=500 $points --csv threads.csv --no-db --quiet >out.txt
mpirun --oversubscribe -n 3 "$tandem" sweep default --set workload.requests=500 $points --csv ranks.csv --no-db --quiet >out.txt
cmp threads.csv ranks.csv

mpirun --oversubscribe --enable-recovery -n 3 bash -c 'echo $$ >rank.$OMPI_COMM_WORLD_RANK; exec "$@"' rank \
    "$tandem" sweep default --vary workload.arrivals.rate_per_s=2..8:100 \
    --set workload.requests=20000 --db m.db --quiet >out.txt 2>err.txt & job=$!
for _ in $(seq 200); do
    sleep 0.05
    [ -e m.db ] && [ "$(count 'SELECT count(*) FROM sweep_point' m.db 2>/dev/null || echo 0)" -gt 4 ] && break
done
kill -9 "$(cat rank.2)"
wait $job || true
[ "$(count "SELECT count(*) FROM sweep WHERE status = 'done'" m.db)" = 1 ]
[ "$(count 'SELECT count(*) FROM sweep_point' m.db)" = 100 ] && [ "$(count 'SELECT count(DISTINCT run_id) FROM sweep_point' m.db)" = 100 ]

# What is wrong is said once, and everybody goes home.
got=0; mpirun --oversubscribe -n 3 "$tandem" plan nonesuch --quiet >out.txt 2>err.txt || got=$?
[ "$got" != 0 ] && [ "$(grep -c 'nonesuch' err.txt)" = 1 ]
