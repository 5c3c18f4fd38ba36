/* SPDX-License-Identifier: MIT */
/* batching.h — decides what one replica does next.
 *
 * A policy is one file that defines one struct batching_policy, and one line in registry.c. It has
 * no clock, no I/O and no randomness of its own, and cannot tell a simulated run from a real one. */
#ifndef TANDEM_POLICIES_BATCHING_H
#define TANDEM_POLICIES_BATCHING_H

#include "base/param.h"
#include "policies/batch.h"
#include "policies/view.h"

/* The most that one batch may hold by a policy's own limits. Memory for activations is reserved for it; KV memory
 * bounds it further, which is not the policy's concern. */
struct batch_limits {
    uint64_t tokens;    /* that token-wise operations run on, after padding or packing */
    uint64_t sequences; /* that run at once */
    /* What formulas ask: tokens that decodes and prompts share in an iteration, 0 where prompts run without a budget;
     * and requests that must be there before a batch starts, 0 for any. */
    uint64_t budget, least;
};

struct batching_policy {
    const char *name;    /* as written in a scenario: "chunked_prefill" */
    const char *summary; /* one line for `tandem list policies` */
    const char *source;  /* the paper or program whose rules these are */
    const struct param_spec *params;
    enum kv_admission admission; /* when the scenario does not say */
    /* Request-level batching: a finished request's KV stays until the whole batch has finished. */
    bool holds_finished_kv;
    /* Pipeline parallelism: the next chunk of a prompt may enter the first stage while the chunk before it is in a
     * later one. False: when that has left the last stage. */
    bool chunks_follow;
    bool loads;                 /* it asks for KV from tiers below GPU memory before it admits (view_load) */
    enum prefix_sharing shares; /* with prefix caching */
    /* A preempted request that is computed again goes behind those that wait, and finds its prompt at most of what it
     * had. Where replicas share a queue it goes before them as ever. */
    bool requeues;
    /* Scheduling ahead, it learns of no request's end before the iteration has ended: every last token is followed by a
     * row that is wasted. */
    bool wastes_last;
    /* *state is owned by the policy until destroy(); both may be NULL for a policy without state. */
    int (*create)(void **state, const struct param_set *params, struct error *err);
    /* Fills an empty batch. May admit, reserve and preempt through the view. An empty batch means
     * nothing to do before the next arrival or out->wake_at. */
    void (*form_batch)(void *state, struct replica_view *view, struct batch *out);
    /* Its limits under these parameters, for requests of `longest` tokens at most, prompt and output. NULL: one such
     * request's tokens, and 256 sequences. */
    struct batch_limits (*limits)(const struct param_set *params, uint64_t longest);
    /* What is expected instead of these parameters where a KV block has so many tokens; NULL: nothing. May be NULL. */
    const char *(*unfit)(const struct param_set *params, uint32_t block_tokens);
    /* Why this request can never run here, or NULL. Asked at arrival; may be NULL. */
    const char *(*refuses)(const void *state, const struct replica_view *view, const struct request *r);
    void (*destroy)(void *state);
};

/* What the policy's limits() says, or what stands for it where a policy does not say. */
struct batch_limits batching_policy_limits(const struct batching_policy *policy, const struct param_set *params,
                                           uint64_t longest);

/* NULL-ended, those that are built in. Find sees also those of plug-ins (registry.h), and returns NULL for an unknown
 * name. */
extern const struct batching_policy *const batching_policies[];
const struct batching_policy *batching_policy_find(const char *name);

#endif
