/* SPDX-License-Identifier: MIT */
/* study.h — many configurations side by side: what was set, what came of it, and pictures of that. Sweeps and plans are
 * studies. */
#ifndef TANDEM_REPORTS_PAGES_STUDY_H
#define TANDEM_REPORTS_PAGES_STUDY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json.h"

enum { STUDY_COLUMNS_MAX = 24 };

struct study_column {
    char title[96];
    bool setting;        /* else an outcome */
    bool numeric;        /* else its values are places among `names` */
    bool seconds, share; /* how they are written */
    bool more_is_better; /* of outcomes */
    char **names;        /* [name_count] */
    size_t name_count;
};

enum study_slo { STUDY_UNASKED, STUDY_MET, STUDY_AT_TIMES, STUDY_MISSED, STUDY_OVERLOADED };

struct study_point {
    double at[STUDY_COLUMNS_MAX];
    double half[STUDY_COLUMNS_MAX]; /* of the 95 % interval; NAN where there is none */
    enum study_slo slo;
    char label[32]; /* "run 7", or what else it is called */
    char link[64];  /* to its run's page, or to its scenario; "" for none */
    size_t replications;
};

struct study {
    struct study_column columns[STUDY_COLUMNS_MAX];
    size_t column_count;
    struct study_point *points; /* [count] */
    size_t count, capacity;
};

void study_release(struct study *s);

/* A new column, or point, all of whose values are NAN; NULL when there are too many or memory is short. */
struct study_column *study_add_column(struct study *s, const char *title, bool setting);
struct study_point *study_add_point(struct study *s);

/* The place of a name in a column, added if it is new; −1 when memory is short. */
double study_name(struct study_column *c, const char *name);

/* What a scenario says at a dotted path, or what `scenario` itself is where the path is "": a name, a number, or JSON
 * in few words. The caller's to free; NULL when memory is short. */
char *study_words_at(const cJSON *scenario, const char *path);

/* Columns of settings hold numbers, where all their names are some. Call it when all points are there. */
void study_settle(struct study *s);

/* Orders points by their settings, which must be the first columns; names are in the order in which they were added. */
void study_sort(struct study *s);

/* One heat map for every outcome of `outcomes` [count], over the two settings with most values; more of them for every
 * combination of the others, as long as they are few. Nothing when no two settings differ. */
int study_heat_maps(const struct study *s, const size_t *outcomes, size_t count, FILE *out, struct error *err);

/* Outcomes against the one setting that differs, where only one does. */
void study_lines(const struct study *s, const size_t *outcomes, size_t count, FILE *out);

/* Points by two outcomes, those on the front (nobody is better in both) joined by a line. Overloaded ones, without
 * values, are left out. */
int study_front(const struct study *s, size_t x, size_t y, FILE *out, struct error *err);

/* Every point as a way through parallel axes, one for each column that differs. */
void study_ways(const struct study *s, FILE *out);

/* Everything as a table; its rows are where pictures link to. */
void study_table(const struct study *s, FILE *out);

#endif
