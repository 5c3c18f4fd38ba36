/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* getline */
#include "validation/findings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/json.h"

enum {
    SINGLES = 15 + 2 * REFERENCE_KINDS + MEASURED_METRICS + 5 * PRICED_KINDS,
    GRID = MEASURED_METRICS * MEASURED_STATISTICS
};

const char *const priced_kind_names[PRICED_KINDS] = {"decodes",        "decodes after prompts",
                                                     "padded decodes", "padded decodes after prompts",
                                                     "prompts",        "padded prompts",
                                                     "packed prompts", "prompts and decodes"};

/* All numbers of a finding, one after another. */
static size_t places_of(struct finding *f, double *places[3 * GRID + SINGLES])
{
    size_t n = 0;
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++) {
            places[n++] = &f->latencies.measured[m][i];
            places[n++] = &f->latencies.simulated[m][i];
            places[n++] = &f->latencies.error[m][i];
        }
    double *const singles[] = {&f->latencies.mean_absolute,
                               &f->latencies.worst_absolute,
                               &f->throughput_error,
                               &f->measured_e2e_s,
                               &f->simulated_e2e_s,
                               &f->measured_rate,
                               &f->simulated_rate,
                               &f->requests,
                               &f->rate_per_s,
                               &f->speed.told_s,
                               &f->speed.wall_s,
                               &f->speed.cpu_s,
                               &f->replayed.iterations,
                               &f->replayed.mismatches,
                               &f->replayed.difference_ns};
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++)
        places[n++] = singles[i];
    for (int m = 0; m < MEASURED_METRICS; m++)
        places[n++] = &f->speed.changes[m];
    for (int k = 0; k < REFERENCE_KINDS; k++) {
        places[n++] = &f->speed.fastest[k];
        places[n++] = &f->speed.slowest[k];
    }
    for (int k = 0; k < PRICED_KINDS; k++) {
        struct priced *p = &f->priced[k];
        places[n++] = &p->count;
        places[n++] = &p->taken_s;
        places[n++] = &p->said_s;
        places[n++] = &p->errors;
        places[n++] = &p->squares;
    }
    return n;
}

static void write_numbers(FILE *out, const char *name, const double *values, size_t count)
{
    fprintf(out, ", \"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, isfinite(values[i]) ? "%s%.17g" : "%snull", i ? "," : "", values[i]);
    fputc(']', out);
}

static void write_latencies(FILE *out, const char *name, const struct latencies *l)
{
    for (int m = 0; m < MEASURED_METRICS; m++) {
        char each[32];
        snprintf(each, sizeof each, "%s_%d", name, m);
        write_numbers(out, each, l->at[m], l->count[m]);
    }
}

static int cannot(const char *file, const char *what, struct error *err)
{
    return error_set(err, ERROR_IO, "%s: cannot be %s: %s", file, what, strerror(errno));
}

/* On a line of its own, also where the last one was cut short. */
static FILE *append_to(const char *file)
{
    FILE *out = fopen(file, "a+");
    if (!out || fseek(out, -1, SEEK_END)) /* there is none, or nothing in it */
        return out;
    int last = fgetc(out);
    if (ferror(out)) {
        fclose(out);
        return NULL;
    }
    fseek(out, 0, SEEK_END);
    if (last != '\n')
        fputc('\n', out);
    return out;
}

int findings_keep(const char *file, const char *key, const struct finding *f, const struct latencies *measured,
                  const struct latencies *simulated, struct error *err)
{
    struct finding copy = *f;
    double *places[3 * GRID + SINGLES], numbers[3 * GRID + SINGLES];
    size_t count = places_of(&copy, places);
    cJSON *quoted = cJSON_CreateString(key);
    char *text = quoted ? cJSON_PrintUnformatted(quoted) : NULL;
    cJSON_Delete(quoted);
    FILE *out = append_to(file);
    if (!out || !text) {
        int reason = text ? errno : ENOMEM;
        cJSON_free(text);
        if (out)
            fclose(out);
        errno = reason;
        return reason == ENOMEM ? error_no_memory(err) : cannot(file, "written", err);
    }
    for (size_t i = 0; i < count; i++)
        numbers[i] = *places[i];
    fprintf(out, "{\"key\": %s", text);
    write_numbers(out, "numbers", numbers, count);
    write_latencies(out, "measured", measured);
    write_latencies(out, "simulated", simulated);
    fputs("}\n", out);
    cJSON_free(text);
    bool whole = fflush(out) == 0 && fsync(fileno(out)) == 0;
    whole = fclose(out) == 0 && whole;
    return whole ? 0 : cannot(file, "written", err);
}

static int read_latencies(const cJSON *line, const char *name, struct latencies *out, struct error *err)
{
    latencies_release(out);
    for (int m = 0; m < MEASURED_METRICS; m++) {
        char each[32];
        const cJSON *v;
        snprintf(each, sizeof each, "%s_%d", name, m);
        cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(line, each))
        {
            double *grown = array_grow(out->at[m], &out->capacity[m], out->count[m] + 1, sizeof *grown);
            if (!grown)
                return error_no_memory(err);
            out->at[m] = grown;
            grown[out->count[m]++] = cJSON_IsNumber(v) ? v->valuedouble : NAN;
        }
    }
    return 0;
}

static int take(const cJSON *line, struct finding *f, struct latencies *measured, struct latencies *simulated,
                struct error *err)
{
    double *places[3 * GRID + SINGLES];
    size_t count = places_of(f, places), i = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(line, "numbers"))
    {
        if (i < count)
            *places[i++] = cJSON_IsNumber(v) ? v->valuedouble : NAN;
    }
    return read_latencies(line, "measured", measured, err) || read_latencies(line, "simulated", simulated, err) ? -1
                                                                                                                : 0;
}

int findings_recall(const char *file, const char *key, bool *found, struct finding *f, struct latencies *measured,
                    struct latencies *simulated, struct error *err)
{
    errno = 0;
    FILE *in = fopen(file, "r");
    char *text = NULL;
    size_t room = 0;
    int status = 0;
    *found = false;
    if (!in && errno == ENOMEM)
        return error_no_memory(err);
    if (!in && errno != ENOENT)
        return cannot(file, "read", err);
    while (in && status == 0 && !*found && getline(&text, &room, in) > 0) {
        cJSON *line = cJSON_Parse(text); /* NULL: it was stopped in this line */
        const cJSON *its = cJSON_GetObjectItemCaseSensitive(line, "key");
        if (cJSON_IsString(its) && strcmp(its->valuestring, key) == 0) {
            *found = true;
            status = take(line, f, measured, simulated, err);
        }
        cJSON_Delete(line);
        if (status == 0)
            status = memory_check(err);
        errno = 0;
    }
    if (status == 0 && in && !*found && errno == ENOMEM)
        status = error_no_memory(err);
    free(text);
    if (in && status == 0 && !*found && !feof(in))
        status = cannot(file, "read", err);
    if (in)
        fclose(in);
    return status;
}
