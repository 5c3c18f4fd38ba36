/* SPDX-License-Identifier: MIT */
/* plugin.h — what a plug-in includes: a shared object that brings policies of its own (docs/plugins.md).
 *
 * Its file defines policies as any file here does and ends with
 *
 *     TANDEM_PLUGIN(.batching = {&mine}, .order = {&first, &second});
 *
 * It is compiled against this source tree, cc -shared -fPIC -I TREE mine.c -o mine.so, or against what is installed, cc
 * -shared -fPIC $(pkg-config --cflags tandem-plugin) mine.c -o mine.so, and may call what PLUGIN_CALLS
 * lists. Such a call goes through a table that the program hands over, so that a plug-in finds nothing of the program
 * by its symbols, and serves the library as well. */
#ifndef TANDEM_POLICIES_PLUGIN_H
#define TANDEM_POLICIES_PLUGIN_H

#include <stdarg.h>
#include <stdio.h>

#include "base/array.h"
#include "policies/batching.h"
#include "policies/drain_batch.h"
#include "policies/ordering.h"
#include "policies/packing.h"
#include "policies/predicting.h"
#include "policies/routing.h"
#include "policies/scaling.h"
#include "policies/static_batch.h"

#ifndef TANDEM_PLUGIN_ABI
#define TANDEM_PLUGIN_ABI 5 /* grows when what a policy sees or says changes its meaning, or a call its arguments */
#endif

enum { PLUGIN_POLICIES_MAX = 16 }; /* of one axis */

/* What a plug-in may call, by what it returns: F a value, V nothing. The headers that declare it say what its arguments
 * are. */
#define PLUGIN_CALLS(F, V)                                                                                             \
    F(int, error_no_memory, (struct error * p1), (p1))                                                                 \
    F(void *, array_grow, (void *p1, size_t *p2, size_t p3, size_t p4), (p1, p2, p3, p4))                              \
    F(double, param_number, (const struct param_set *p1, const char *p2), (p1, p2))                                    \
    F(const char *, param_text, (const struct param_set *p1, const char *p2), (p1, p2))                                \
    F(struct ordered *, ordered_insert, (struct ordered * *p1, struct ordered * p2), (p1, p2))                         \
    V(ordered_remove, (struct ordered * *p1, struct ordered * p2), (p1, p2))                                           \
    F(struct ordered *, ordered_first, (struct ordered * p1), (p1))                                                    \
    F(struct ordered *, ordered_last, (struct ordered * p1), (p1))                                                     \
    F(struct ordered *, ordered_next, (const struct ordered *p1), (p1))                                                \
    F(struct ordered *, ordered_find, (struct ordered * p1, const struct ordered *p2), (p1, p2))                       \
    F(bool, content_unit, (const struct request *p1, uint32_t p2, uint32_t p3, struct content_unit *p4),               \
      (p1, p2, p3, p4))                                                                                                \
    F(uint64_t, view_windowed_blocks, (const struct replica_view *p1, const struct request *p2, uint64_t p3),          \
      (p1, p2, p3))                                                                                                    \
    F(struct request *, view_victim, (struct replica_view * p1), (p1))                                                 \
    F(uint32_t, view_preempt_from, (struct replica_view * p1, struct batch * p2, struct request * p3), (p1, p2, p3))   \
    V(view_decode_all, (struct replica_view * p1, struct batch * p2), (p1, p2))                                        \
    V(view_swap_in, (struct replica_view * p1, struct batch * p2, size_t p3, double p4), (p1, p2, p3, p4))             \
    F(sim_time, view_predict_with, (const struct replica_view *p1, struct batch *p2, struct request *p3, uint32_t p4), \
      (p1, p2, p3, p4))                                                                                                \
    F(uint32_t, view_chunk_within,                                                                                     \
      (const struct replica_view *p1, struct batch *p2, struct request *p3, uint32_t p4, sim_time p5),                 \
      (p1, p2, p3, p4, p5))                                                                                            \
    F(uint64_t, view_prefill_loaded, (struct replica_view * p1, struct batch * p2, uint64_t p3), (p1, p2, p3))         \
    V(view_hold, (const struct replica_view *p1, struct batch *p2, bool p3), (p1, p2, p3))                             \
    F(bool, view_admits, (const struct replica_view *p1, uint64_t p2, double p3), (p1, p2, p3))                        \
    V(order_insert,                                                                                                    \
      (const struct order_policy *p1, const struct param_set *p2, struct request_list *p3, struct request *p4),        \
      (p1, p2, p3, p4))                                                                                                \
    V(order_insert_preempted,                                                                                          \
      (const struct order_policy *p1, const struct param_set *p2, struct request_list *p3, struct request *p4),        \
      (p1, p2, p3, p4))                                                                                                \
    V(order_remove, (struct request_list * p1, struct request * p2), (p1, p2))                                         \
    F(const struct request *, order_oldest, (const struct request_list *p1), (p1))                                     \
    V(order_bring_to_head, (struct request_list * p1, struct request * p2), (p1, p2))                                  \
    F(struct request *, order_last,                                                                                    \
      (const struct order_policy *p1, const struct param_set *p2, const struct request_list *p3), (p1, p2, p3))        \
    F(size_t, routing_least_loaded, (size_t p1, const struct routing_view *p2), (p1, p2))                              \
    F(size_t, scaling_round_up, (double p1), (p1))                                                                     \
    F(uint32_t, pack,                                                                                                  \
      (enum packing p1, const uint32_t *p2, size_t p3, uint32_t p4, uint32_t *p5, uint32_t *p6, uint32_t *p7),         \
      (p1, p2, p3, p4, p5, p6, p7))                                                                                    \
    F(int, static_batch_create, (void **p1, uint32_t p2, sim_time p3, struct error *p4), (p1, p2, p3, p4))             \
    F(int, static_batch_create_waiting, (void **p1, const struct param_set *p2, struct error *p3), (p1, p2, p3))       \
    F(struct batch_limits, static_batch_limits, (uint64_t p1, uint64_t p2), (p1, p2))                                  \
    V(static_batch_destroy, (void *p1), (p1))                                                                          \
    F(bool, static_batch_admit, (struct static_batch * p1, struct replica_view * p2, struct batch * p3), (p1, p2, p3)) \
    V(static_batch_decode, (struct static_batch * p1, struct replica_view * p2, struct batch * p3), (p1, p2, p3))      \
    V(static_batch_form, (void *p1, struct replica_view *p2, struct batch *p3), (p1, p2, p3))                          \
    F(int, drain_batch_create, (void **p1, const struct param_set *p2, struct error *p3), (p1, p2, p3))                \
    F(struct batch_limits, drain_batch_limits, (const struct param_set *p1, uint64_t p2), (p1, p2))                    \
    V(drain_batch_form, (void *p1, struct replica_view *p2, struct batch *p3), (p1, p2, p3))

#define PLUGIN_FIELD(type, name, parameters, arguments) type(*name) parameters;
#define PLUGIN_FIELD_OF_NONE(name, parameters, arguments) void(*name) parameters;

struct plugin_host {
    int (*error_set)(struct error *err, enum error_code code, const char *format, ...);
    PLUGIN_CALLS(PLUGIN_FIELD, PLUGIN_FIELD_OF_NONE)
};

/* Sizes of what both sides look into: of another tree, even of the same version, they may differ. */
#define PLUGIN_SIZES                                                                                                   \
    {                                                                                                                  \
        sizeof(struct plugin_host), sizeof(struct batching_policy), sizeof(struct order_policy),                       \
            sizeof(struct routing_policy), sizeof(struct predictor), sizeof(struct scaling_policy),                    \
            sizeof(struct param_spec), sizeof(struct param_set), sizeof(struct error), sizeof(struct replica_view),    \
            sizeof(struct replica_verbs), sizeof(struct batch), sizeof(struct batch_item), sizeof(struct request),     \
            sizeof(struct request_list), sizeof(struct routing_view), sizeof(struct replica_load),                     \
            sizeof(struct scaling_view), sizeof(struct static_batch), sizeof(struct drain_batch)                       \
    }

enum { PLUGIN_SIZE_COUNT = 20 };

/* What a plug-in shows, as `tandem_plugin`. The first two members stay where they are in every version. */
struct tandem_plugin {
    uint32_t abi, bytes; /* TANDEM_PLUGIN_ABI, and of this struct */
    size_t sizes[PLUGIN_SIZE_COUNT];
    const struct plugin_host **host; /* where it keeps what it is handed */
    /* NULL-ended. */
    const struct batching_policy *batching[PLUGIN_POLICIES_MAX + 1];
    const struct order_policy *order[PLUGIN_POLICIES_MAX + 1];
    const struct routing_policy *routing[PLUGIN_POLICIES_MAX + 1];
    const struct predictor *predictor[PLUGIN_POLICIES_MAX + 1];
    const struct scaling_policy *autoscaling[PLUGIN_POLICIES_MAX + 1];
};

#define PLUGIN_HIDDEN __attribute__((visibility("hidden")))

#define PLUGIN_CALL(type, name, parameters, arguments)                                                                 \
    PLUGIN_HIDDEN type name parameters                                                                                 \
    {                                                                                                                  \
        return tandem_host->name arguments;                                                                            \
    }

#define PLUGIN_CALL_OF_NONE(name, parameters, arguments)                                                               \
    PLUGIN_HIDDEN void name parameters                                                                                 \
    {                                                                                                                  \
        tandem_host->name arguments;                                                                                   \
    }

/* Stands once, at the end: its arguments are members of struct tandem_plugin. Of a plug-in of several files it stands
 * in one of them. */
#define TANDEM_PLUGIN(...)                                                                                             \
    static const struct plugin_host *tandem_host;                                                                      \
    PLUGIN_CALLS(PLUGIN_CALL, PLUGIN_CALL_OF_NONE)                                                                     \
    PLUGIN_HIDDEN int error_set(struct error *err, enum error_code code, const char *format, ...)                      \
    {                                                                                                                  \
        char text[sizeof err->text];                                                                                   \
        va_list values;                                                                                                \
        va_start(values, format);                                                                                      \
        vsnprintf(text, sizeof text, format, values);                                                                  \
        va_end(values);                                                                                                \
        return tandem_host->error_set(err, code, "%s", text);                                                          \
    }                                                                                                                  \
    extern const struct tandem_plugin tandem_plugin;                                                                   \
    const struct tandem_plugin tandem_plugin = {.abi = TANDEM_PLUGIN_ABI,                                              \
                                                .bytes = sizeof(struct tandem_plugin),                                 \
                                                .sizes = PLUGIN_SIZES,                                                 \
                                                .host = &tandem_host,                                                  \
                                                __VA_ARGS__}

#endif
