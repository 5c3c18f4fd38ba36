/* SPDX-License-Identifier: MIT */
/* Any bytes as what a GPU's tracer recorded: the summary counts every record, and its times are those of the records.
 */
#include "engine_ref/activity.h"
#include "tests/fuzz/fuzz.h"

struct record {
    uint8_t kind, correlation, op, node;
    uint8_t scale, wide; /* of times: small ones, or whatever the bytes say */
    uint64_t start, length;
};

enum { RECORD_BYTES = 22 };

static struct activity read_record(const uint8_t *at)
{
    struct record r = {.kind = at[0], .correlation = at[1], .op = at[2], .node = at[3], .scale = at[4], .wide = at[5]};
    memcpy(&r.start, at + 6, 8);
    memcpy(&r.length, at + 14, 8);
    if (r.wide % 4 != 0) {
        r.start >>= r.scale % 64;
        r.length >>= r.scale % 64;
    }
    return (struct activity){.kind = (enum activity_kind)(r.kind % 3),
                             .correlation = r.correlation,
                             .op = (enum operation_name)(r.wide % 8 == 7 ? r.op : r.op % OP_COUNT),
                             .start = (int64_t)r.start,
                             .end = (int64_t)(r.start + r.length),
                             .graph_node = r.node};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct activity_log log = {0};
    struct activity_summary s;
    struct profiler p = {0};
    const uint64_t ranges[OP_COUNT] = {0};
    for (size_t i = 0; i + RECORD_BYTES <= size; i += RECORD_BYTES)
        activity_add(&log, read_record(data + i));
    if (log.count + log.dropped != size / RECORD_BYTES)
        abort();
    activity_summarise(&log, &s);
    activity_to_profiler(&s, ranges, &p);
    uint64_t of_operations = 0;
    for (int op = 0; op < OP_COUNT; op++)
        of_operations += s.op_kernels[op];
    if (of_operations > s.kernels || s.unmatched > s.kernels || s.graph_kernels > s.kernels || s.busy_ns < 0 ||
        s.busy_ns > s.span_ns || s.other_ns < 0)
        abort();
    activity_log_release(&log);
    return 0;
}
