/* SPDX-License-Identifier: MIT */
/* param.h — parameters as tables: one table drives checking, defaults, help and the docs. */
#ifndef TANDEM_BASE_PARAM_H
#define TANDEM_BASE_PARAM_H

#include "base/json.h"

enum param_type { PARAM_NUMBER, PARAM_INTEGER, PARAM_BOOL, PARAM_TEXT };

/* A row of a table that ends with a row whose name is NULL. */
struct param_spec {
    const char *name;
    enum param_type type;
    const char *unit; /* "" when it has none */
    double preset;    /* default of numbers and booleans */
    double min, max;
    const char *help;
    const char *preset_text; /* default of PARAM_TEXT */
    const char *choices;     /* of PARAM_TEXT: "a|b|c", or NULL for any */
};

enum { PARAM_MAX = 24 };

struct param_set {
    const struct param_spec *specs;
    double number[PARAM_MAX];
    const char *text[PARAM_MAX]; /* lives as long as the JSON document or the table */
};

/* Checks the object's members against the table and fills in defaults. `object` may be absent; a
 * member called "name" (or "policy") is skipped. Fails on unknown keys, wrong types and values out of range. */
int param_set_read(struct param_set *set, const struct param_spec *specs, const struct json *object, struct error *err);

/* The value of a parameter; the name must be in the table (asserted). */
double param_number(const struct param_set *set, const char *name);
const char *param_text(const struct param_set *set, const char *name);

#endif
