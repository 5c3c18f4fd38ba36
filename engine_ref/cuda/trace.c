/* SPDX-License-Identifier: MIT */
/* CUPTI's Activity API: kernels and copies on the GPU, the calls that launched them, and which operation's range they
 * were made in, by external correlation. Buffers come back on threads of CUPTI's. */
#include <cupti.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine_ref/activity.h"
#include "engine_ref/cuda/cuda.h"

enum { BUFFER_BYTES = 1 << 20, BUFFER_ALIGN = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct activity_log records;
static bool registered;
static uint64_t ranges[OP_COUNT]; /* opened in this step */

static void CUPTIAPI lend_buffer(uint8_t **buffer, size_t *size, size_t *max_records)
{
    *buffer = aligned_alloc(BUFFER_ALIGN, BUFFER_BYTES);
    *size = *buffer ? BUFFER_BYTES : 0;
    *max_records = 0;
}

static void take_kernel(const CUpti_ActivityKernel10 *k)
{
    if (k->end == 0)
        return; /* not complete */
    activity_add(&records, (struct activity){.kind = ACTIVITY_KERNEL,
                                             .correlation = k->correlationId,
                                             .start = (int64_t)k->start,
                                             .end = (int64_t)k->end,
                                             .graph_node = k->graphNodeId});
}

static void take_record(const CUpti_Activity *r)
{
    switch (r->kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        take_kernel((const CUpti_ActivityKernel10 *)r);
        break;
    case CUPTI_ACTIVITY_KIND_RUNTIME:
    case CUPTI_ACTIVITY_KIND_DRIVER: {
        const CUpti_ActivityAPI *api = (const CUpti_ActivityAPI *)r;
        activity_add(&records, (struct activity){.kind = ACTIVITY_LAUNCH,
                                                 .correlation = api->correlationId,
                                                 .start = (int64_t)api->start,
                                                 .end = (int64_t)api->end});
        break;
    }
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
        const CUpti_ActivityExternalCorrelation *e = (const CUpti_ActivityExternalCorrelation *)r;
        activity_add(&records, (struct activity){.kind = ACTIVITY_RANGE,
                                                 .correlation = e->correlationId,
                                                 .op = (enum operation_name)e->externalId});
        break;
    }
    default:
        break;
    }
}

static void CUPTIAPI take_buffer(CUcontext context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid)
{
    CUpti_Activity *record = NULL;
    size_t dropped = 0;
    (void)size;
    pthread_mutex_lock(&lock);
    while (valid > 0 && cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS)
        take_record(record);
    if (cuptiActivityGetNumDroppedRecords(context, stream, &dropped) == CUPTI_SUCCESS)
        records.dropped += dropped;
    pthread_mutex_unlock(&lock);
    free(buffer);
}

static int check(CUptiResult result, const char *what, struct error *err)
{
    const char *text = "unknown";
    if (result == CUPTI_SUCCESS)
        return 0;
    cuptiGetResultString(result, &text);
    return error_set(err, ERROR_RUN, "CUPTI: %s: %s", what, text);
}

static const CUpti_ActivityKind kinds[] = {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_RUNTIME,
                                           CUPTI_ACTIVITY_KIND_DRIVER, CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION};

int trace_start(struct error *err)
{
    if (!registered && check(cuptiActivityRegisterCallbacks(lend_buffer, take_buffer), "registering buffers", err))
        return -1;
    for (size_t i = 0; !registered && i < sizeof kinds / sizeof *kinds; i++)
        if (check(cuptiActivityEnable(kinds[i]), "enabling records", err))
            return -1;
    registered = true;
    /* What came before is not of this step. */
    if (check(cuptiActivityFlushAll(0), "flushing", err))
        return -1;
    pthread_mutex_lock(&lock);
    activity_log_clear(&records);
    pthread_mutex_unlock(&lock);
    memset(ranges, 0, sizeof ranges);
    return 0;
}

void trace_open(enum operation_name op)
{
    ranges[op]++;
    cuptiActivityPushExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, (uint64_t)op);
}

void trace_close(void)
{
    uint64_t last;
    cuptiActivityPopExternalCorrelationId(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, &last);
}

/* Buffers may be held back while something in them is not complete. */
static bool has_kernels(void)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < records.count && !found; i++)
        found = records.items[i].kind == ACTIVITY_KERNEL;
    pthread_mutex_unlock(&lock);
    return found;
}

int trace_stop(struct profiler *p, struct error *err)
{
    struct activity_summary summary;
    if (check(cuptiActivityFlushAll(0), "flushing", err) ||
        (!has_kernels() && check(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "flushing", err)))
        return -1;
    pthread_mutex_lock(&lock);
    bool short_of_memory = records.out_of_memory;
    activity_summarise(&records, &summary);
    pthread_mutex_unlock(&lock);
    if (short_of_memory)
        return error_no_memory(err);
    activity_to_profiler(&summary, ranges, p);
    p->queue_ns = summary.queue_ns;
    p->kernels = summary.kernels;
    p->dropped += summary.dropped;
    p->gpu_bound = summary.bound == BOUND_BY_GPU;
    p->busy_ns = summary.busy_ns;
    p->span_ns = summary.span_ns;
    return 0;
}
