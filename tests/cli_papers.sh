#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A few papers as a user runs them: the page has their rows, a run's scenario can be run by itself, every iteration singly
# gives the same, and what is wrong is one sentence.
set -euo pipefail
tandem=$(realpath "$1")
if command -v python3 >/dev/null; then
    "$(dirname "$0")/papers" "$tandem" prepacking pagedattention gemfilter vtrain slora
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

for some in "gemfilter hydragen bass overfill lserve blendserve iso" "bca flexllm slora cacheblend cachegen mnemosyne moe"; do
    "$tandem" papers run $some --quiet >stretches.txt
    "$tandem" papers run $some --quiet --step -j 1 >steps.txt
    cmp stretches.txt steps.txt
done
grep -q '^7 papers: ' steps.txt

"$tandem" papers show sarathi a6000_base >scenario.json
grep -q '"papers/sarathi/llama-13b.json"' scenario.json
"$tandem" run scenario.json --no-db | grep -q '180 finished'
"$tandem" papers show sarathi | grep -q '^  claim      decode throughput, LLaMA-33B on A100, up to (4.25 ± 25 %)$'
"$tandem" papers run vtrain --format json | grep -q '"verdict":	"out of scope"'

"$tandem" papers run prepacking vtrain --format html >page.html
grep -q '<a href="#prepacking">prepacking</a>' page.html && grep -q 'Out of scope: it predicts training' page.html

fails() { # TEXT COMMAND...: exit status 2, with this as the one sentence
    local text=$1 got=0
    shift
    "$@" >out.txt 2>err.txt || got=$?
    [ "$got" = 2 ] && [ "$(cat err.txt)" = "$text" ] && return
    echo "expected \"$text\", found $got and:" && cat err.txt && exit 1
}
"$tandem" run default --ideal --set workload.requests=500 --db ideal.db | grep -qE '^  alone      E2E mean [0-9.]+ s, p99 [0-9.]+ s: '
"$tandem" report --db ideal.db --format json | grep -q '"ideal_e2e_s"'
fails 'tandem run: requests by themselves: not with failures or autoscaling, which happen at times of the run' \
    "$tandem" run default --ideal --quiet --no-db --set workload.requests=50 --set cluster.failures.mtbf_s=1000
mkdir mine
echo '{"title": "t", "source": "s", "year": 2024, "setting": {"stated": [], "assumed": []}, "claims": []}' >mine/paper.json
fails 'tandem papers: ./mine/paper.json: claims: expected a list of 1 to 8 claims, found []' "$tandem" papers run ./mine
