/* SPDX-License-Identifier: MIT */
#include "profiles/table.h"

#include <math.h>
#include <string.h>

/* The index i with axis[i] <= x < axis[i + 1], from 0 to count - 2 (0 when count is 1). */
static size_t segment(const double *axis, size_t count, double x)
{
    size_t low = 0, high = count - 1;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        *(axis[middle] <= x ? &low : &high) = middle;
    }
    return low;
}

/* Piecewise-linear through (axis, values); flat below the first point, the last octave's slope (at
 * least 0) above the last. */
static double along(const double *axis, const double *values, size_t count, double x, bool *outside)
{
    double last = axis[count - 1];
    if (count == 1 || x <= axis[0]) {
        *outside |= x < axis[0] * 0.999 || (count == 1 && x > last);
        return values[0];
    }
    if (x > last) {
        *outside = true;
        size_t i = segment(axis, count, last / 2);
        double slope = (values[count - 1] - values[i]) / (last - axis[i]);
        return values[count - 1] + fmax(slope, 0) * (x - last);
    }
    size_t i = segment(axis, count, x);
    double share = (x - axis[i]) / (axis[i + 1] - axis[i]);
    return values[i] + share * (values[i + 1] - values[i]);
}

double table_at(const struct cost_table *t, double x, bool *outside)
{
    return along(t->row_axis, t->ns, t->rows, x, outside);
}

static double row_at(const struct cost_table *t, size_t row, double column, bool *outside)
{
    return along(t->column_axis, t->ns + row * t->columns, t->columns, column, outside);
}

double table_decode_at(const struct cost_table *t, double sequences, double kv, bool *outside)
{
    if (t->rows == 1 || sequences <= t->row_axis[0])
        return row_at(t, 0, kv, outside);
    *outside |= sequences > t->row_axis[t->rows - 1];
    size_t i = segment(t->row_axis, t->rows, sequences);
    double low = row_at(t, i, kv, outside), high = row_at(t, i + 1, kv, outside);
    double share = (sequences - t->row_axis[i]) / (t->row_axis[i + 1] - t->row_axis[i]);
    return low + share * fmax(high - low, share > 1 ? 0 : high - low);
}

static double prefill_work(double new_tokens, double kv_before)
{
    return new_tokens * (kv_before + new_tokens / 2);
}

double table_prefill_at(const struct cost_table *t, double new_tokens, double kv_before, bool *outside)
{
    double largest = t->row_axis[t->rows - 1];
    if (t->rows == 1 || new_tokens <= t->row_axis[0])
        return row_at(t, 0, kv_before, outside);
    bool beyond = new_tokens > largest;
    *outside |= beyond;
    size_t i = segment(t->row_axis, t->rows, beyond ? largest / 2 : new_tokens), next = beyond ? t->rows - 1 : i + 1;
    double low = row_at(t, i, kv_before, outside), high = row_at(t, next, kv_before, outside);
    double work_low = prefill_work(t->row_axis[i], kv_before), work_high = prefill_work(t->row_axis[next], kv_before);
    double share = (prefill_work(new_tokens, kv_before) - work_low) / (work_high - work_low);
    return beyond ? high + (share - 1) * fmax(high - low, 0) : low + share * (high - low);
}

/* Where x lies on an axis: between points `at` and `at` + 1, `share` of the way. */
struct place {
    size_t at;
    double share;
};

static struct place place_on(const double *axis, size_t count, double x, bool *outside)
{
    if (count == 1 || x <= axis[0]) {
        *outside |= x < axis[0] * 0.999;
        return (struct place){0};
    }
    *outside |= x > axis[count - 1];
    size_t i = segment(axis, count, x);
    return (struct place){.at = i, .share = (x - axis[i]) / (axis[i + 1] - axis[i])};
}

double table_mixed_at(const struct cost_table *t, double new_tokens, double kv_before, double sequences, double kv,
                      bool *outside)
{
    const struct place places[4] = {place_on(t->row_axis, t->rows, new_tokens, outside),
                                    place_on(t->column_axis, t->columns, kv_before, outside),
                                    place_on(t->sequence_axis, t->sequences, sequences, outside),
                                    place_on(t->kv_axis, t->kvs, kv, outside)};
    const size_t strides[4] = {t->columns * t->sequences * t->kvs, t->sequences * t->kvs, t->kvs, 1};
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

double table_value(const struct cost_table *t, const double at[TABLE_AXES], bool *outside)
{
    if (strcmp(t->op, "prefill_attention") == 0)
        return table_prefill_at(t, at[0], at[1], outside);
    if (strcmp(t->op, "decode_attention") == 0)
        return table_decode_at(t, at[0], at[1], outside);
    if (strcmp(t->op, "mixed_attention") == 0)
        return table_mixed_at(t, at[0], at[1], at[2], at[3], outside);
    return table_at(t, at[0], outside);
}
