/* SPDX-License-Identifier: MIT */
#include "sim/choices.h"

#include "sim/flow_choice.h"
#include "sim/pool_kinds.h"
#include "sim/scenario.h"

const struct choice placements[] = {
    {"colocated", COLOCATED, "every replica prefills and decodes", NULL},
    {"disaggregated", DISAGGREGATED, "prefill on some replicas, decode on others, which pull the KV over a link",
     "DistServe (Zhong et al., OSDI 2024); Splitwise (Patel et al., ISCA 2024)"},
    {"two_level", TWO_LEVEL, "disaggregated, decodes where their predicted KV has most room",
     "TetriInfer (Hu et al. 2024, arXiv 2401.11181)"},
    {"mixed_pool", MIXED_POOL, "disaggregated, each side helping the other out when it is behind",
     "Splitwise (Patel et al., ISCA 2024)"},
    {"redundant_kv", REDUNDANT_KV, "pairs of replicas that keep each other's KV, so that a request decodes on either",
     "AcceLLM (arXiv 2411.05555)"},
    {0}};

const struct choice flow_choosers[] = {
    {"priority", CHOOSE_BY_PRIORITY, "the i-th pool for priority i, the last one for all above", NULL},
    {"client", CHOOSE_BY_CLIENT, "the i-th pool for clients whose number leaves i, divided by the number of pools",
     NULL},
    {"class", CHOOSE_BY_CLASS, "the i-th pool for the i-th class of the workload, the last one for all after", NULL},
    {"size", CHOOSE_BY_SIZE, "the first pool whose longest prompt is not exceeded", NULL},
    {"random", CHOOSE_AT_RANDOM, "a pool by chance, the same for a request under every policy", NULL},
    {0}};

const struct choice preemptions[] = {{"recompute", PREEMPT_BY_RECOMPUTING,
                                      "drop the KV, prefill again from the front of the queue", "vLLM"},
                                     {"swap", PREEMPT_BY_SWAPPING, "move the KV to host memory and back over a link",
                                      "vLLM 0.x"},
                                     {0}};

const struct choice kv_admissions[] = {{"on_demand", ADMIT_ON_DEMAND, "blocks as they are needed", "vLLM"},
                                       {"reserve_max", ADMIT_RESERVE_MAX,
                                        "blocks for prompt and longest output at once", "Orca (Yu et al., OSDI 2022)"},
                                       {"predicted", ADMIT_PREDICTED,
                                        "blocks for prompt and predicted output, more if it grows beyond",
                                        "S3 (Jin et al. 2023, arXiv 2306.06000)"},
                                       {0}};

const struct choice link_disciplines[] = {{"shared", LINK_SHARED,
                                           "transfers start at once and share a connection's bandwidth equally", NULL},
                                          {"fifo", LINK_FIFO, "a connection carries one transfer at a time", NULL},
                                          {0}};

const struct choice first_tokens[] = {{"prefill", 0, "the iteration that ends the prompt yields it",
                                       "DistServe, Mooncake, SGLang"},
                                      {"decode", 1, "the replica that decodes computes the prompt's last token again",
                                       "vLLM with NIXL, llm-d"},
                                      {0}};

const struct choice tier_sharings[] = {{"replica", TIER_OF_REPLICA,
                                        "every replica has a store, which is lost when it fails",
                                        "vLLM's offloading connector"},
                                       {"node", TIER_OF_NODE, "the replicas of a node share a store", "SGLang HiCache"},
                                       {"cluster", TIER_OF_CLUSTER, "all replicas share one store",
                                        "Mooncake (Qin et al., FAST 2025)"},
                                       {0}};

const struct choice tier_evictions[] = {{"lru", TIER_LRU, "the prefix that was used longest ago", NULL},
                                        {"fifo", TIER_FIFO, "the prefix that has been there longest", NULL},
                                        {0}};

const struct choice tier_writes[] = {{"evict", TIER_WRITTEN_ON_EVICTION, "what the GPU or the tier above evicts", NULL},
                                     {"through", TIER_WRITTEN_THROUGH,
                                      "every block of a prefix as soon as it is computed", NULL},
                                     {0}};

const struct choice tier_loads[] = {{"always", TIER_READ_ALWAYS, "always", NULL},
                                    {"faster", TIER_READ_FASTER, "when it ends before computing would, as things stand",
                                     NULL},
                                    {0}};

const struct choice warmup_rules[] = {{"mser5", WARMUP_MSER5,
                                       "the beginning is cut that makes the error of the mean least",
                                       "White 1997 (MSER-5)"},
                                      {"none", WARMUP_NONE, "nothing is cut", NULL},
                                      {0}};

const struct choice fates[] = {{"reroute", 0, "they go to another replica and are computed again", NULL},
                               {"lost", 1, "they are lost", NULL},
                               {0}};

const struct choice_table choice_tables[] = {{"placement", "a placement", placements},
                                             {"pool kind", "a kind of pool", pool_kinds},
                                             {"choice of a pool", "what decides a pool", flow_choosers},
                                             {"preemption", "a way to preempt", preemptions},
                                             {"admission", "an admission rule", kv_admissions},
                                             {"link discipline", "a link discipline", link_disciplines},
                                             {"first token", "where a first token comes from", first_tokens},
                                             {"tier sharing", "what has a store of a tier", tier_sharings},
                                             {"tier eviction", "what a full tier evicts", tier_evictions},
                                             {"tier write", "what is written to a tier", tier_writes},
                                             {"tier load", "when a tier is read", tier_loads},
                                             {"warm-up rule", "a warm-up rule", warmup_rules},
                                             {"requests of failed replicas", "a fate of a failed replica's requests",
                                              fates},
                                             {0}};
