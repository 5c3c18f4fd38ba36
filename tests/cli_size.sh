#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# size: one line to an answer, its defaults, the plan that it is; and answers that end in a deployment and in Markdown.
set -euo pipefail
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

small="--no-db --quiet --set scenario.workload.requests=300 --set replications=4"

# Every default that is used is said, and what is said is not one; the plan that it is gives the same answer.
"$tandem" size llama-3.1-8b --rate 20 --in 500 --tp 1,2 --gpu h100-sxm --ttft p95=1s $small --save-plan saved.json --markdown size.md --json size.json >size.txt
for words in 'by default outputs of 200 tokens on average (--out)' 'TPOT p95=50ms (--tpot)' 'engine vllm-0.19 (--engine)' 'list prices on demand (--price)' '90 % confidence'; do grep -qF "$words" size.txt; done
if grep -qE 'prompts of|--ttft|--gpu\)|--tp\)' size.txt; then exit 1; fi
grep -q '1 node of 8 × h100-sxm-vllm-0.19: 8 GPUs to buy, ' size.txt && grep -q '25.60 USD an hour' size.txt
"$tandem" plan saved.json --no-db --quiet --json plan.json >plan.txt
diff <(sed '1,/^$/d' size.txt | grep -v 'found with') <(grep -v 'found with' plan.txt)
grep -q '^# llama-3.1-8b$' size.md && grep -q '^| h100-sxm-vllm-0.19 | .* | 8 | 1 | 3.20 USD | 25.60 | Hyperstack' size.md && grep -q '^## How sure$' size.md
python3 - <<'P'
import json
plan = json.load(open("saved.json"))
prompt, output = (plan["scenario"]["workload"]["lengths"][k] for k in ("prompt", "output"))
# Log-normal with sigma 0.8: mean = median · exp(0.32).
assert abs(prompt["median"] * 2.718281828459045 ** 0.32 - 500) < 1e-6 and abs(output["median"] / prompt["median"] - 0.4) < 1e-9
assert plan["scenario"]["slo"] == {"ttft_s": {"p95": 1}, "tpot_s": {"p95": 0.05}}, plan["scenario"]["slo"]
assert plan["search"]["device"] == ["h100-sxm-vllm-0.19"] and plan["search"]["cluster.tensor_parallel"] == [1, 2], plan["search"]
P

# Repositories are models; limits in ms; prices of a GPU hold for the device that is fitted to the engine.
"$tandem" size meta-llama/Llama-3.1-8B-Instruct --rate 5 --lengths fixed --tpot p99=40ms --tp 1 --engine sglang --price h100-sxm=1 --by gpu --confidence 0 $small --save-plan saved.json >size.txt
# One GPU at 1 an hour for 5 · (1 000 + 200) tokens a second: 0.0463 a million, however long the last request takes.
grep -q ' an hour, 730 a month of 730 hours, 0.046 for a million tokens$' size.txt
grep -q '1 × h100-sxm-sglang-0.5$' size.txt && grep -q '1.00 an hour' size.txt && grep -q "the plan's own price" size.txt
grep -q '"p99":	0.04' saved.json
fails_with 2 'needs --rate R' "$tandem" size llama-3.1-8b
fails_with 2 '--ttft 1s: expected a limit like p95=1s or p99=50ms' "$tandem" size llama-3.1-8b --rate 1 --ttft 1s
fails_with 2 '--tpot p95=50us: expected a limit' "$tandem" size llama-3.1-8b --rate 1 --tpot p95=50us
fails_with 2 '--rate x: expected a number' "$tandem" size llama-3.1-8b --rate x
fails_with 2 '--gpu h1000: expected one of tandem list devices' "$tandem" size llama-3.1-8b --rate 1 --gpu h1000
fails_with 2 '--engine pytorch: expected vllm, sglang, trtllm' "$tandem" size llama-3.1-8b --rate 1 --engine pytorch
fails_with 2 '--tp 2;4: expected whole numbers' "$tandem" size llama-3.1-8b --rate 1 --tp '2;4'
fails_with 2 '--lengths wide: expected lognormal or fixed' "$tandem" size llama-3.1-8b --rate 1 --lengths wide
fails_with 2 'none of the configurations can be run' "$tandem" size nonesuch --rate 1 --no-db --quiet

# It ends in a deployment: run --like on what it prints is the same server, whose run is that of the plan's size.
"$tandem" plan saved.json --no-db --quiet --emit sglang --json plan.json >emitted.txt
grep -q '^# recommended: 1 unit of h100-sxm-sglang-0.5' emitted.txt && grep -q '^vllm bench serve .*--random-input-len 1000 --random-output-len 200 .*--request-rate 5 ' emitted.txt
grep -q '^#   TTFT p99: ' emitted.txt && grep -q '^# assumed: engine sglang-0.5' emitted.txt
python3 - <<'P'
import json
plan = json.load(open("plan.json"))
family = plan["families"][plan["recommendation"]]
scenario = next(s for s in family["sizes"] if s["units"] == family["units"])["scenario"]
json.dump(scenario, open("size.json", "w"))
json.dump({k: v for k, v in scenario.items() if k not in ("engine", "model")}, open("like.json", "w"))
P
command=$(grep -m1 '^python3 -m sglang' emitted.txt)
"$tandem" run size.json --no-db >first.txt
"$tandem" run like.json --like "$command" --no-db >again.txt
[ "$(grep -cE 'TTFT|TPOT|E2E' first.txt)" -ge 3 ]
diff <(grep -E 'TTFT|TPOT|E2E|blocks' first.txt) <(grep -E 'TTFT|TPOT|E2E|blocks' again.txt)
"$tandem" plan saved.json --no-db --quiet --emit dynamo | grep -q '^            - "dynamo.sglang"$'
fails_with 2 '--emit trtllm: expected a plan whose scenario names an engine of it' "$tandem" plan saved.json --no-db --quiet --emit trtllm
fails_with 2 '--emit kubernetes: expected vllm, sglang, trtllm, llm-d or dynamo' "$tandem" plan saved.json --no-db --emit kubernetes
fails_with 2 '--emit: is of a plan that is simulated, not of a scenario by itself' "$tandem" plan default --emit vllm

# What a budget is worth: the most requests/s, the cheapest tokens, the tightest SLO.
for objective in throughput token_cost tightest_slo; do
    "$tandem" plan saved.json --no-db --quiet --set "objective=$objective" --set constraints.gpus=2 --json most.json >out.txt
    grep -q '  recommended  2 units of h100-sxm-sglang-0.5' out.txt && grep -q '2 GPUs are used; 2.00 an hour' out.txt
done
grep -q 'at 5 requests/s every latency limit × 0' out.txt && grep -q '"tightened"' most.json
fails_with 2 '--emit: is of a plan for the least cost, GPUs or energy, not of objective throughput' "$tandem" plan saved.json --no-db --emit sglang --set objective=throughput --set constraints.gpus=2
