#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The CUDA backend without a GPU: its own kernels and host code, run on the CPU by tests/cuda_emulator, against the plain
# reference, in every layout; then serving, with CUDA graphs and paged KV, alone and with KV going to another process.
set -euo pipefail
tandem=$1
emulated=$(dirname "$tandem")/emulated/tandem-cuda.so
[ -e "$emulated" ] || { echo "skipped: $emulated is not built" && exit; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$tandem" "$emulated" "$folder/"
sed 's/"head_dim": 8/"head_dim": 16/; s/"hidden": 32/"hidden": 64/' tests/data/tiny_llama.json >"$folder/tiny.json"
cd "$folder"
./tandem engine check --backend cuda >check.txt
[ "$(grep -c ' ok$' check.txt)" = 12 ] || { cat check.txt; exit 1; }
serve() { # OPTIONS...
    ./tandem engine serve engine-demo --backend cuda --rows 2048 --set model=tiny.json --set workload.requests=6 --set workload.arrivals.rate_per_s=1000 "$@" >served.txt
    grep -q '6 arrived = 6 finished' served.txt || { cat served.txt; exit 1; }
}
for policy in static_padded static_prepacked chunked_prefill unified_budget; do
    serve --policy $policy
done
serve --set cluster.placement='{"name":"disaggregated"}'
serve --set cluster.placement='{"name":"disaggregated"}' --peer shared
grep -q 'between engines in two processes' served.txt
