/* SPDX-License-Identifier: MIT */
/* The flags of servers: vLLM's engine/arg_utils.py, SGLang's server_args.py, TensorRT-LLM's commands/serve.py. */
#include "profiles/server_flags.h"

#include <stddef.h>

#define EIGHT_BIT_KV                                                                                                   \
    "[{\"name\":\"fp8-kv\",\"paper\":\"none\",\"changes\":[{\"name\":\"kv_cache\",\"bytes_per_value\":1}]}]"
#define FORMATS                                                                                                        \
    "none=|fp8=fp8|int4=int4|w8a8_fp8=fp8|w8a8_int8=int8|awq=int4|awq_marlin=int4|gptq=int4|gptq_marlin=int4|"         \
    "modelopt=fp8|"                                                                                                    \
    "modelopt_fp8=fp8|modelopt_fp4=fp4|nvfp4=fp4|mxfp4=fp4|fbgemm_fp8=fp8"
#define KV_FORMATS                                                                                                     \
    "auto=|bfloat16=|bf16=|fp8=" EIGHT_BIT_KV "|fp8_e4m3=" EIGHT_BIT_KV "|fp8_e5m2=" EIGHT_BIT_KV "|int8"              \
    "=" EIGHT_BIT_KV
#define FORMAT_SAYS "expected a format that Tandem has weights in"
#define KV_SAYS "expected a format that Tandem has KV in"
#define LENGTH_SAYS "the model's longest sequence holds"
#define KERNELS_SAYS "kernels cost what the device says, whichever they are"
#define SPECULATION_SAYS "speculation is a technique here (tandem describe speculative)"
#define ADAPTERS_SAYS "adapters are not modelled"
#define LINKED_SAYS "KV between servers is a cluster's (cluster.placement, cluster.tiers)"
#define FILE_SAYS "the file is not read; give its words as flags, or with --set"
#define DTYPES "auto=|bfloat16=|float16=|half=|bf16=|fp16="

static const struct server_flag vllm_flags[] = {
    {"--model", FLAG_TEXT, "model", NULL, NULL},
    {"--tensor-parallel-size -tp", FLAG_COUNT, "tp", NULL, NULL},
    {"--pipeline-parallel-size -pp", FLAG_COUNT, "pp", NULL, NULL},
    {"--data-parallel-size -dp", FLAG_COUNT, "dp", NULL, NULL},
    {"--enable-expert-parallel -ep", FLAG_NOTHING, "experts", NULL, NULL},
    {"--no-enable-expert-parallel", FLAG_NOTHING, NULL, NULL, NULL},
    {"--max-num-seqs", FLAG_COUNT, "policy.batching.max_sequences", NULL, NULL},
    {"--max-num-batched-tokens", FLAG_COUNT, "policy.batching.token_budget", NULL, NULL},
    {"--long-prefill-token-threshold", FLAG_COUNT, "policy.batching.long_prefill_threshold", NULL, NULL},
    {"--gpu-memory-utilization", FLAG_NUMBER, "engine.memory.utilization", NULL, NULL},
    {"--enable-prefix-caching", FLAG_NOTHING, "policy.prefix_caching", "true", NULL},
    {"--no-enable-prefix-caching", FLAG_NOTHING, "policy.prefix_caching", "false", NULL},
    {"--enable-chunked-prefill", FLAG_NOTHING, NULL, NULL, NULL},
    {"--no-enable-chunked-prefill", FLAG_NOTHING, NULL, NULL,
     "unified_budget always cuts prompts that exceed the budget"},
    {"--block-size", FLAG_COUNT, "policy.kv_block_tokens", NULL, NULL},
    {"--num-gpu-blocks-override", FLAG_COUNT, "policy.kv_blocks", NULL, NULL},
    {"--kv-cache-dtype", FLAG_TEXT, "techniques", KV_FORMATS, KV_SAYS},
    {"--quantization -q", FLAG_TEXT, "engine.weight_dtype", FORMATS, FORMAT_SAYS},
    {"--scheduling-policy", FLAG_TEXT, "policy.order", "fcfs=fcfs|priority=priority", "expected fcfs or priority"},
    {"--async-scheduling", FLAG_NOTHING, "engine.schedule_ahead", "true", NULL},
    {"--no-async-scheduling", FLAG_NOTHING, "engine.schedule_ahead", "false", NULL},
    {"--enforce-eager", FLAG_NOTHING, "engine.graph_tokens", "[]", NULL},
    {"--dtype", FLAG_TEXT, "nothing", DTYPES, "weights and arithmetic are the model's"},
    {"--max-model-len", FLAG_TEXT, NULL, NULL, LENGTH_SAYS},
    {"--max-num-partial-prefills", FLAG_COUNT, NULL, NULL, "as many prompts may be unfinished as the budget takes"},
    {"--max-long-partial-prefills", FLAG_COUNT, NULL, NULL, "as many prompts may be unfinished as the budget takes"},
    {"--attention-backend", FLAG_TEXT, NULL, NULL, KERNELS_SAYS},
    {"--compilation-config -O", FLAG_TEXT, NULL, NULL, "graphs are the engine's (engine.graph_tokens)"},
    {"--cuda-graph-sizes", FLAG_TEXT, NULL, NULL, "graphs are the engine's (engine.graph_tokens)"},
    {"--speculative-config", FLAG_TEXT, NULL, NULL, SPECULATION_SAYS},
    {"--kv-transfer-config", FLAG_TEXT, NULL, NULL, LINKED_SAYS},
    {"--enable-lora", FLAG_NOTHING, NULL, NULL, ADAPTERS_SAYS},
    {"--lora-modules", FLAG_TEXT, NULL, NULL, ADAPTERS_SAYS},
    {"--max-loras", FLAG_COUNT, NULL, NULL, ADAPTERS_SAYS},
    {"--cpu-offload-gb", FLAG_NUMBER, NULL, NULL, "weights are on the GPU"},
    {"--swap-space", FLAG_NUMBER, NULL, NULL, "preempted requests are computed again (policy.preemption)"},
    {"--decode-context-parallel-size -dcp", FLAG_COUNT, NULL, NULL, "a context is on one rank"},
    {"--enable-eplb", FLAG_NOTHING, NULL, NULL, "experts have one imbalance (cluster.expert_imbalance)"},
    {"--config", FLAG_TEXT, NULL, NULL, FILE_SAYS},
    {"--trust-remote-code", FLAG_NOTHING, NULL, NULL, NULL},
    {"--disable-log-requests", FLAG_NOTHING, NULL, NULL, NULL},
    {"--disable-log-stats", FLAG_NOTHING, NULL, NULL, NULL},
    {"--enable-auto-tool-choice", FLAG_NOTHING, NULL, NULL, NULL},
    {"--host --port --api-key --served-model-name --tokenizer --tokenizer-mode --seed --download-dir --load-format "
     "--chat-template --tool-call-parser --reasoning-parser --revision --uvicorn-log-level --hf-token --max-log-len "
     "--distributed-executor-backend",
     FLAG_TEXT, NULL, NULL, NULL},
    {0},
};

static const struct server_flag sglang_flags[] = {
    {"--model-path --model", FLAG_TEXT, "model", NULL, NULL},
    {"--tensor-parallel-size --tp-size --tp", FLAG_COUNT, "tp", NULL, NULL},
    {"--pipeline-parallel-size --pp-size --pp", FLAG_COUNT, "pp", NULL, NULL},
    {"--data-parallel-size --dp-size --dp", FLAG_COUNT, "dp", NULL, NULL},
    {"--expert-parallel-size --ep-size --ep", FLAG_COUNT, "ep", NULL, NULL},
    {"--enable-dp-attention", FLAG_NOTHING, "attention_dp", NULL, NULL},
    {"--max-running-requests", FLAG_COUNT, "policy.batching.max_sequences", NULL, NULL},
    {"--chunked-prefill-size", FLAG_NUMBER, "policy.batching.chunked_prefill_size", NULL, NULL},
    {"--max-prefill-tokens", FLAG_COUNT, "policy.batching.max_prefill_tokens", NULL, NULL},
    {"--enable-mixed-chunk", FLAG_NOTHING, "policy.batching.mixed_chunk", "true", NULL},
    {"--schedule-conservativeness", FLAG_NUMBER, "policy.batching.schedule_conservativeness", NULL, NULL},
    {"--scheduler-recv-interval", FLAG_NUMBER, "policy.batching.recv_interval", NULL, NULL},
    {"--schedule-policy", FLAG_TEXT, "policy.order", "fcfs=fcfs|lpm=lpm", "expected fcfs or lpm"},
    {"--mem-fraction-static", FLAG_NUMBER, "engine.memory.utilization", NULL, NULL},
    {"--max-total-tokens", FLAG_COUNT, "kv_tokens", NULL, NULL},
    {"--page-size", FLAG_COUNT, "policy.kv_block_tokens", NULL, NULL},
    {"--disable-radix-cache", FLAG_NOTHING, "policy.prefix_caching", "false", NULL},
    {"--disable-overlap-schedule", FLAG_NOTHING, "engine.schedule_ahead", "false", NULL},
    {"--disable-cuda-graph", FLAG_NOTHING, "engine.graph_tokens", "[]", NULL},
    {"--disable-shared-experts-fusion", FLAG_NOTHING, "engine.fused_shared_experts", "false", NULL},
    {"--quantization", FLAG_TEXT, "engine.weight_dtype", FORMATS, FORMAT_SAYS},
    {"--kv-cache-dtype", FLAG_TEXT, "techniques", KV_FORMATS, KV_SAYS},
    {"--dtype", FLAG_TEXT, "nothing", DTYPES, "weights and arithmetic are the model's"},
    {"--context-length", FLAG_COUNT, NULL, NULL, LENGTH_SAYS},
    {"--prefill-max-requests", FLAG_COUNT, NULL, NULL, "a batch takes as many prompts as its tokens allow"},
    {"--cuda-graph-max-bs --cuda-graph-bs", FLAG_TEXT, NULL, NULL, "graphs are the engine's (engine.graph_tokens)"},
    {"--attention-backend --moe-runner-backend --sampling-backend --moe-a2a-backend --fp8-gemm-backend", FLAG_TEXT,
     NULL, NULL, KERNELS_SAYS},
    {"--enable-torch-compile", FLAG_NOTHING, NULL, NULL, KERNELS_SAYS},
    {"--speculative-algorithm --speculative-draft-model-path --speculative-num-steps --speculative-eagle-topk "
     "--speculative-num-draft-tokens",
     FLAG_TEXT, NULL, NULL, SPECULATION_SAYS},
    {"--disaggregation-mode --disaggregation-transfer-backend --disaggregation-ib-device", FLAG_TEXT, NULL, NULL,
     LINKED_SAYS},
    {"--enable-hierarchical-cache", FLAG_NOTHING, NULL, NULL, LINKED_SAYS},
    {"--hicache-ratio --hicache-size --hicache-write-policy --hicache-storage-backend", FLAG_TEXT, NULL, NULL,
     LINKED_SAYS},
    {"--enable-lora", FLAG_NOTHING, NULL, NULL, ADAPTERS_SAYS},
    {"--lora-paths --max-loras-per-batch", FLAG_TEXT, NULL, NULL, ADAPTERS_SAYS},
    {"--enable-two-batch-overlap --enable-eplb", FLAG_NOTHING, NULL, NULL, "batches run one after the other"},
    {"--config", FLAG_TEXT, NULL, NULL, FILE_SAYS},
    {"--trust-remote-code --enable-metrics --skip-server-warmup --log-requests", FLAG_NOTHING, NULL, NULL, NULL},
    {"--host --port --api-key --served-model-name --tokenizer-path --tokenizer-mode --random-seed --download-dir "
     "--load-format --chat-template --tool-call-parser --reasoning-parser --log-level --stream-interval "
     "--dist-init-addr --nnodes --node-rank --revision --watchdog-timeout --decode-log-interval",
     FLAG_TEXT, NULL, NULL, NULL},
    {0},
};

static const struct server_flag trtllm_flags[] = {
    {"--model", FLAG_TEXT, "model", NULL, NULL},
    {"--tp-size --tensor-parallel-size", FLAG_COUNT, "tp", NULL, NULL},
    {"--pp-size --pipeline-parallel-size", FLAG_COUNT, "pp", NULL, NULL},
    {"--ep-size --moe-expert-parallel-size", FLAG_COUNT, "ep", NULL, NULL},
    {"--enable-attention-dp", FLAG_NOTHING, "attention_dp", NULL, NULL},
    {"--max-batch-size", FLAG_COUNT, "policy.batching.max_sequences", NULL, NULL},
    {"--max-num-tokens", FLAG_COUNT, "policy.batching.token_budget", NULL, NULL},
    {"--enable-chunked-prefill", FLAG_NOTHING, "policy.batching.chunking", "first_come_first_served", NULL},
    {"--kv-cache-free-gpu-memory-fraction --free-gpu-memory-fraction", FLAG_NUMBER, "engine.memory.utilization", NULL,
     NULL},
    {"--tokens-per-block", FLAG_COUNT, "policy.kv_block_tokens", NULL, NULL},
    {"--kv-cache-dtype", FLAG_TEXT, "techniques", KV_FORMATS, KV_SAYS},
    {"--max-seq-len", FLAG_COUNT, NULL, NULL, LENGTH_SAYS},
    {"--max-beam-width", FLAG_COUNT, NULL, NULL, "one sequence is generated for each request"},
    {"--cluster-size", FLAG_COUNT, NULL, NULL, "experts are sharded over tensor and expert parallel ranks"},
    {"--backend", FLAG_TEXT, "nothing", "pytorch=|tensorrt=|trt=", "expected pytorch or tensorrt"},
    {"--extra-llm-api-options --config", FLAG_TEXT, NULL, NULL, FILE_SAYS},
    {"--trust-remote-code", FLAG_NOTHING, NULL, NULL, NULL},
    {"--host --port --tokenizer --log-level --num-postprocess-workers --reasoning-parser --tool-parser "
     "--served-model-name --gpus-per-node --revision --metadata-server-config-file --server-role",
     FLAG_TEXT, NULL, NULL, NULL},
    {0},
};

const struct server_program server_programs[] = {
    {"vllm serve", "vllm", vllm_flags},
    {"python -m vllm.entrypoints.openai.api_server", "vllm", vllm_flags},
    {"sglang serve", "sglang", sglang_flags},
    {"python -m sglang.launch_server", "sglang", sglang_flags},
    {"trtllm-serve serve", "trtllm", trtllm_flags},
    {"trtllm-serve", "trtllm", trtllm_flags},
    {0},
};
