/* SPDX-License-Identifier: MIT */
/* forms.h — the forms that levels.c knows. A form recognises a document, and adds its levels. */
#ifndef TANDEM_VALIDATION_FORMS_H
#define TANDEM_VALIDATION_FORMS_H

#include "validation/levels.h"

struct measured_form {
    const char *name;
    bool (*detect)(const struct json *root);
    int (*read)(const struct json *root, struct levels *out, struct error *err);
};

extern const struct measured_form form_vllm, form_guidellm, form_aiperf, form_inference_perf;

/* A line a level (form_csv.c); operating points (form_points.c); our folders (form_stamps.c). A file is of the form
 * (1), or not (0), or cannot be read (-1). */
int form_csv_detect(const char *file, struct error *err);
int form_csv_read(const char *file, struct levels *out, struct error *err);
int form_points_detect(const char *file, struct error *err);
int form_points_read(const char *file, const char *device, struct levels *out, struct error *err);
int form_stamps_read(const char *folder, const char *device, struct levels *out, struct error *err);

/* A new level in which nothing is known; NULL when memory is short. */
struct level *levels_add(struct levels *levels, struct error *err);

/* Adds a request; its TPOT follows from its other times. */
int level_add_request(struct level *level, struct level_request request, struct error *err);

/* Counts, means and statistics of a level whose requests are known, in order of arrival afterwards. */
int level_summarise(struct level *level, struct error *err);

/* Names a level by its load, and fails where that is not known: `place` says where it should stand. */
int level_finish(struct level *level, const struct json *place, const char *expected, struct error *err);

/* A number of at least 0; absent or null leaves *out as it is. */
int form_number(const struct json *object, const char *key, double *out, struct error *err);

/* The same five statistics of a metric by their names in `keys` (mean p50 p90 p95 p99), times `unit_s`. */
int form_statistics(const struct json *object, const char *const keys[MEASURED_STATISTICS], double unit_s, double *out,
                    struct error *err);

#endif
