/* SPDX-License-Identifier: MIT */
#include "workloads/trace_object.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/array.h"

/* Seconds since 1970: what lies between them is a date of 2001 to 2096, not the time since a trace began. */
#define DATES_FROM_S 1e9
#define DATES_TO_S 4e9

static const double unit_ns[TIME_UNITS] = {[TIME_S] = 1e9, [TIME_MS] = 1e6, [TIME_US] = 1e3, [TIME_NS] = 1};
static const char *const unit_words[TIME_UNITS] = {"seconds", "milliseconds", "microseconds", "nanoseconds"};

/* `found` is NULL where it is the line that lacks something. */
int object_complain(const struct object *o, const cJSON *found, const char *expected)
{
    char *text = found ? cJSON_PrintUnformatted(found) : NULL;
    trace_complain(o->row, 1, expected, text ? text : o->row->line.text, o->err);
    cJSON_free(text);
    return -1;
}

/* The member `key`; NULL where there is none. A key that is there twice leaves open which is meant. */
int object_find(const struct object *o, const char *key, const cJSON **out)
{
    *out = NULL;
    for (const cJSON *child = o->node->child; child; child = child->next) {
        if (strcmp(child->string, key) != 0)
            continue;
        if (*out)
            return error_set(o->err, ERROR_INPUT, "%s:%ld: has the key \"%s\" twice", o->row->file, o->row->line.number,
                             key);
        *out = child;
    }
    return 0;
}

static bool is_whole(const cJSON *node, double least, double most)
{
    return cJSON_IsNumber(node) && node->valuedouble >= least && node->valuedouble <= most &&
           node->valuedouble == floor(node->valuedouble);
}

/* A member that is a whole number; an optional one that is missing leaves *out as it is. */
int object_whole(const struct object *o, const char *key, enum need need, double least, double most, double *out)
{
    const cJSON *node;
    if (object_find(o, key, &node))
        return -1;
    if (!node && need == OPTIONAL)
        return 0;
    if (!is_whole(node, least, most)) {
        char expected[120];
        snprintf(expected, sizeof expected, "\"%s\",%s a whole number from %.0f to %.0f,", key,
                 need == OPTIONAL ? " if any," : "", least, most);
        return object_complain(o, node, expected);
    }
    *out = node->valuedouble;
    return 0;
}

int object_count(const struct object *o, const char *key, enum need need, double least, double most, uint32_t *out)
{
    double value = *out;
    if (object_whole(o, key, need, least, most, &value))
        return -1;
    *out = (uint32_t)value;
    return 0;
}

/* The unit other than `unit` in which a number is a date of our time; TIME_UNITS where there is none. */
static enum time_unit unit_of_date(double value, enum time_unit unit)
{
    for (int u = 0; u < TIME_UNITS; u++)
        if (u != (int)unit && value * unit_ns[u] >= DATES_FROM_S * 1e9 && value * unit_ns[u] < DATES_TO_S * 1e9)
            return (enum time_unit)u;
    return TIME_UNITS;
}

static int complain_of_date(const struct object *o, const char *key, double value, enum time_unit is)
{
    enum time_unit assumed = o->row->unit;
    time_t seconds = (time_t)(value * unit_ns[is] / 1e9);
    struct tm date;
    char day[16] = "";
    if (gmtime_r(&seconds, &date))
        strftime(day, sizeof day, "%Y-%m-%d", &date);
    return error_set(o->err, ERROR_INPUT,
                     "%s:%ld: \"%s\" %.15g is %s in %s, but %.1f days in %s, which a %s trace has; state its unit, "
                     "s, ms, us or ns, by workload.time_unit or trace --time-unit",
                     o->row->file, o->row->line.number, key, value, day, unit_words[is],
                     value * unit_ns[assumed] / 86400e9, unit_words[assumed], o->row->format->name);
}

/* In nanoseconds; whole units are exact however long ago they count from. */
static sim_time time_of(double value, double ns)
{
    double whole = floor(value);
    return (sim_time)whole * (sim_time)ns + (sim_time)((value - whole) * ns + 0.5);
}

/* A time stamp in the trace's unit. Where nobody has stated that, numbers that cannot be in it are errors: a fraction
 * of a format of whole numbers, or a date in another unit where the trace begins. */
int object_time(const struct object *o, const char *key, sim_time *out)
{
    const struct trace_row *row = o->row;
    const cJSON *node;
    char expected[160];
    if (object_find(o, key, &node))
        return -1;
    double value = cJSON_IsNumber(node) ? node->valuedouble : NAN, most = 9e18 / unit_ns[row->unit];
    bool open = !row->unit_stated && !row->format->unit_in_key, in_range = value >= 0 && value <= most;
    enum time_unit date = open && (row->is_first || !in_range) ? unit_of_date(value, row->unit) : TIME_UNITS;
    if (date != TIME_UNITS)
        return complain_of_date(o, key, value, date);
    if (!in_range) {
        snprintf(expected, sizeof expected, "\"%s\" in %s, from 0 to %g,", key, unit_words[row->unit], most);
        return object_complain(o, node, expected);
    }
    if (open && row->unit != TIME_S && value != floor(value)) {
        snprintf(expected, sizeof expected,
                 "\"%s\" in whole %s, or its unit stated (workload.time_unit, trace --time-unit: s, ms, us or ns)", key,
                 unit_words[row->unit]);
        return object_complain(o, node, expected);
    }
    *out = time_of(value, unit_ns[row->unit]);
    return 0;
}

/* Hashes of the prompt's pieces, if there are any. */
int object_hashes(const struct object *o, uint32_t piece, struct arrival *out)
{
    static const char *const expected = "\"hash_ids\", if any, as a list of whole numbers from 0 to 9007199254740992,";
    struct hash_buffer *hashes = &o->row->hashes;
    const cJSON *list;
    uint32_t count = 0;
    if (object_find(o, "hash_ids", &list))
        return -1;
    if (list && !cJSON_IsArray(list))
        return object_complain(o, list, expected);
    count = list ? hashes->listed : 0;
    for (const cJSON *id = list ? list->child : NULL; id; id = id->next) {
        if (!is_whole(id, 0, WHOLE_MAX))
            return object_complain(o, id, expected);
        uint64_t *grown = array_grow(hashes->ids, &hashes->capacity, count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(o->err);
        hashes->ids = grown;
        hashes->ids[count++] = (uint64_t)id->valuedouble;
    }
    out->hashes = hashes->ids;
    out->hash_count = count;
    out->hash_tokens = piece;
    return 0;
}
