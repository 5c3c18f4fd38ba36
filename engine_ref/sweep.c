/* SPDX-License-Identifier: MIT */
#include "engine_ref/sweep.h"

#include <errno.h>
#include <gsl/gsl_fit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/random.h"
#include "profiles/table.h"

enum { WARM_UP = 2, LEAST_SAMPLES = 5, MOST_SAMPLES = 400, CHUNK_TOKENS = 128, POINTS_DEPTH = 4, DISTURB_EVERY = 32 };

struct engine_limits sweep_limits(const struct sweep_options *o, uint32_t block_tokens, size_t threads)
{
    size_t decode_blocks = (size_t)o->most_sequences * (o->most_kv / block_tokens + 2);
    size_t prompt_blocks = 2 * ((size_t)o->most_tokens + o->most_kv) / block_tokens + 4;
    return (struct engine_limits){.block_tokens = block_tokens,
                                  .blocks = decode_blocks + prompt_blocks + o->most_tokens / CHUNK_TOKENS + 2 +
                                            (o->reference ? REFERENCE_BLOCKS : 0),
                                  .rows = o->most_tokens + o->most_sequences,
                                  .outputs = o->most_sequences + o->most_tokens / CHUNK_TOKENS + 1,
                                  .max_tokens = o->most_kv + o->most_tokens + block_tokens,
                                  .threads = threads};
}

/* Rows of one sequence, whose blocks are the next ones from *block on. */
static int add_sequence(struct step *s, const struct engine_limits *l, uint32_t vocab, uint32_t before, uint32_t count,
                        bool decode, uint32_t *tables, uint32_t *block)
{
    uint32_t first = (uint32_t)s->row_count, bt = l->block_tokens, needed = (before + count + bt - 1) / bt;
    uint32_t *table = tables + *block;
    for (uint32_t i = 0; i < needed; i++)
        table[i] = *block + i;
    *block += needed;
    for (uint32_t i = before; i < before + count; i++)
        if (step_add_row(s, (struct step_row){.token = (uint32_t)(random_mix(i) % vocab),
                                              .position = i,
                                              .slot = table[i / bt] * bt + i % bt}))
            return -1;
    return step_add_output(s, (struct step_output){.row = (uint32_t)s->row_count - 1}) ||
                   step_add_span(s, (struct paged_span){first, count, before, before + count, table, decode})
               ? -1
               : 0;
}

static int make_step(struct instance *e, struct step *s, const struct step_shape *shape, uint32_t *tables,
                     struct error *err)
{
    uint32_t block = 0, vocab = e->weights->model.vocab;
    step_clear(s);
    for (uint32_t i = 0; i < shape->decodes; i++)
        if (add_sequence(s, &e->limits, vocab, shape->decode_kv, 1, true, tables, &block))
            return error_no_memory(err);
    for (uint32_t i = 0; i < shape->chunks; i++)
        if (add_sequence(s, &e->limits, vocab, shape->kv_before, shape->new_tokens, false, tables, &block))
            return error_no_memory(err);
    return shape->rest > 0 && add_sequence(s, &e->limits, vocab, 0, shape->rest, false, tables, &block)
               ? error_no_memory(err)
               : 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median and two percentiles; sorts. */
static void middle_of(double *values, size_t n, double *median, double *p10, double *p90)
{
    qsort(values, n, sizeof *values, ascending);
    *median = (values[(n - 1) / 2] + values[n / 2]) / 2;
    *p10 = values[(size_t)(0.1 * (double)(n - 1) + 0.5)];
    *p90 = values[(size_t)(0.9 * (double)(n - 1) + 0.5)];
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

/* Half the 95 % interval of a median by order statistics, relative to it; sorts. */
static double median_half_width(double *values, size_t n)
{
    double spread = 0.98 * sqrt((double)n), low = ((double)n - 1) / 2 - spread, high = ((double)n - 1) / 2 + spread;
    qsort(values, n, sizeof *values, ascending);
    if (low < 0)
        return INFINITY;
    return (values[(size_t)ceil(high)] - values[(size_t)low]) / 2 / values[n / 2];
}

struct samples_of {
    double step[MOST_SAMPLES], sorted[MOST_SAMPLES], op[OP_COUNT][MOST_SAMPLES];
};

/* By how much times on the wall clock are multiplied: that of a step which took so long becomes its CPU time where that
 * counts, corrected by the reference, which catches up with the step first. */
static int factor_of(struct instance *e, const struct sweep_options *o, const struct step_time *took, double *factor,
                     struct error *err)
{
    int64_t ns = o->cpu_time ? took->cpu_ns : took->wall_ns;
    *factor = (double)ns / (double)took->wall_ns;
    if (!o->reference)
        return 0;
    enum reference_kind kind = reference_of(e->step.row_count);
    reference_owe(o->reference, kind, ns);
    if (reference_catch_up(o->reference, kind, e, err))
        return -1;
    *factor /= reference_slowness(o->reference, kind);
    return 0;
}

/* One sample, on both clocks. */
static int time_step(struct instance *e, struct step_time *took, struct error *err)
{
    int64_t cpu = clock_cpu_ns(), start = clock_ns();
    if (e->backend->run(e->state, &e->step, e->next_tokens, err))
        return -1;
    took->wall_ns = clock_ns() - start;
    took->cpu_ns = clock_cpu_ns() - cpu;
    return 0;
}

/* Now and then `other` is run between samples: caches and clock rates are then as they are when batches alternate. */
static int sample_step(struct instance *e, const struct sweep_options *o, const struct step *other, double most_s,
                       struct samples_of *m, struct step_times *out, struct error *err)
{
    int64_t begin = 0;
    size_t least = o->least_samples ? o->least_samples : LEAST_SAMPLES;
    for (int i = least < LEAST_SAMPLES ? -1 : -WARM_UP; i < MOST_SAMPLES; i++) {
        if (i % DISTURB_EVERY == 0 && e->backend->run(e->state, other, e->next_tokens, err))
            return -1;
        profiler_clear(&e->profiler);
        struct step_time took;
        double factor;
        if (i == 0)
            begin = clock_ns();
        if (time_step(e, &took, err))
            return -1;
        if (i < 0)
            continue;
        for (int op = 0; op < OP_COUNT; op++) {
            m->op[op][i] = (double)e->profiler.ns[op];
            out->calls[op] = e->profiler.ranges[op];
        }
        if (factor_of(e, o, &took, &factor, err))
            return -1;
        m->step[i] = factor * (double)took.wall_ns;
        for (int op = 0; op < OP_COUNT; op++)
            m->op[op][i] *= factor;
        out->samples = (size_t)i + 1;
        memcpy(m->sorted, m->step, out->samples * sizeof *m->step);
        bool known = out->samples >= least && median_half_width(m->sorted, out->samples) <= o->half_width;
        if (known || (out->samples >= least && (double)(clock_ns() - begin) * 1e-9 > most_s))
            break;
    }
    middle_of(m->step, out->samples, &out->step_ns, &out->step_p10, &out->step_p90);
    out->step_mean = mean_of(m->step, out->samples);
    for (int op = 0; op < OP_COUNT; op++) {
        middle_of(m->op[op], out->samples, &out->op_ns[op], &out->op_p10[op], &out->op_p90[op]);
        out->op_mean[op] = mean_of(m->op[op], out->samples);
    }
    return 0;
}

int sweep_measure(struct instance *e, const struct sweep_options *o, const struct step_shape *shape, double most_s,
                  struct step_times *out, struct error *err)
{
    const struct step_shape prompt = {.rest = e->limits.rows < CHUNK_TOKENS ? (uint32_t)e->limits.rows : CHUNK_TOKENS};
    uint32_t *tables = calloc(2 * e->limits.blocks, sizeof *tables);
    struct samples_of *m = malloc(sizeof *m);
    struct step other = {0};
    *out = (struct step_times){0};
    e->profiler.on = true;
    int status = !tables || !m ? error_no_memory(err)
                 : make_step(e, &e->step, shape, tables, err) ||
                         make_step(e, &other, &prompt, tables + e->limits.blocks, err) ||
                         sample_step(e, o, &other, most_s, m, out, err)
                     ? -1
                     : 0;
    e->profiler.on = false;
    step_release(&other);
    free(tables);
    free(m);
    return status;
}

/* One measured place of one operation. */
struct point {
    int op;
    uint32_t at[2];
    double ns, median, p10, p90, samples; /* ns: the mean, since means of operations add up to a step's */
};

struct sweep {
    struct instance *e;
    const struct sweep_options *o;
    struct point *points;
    size_t count, capacity;
    FILE *kept;
    size_t measured;
    double range_ns; /* that the profiler takes for a range, next to what it measures */
};

static const struct point *find_point(const struct sweep *s, int op, uint32_t a, uint32_t b)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->points[i].op == op && s->points[i].at[0] == a && s->points[i].at[1] == b)
            return &s->points[i];
    return NULL;
}

static int add_point(struct sweep *s, struct point p, struct error *err)
{
    struct point *grown = array_grow(s->points, &s->capacity, s->count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    s->points = grown;
    s->points[s->count++] = p;
    return 0;
}

/* Of one call of an operation in a step. */
static int keep(struct sweep *s, int op, uint32_t a, uint32_t b, const struct step_times *t, double calls,
                struct error *err)
{
    struct point p = {.op = op,
                      .at = {a, b},
                      .ns = t->op_mean[op] / calls,
                      .median = t->op_ns[op] / calls,
                      .p10 = t->op_p10[op] / calls,
                      .p90 = t->op_p90[op] / calls,
                      .samples = (double)t->samples};
    if (find_point(s, op, a, b))
        return 0;
    if (s->kept) {
        fprintf(s->kept, "%s %u %u %.17g %.17g %.17g %.17g %.17g\n", operation_names[op], a, b, p.ns, p.median, p.p10,
                p.p90, p.samples);
        if (fflush(s->kept))
            return error_set(err, ERROR_IO, "%s: cannot be written: %s", s->o->points_file, strerror(errno));
    }
    return add_point(s, p, err);
}

static bool asked_to_stop(const struct sweep *s)
{
    return s->o->stop && *s->o->stop;
}

static int measure(struct sweep *s, const struct step_shape *shape, double most_s, struct step_times *out,
                   struct error *err)
{
    if (asked_to_stop(s))
        return error_set(err, ERROR_RUN, "interrupted; what was measured is kept%s%s", s->o->points_file ? " in " : "",
                         s->o->points_file ? s->o->points_file : "");
    if (s->o->progress) {
        fprintf(s->o->progress, "\r%zu steps measured: %u × %u tokens after %u, %u decodes over %u\033[K",
                s->measured++, shape->chunks, shape->new_tokens, shape->kv_before, shape->decodes, shape->decode_kv);
        fflush(s->o->progress);
    }
    return sweep_measure(s->e, s->o, shape, most_s, out, err);
}

static bool is_token_wise(int op)
{
    return op != OP_PREFILL_ATTENTION && op != OP_DECODE_ATTENTION && op != OP_LM_HEAD && op != OP_SAMPLER;
}

static double attention_s(const struct sweep *s)
{
    return s->o->attention_s > 0 ? s->o->attention_s : s->o->point_s;
}

/* All token-wise operations of n tokens, in chunks that keep attention small. Their sum, in *sum. */
static int measure_tokens(struct sweep *s, uint32_t n, double *sum, struct error *err)
{
    struct step_times t = {0};
    *sum = 0;
    if (!find_point(s, OP_QKV_PROJ, n, 0)) {
        struct step_shape shape = {.chunks = n / CHUNK_TOKENS, .new_tokens = CHUNK_TOKENS, .rest = n % CHUNK_TOKENS};
        if (measure(s, &shape, s->o->point_s, &t, err))
            return -1;
        for (int op = 0; op < OP_COUNT; op++)
            if (is_token_wise(op) && t.calls[op] > 0) {
                if (keep(s, op, n, 0, &t, (double)t.calls[op], err))
                    return -1;
            }
    }
    uint32_t layers = s->e->weights->model.layers;
    for (int op = 0; op < OP_COUNT; op++) {
        const struct point *p = is_token_wise(op) ? find_point(s, op, n, 0) : NULL;
        *sum += p ? p->ns * (op == OP_EMBEDDING || op == OP_FINAL_NORM ? 1 : op == OP_NORM ? 2 * layers : layers) : 0;
    }
    return 0;
}

static int refine_tokens(struct sweep *s, uint32_t low, double low_ns, uint32_t high, double high_ns, int depth,
                         struct error *err)
{
    uint32_t middle = (uint32_t)(sqrt((double)low * high) + 0.5);
    double ns;
    if (depth == 0 || middle <= low || middle >= high)
        return 0;
    if (measure_tokens(s, middle, &ns, err))
        return -1;
    double line = low_ns + (high_ns - low_ns) * (middle - low) / (high - low);
    if (fabs(line - ns) <= s->o->tolerance * ns)
        return 0;
    return refine_tokens(s, low, low_ns, middle, ns, depth - 1, err) ||
                   refine_tokens(s, middle, ns, high, high_ns, depth - 1, err)
               ? -1
               : 0;
}

/* What follows a number of tokens in the sweep, before refinement. */
static uint32_t next_tokens(const struct sweep *s, uint32_t n)
{
    return s->o->every_decode && n < s->o->most_sequences ? n + 1 : 2 * n;
}

static int sweep_tokens(struct sweep *s, struct error *err)
{
    double before_ns = 0, ns;
    for (uint32_t n = 1, before = 0;; n = next_tokens(s, n)) {
        uint32_t at = n < s->o->most_tokens ? n : s->o->most_tokens;
        if (measure_tokens(s, at, &ns, err) ||
            (before > 0 &&
             refine_tokens(s, before, before_ns, at, ns, s->o->refinements ? s->o->refinements : POINTS_DEPTH, err)))
            return -1;
        before = at;
        before_ns = ns;
        if (n >= s->o->most_tokens)
            return 0;
    }
}

/* `first`, `growth` times as many, and so on, and `most` at the end. */
static size_t growing(uint32_t first, uint32_t most, uint32_t growth, uint32_t *out)
{
    size_t count = 0;
    for (uint32_t n = first; n < most; n *= growth)
        out[count++] = n;
    out[count++] = most;
    return count;
}

static size_t doubling(uint32_t first, uint32_t most, uint32_t *out)
{
    return growing(first, most, 2, out);
}

static int sweep_decodes(struct sweep *s, struct error *err)
{
    uint32_t sequences[32], kv[32];
    size_t rows = doubling(1, s->o->most_sequences, sequences), columns = doubling(16, s->o->most_kv, kv);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            struct step_times t;
            if (find_point(s, OP_DECODE_ATTENTION, sequences[i], kv[j]))
                continue;
            /* The table's KV counts the token that is decoded (cost.h). */
            struct step_shape shape = {.decodes = sequences[i], .decode_kv = kv[j] - 1};
            if (measure(s, &shape, attention_s(s), &t, err) ||
                (j == 0 && (keep(s, OP_LM_HEAD, sequences[i], 0, &t, 1, err) ||
                            keep(s, OP_SAMPLER, sequences[i], 0, &t, 1, err))) ||
                keep(s, OP_DECODE_ATTENTION, sequences[i], kv[j], &t, (double)t.calls[OP_DECODE_ATTENTION], err))
                return -1;
        }
    return 0;
}

static size_t kv_before_grid(const struct sweep *s, uint32_t *out)
{
    size_t count = growing(64, s->o->most_kv, s->o->kv_growth ? s->o->kv_growth : 2, out + 1);
    out[0] = 0;
    return count + 1;
}

static size_t chunk_grid(const struct sweep *s, uint32_t *out)
{
    return doubling(1, s->o->most_tokens < s->o->most_kv ? s->o->most_tokens : s->o->most_kv, out);
}

static int sweep_prompts(struct sweep *s, struct error *err)
{
    uint32_t chunks[32], before[32];
    size_t rows = chunk_grid(s, chunks), columns = kv_before_grid(s, before);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            struct step_times t;
            struct step_shape shape = {.chunks = 1, .new_tokens = chunks[i], .kv_before = before[j]};
            if (find_point(s, OP_PREFILL_ATTENTION, chunks[i], before[j]))
                continue;
            if (measure(s, &shape, attention_s(s), &t, err) ||
                keep(s, OP_PREFILL_ATTENTION, chunks[i], before[j], &t, (double)t.calls[OP_PREFILL_ATTENTION], err))
                return -1;
        }
    return 0;
}

/* Requests that decode, as a batch. */
struct decoders {
    struct request *all, **who;
    uint32_t count;
};

enum { HOST_STEPS = 31, HOST_FIRST = 3 /* not counted */, HOST_PROMPT = 8 };

static int prefill_decoders(struct instance *e, struct decoders *d, struct error *err)
{
    for (uint32_t k = 0; k < d->count; k++) {
        struct request *r = d->who[k] = &d->all[k];
        request_init(r, k, 0, HOST_PROMPT, 4 * HOST_STEPS, 4 * HOST_STEPS);
        struct batch_item item = {.req = r, .new_tokens = HOST_PROMPT};
        struct batch prompt = {.items = &item, .count = 1};
        if (instance_run(e, &prompt, err))
            return -1;
        r->computed = HOST_PROMPT;
        r->generated = 1;
    }
    return 0;
}

/* What is counted of steps: the whole, its operations, or what it takes next to them. */
enum counted { COUNT_WHOLE, COUNT_OPERATIONS, COUNT_REST };

/* The step just run, added to *total, corrected as samples are. */
static int count_step(const struct sweep *s, enum counted counted, double *total, struct error *err)
{
    struct instance *e = s->e;
    double whole = (double)e->took.wall_ns, operations = 0, factor;
    uint64_t ranges = 0;
    for (int op = 0; op < OP_COUNT; op++) {
        operations += (double)e->profiler.ns[op];
        ranges += e->profiler.ranges[op];
    }
    if (factor_of(e, s->o, &e->took, &factor, err))
        return -1;
    *total += factor * (counted == COUNT_WHOLE        ? whole
                        : counted == COUNT_OPERATIONS ? operations
                                                      : whole - operations - (double)ranges * s->range_ns);
    return 0;
}

/* What opening and closing a range takes outside it. */
static double range_ns(void)
{
    enum { RANGES = 2000 };
    struct profiler p = {.on = true};
    int64_t start = clock_ns();
    for (int i = 0; i < RANGES; i++) {
        profiler_open(&p);
        profiler_close(&p, OP_NORM);
    }
    return (double)(clock_ns() - start - p.ns[OP_NORM]) / RANGES;
}

/* Mean of decode steps as batches take them. */
static int mean_decode(const struct sweep *s, struct decoders *d, enum counted counted, double *ns, struct error *err)
{
    struct instance *e = s->e;
    double total = 0;
    e->profiler.on = counted != COUNT_WHOLE;
    for (int n = -HOST_FIRST; n < HOST_STEPS; n++) {
        struct batch b = {.decoders = d->who, .decodes = d->count};
        profiler_clear(&e->profiler);
        if (instance_run(e, &b, err) || (n >= 0 && count_step(s, counted, &total, err)))
            return -1;
        for (uint32_t k = 0; k < d->count; k++) {
            d->who[k]->computed++;
            d->who[k]->generated++;
        }
    }
    e->profiler.on = false;
    *ns = total / HOST_STEPS;
    return 0;
}

/* What a decode step takes next to its operations. Where measuring them changes the step's way (a GPU's graphs), from
 * steps with and without; else from the same ones. */
static int mean_rest(const struct sweep *s, struct decoders *d, double *ns, struct error *err)
{
    double whole, operations;
    if (s->e->backend->on_caller)
        return mean_decode(s, d, COUNT_REST, ns, err);
    if (mean_decode(s, d, COUNT_WHOLE, &whole, err) || mean_decode(s, d, COUNT_OPERATIONS, &operations, err))
        return -1;
    *ns = whole - operations;
    return 0;
}

/* The same through the whole path that a batch takes: a line in sequences. */
static int measure_host(struct sweep *s, double *ns, double *ns_per_sequence, struct error *err)
{
    uint32_t counts[32];
    size_t rows = doubling(1, s->o->most_sequences, counts);
    double x[32] = {0}, y[32] = {0}, cov00, cov01, cov11, sum;
    struct decoders d = {.all = calloc(s->o->most_sequences, sizeof *d.all),
                         .who = calloc(s->o->most_sequences, sizeof *d.who)};
    int status = d.all && d.who ? 0 : error_no_memory(err);
    for (size_t i = 0; status == 0 && i < rows; i++) {
        d.count = counts[i];
        status = prefill_decoders(s->e, &d, err) || mean_rest(s, &d, &y[i], err) ? -1 : 0;
        for (uint32_t k = 0; k < counts[i]; k++)
            instance_forget(s->e, k);
        x[i] = counts[i];
    }
    free(d.all);
    free(d.who);
    if (status)
        return -1;
    *ns = y[0];
    *ns_per_sequence = 0;
    if (rows > 1)
        gsl_fit_linear(x, 1, y, 1, rows, ns, ns_per_sequence, &cov00, &cov01, &cov11, &sum);
    *ns = fmax(*ns, 0);
    *ns_per_sequence = fmax(*ns_per_sequence, 0);
    return 0;
}

/* Mean of steps of one prompt as a batch takes them. */
static int mean_prompt(const struct sweep *s, uint32_t tokens, enum counted counted, double *ns, struct error *err)
{
    struct instance *e = s->e;
    double total = 0;
    e->profiler.on = counted != COUNT_WHOLE;
    for (int n = -HOST_FIRST; n < HOST_STEPS; n++) {
        struct request r;
        request_init(&r, 0, 0, tokens, 1, 1);
        struct batch_item item = {.req = &r, .new_tokens = tokens};
        struct batch prompt = {.items = &item, .count = 1};
        profiler_clear(&e->profiler);
        if (instance_run(e, &prompt, err) || (n >= 0 && count_step(s, counted, &total, err)))
            return -1;
        instance_forget(e, 0);
    }
    e->profiler.on = false;
    *ns = total / HOST_STEPS;
    return 0;
}

/* What a layer of a prompt's step takes next to its operations and `host_ns`, where its kernels are launched one by one
 * and those of decodes are not. */
static int measure_eager(struct sweep *s, double host_ns, double *layer_ns, struct error *err)
{
    static const uint32_t prompts[] = {64, 256, 512};
    double sum = 0, whole, operations;
    int n = 0;
    *layer_ns = 0;
    for (size_t i = 0; s->e->backend->captures_decodes && i < sizeof prompts / sizeof *prompts; i++) {
        if (prompts[i] > s->o->most_tokens)
            break;
        if (mean_prompt(s, prompts[i], COUNT_WHOLE, &whole, err) ||
            mean_prompt(s, prompts[i], COUNT_OPERATIONS, &operations, err))
            return -1;
        sum += whole - operations - host_ns;
        n++;
    }
    if (n > 0)
        *layer_ns = fmax(sum / n / s->e->weights->model.layers, 0);
    return 0;
}

enum { COLD_PAIRS = 20 };

/* Decodes right after a prompt and right after those, on both clocks as samples are; what the first take longer goes to
 * `more` [COLD_PAIRS]. */
static int pair_decodes(const struct sweep *s, const struct step *prompt, double *more, struct error *err)
{
    for (int i = -1; i < COLD_PAIRS; i++) {
        struct step_time cold, warm;
        double factor;
        if (s->e->backend->run(s->e->state, prompt, s->e->next_tokens, err) || time_step(s->e, &cold, err) ||
            time_step(s->e, &warm, err) || factor_of(s->e, s->o, &warm, &factor, err))
            return -1;
        if (i >= 0 && s->o->cpu_time)
            more[i] = factor * (double)warm.wall_ns / (double)warm.cpu_ns * (double)(cold.cpu_ns - warm.cpu_ns);
        else if (i >= 0)
            more[i] = factor * (double)(cold.wall_ns - warm.wall_ns);
    }
    return 0;
}

/* By how much decodes take longer when prompts have just had the caches: a median over numbers of sequences. */
static int measure_cold(struct sweep *s, double *ns, struct error *err)
{
    static const uint32_t sequences[] = {2, 4, 8};
    enum { ALL = COLD_PAIRS * (int)(sizeof sequences / sizeof *sequences) };
    uint32_t tokens = s->o->most_tokens < CHUNK_TOKENS ? s->o->most_tokens : CHUNK_TOKENS;
    const struct step_shape chunk = {.rest = tokens};
    uint32_t *tables = calloc(2 * s->e->limits.blocks, sizeof *tables);
    double more[ALL], p10, p90;
    struct step prompt = {0};
    size_t n = 0;
    *ns = 0;
    int status = tables ? make_step(s->e, &prompt, &chunk, tables + s->e->limits.blocks, err) : error_no_memory(err);
    for (size_t i = 0; status == 0 && i < sizeof sequences / sizeof *sequences; i++) {
        const struct step_shape decodes = {.decodes = sequences[i], .decode_kv = s->o->most_kv / 4};
        if (sequences[i] > s->o->most_sequences)
            break;
        status =
            make_step(s->e, &s->e->step, &decodes, tables, err) || pair_decodes(s, &prompt, more + n, err) ? -1 : 0;
        n += COLD_PAIRS;
    }
    if (status == 0 && n > 0)
        middle_of(more, n, ns, &p10, &p90);
    *ns = fmax(*ns, 0);
    step_release(&prompt);
    free(tables);
    return status;
}

static int by_place(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    for (int i = 0; i < 2; i++)
        if (p->at[i] != q->at[i])
            return p->at[i] < q->at[i] ? -1 : 1;
    return 0;
}

/* An operation's points, in order, as a table of full rows. */
static int write_table(const struct sweep *s, int op, cJSON *tables, struct error *err)
{
    struct point *own = malloc((s->count + 1) * sizeof *own);
    size_t n = 0, columns = 0, axes = is_token_wise(op) || op == OP_LM_HEAD || op == OP_SAMPLER ? 1 : 2;
    if (!own)
        return error_no_memory(err);
    for (size_t i = 0; i < s->count; i++)
        if (s->points[i].op == op)
            own[n++] = s->points[i];
    qsort(own, n, sizeof *own, by_place);
    while (columns < n && own[columns].at[0] == own[0].at[0])
        columns++;
    size_t rows = n > 0 ? n / columns : 0;
    struct cost_table t = {.axis_count = axes};
    snprintf(t.op, sizeof t.op, "%s", operation_names[op]);
    t.axes[0] = (struct table_axis){calloc(rows + 1, sizeof(double)), rows};
    t.axes[1] = (struct table_axis){calloc(columns + 1, sizeof(double)), axes == 2 ? columns : 0};
    double **values[] = {&t.ns, &t.median, &t.p10, &t.p90, &t.samples};
    bool room = t.axes[0].at && t.axes[1].at;
    for (size_t i = 0; i < 5; i++)
        room = (*values[i] = calloc(n + 1, sizeof(double))) && room;
    for (size_t i = 0; room && i < n; i++) {
        t.axes[0].at[i / columns] = own[i].at[0];
        t.axes[1].at[i % columns] = own[i].at[1];
        t.ns[i] = own[i].ns;
        t.median[i] = own[i].median;
        t.p10[i] = own[i].p10;
        t.p90[i] = own[i].p90;
        t.samples[i] = own[i].samples;
    }
    if (room && n > 0)
        cJSON_AddItemToArray(tables, table_write(&t));
    free(t.axes[0].at);
    free(t.axes[1].at);
    for (size_t i = 0; i < 5; i++)
        free(*values[i]);
    free(own);
    return room ? 0 : error_no_memory(err);
}

/* The hardware under it, for what no table holds. */
static cJSON *write_base(const struct sweep *s, const struct hardware *h)
{
    const struct model *m = &s->e->weights->model;
    cJSON *base = cJSON_CreateObject(), *peaks = cJSON_CreateObject();
    cJSON_AddStringToObject(base, "name", s->o->name);
    cJSON_AddStringToObject(base, "kind", "roofline");
    cJSON_AddStringToObject(base, "source", "peaks of a matrix product and of copying, measured with the tables");
    cJSON_AddNumberToObject(base, "memory_bytes", h->memory_bytes);
    cJSON_AddNumberToObject(base, "bandwidth_bytes_per_s", h->bytes_per_s);
    cJSON_AddNumberToObject(peaks, m->bytes_per_weight > 2 ? "fp32" : "bf16", h->flops_per_s);
    cJSON_AddItemToObject(base, "peak_flops", peaks);
    return base;
}

static cJSON *write_profile(struct sweep *s, struct error *err)
{
    double host = 0, each = 0, eager = 0, cold = 0;
    struct hardware hardware;
    if (measure_host(s, &host, &each, err) || measure_eager(s, host + each, &eager, err) ||
        measure_cold(s, &cold, err) || s->e->backend->measure_hardware(s->e->state, &hardware, err))
        return NULL;
    char source[400], date[20];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
    snprintf(source, sizeof source, "measured by the engine's sweep on %s: backend %s, %zu threads, %s", date,
             s->e->backend->name, s->e->limits.threads, hardware.name);
    cJSON *profile = cJSON_CreateObject(), *tables = cJSON_CreateArray();
    cJSON_AddStringToObject(profile, "name", s->o->name);
    cJSON_AddStringToObject(profile, "kind", "tables");
    cJSON_AddStringToObject(profile, "source", source);
    cJSON_AddItemToObject(profile, "base", write_base(s, &hardware));
    cJSON_AddStringToObject(profile, "model", s->e->weights->model.name);
    cJSON_AddNumberToObject(profile, "tensor_parallel", 1);
    cJSON_AddNumberToObject(profile, "host_ns", round(host));
    cJSON_AddNumberToObject(profile, "host_ns_per_sequence", round(each));
    if (eager > 0)
        cJSON_AddNumberToObject(profile, "eager_layer_ns", round(eager));
    if (cold > 0)
        cJSON_AddNumberToObject(profile, "cold_decode_ns", round(cold));
    cJSON_AddItemToObject(profile, "tables", tables);
    for (int op = 0; op < OP_COUNT; op++)
        if (write_table(s, op, tables, err)) {
            cJSON_Delete(profile);
            return NULL;
        }
    return profile;
}

/* What is measured goes there, on a line of its own. */
static int keep_points(struct sweep *s, bool cut_short, struct error *err)
{
    if (!s->o->points_file)
        return 0;
    s->kept = fopen(s->o->points_file, "a");
    if (!s->kept || (cut_short && fputc('\n', s->kept) < 0))
        return error_set(err, ERROR_IO, "%s: cannot be written: %s", s->o->points_file, strerror(errno));
    return 0;
}

/* What an earlier sweep has left; a line that is not whole is the one it was stopped in. */
static int read_points(struct sweep *s, struct error *err)
{
    FILE *in = s->o->points_file ? fopen(s->o->points_file, "r") : NULL;
    char line[256], name[32];
    struct point p;
    bool cut_short = false;
    if (!in && s->o->points_file && errno != ENOENT)
        return error_set(err, ERROR_IO, "%s: cannot be read: %s", s->o->points_file, strerror(errno));
    while (in && fgets(line, sizeof line, in)) {
        cut_short = !strchr(line, '\n');
        /* NOLINTNEXTLINE(cert-err34-c): the widths bound the whole numbers */
        if (cut_short || sscanf(line, "%31s %9u %9u %lf %lf %lf %lf %lf", name, &p.at[0], &p.at[1], &p.ns, &p.median,
                                &p.p10, &p.p90, &p.samples) != 8)
            continue;
        for (p.op = 0; p.op < OP_COUNT && strcmp(operation_names[p.op], name) != 0;)
            p.op++;
        if (p.op < OP_COUNT && !find_point(s, p.op, p.at[0], p.at[1]) && add_point(s, p, err)) {
            fclose(in);
            return -1;
        }
    }
    bool broken = in && !feof(in);
    if (broken)
        error_set(err, ERROR_IO, "%s: cannot be read: %s", s->o->points_file, strerror(errno));
    if (in)
        fclose(in);
    return broken ? -1 : keep_points(s, cut_short, err);
}

cJSON *engine_sweep_run(struct instance *e, const struct sweep_options *o, struct error *err)
{
    struct sweep s = {.e = e, .o = o, .range_ns = range_ns()};
    cJSON *profile = NULL;
    if (read_points(&s, err) == 0 && sweep_tokens(&s, err) == 0 && sweep_decodes(&s, err) == 0 &&
        sweep_prompts(&s, err) == 0)
        profile = write_profile(&s, err);
    if (o->progress)
        fprintf(o->progress, "\r\033[K");
    if (s.kept && fclose(s.kept) && profile) {
        error_set(err, ERROR_IO, "%s: cannot be written: %s", o->points_file, strerror(errno));
        cJSON_Delete(profile);
        profile = NULL;
    }
    free(s.points);
    return profile;
}
