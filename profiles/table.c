/* SPDX-License-Identifier: MIT */
#include "profiles/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct table_kind kinds[] = {
    {"qkv_proj", {"tokens"}, 1, 1},
    {"o_proj", {"tokens"}, 1, 1},
    {"gate_up_proj", {"tokens"}, 1, 1},
    {"down_proj", {"tokens"}, 1, 1},
    {"act_fn", {"tokens"}, 1, 1},
    {"norm", {"tokens"}, 1, 1},
    {"qk_norm", {"tokens"}, 1, 1},
    {"rotary_emb", {"tokens"}, 1, 1},
    {"embedding", {"tokens"}, 1, 1},
    {"final_norm", {"tokens"}, 1, 1},
    {"router", {"tokens"}, 1, 1},
    {"lm_head", {"sequences"}, 1, 1},
    {"sampler", {"sequences"}, 1, 1},
    {"prefill_attention", {"new tokens", "KV before"}, 2, 1},
    {"decode_attention", {"sequences", "mean KV"}, 2, 2},
    {"mixed_attention", {"new tokens", "KV before", "sequences", "mean KV"}, 4, 4},
    {"decode_spread", {"sequences"}, 1, 1},
    {"mixed_spread", {"sequences"}, 1, 1},
    {"moe", {"tokens", "awake experts"}, 2, 1},
    {"gemm", {"m", "n", "k"}, 3, 3},
    {"all_reduce", {"bytes"}, 1, 1},
    {"all_gather", {"bytes"}, 1, 1},
    {"reduce_scatter", {"bytes"}, 1, 1},
    {"all_to_all", {"bytes"}, 1, 1},
    {"send_recv", {"bytes"}, 1, 1},
    {"whole_prefill", {"new tokens"}, 1, 1},
    {"whole_decode", {"sequences", "mean KV"}, 2, 2},
};

const struct table_kind *table_kind_find(const char *op)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].op, op) == 0)
            return &kinds[i];
    return NULL;
}

size_t table_cells(const struct cost_table *t)
{
    size_t cells = 1;
    for (size_t a = 0; a < t->axis_count; a++)
        cells *= t->axes[a].count;
    return cells;
}

void table_release(struct cost_table *t)
{
    for (size_t a = 0; a < TABLE_AXES; a++)
        free(t->axes[a].at);
    free(t->ns);
    free(t->p10);
    free(t->p90);
    free(t->samples);
    free(t->median);
    free(t->filled);
    *t = (struct cost_table){0};
}

size_t table_segment(const struct table_axis *axis, double x)
{
    size_t low = 0, high = axis->count - 1;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        *(axis->at[middle] <= x ? &low : &high) = middle;
    }
    return low;
}

static void raise(enum table_where *where, enum table_where to)
{
    if (to > *where)
        *where = to;
}

static double last_of(const struct table_axis *axis)
{
    return axis->at[axis->count - 1];
}

/* Notes where x lies on the axis; before its first point there is no more than that point. */
static void note(const struct table_axis *axis, double x, enum table_where *where)
{
    size_t i = table_segment(axis, x);
    bool on_point = x == axis->at[i] || (axis->count > 1 && x == axis->at[i + 1]);
    if (x < axis->at[0] * 0.999 || x > last_of(axis))
        raise(where, TABLE_BEYOND);
    else if (!on_point && x > axis->at[0])
        raise(where, TABLE_BETWEEN);
}

/* Piecewise-linear through (axis, values); flat below the first point, the last octave's slope (at
 * least 0) above the last. */
static double along(const struct table_axis *axis, const double *values, double x, enum table_where *where)
{
    double last = last_of(axis);
    note(axis, x, where);
    if (axis->count == 1 || x <= axis->at[0])
        return values[0];
    if (x > last) {
        size_t i = table_segment(axis, last / 2);
        double slope = (values[axis->count - 1] - values[i]) / (last - axis->at[i]);
        return values[axis->count - 1] + fmax(slope, 0) * (x - last);
    }
    size_t i = table_segment(axis, x);
    double share = (x - axis->at[i]) / (axis->at[i + 1] - axis->at[i]);
    return values[i] + share * (values[i + 1] - values[i]);
}

double table_at(const struct cost_table *t, double x, enum table_where *where)
{
    return along(&t->axes[0], t->ns, x, where);
}

static double row_at(const struct cost_table *t, size_t row, double column, enum table_where *where)
{
    return along(&t->axes[1], t->ns + row * t->axes[1].count, column, where);
}

double table_grid_at(const struct cost_table *t, double row, double column, enum table_where *where)
{
    const struct table_axis *rows = &t->axes[0];
    if (rows->count == 1 || row <= rows->at[0])
        return row_at(t, 0, column, where);
    note(rows, row, where);
    size_t i = table_segment(rows, row);
    double low = row_at(t, i, column, where), high = row_at(t, i + 1, column, where);
    double share = (row - rows->at[i]) / (rows->at[i + 1] - rows->at[i]);
    return low + share * fmax(high - low, share > 1 ? 0 : high - low);
}

static double prefill_work(double new_tokens, double kv_before)
{
    return new_tokens * (kv_before + new_tokens / 2);
}

/* Whole prompts: their time grows with the square of their length. */
static double whole_prompt_at(const struct cost_table *t, double tokens, enum table_where *where)
{
    const struct table_axis *rows = &t->axes[0];
    note(rows, tokens, where);
    if (rows->count == 1 || tokens <= rows->at[0])
        return t->ns[0];
    double largest = last_of(rows);
    bool beyond = tokens > largest;
    size_t i = table_segment(rows, beyond ? largest / 2 : tokens), next = beyond ? rows->count - 1 : i + 1;
    double low = prefill_work(rows->at[i], 0), high = prefill_work(rows->at[next], 0);
    double share = (prefill_work(tokens, 0) - low) / (high - low);
    return beyond ? t->ns[next] + (share - 1) * fmax(t->ns[next] - t->ns[i], 0)
                  : t->ns[i] + share * (t->ns[next] - t->ns[i]);
}

static double chunk_of_prompt_at(const struct cost_table *t, double new_tokens, double kv_before,
                                 enum table_where *where)
{
    double end = kv_before + new_tokens, whole = whole_prompt_at(t, end, where);
    if (kv_before <= 0)
        return whole;
    raise(where, TABLE_BETWEEN);
    return fmax(whole - whole_prompt_at(t, kv_before, where), whole * new_tokens / end);
}

double table_prefill_at(const struct cost_table *t, double new_tokens, double kv_before, enum table_where *where)
{
    const struct table_axis *rows = &t->axes[0];
    if (t->axis_count == 1)
        return chunk_of_prompt_at(t, new_tokens, kv_before, where);
    double largest = last_of(rows);
    if (rows->count == 1 || new_tokens <= rows->at[0])
        return row_at(t, 0, kv_before, where);
    bool beyond = new_tokens > largest;
    note(rows, new_tokens, where);
    size_t i = table_segment(rows, beyond ? largest / 2 : new_tokens), next = beyond ? rows->count - 1 : i + 1;
    double low = row_at(t, i, kv_before, where), high = row_at(t, next, kv_before, where);
    double work_low = prefill_work(rows->at[i], kv_before), work_high = prefill_work(rows->at[next], kv_before);
    double share = (prefill_work(new_tokens, kv_before) - work_low) / (work_high - work_low);
    return beyond ? high + (share - 1) * fmax(high - low, 0) : low + share * (high - low);
}

/* Where x lies on an axis: between points `at` and `at` + 1, `share` of the way. */
struct place {
    size_t at;
    double share;
};

static struct place place_on(const struct table_axis *axis, double x, enum table_where *where)
{
    note(axis, x, where);
    if (axis->count == 1 || x <= axis->at[0])
        return (struct place){0};
    size_t i = table_segment(axis, x);
    return (struct place){.at = i, .share = (x - axis->at[i]) / (axis->at[i + 1] - axis->at[i])};
}

double table_mixed_at(const struct cost_table *t, double new_tokens, double kv_before, double sequences, double kv,
                      enum table_where *where)
{
    const double at[TABLE_AXES] = {new_tokens, kv_before, sequences, kv};
    struct place places[TABLE_AXES];
    size_t strides[TABLE_AXES], stride = 1;
    for (size_t a = TABLE_AXES; a-- > 0;) {
        places[a] = place_on(&t->axes[a], at[a], where);
        strides[a] = stride;
        stride *= t->axes[a].count;
    }
    double ns = 0;
    for (unsigned corner = 0; corner < 16; corner++) {
        double weight = 1;
        size_t index = 0;
        for (unsigned axis = 0; axis < 4; axis++) {
            unsigned upper = corner >> axis & 1;
            weight *= upper ? places[axis].share : 1 - places[axis].share;
            index += (places[axis].at + upper) * strides[axis];
        }
        if (weight != 0)
            ns += weight * t->ns[index];
    }
    return ns;
}

/* Where x lies on an axis of sizes, on a logarithmic scale; at the ends beyond it. */
static struct place place_of_size(const struct table_axis *axis, double x, enum table_where *where)
{
    note(axis, x, where);
    if (axis->count == 1 || x <= axis->at[0])
        return (struct place){0};
    size_t i = table_segment(axis, x);
    double share = log(x / axis->at[i]) / log(axis->at[i + 1] / axis->at[i]);
    return (struct place){.at = i, .share = fmin(share, 1)};
}

double table_gemm_at(const struct cost_table *t, double m, double n, double k, enum table_where *where)
{
    const struct table_axis *ms = &t->axes[0], *ns = &t->axes[1], *ks = &t->axes[2];
    struct place at_m = place_on(ms, m, where), at_n = place_of_size(ns, n, where), at_k = place_of_size(ks, k, where);
    double per_weight = 0;
    for (unsigned corner = 0; corner < 8; corner++) {
        unsigned up_m = corner & 1, up_n = corner >> 1 & 1, up_k = corner >> 2 & 1;
        double weight = (up_m ? at_m.share : 1 - at_m.share) * (up_n ? at_n.share : 1 - at_n.share) *
                        (up_k ? at_k.share : 1 - at_k.share);
        if (weight == 0)
            continue;
        size_t i = at_m.at + up_m, in = at_n.at + up_n, ik = at_k.at + up_k;
        per_weight += weight * t->ns[(i * ns->count + in) * ks->count + ik] / (ns->at[in] * ks->at[ik]);
    }
    return per_weight * n * k;
}

double table_value(const struct cost_table *t, const double at[TABLE_AXES], enum table_where *where)
{
    if (strcmp(t->op, "prefill_attention") == 0)
        return table_prefill_at(t, at[0], at[1], where);
    if (strcmp(t->op, "mixed_attention") == 0)
        return table_mixed_at(t, at[0], at[1], at[2], at[3], where);
    if (strcmp(t->op, "gemm") == 0)
        return table_gemm_at(t, at[0], at[1], at[2], where);
    return t->axis_count == 2 ? table_grid_at(t, at[0], at[1], where) : table_at(t, at[0], where);
}
