/* SPDX-License-Identifier: MIT */
/* replica.h — one model instance: its queues, its KV memory and its loop. Each iteration it asks the
 * batching policy for a batch, gives it to the executor, and applies the result when it ends.
 *
 * When the policy says that a batch of decodes holds, and the executor what its next iterations cost, they are run
 * as one stretch, which an arrival cuts short. The result is the same, bit for bit, as one at a time.
 *
 * Scheduling ahead (vLLM's asynchronous scheduling): while an iteration runs, the next batch is formed as if it had
 * ended. Who arrives meanwhile can run in the batch after that; who gets its last token is left out of the next batch
 * but keeps its place and KV until the iteration ends. Tokens are counted when their iteration starts, with its end
 * as their time, unless the replica fails before that. A stretch is made of iterations after each of which the batch
 * formed ahead would be the same again; the last one before somebody leaves, or after somebody has come, is by itself,
 * and has the next batch formed. */
#ifndef TANDEM_SIM_REPLICA_H
#define TANDEM_SIM_REPLICA_H

#include "policies/batching.h"
#include "policies/ordering.h"
#include "policies/routing.h"
#include "sim/decode_set.h"
#include "sim/executor.h"
#include "sim/kv_pool.h"
#include "sim/observer.h"
#include "sim/stretch.h"
#include "sim/tiers.h"

/* Host memory that KV of preempted requests is moved to and fetched from; the replica computes nothing meanwhile. */
struct swap_space {
    uint64_t blocks, used; /* blocks 0: preempted requests are computed again */
    double ns_per_block;
    sim_time latency; /* once for an iteration that moves any, in either direction */
};

struct replica_config {
    const struct batching_policy *batching;
    const struct param_set *batching_params;
    const struct order_policy *order; /* NULL: first come, first served */
    const struct param_set *order_params;
    enum kv_admission admission;
    uint32_t kv_block_tokens;
    struct kv_groups kv_groups; /* all 0: one that keeps every token */
    uint32_t step_tokens;       /* most of one request in an iteration; 0: no limit */
    uint64_t kv_blocks;
    uint32_t max_tokens;
    struct swap_space swap;
    bool prefix_caching; /* preempted requests find their blocks again while they are free */
    bool schedule_ahead;
    bool step; /* one iteration at a time, never a stretch, as ranks and micro-batches must */
};

/* Opaque: what others may know of it they ask. */
struct replica;

/* What a replica asks of who runs it. */
struct replica_host {
    void *owner;
    /* A request has all its tokens, and holds no KV any more: it is its owner's again. NULL: it has finished. */
    void (*finish)(void *owner, struct station_id station, struct request *r);
    /* A request that has its first token goes elsewhere to decode; its blocks stay taken. NULL: it decodes here. */
    void (*hand_over)(void *owner, struct replica *from, struct request *r, sim_time now);
    /* A request's prompt is through: whether it decodes here. NULL: unless hand_over is set. */
    bool (*keeps)(void *owner, const struct replica *r, struct request *q, sim_time now);
    /* Scheduling ahead: whose KV has come may join the batch that is formed for `at`, which is not earlier than now.
     * May be NULL. */
    void (*receive)(void *owner, struct replica *r, sim_time at);
    struct tier_user *tiers; /* its station's; NULL: there are no tiers for it */
    bool step;               /* one iteration at a time, whatever the replica's configuration says */
    bool takes_back;         /* who decodes elsewhere may come back, and be computed again with all its tokens so far */
    bool passes_prompts;     /* it is a micro-batch of a pipeline in which chunks of a prompt follow each other */
};

/* Where a replica stands. */
struct replica_place {
    struct replica_id id;
    struct station_id station;    /* what observers know it as */
    struct request_list *waiting; /* a queue shared between replicas, or NULL for one of its own */
    /* Under pipeline parallelism a replica has as many micro-batches in flight as stages; each is a struct replica, and
     * they share the queue, the KV pool and the load of the first one, as do the two of a pair; NULL for a replica by
     * itself, and for the first one. */
    struct replica *leader;
};

/* Owned by the caller, also after a failure, when *out may be NULL. */
int replica_create(struct replica **out, const struct replica_place *place, const struct replica_config *config,
                   struct executor executor, const struct observer *observer, struct error *err);
void replica_destroy(struct replica *r); /* NULL does nothing */

/* Before it takes anybody in. */
void replica_connect(struct replica *r, const struct replica_host *host);

/* How its requests lie in blocks. */
struct kv_layout replica_kv_layout(const struct replica_config *config);

/* Why the request could never run here, a constant string, or NULL. */
const char *replica_refuses(const struct replica *r, const struct request *request);

/* Puts a request that arrives now in its place in the queue. Returns -1 when memory is short. */
int replica_enqueue(struct replica *r, struct request *request, sim_time now);

/* Takes a request that waits here out of the queue. */
void replica_drop(struct replica *r, struct request *request, sim_time now);

/* The replica fails: of what it runs, iterations that have ended are applied, the one that runs is void, and its time
 * is booked as preempted. The replica is then not busy; replica_evict is to follow. */
void replica_abort(struct replica *r, sim_time now);

/* Everything is gone: KV, batches, and who was here, first those that ran, who are put into `out`. Not while busy. Its
 * policies start anew. Of replicas that are tied the leader comes last, since the KV is its own; `prompts`
 * are those between two chunks, which nobody has; the list is empty then. */
int replica_evict(struct replica *r, struct request_list *prompts, sim_time now, struct request_list *out,
                  struct error *err);

/* Its server is given back, and nobody is here: the next one has no KV, and its policies start anew. */
int replica_forget(struct replica *r, sim_time now, struct error *err);

/* Of a replica that has caught up to `now`, how long its iteration has gone on; less than 0, how long it goes on after
 * `now`, where observers know of it. And the output tokens that they know of, and that come after `now`. */
sim_time replica_busy_more(const struct replica *r, sim_time now);
uint64_t replica_tokens_less(const struct replica *r, sim_time now);

/* Tokens whose KV an arriving request would find here now. */
uint32_t replica_cached_tokens(const struct replica *r, const struct request *request);

/* A request whose KV is to come from another replica: takes blocks for it, if there are enough. */
bool replica_reserve_inbound(struct replica *r, struct request *request, sim_time now);

/* The request comes no more: its blocks here are free, and what it holds is what it held where it comes from. */
void replica_cancel_inbound(struct replica *r, struct request *request, sim_time now);

/* A request that is not here, but has blocks of this replica, gives them back. */
void replica_give_back(struct replica *r, struct request *request, sim_time now);

/* It has come: it decodes from the iteration on that starts at `at` and whose batch is not formed yet. Returns -1 when
 * memory is short. */
int replica_take_over(struct replica *r, struct request *request, sim_time at);

/* A request that decodes joins, from another replica with the same pool, or leaves for it; on the same terms. */
int replica_join(struct replica *r, struct request *request, sim_time at);
void replica_leave(struct replica *r, struct request *request, sim_time at);

/* Its blocks here are no longer needed. */
void replica_release_source(struct replica *r, struct request *request, sim_time now);

/* A micro-batch has waited for the first stage since its last iteration ended: so have all that run in it. */
void replica_wait(struct replica *r, sim_time now);

/* Pipeline parallelism where chunks follow each other: a micro-batch that is about to start takes the prompts that
 * stand between two chunks, and one that has just started, and ends at `end`, gives back those that have chunks left.
 * Both lists are in order of admission. The first returns -1 when memory is short. */
int replica_take_prompts(struct replica *r, struct request_list *prompts);
void replica_pass_prompts(struct replica *r, struct request_list *prompts, sim_time now, sim_time end);

/* Starts an iteration, or a stretch of them, if there is something to do. Returns when to call replica_finish (its
 * end) or replica_start again (a policy's wake-up), SIM_TIME_NEVER for neither. */
sim_time replica_start(struct replica *r, sim_time now);

/* Starts an iteration of all `count` ranks that have something to do; none of them may be busy. They compute their
 * experts together, so all take as long as the slowest. Returns as replica_start does. */
sim_time replica_start_group(struct replica *const *ranks, size_t count, sim_time now);

/* Whether a change of the queue matters before the end of what runs, which must be more than an iteration. */
bool replica_can_be_cut(const struct replica *r);

/* When, at `from` or later, an iteration of what runs ends first, or all of it. */
sim_time replica_next_end(const struct replica *r, sim_time from);

/* The queue has changed: what runs ends with the first iteration that ends at `from` or later. Returns when
 * replica_finish is due; the replica must be busy and be one that can be cut. */
sim_time replica_cut(struct replica *r, sim_time from);

/* Applies the iterations of the running stretch that end before `now`. */
void replica_catch_up(struct replica *r, sim_time now);

/* Applies what ends now. */
void replica_finish(struct replica *r, sim_time now);

/* What others may know of it (replica_questions.c). */

struct replica_id replica_id(const struct replica *r);
struct station_id replica_station(const struct replica *r);

bool replica_is_busy(const struct replica *r);
bool replica_runs_stretch(const struct replica *r);    /* of more than one iteration */
bool replica_has_formed_next(const struct replica *r); /* ahead, so that whoever comes now is not in it */
bool replica_has_preempted(const struct replica *r);   /* when it looked at its queue last */
bool replica_is_drained(const struct replica *r);      /* nothing runs, or is about to */
bool replica_has_loaded(const struct replica *r);      /* some KV has come from tiers that no batch has had yet */
bool replica_prefills(const struct replica *r);        /* some prompt has been admitted and is not through */

size_t replica_running(const struct replica *r);     /* requests admitted here */
size_t replica_waiting(const struct replica *r);     /* in the queue that it takes from, which may be shared */
size_t replica_own_waiting(const struct replica *r); /* in its own; 0 where it takes from a shared one */
struct request *replica_first_waiting(const struct replica *r);
struct request *replica_first_running(const struct replica *r);
struct request *replica_last_running(const struct replica *r); /* and those before it by ->prev */

/* What routing policies judge by. */
const struct replica_load *replica_load(const struct replica *r);

/* Blocks of the pool that it takes from; tokens that all of it holds, and that those who decode have in it. */
uint64_t replica_free_blocks(const struct replica *r);
uint64_t replica_total_blocks(const struct replica *r);
uint64_t replica_kv_tokens(const struct replica *r);
uint64_t replica_decode_kv(const struct replica *r);

/* Blocks that the first one who waits takes when it is admitted; somebody must wait. */
uint64_t replica_next_needs(const struct replica *r);

/* Its own pool over the run, which ends at `end`. A request that is preempted and waits when it ends holds none. */
struct replica_totals {
    uint64_t iterations;
    uint64_t kv_allocated, kv_freed, kv_held, kv_peak, kv_total; /* blocks */
    double kv_block_ns;                                          /* ∫ blocks in use dt */
};
struct replica_totals replica_sum_up(struct replica *r, sim_time end);
uint64_t replica_own_blocks_in_use(const struct replica *r);

/* What others tell it. */

/* A request that decodes elsewhere now is to come: it counts in the load. */
void replica_expect(struct replica *r, const struct request *request);
/* It does not come any more. */
void replica_expect_no_more(struct replica *r, const struct request *request);
/* A request whose KV is to come waits for blocks here. */
void replica_await_blocks(struct replica *r, bool awaited);
/* Something has come or gone that no policy foresaw. */
void replica_disturb(struct replica *r);
/* Nothing has been preempted since: it could not look. */
void replica_forget_preemptions(struct replica *r);
/* Admits nobody for now, or does again. */
void replica_close(struct replica *r, bool closed);
bool replica_is_closed(const struct replica *r);
/* Until then: an iteration that would end later is void. */
void replica_set_failure(struct replica *r, sim_time at);
/* Brings the counters of a request that decodes here up to date. */
void replica_settle(struct replica *r, struct request *request);

#endif
