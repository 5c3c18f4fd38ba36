#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Pages of real runs in a real browser; what is looked at is in tests/browser/pages.mjs. make check brings what it needs.
set -euo pipefail
tandem=$(realpath "$1")
scripts=$(realpath "$(dirname "$0")")/browser
modules=$(dirname "$tandem")/testers/node_modules
browser=$(command -v chromium || command -v chromium-browser || true)
[ -n "$browser" ] || { echo "skipped: chromium is not installed" && exit; }
command -v node >/dev/null && [ -d "$modules/playwright-core" ] || { echo "skipped: playwright-core is not installed" && exit; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$tandem" run default --quiet --set workload.requests=3000 --set output='{"requests":true,"timeseries_s":5}'
"$tandem" run default --quiet --set workload.requests=3000 --set output.requests=true --set policy.batching=prefill_first
"$tandem" sweep default --quiet --set workload.requests=1000 --vary cluster.replicas=1,2,3 --vary workload.arrivals.rate_per_s=4,8,16 >/dev/null
"$tandem" plan chat-70b --quiet >/dev/null
"$tandem" report 1 --quiet --out run.html
"$tandem" report 2 --quiet --out bare.html
"$tandem" report sweep:1 --quiet --runs
"$tandem" report plan:1 --quiet --out plan.html
"$tandem" compare 1 2 --out both.html >/dev/null
mv sweep-1.html sweep.html
mkdir modules
cp "$scripts/pages.mjs" modules/
ln -s "$modules" modules/node_modules
timeout 300 node modules/pages.mjs "$browser" "$folder"
