# SPDX-License-Identifier: MIT
"""The commands that faults are injected into: name to arguments, and what is done before in the same folder."""
import os

SMALL = ["--set", "workload.requests=60", "--quiet"]
ROWS = ["--set", "output.requests=true", "--set", "output.timeseries_s=1", "--set", "output.iterations=true"]
VARIED = ["--set", "cluster.replicas=2", "--set", "policy.order=fair", "--set",
          'cluster.placement={"name":"disaggregated","decode":{"replicas":1}}', "--set",
          'workload.prefixes={"groups":4,"tokens":200}', "--set", "policy.prefix_caching=true"]
TIERS = ["--set", "policy.prefix_caching=true", "--set", 'workload.prefixes={"groups":4,"tokens":200}', "--set",
         'cluster.tiers={"host":{"bytes":1e9}}']
PLAN = """{"name": "small", "scenario": {"name": "chat", "model": "llama-3.1-8b", "device": "h100-sxm",
 "workload": {"arrivals": {"name": "poisson", "rate_per_s": 20}, "requests": 200,
 "lengths": {"prompt": {"name": "fixed", "tokens": 900}, "output": {"name": "fixed", "tokens": 40}}},
 "slo": {"ttft_s": {"p99": 2.0}}},
 "search": {"policy.batching": ["chunked_prefill", "prefill_first"]}, "prices_per_h": {"h100-sxm": 2.99}}"""
CHAT = """{"model": "llama-3.1-8b", "device": "h100-sxm", "engine": "vllm-0.19",
 "workload": {"arrivals": "poisson", "lengths": "fixed"}}"""
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:17:{second:02d}.0000000,{300 + 7 * second},{20 + second % 9}\n" for second in range(1, 50))
MOONCAKE = "".join(f'{{"timestamp": {100 * i}, "input_length": {700 + i}, "output_length": 5, "hash_ids": [0, {i}]}}\n'
                   for i in range(1, 20))
STAMPS = "".join(f'{{"input_toks": {9 * i}, "output_toks": 3, "arrival_time": {i}, "queued_ts": {i}, '
                 f'"first_token_ts": {i}.1, "last_token_ts": {i}.5}}\n' for i in range(1, 20))
POINTS = ("id,silicon_data_source,backend,backend_version,model_path,system,mode,isl,osl,gemm_quant_mode,batch_size,tp_size,"
          "pp_size,attention_dp_size,moe_tp_size,moe_ep_size,silicon_ttft_ms,silicon_tpot_ms\n"
          "a,here,vllm,0.19.0,x/Llama-3.1-8B,h100_sxm,agg,1000,50,,4,1,1,1,,,60,9\n"
          "b,here,vllm,0.19.0,x/Llama-3.1-8B,h100_sxm,agg,1000,50,,8,1,1,1,,,70,10\n")
KV = "batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,window_size,latency\n"
PAPER = """{"title": "t", "source": "s", "year": 2024, "setting": {"stated": ["a"], "assumed": []},
 "scenario": {"model": "llama-3.1-8b", "device": "h100-sxm", "slo": {"ttft_s": {"max": 1}},
 "workload": {"arrivals": {"name": "poisson", "rate_per_s": 5}, "requests": 30, "lengths": "fixed"}},
 "runs": {"one": {}, "two": {"policy.batching": "continuous"}},
 "claims": [{"says": "a", "claim": 2, "band": 0.25, "figure": {"ratio": [{"largest_rate": "one"}, {"tightest_slo": "two"}]}},
 {"says": "b", "claim": {"at_least": 1}, "figure": {"value": "ideal_e2e_s", "of": "one"}, "vary": {"seed": [1, 2]}}]}"""
HF_CONFIG = """{"model_type": "llama", "num_hidden_layers": 4, "hidden_size": 512, "intermediate_size": 1024,
 "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 32000, "max_position_embeddings": 4096,
 "torch_dtype": "bfloat16", "tie_word_embeddings": false}"""
FILES = {
    "config.json": HF_CONFIG,
    "one/paper.json": PAPER,
    "plan.json": PLAN, "chat.json": CHAT, "trace.csv": AZURE, "mooncake.jsonl": MOONCAKE,
    "stamps.jsonl": STAMPS, "points.csv": POINTS,
    "bundle/meta.yaml": "gpu: Some GPU\nvllm_version: 0.19.0\nskew_fit:\n  enabled: true\n",
    "bundle/tp1/dense.csv": "layer,tokens,time_us\nqkv_proj,1,5\nqkv_proj,8,7\nlayernorm,1,2\nqk_norm,1,1\n",
    "bundle/tp1/per_sequence.csv": "layer,sequences,time_us\nlm_head,1,7\n",
    "bundle/tp1/attention.csv": "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n0,0,1,16,10\n0,0,2,16,11\n"
                                "16,0,0,0,12\n",
    "bundle/tp1/moe.csv": "tokens,activated_experts,time_us\n1,8,50\n2,8,55\n2,16,130\n",
    "bundle/tp1/skew.csv": "n,pc,t_mean_us,t_max_us,t_skew_us\n8,0,10,30,12\n8,16,20,40,26\n",
    "stated/meta.yaml": "gpu: Some GPU\nskew_fit:\n  enabled: true\n  per_tp:\n    1:\n      alpha_default: 0.05\n",
    "stated/tp1/dense.csv": "layer,tokens,time_us\nqkv_proj,1,5\nlayernorm,1,2\n",
    "stated/tp1/per_sequence.csv": "layer,sequences,time_us\nlm_head,1,7\n",
    "stated/tp1/attention.csv": "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n16,0,0,0,3\n0,0,1,16,4\n0,0,8,16,5\n",
    "aic/system.yaml": "gpu:\n  mem_bw: 2000000000000\n  mem_capacity: 85899345920\n  bfloat16_tc_flops: 500000000000000\n"
                       "node:\n  intra_node_bw: 100000000000\n  p2p_latency: 0.00001\n",
    "aic/nccl_perf.csv": "op_name,nccl_dtype,num_gpus,message_size,latency\nall_gather,half,2,1024,0.02\n",
    "aic/engine/gemm_perf.csv": "framework,version,device,gemm_dtype,m,n,k,latency\nX,1,GPU,bfloat16,1,4096,4096,0.01\n"
                                "X,1,GPU,bfloat16,64,4096,4096,0.02\nX,1,GPU,bfloat16,4096,4096,4096,0.3\n",
    "aic/engine/context_attention_perf.csv": KV + "1,64,32,8,128,bfloat16,bfloat16,0,0,0.03\n"
                                             "1,4096,32,8,128,bfloat16,bfloat16,0,0,0.9\n",
    "aic/engine/generation_attention_perf.csv": KV + "1,1,32,8,128,bfloat16,bfloat16,99,0,0.04\n"
                                                "1,1,32,8,128,bfloat16,bfloat16,199,0,0.05\n",
    "aic/engine/custom_allreduce_perf.csv": "allreduce_dtype,num_gpus,message_size,kernel_source,latency\n"
                                            "bfloat16,2,1024,graph,0.02\n"
                                            "bfloat16,2,1048576,graph,0.05\n",
    "aic/engine/moe_perf.csv":
        "moe_dtype,distribution,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,latency\n"
        "bfloat16,power_law_1.2,1,2048,768,8,128,1,2,0.06\n",
    "vidur/mlp.csv": "time_stats.emb.median,time_stats.input_layernorm.median,time_stats.attn_pre_proj.median,"
                     "time_stats.attn_rope.median,time_stats.attn_post_proj.median,"
                     "time_stats.post_attention_layernorm.median,time_stats.mlp_up_proj.median,"
                     "time_stats.mlp_act.median,time_stats.mlp_down_proj.median,time_stats.add.median,n_head,n_embd,"
                     "n_expanded_embd,num_tokens,num_tensor_parallel_workers\n"
                     ".1,.2,.3,.4,.5,.6,.7,.8,.9,.4,32,4096,11008,8,1\n",
    "vidur/all_reduce.csv": "time_stats.all_reduce.median,num_workers,size,devices_per_node\n.05,2,2048,2\n",
    "splitwise.csv": "model,hardware,prompt_size,batch_size,token_size,prompt_time,token_time,tensor_parallel\n"
                     "llama2-70b,h100,512,1,128,50,30,8\nllama2-70b,h100,512,2,128,80,31,8\n",
}

RUNS = [["run", "default", *SMALL, *ROWS], ["run", "default", *SMALL, *ROWS, "--set", "policy.batching=prefill_first"]]
SWEEP = ["sweep", "default", *SMALL, "--vary", "cluster.replicas=1,2", "-j", "1"]
PLANNED = ["plan", "plan.json", "--quiet", "-j", "1", "--replications", "4"]
RATE = ["plan", "default", "--set", "workload.requests=200", "--quiet", "-j", "1"]
TINY = ["--set", "model=tests/data/tiny_llama.json", "--set", "workload.requests=12", "--set",
        "workload.arrivals.rate_per_s=1000"]
APART = ["--set", 'cluster.placement={"name":"disaggregated"}']
FORMS = ["vllm.json", "vllm_detailed.json", "vllm_appended.json", "guidellm.json", "aiperf.json", "aiperf_phases.json",
         "genai_perf.json", "levels.csv", "."]
FORMATS = ["text", "csv", "json", "markdown", "perfetto", "prometheus", "vllm"]
KINDS = ["policies", "workloads", "models", "devices", "engines", "techniques", "scenarios", "plans"]
PAGE = ["--out", "out", "--no-headroom", "--quiet"]


def form(name):
    return "all" if name == "." else name.split(".")[0]


COMMANDS = {
    "run": (["run", "default", *SMALL], []),
    "run-rows": (["run", "default", *SMALL, *ROWS], []),
    "run-varied": (["run", "default", *SMALL, *VARIED], []),
    "run-varied-nothing": (["run", "default", *SMALL, *VARIED, "--no-db"], []),
    "run-tiers": (["run", "default", *SMALL, *TIERS, "--no-db"], []),
    "run-trace": (["run", "default", "--quiet", "--set", "workload.trace=trace.csv", "--set",
                   "cluster.failures={\"mtbf_s\":30,\"mttr_s\":2}", "--set", 'techniques=["swiftkv","speculative"]'], []),
    "run-measured": (["run", "default", *SMALL, "--set", "device=h100-sxm-vllm-0.19"], []),
    "run-nothing": (["run", "default", *SMALL, "--no-db", "--set", "policy.batching=unified_budget"], []),
    "run-alone": (["run", "default", *SMALL, "--ideal"], []),
    "run-parts": (["run", "default", "--quiet", *ROWS, "--set", "workload.requests=600", "--set", "cluster.replicas=5", "--set",
                   "workload.arrivals.rate_per_s=40", "-j", "2"], []),
    "papers": (["papers", "run", "overfill", "lserve", "vtrain", "one/", "--format", "markdown", "--quiet"], []),
    "papers-json": (["papers", "run", "one/", "skipdecode", "--format", "json", "-j", "1"], []),
    "papers-list": (["papers", "list"], []),
    "papers-show": (["papers", "show", "sarathi", "a100_base"], []),
    "run-plugin": (["run", "default", "--plugin", "./by_prompt.so", *SMALL, "--set", "policy.order=shortest_prompt",
                    "--set", "cluster.replicas=2"], []),
    "run-plugin-batch": (["run", "default", "--plugin", "./prompts_alone.so", *SMALL, "--no-db", "--set",
                          'policy.batching={"name": "prompts_alone", "max_sequences": 64}'], []),
    "sweep": (SWEEP, []),
    "sweep-nothing": ([*SWEEP, "--no-db"], []),
    "sweep-best": (["sweep", "default", *SMALL, "--vary", "policy.batching=continuous,prefill_first", "--best", "least",
                    "--no-db", "--csv", "out.csv", "-j", "1"], []),
    "sweep-precision": (["sweep", "default", *SMALL, "--vary", "cluster.replicas=1,2", "--precision", "0.3", "--metric",
                         "e2e_s.mean", "-j", "1"], []),
    "sweep-ranks": (["sweep", "default", *SMALL, "--vary", "cluster.replicas=1,2,3", "--csv", "out.csv"], []),
    "plan": ([*PLANNED, "--json", "out.json"], []),
    "plan-emit": ([*PLANNED, "--set", "scenario.engine=vllm-0.19", "--set", "search={}", "--emit", "vllm", "--markdown",
                   "out.md", "--no-db"], []),
    "plan-most": ([*PLANNED, "--set", "objective=throughput", "--set", "constraints.nodes=1", "--json", "out.json"], []),
    "size": (["size", "llama-3.1-8b", "--rate", "20", "--tp", "1", "--set", "scenario.workload.requests=200",
              "--set", "replications=4", "-j", "1", "--quiet", "--no-db", "--save-plan", "saved.json"], []),
    "plan-rate": ([*RATE, "--replications", "4", "--no-db"], []),
    "plan-analytic": ([*RATE, "--analytic", "--no-db"], []),
    **{f"report-{name}": (["report", "2", "--format", name, "--out", "out"], RUNS) for name in FORMATS},
    "report-html": (["report", "2", *PAGE], RUNS),
    "report-headroom": (["report", "2", "--out", "out", "--headroom", "-j", "1", "--quiet"], RUNS),
    "report-sweep": (["report", "sweep:1", *PAGE], [SWEEP]),
    "report-sweep-runs": (["report", "sweep:1", "--runs", "--no-headroom", "--quiet"], [SWEEP]),
    "report-plan": (["report", "plan:1", *PAGE], [PLANNED]),
    "compare": (["compare", "1", "2"], RUNS),
    "compare-html": (["compare", "1", "2", "--out", "out.html"], RUNS),
    "trace-stat": (["trace", "stat", "trace.csv"], []),
    "trace-generate": (["trace", "generate", "default", "--out", "out.jsonl"], []),
    "convert-azure": (["trace", "convert", "trace.csv", "--out", "out.jsonl"], []),
    "convert-mooncake": (["trace", "convert", "mooncake.jsonl", "--out", "out.jsonl"], []),
    "convert-stamps": (["trace", "convert", "stamps.jsonl", "--format", "stamps"], []),
    "convert-gzip": (["trace", "convert", "trace.csv.gz", "--out", "out.jsonl"], []),
    **{f"list-{kind}": (["list", kind], []) for kind in KINDS},
    "list": (["list"], []),
    "describe-policy": (["describe", "chunked_prefill"], []),
    "describe-key": (["describe", "scenario.cluster"], []),
    "describe-markdown": (["describe", "scenario", "--markdown"], []),
    "describe-schema": (["describe", "scenario", "--schema"], []),
    "describe-model": (["describe", "llama-3.1-8b"], []),
    "describe-plan": (["describe", "chat-70b"], []),
    "profile-import": (["profile", "import", "bundle/tp1", "--out", "out.json"], []),
    "import-stated": (["profile", "import", "stated/tp1", "--out", "out.json"], []),
    "import-aiconfigurator": (["profile", "import", "aic/engine", "--out", "out.json"], []),
    "import-vidur": (["profile", "import", "vidur", "--model", "llama-2-7b", "--out", "out.json"], []),
    "import-splitwise": (["profile", "import", "splitwise.csv", "--model", "llama-2-70b", "--tensor-parallel", "8",
                          "--hardware", "h100", "--out", "out.json"], []),
    "model-import": (["model", "import", "config.json", "--out", "out.json"], []),
    "model-show": (["model", "show", "meta-llama/Llama-3.1-8B-Instruct"], []),
    "profile-show": (["profile", "show", "h100-sxm"], []),
    "profile-check": (["profile", "check", "own.json"], [["profile", "import", "bundle/tp1", "--out", "own.json"]]),
    "fit-kernels": (["profile", "fit", "h100-sxm", "--kernels", "aic/engine", "--out", "out.json"], []),
    "fit-host": (["profile", "fit", "h100-sxm", "--host", "tests/data/measured", "--out", "out.json"], []),
    **{f"calibrate-{form(name)}": (["calibrate", f"tests/data/forms/{name}", "--scenario", "chat.json", "--parameters",
                                    "kernel_factor", "--seeds", "1", "-j", "1", "--out", "out.json", "--csv", "out.csv",
                                    "--scenario-out", "server.json"], []) for name in FORMS},
    "calibrate-own": (["calibrate", "tests/data/measured", "--profile", "h100-sxm", "--parameters", "exposed_ns", "--seeds",
                       "1", "-j", "1", "--out", "out.json"], []),
    **{f"measured-{form(name)}": (["validate", "measured", f"tests/data/forms/{name}", "--scenario", "chat.json"], [])
       for name in FORMS},
    "measured-own": (["validate", "measured", "tests/data/measured", "--profile", "h100-sxm", "--plot", "out.html"], []),
    "measured-points": (["validate", "measured", "points.csv", "--profile", "h100-sxm", "--csv", "out.csv", "--no-db"], []),
    "theory": (["validate", "theory", "--seeds", "2", "--requests", "300", "--rho", "0.5", "-j", "1"], []),
    "engine-check": (["engine", "check", "--threads", "1"], []),
    "engine-bench": (["engine", "bench", "--model", "tests/data/tiny_llama.json", "--threads", "1"], []),
    "engine-serve": (["engine", "serve", "engine-demo", *TINY, "--threads", "2"], []),
    "engine-serve-two": (["engine", "serve", "engine-demo", *TINY, *APART, "--threads", "1"], []),
    "engine-serve-peer": (["engine", "serve", "engine-demo", *TINY, *APART, "--peer", "socket", "--threads", "1"], []),
    "engine-profile": (["engine", "profile", "--model", "tests/data/tiny_llama.json", "--most", "64", "--point-s", "0.0001",
                        "--out", "out.json", "--threads", "1"], []),
    "validate-engine": (["validate", "engine", "engine-demo", *TINY, "--policies", "continuous", "--loads", "50",
                         "--seconds", "10", "--no-reference"], []),
    "library": ([], []),
}
# What these print and keep is measured on the wall clock: only their form can be compared.
TIMED = ("engine-serve", "engine-serve-two", "engine-serve-peer", "engine-profile", "engine-check", "engine-bench",
         "validate-engine")
# Of those that take seconds, so many faults are tried at most.
SLOW = {"engine-check": 10, "engine-bench": 20, "validate-engine": 10, "fit-host": 40, "engine-profile": 40}
# These keep what they found out before they failed, and say so by their status.
RESUMABLE = ("sweep", "plan", "report-headroom", "engine-profile", "validate-engine")


def words_of(name, tandem):
    """The command line, and the commands before it. Of a job the faults are on rank 1."""
    words, before = COMMANDS[name]
    if name == "library":
        return [os.path.join(os.path.dirname(tandem), "tests/faults/library_user")], before
    if name == "sweep-ranks":
        launched = ["mpirun", "--oversubscribe", "--quiet", "-n", "2", "bash", "-c",
                    'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then export LD_PRELOAD=$FAULTS_RANK; fi; exec "$@"', "rank"]
        return [*launched, tandem, *words], before
    return [tandem, *words], before
