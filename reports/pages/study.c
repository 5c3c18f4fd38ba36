/* SPDX-License-Identifier: MIT */
#include "reports/pages/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "reports/pages/chart.h"
#include "reports/pages/heat.h"
#include "reports/pages/html.h"

enum { FACETS_MAX = 6, HEAT_SIDE_MAX = 40, WAYS_MAX = 2000, LINE_POINTS_MAX = 512 };

void study_release(struct study *s)
{
    for (size_t c = 0; c < s->column_count; c++) {
        for (size_t i = 0; i < s->columns[c].name_count; i++)
            free(s->columns[c].names[i]);
        free(s->columns[c].names);
    }
    free(s->points);
    *s = (struct study){0};
}

struct study_column *study_add_column(struct study *s, const char *title, bool setting)
{
    if (s->column_count == STUDY_COLUMNS_MAX)
        return NULL;
    struct study_column *c = &s->columns[s->column_count++];
    *c = (struct study_column){.setting = setting, .numeric = !setting};
    snprintf(c->title, sizeof c->title, "%s", title);
    return c;
}

struct study_point *study_add_point(struct study *s)
{
    struct study_point *grown = array_grow(s->points, &s->capacity, s->count + 1, sizeof *grown);
    if (!grown)
        return NULL;
    s->points = grown;
    struct study_point *p = &grown[s->count++];
    *p = (struct study_point){0};
    for (size_t i = 0; i < STUDY_COLUMNS_MAX; i++)
        p->at[i] = p->half[i] = NAN;
    return p;
}

double study_name(struct study_column *c, const char *name)
{
    for (size_t i = 0; i < c->name_count; i++)
        if (strcmp(c->names[i], name) == 0)
            return (double)i;
    char **grown = realloc(c->names, (c->name_count + 1) * sizeof *grown), *copy = strdup(name);
    if (grown)
        c->names = grown;
    if (!grown || !copy) {
        free(copy);
        return -1;
    }
    grown[c->name_count] = copy;
    return (double)c->name_count++;
}

char *study_words_at(const cJSON *scenario, const char *path)
{
    const cJSON *at = scenario;
    while (at && *path) {
        char key[96];
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        at = cJSON_GetObjectItemCaseSensitive(at, key);
        path += length + (path[length] == '.');
    }
    if (cJSON_IsString(at))
        return strdup(at->valuestring);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(at, "name");
    if (!cJSON_IsString(name))
        return at ? cJSON_PrintUnformatted(at) : strdup("default");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    const cJSON *member;
    if (!out)
        return NULL;
    fputs(name->valuestring, out);
    cJSON_ArrayForEach(member, at)
    {
        if (cJSON_IsNumber(member))
            fprintf(out, " %s %g", member->string, member->valuedouble);
    }
    return fclose(out) ? NULL : text;
}

void study_settle(struct study *s)
{
    for (size_t k = 0; k < s->column_count; k++) {
        struct study_column *c = &s->columns[k];
        bool numbers = c->setting && c->name_count > 0;
        for (size_t i = 0; i < c->name_count; i++) {
            char *end = NULL;
            strtod(c->names[i], &end);
            numbers = numbers && *c->names[i] && !*end;
        }
        c->numeric = c->numeric || numbers;
        for (size_t i = 0; numbers && i < s->count; i++)
            s->points[i].at[k] = strtod(c->names[(size_t)s->points[i].at[k]], NULL);
    }
}

/* By their settings, the first of them first: outcomes would only be reached by two points with the same ones. */
static int compare_settings(const void *a, const void *b)
{
    const double *x = ((const struct study_point *)a)->at, *y = ((const struct study_point *)b)->at;
    for (size_t i = 0; i < STUDY_COLUMNS_MAX; i++)
        if (x[i] < y[i] || x[i] > y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

void study_sort(struct study *s)
{
    if (s->count > 1)
        qsort(s->points, s->count, sizeof *s->points, compare_settings);
}

static void value_text(const struct study_column *c, double v, char *out, size_t size)
{
    if (!isfinite(v))
        snprintf(out, size, "–");
    else if (!c->numeric)
        snprintf(out, size, "%s", c->names[(size_t)v]);
    else if (c->seconds)
        html_seconds(out, size, v);
    else if (c->share)
        snprintf(out, size, "%.3g %%", 100 * v);
    else
        snprintf(out, size, "%.6g", v);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Different values of a column, rising; at most `most`, else 0. */
static size_t levels(const struct study *s, size_t column, double *out, size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        double v = s->points[i].at[column];
        bool known = !isfinite(v);
        for (size_t k = 0; k < count && !known; k++)
            known = out[k] == v;
        if (!known && count == most)
            return 0;
        if (!known)
            out[count++] = v;
    }
    qsort(out, count, sizeof *out, compare_doubles);
    return count;
}

static bool varies(const struct study *s, size_t column)
{
    double two[2] = {0};
    size_t count = levels(s, column, two, 1);
    return count != 1 && s->count > 1;
}

static size_t level_of(const double *values, size_t count, double v)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] == v)
            return i;
    return count;
}

/* What a heat map is drawn over. */
struct plane {
    size_t x, y;
    double xs[HEAT_SIDE_MAX], ys[HEAT_SIDE_MAX];
    size_t x_count, y_count;
};

static bool find_plane(const struct study *s, struct plane *p)
{
    size_t most[2] = {0, 0}, which[2] = {STUDY_COLUMNS_MAX, STUDY_COLUMNS_MAX};
    double values[HEAT_SIDE_MAX];
    for (size_t c = 0; c < s->column_count; c++) {
        size_t n = s->columns[c].setting ? levels(s, c, values, HEAT_SIDE_MAX) : 0;
        if (n > most[0]) {
            most[1] = most[0], which[1] = which[0];
            most[0] = n, which[0] = c;
        } else if (n > most[1])
            most[1] = n, which[1] = c;
    }
    if (most[1] < 2)
        return false;
    p->x = which[0], p->y = which[1];
    p->x_count = levels(s, p->x, p->xs, HEAT_SIDE_MAX);
    p->y_count = levels(s, p->y, p->ys, HEAT_SIDE_MAX);
    return true;
}

/* All points that agree in every setting but the two of the plane have one facet: its number, in order of appearance.
 */
static size_t facet_of(const struct study *s, const struct plane *plane, size_t point, size_t *facets, size_t count)
{
    for (size_t f = 0; f < count; f++) {
        bool same = true;
        for (size_t c = 0; c < s->column_count && same; c++)
            same = c == plane->x || c == plane->y || !s->columns[c].setting ||
                   s->points[facets[f]].at[c] == s->points[point].at[c];
        if (same)
            return f;
    }
    if (count < FACETS_MAX)
        facets[count] = point;
    return count;
}

static void facet_title(const struct study *s, const struct plane *plane, size_t outcome, size_t point, char *out,
                        size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s", s->columns[outcome].title);
    for (size_t c = 0; c < s->column_count && used < size; c++) {
        char value[96];
        if (c == plane->x || c == plane->y || !s->columns[c].setting || !varies(s, c))
            continue;
        value_text(&s->columns[c], s->points[point].at[c], value, sizeof value);
        used += (size_t)snprintf(out + used, size - used, " · %s", value);
    }
}

/* In a cell there is room for five letters. */
static void cell_text(const struct study_column *c, double v, char *out, size_t size)
{
    if (!isfinite(v))
        snprintf(out, size, "–");
    else if (c->seconds)
        snprintf(out, size, v < 0.9995 ? "%.0fms" : v < 99.5 ? "%.3gs" : "%.0fs", v < 0.9995 ? v * 1e3 : v);
    else if (c->share)
        snprintf(out, size, "%.3g%%", 100 * v);
    else
        snprintf(out, size, fabs(v) >= 1e4 ? "%.3gk" : fabs(v) >= 100 ? "%.0f" : "%.3g", fabs(v) >= 1e4 ? v / 1e3 : v);
}

/* Next to a row or under a column: three digits are enough to tell which is which. */
static void side_text(const struct study_column *c, double v, char *out, size_t size)
{
    if (c->numeric)
        snprintf(out, size, (v == floor(v) || fabs(v) >= 100) && fabs(v) < 1e5 ? "%.0f" : "%.3g", v);
    else
        value_text(c, v, out, size);
}

static double shade(double v, double low, double high)
{
    bool wide = low > 0 && high / low > 20;
    return high <= low ? 0 : wide ? log(v / low) / log(high / low) : (v - low) / (high - low);
}

/* The last word of a dotted path, and of a long title as much as there is room for. */
static void short_title(const char *title, char *out, size_t size)
{
    const char *dot = strrchr(title, '.');
    snprintf(out, size, "%s", dot && dot[1] >= 'a' ? dot + 1 : title);
}

static void draw_facet(const struct study *s, const struct plane *plane, size_t outcome, const size_t *facet_at,
                       size_t facet, size_t example, double low, double high, FILE *out)
{
    char title[300], text[96], tip[400], link[32], x_label[48], y_label[48];
    short_title(s->columns[plane->x].title, x_label, sizeof x_label);
    short_title(s->columns[plane->y].title, y_label, sizeof y_label);
    facet_title(s, plane, outcome, example, title, sizeof title);
    struct heat h = {.title = title,
                     .x_label = x_label,
                     .y_label = y_label,
                     .columns = plane->x_count,
                     .rows = plane->y_count,
                     .out = out};
    heat_begin(&h);
    for (size_t i = 0; i < plane->x_count; i++) {
        side_text(&s->columns[plane->x], plane->xs[i], text, 8);
        heat_column(&h, i, text);
    }
    for (size_t i = 0; i < plane->y_count; i++) {
        side_text(&s->columns[plane->y], plane->ys[i], text, 14);
        heat_row(&h, i, text);
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct study_point *p = &s->points[i];
        char x[96], y[96], v[96];
        if (facet_at[i] != facet)
            continue;
        value_text(&s->columns[plane->x], p->at[plane->x], x, sizeof x);
        value_text(&s->columns[plane->y], p->at[plane->y], y, sizeof y);
        value_text(&s->columns[outcome], p->at[outcome], v, sizeof v);
        cell_text(&s->columns[outcome], p->at[outcome], text, sizeof text);
        snprintf(tip, sizeof tip, "%s %s, %s %s: %s%s", s->columns[plane->x].title, x, s->columns[plane->y].title, y, v,
                 p->slo == STUDY_MET          ? ", SLO met"
                 : p->slo == STUDY_UNASKED    ? ""
                 : p->slo == STUDY_OVERLOADED ? ", overloaded"
                                              : ", SLO not met");
        snprintf(link, sizeof link, "#point-%zu", i);
        heat_cell(&h, &(struct heat_cell){.column = level_of(plane->xs, plane->x_count, p->at[plane->x]),
                                          .row = level_of(plane->ys, plane->y_count, p->at[plane->y]),
                                          .share = isfinite(p->at[outcome]) ? shade(p->at[outcome], low, high) : 0,
                                          .text = text,
                                          .tip = tip,
                                          .link = link});
    }
    heat_end(&h);
}

static void range_of(const struct study *s, size_t column, double *low, double *high)
{
    *low = INFINITY, *high = -INFINITY;
    for (size_t i = 0; i < s->count; i++)
        if (isfinite(s->points[i].at[column])) {
            *low = fmin(*low, s->points[i].at[column]);
            *high = fmax(*high, s->points[i].at[column]);
        }
}

int study_heat_maps(const struct study *s, const size_t *outcomes, size_t count, FILE *out, struct error *err)
{
    struct plane plane;
    size_t facets[FACETS_MAX], facet_count = 0;
    if (!find_plane(s, &plane))
        return 0;
    size_t *facet_at = malloc(s->count * sizeof *facet_at);
    if (!facet_at)
        return error_no_memory(err);
    for (size_t i = 0; i < s->count; i++) {
        facet_at[i] = facet_of(s, &plane, i, facets, facet_count);
        facet_count += facet_at[i] == facet_count && facet_count < FACETS_MAX;
    }
    html_heading(out, "maps", "Over two settings");
    fputs("<p class=\"hint\">Darker is more. A cell leads to its row in the table below.</p>\n<div class=\"charts\">\n",
          out);
    for (size_t k = 0; k < count; k++) {
        double low, high;
        range_of(s, outcomes[k], &low, &high);
        for (size_t f = 0; f < facet_count && high >= low; f++)
            draw_facet(s, &plane, outcomes[k], facet_at, f, facets[f], low, high, out);
    }
    fputs("</div>\n", out);
    free(facet_at);
    return 0;
}

void study_lines(const struct study *s, const size_t *outcomes, size_t count, FILE *out)
{
    size_t setting = STUDY_COLUMNS_MAX, differ = 0;
    for (size_t c = 0; c < s->column_count; c++)
        if (s->columns[c].setting && varies(s, c))
            setting = c, differ++;
    if (differ != 1 || !s->columns[setting].numeric || s->count < 3 || s->count > LINE_POINTS_MAX)
        return;
    double from, to;
    range_of(s, setting, &from, &to);
    html_heading(out, "lines", "Over the setting");
    fputs("<div class=\"charts\">\n", out);
    for (size_t k = 0; k < count; k++) {
        double low, high, xs[LINE_POINTS_MAX], ys[LINE_POINTS_MAX], sorted[LINE_POINTS_MAX];
        range_of(s, outcomes[k], &low, &high);
        if (!(high >= low))
            continue;
        bool wide = low > 0 && high / low > 20;
        struct chart c = {.title = s->columns[outcomes[k]].title,
                          .x = {s->columns[setting].title, from, to, from > 0 && to / from > 20},
                          .y = {s->columns[outcomes[k]].seconds ? "seconds" : s->columns[outcomes[k]].title,
                                wide ? low / 1.2 : fmin(low, 0), high > 0 ? high * 1.1 : 1, wide},
                          .out = out};
        size_t n = 0;
        for (size_t i = 0; i < s->count; i++)
            sorted[i] = s->points[i].at[setting];
        qsort(sorted, s->count, sizeof *sorted, compare_doubles);
        for (size_t i = 0; i < s->count; i++)
            for (size_t j = 0; j < s->count; j++)
                if (s->points[j].at[setting] == sorted[i] && isfinite(s->points[j].at[outcomes[k]])) {
                    xs[n] = sorted[i];
                    ys[n++] = s->points[j].at[outcomes[k]];
                    break;
                }
        chart_begin(&c);
        chart_line(&c, (int)(k % 6), xs, ys, n);
        chart_points(&c, (int)(k % 6), xs, ys, n);
        chart_end(&c);
    }
    fputs("</div>\n", out);
}

/* −1, 0, 1: whether a is worse than b in a column, as good, better. */
static int better(const struct study_column *c, double a, double b)
{
    return c->more_is_better ? (a > b) - (a < b) : (a < b) - (a > b);
}

static bool on_front(const struct study *s, size_t x, size_t y, size_t point)
{
    const struct study_point *p = &s->points[point];
    for (size_t i = 0; i < s->count; i++) {
        const struct study_point *q = &s->points[i];
        if (!isfinite(q->at[x]) || !isfinite(q->at[y]))
            continue;
        int bx = better(&s->columns[x], q->at[x], p->at[x]), by = better(&s->columns[y], q->at[y], p->at[y]);
        if (bx >= 0 && by >= 0 && bx + by > 0)
            return false;
    }
    return true;
}

struct place {
    double x, y;
};

static int compare_places(const void *a, const void *b)
{
    return compare_doubles(&((const struct place *)a)->x, &((const struct place *)b)->x);
}

static struct chart_axis axis_of(const struct study *s, size_t column)
{
    double low, high;
    range_of(s, column, &low, &high);
    bool wide = low > 0 && high / low > 10;
    double margin = high > low ? (high - low) * 0.05 : fmax(fabs(high) * 0.05, 1e-9);
    return (struct chart_axis){s->columns[column].title, wide ? low / 1.15 : low - margin,
                               wide ? high * 1.15 : high + margin, wide};
}

static void draw_front(const struct study *s, const struct chart *c, size_t x, size_t y, struct place *front)
{
    size_t count = 0;
    chart_begin(c);
    for (size_t i = 0; i < s->count; i++) {
        const struct study_point *p = &s->points[i];
        if (!isfinite(p->at[x]) || !isfinite(p->at[y]))
            continue;
        chart_points(c, p->slo <= STUDY_MET ? 2 : 1, &p->at[x], &p->at[y], 1);
        if (on_front(s, x, y, i))
            front[count++] = (struct place){p->at[x], p->at[y]};
    }
    qsort(front, count, sizeof *front, compare_places);
    for (size_t i = 1; i < count; i++) {
        const double xs[] = {front[i - 1].x, front[i].x}, ys[] = {front[i - 1].y, front[i].y};
        chart_line(c, 0, xs, ys, 2);
    }
    chart_end(c);
}

int study_front(const struct study *s, size_t x, size_t y, FILE *out, struct error *err)
{
    struct place *front = malloc((s->count + 1) * sizeof *front);
    char title[240];
    if (!front)
        return error_no_memory(err);
    snprintf(title, sizeof title, "%s and %s", s->columns[y].title, s->columns[x].title);
    struct chart c = {.title = title, .x = axis_of(s, x), .y = axis_of(s, y), .out = out};
    if (isfinite(c.x.high) && isfinite(c.y.high))
        draw_front(s, &c, x, y, front);
    free(front);
    return 0;
}

static const char *const slo_words[] = {"", "met", "at times", "not met", "overloaded"};

enum { WAYS_WIDTH = 960, WAYS_HEIGHT = 330, WAYS_TOP = 46, WAYS_BOTTOM = 22, WAYS_SIDE = 50 };

static double way_share(const struct study *s, size_t column, double v, double low, double high)
{
    if (!isfinite(v) || high <= low)
        return isfinite(v) ? 0.5 : 1;
    return s->columns[column].numeric && low > 0 && high / low > 20 ? log(v / low) / log(high / low)
                                                                    : (v - low) / (high - low);
}

static void draw_way_axis(const struct study *s, size_t column, double x, double low, double high, FILE *out)
{
    const struct study_column *c = &s->columns[column];
    char text[24], title[22];
    short_title(c->title, title, sizeof title);
    fprintf(out,
            "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"var(--soft)\"/><text x=\"%.1f\" y=\"14\" "
            "text-anchor=\"middle\">",
            x, x, WAYS_TOP, WAYS_HEIGHT - WAYS_BOTTOM, x);
    html_text(out, title);
    fputs("</text>", out);
    size_t count = c->numeric ? 2 : c->name_count;
    for (size_t i = 0; i < count && count < 12; i++) {
        double v = c->numeric ? (i ? high : low) : (double)i;
        double y =
            WAYS_HEIGHT - WAYS_BOTTOM - way_share(s, column, v, low, high) * (WAYS_HEIGHT - WAYS_TOP - WAYS_BOTTOM);
        if (c->numeric && !c->seconds && !c->share)
            side_text(c, v, text, sizeof text);
        else
            value_text(c, v, text, c->numeric ? sizeof text : 16);
        bool above = c->numeric && i;
        fprintf(out, "<text class=\"in\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x,
                c->numeric ? (above ? WAYS_TOP - 8 : WAYS_HEIGHT - 6) : y - 4);
        html_text(out, text);
        fputs("</text>", out);
    }
}

void study_ways(const struct study *s, FILE *out)
{
    size_t shown[STUDY_COLUMNS_MAX], count = 0;
    double low[STUDY_COLUMNS_MAX], high[STUDY_COLUMNS_MAX];
    for (size_t c = 0; c < s->column_count; c++)
        if (varies(s, c)) {
            range_of(s, c, &low[count], &high[count]);
            shown[count] = c;
            count += high[count] >= low[count];
        }
    if (count < 2 || s->count < 2)
        return;
    html_heading(out, "ways", "Every point as a way through settings and outcomes");
    fprintf(
        out,
        "<p class=\"hint\">Green keeps the SLO, orange does not. Point at a way, or at a row of the table, to see "
        "both.%s</p>\n<svg class=\"wide\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"parallel coordinates; the "
        "table below has the numbers\">\n",
        s->count > WAYS_MAX ? " The first 2 000 are drawn." : "", WAYS_WIDTH, WAYS_HEIGHT);
    double step = (double)(WAYS_WIDTH - 2 * WAYS_SIDE) / (double)(count - 1);
    for (size_t i = 0; i < s->count && i < WAYS_MAX; i++) {
        const struct study_point *p = &s->points[i];
        fprintf(out, "<path class=\"way\" data-row=\"point-%zu\" stroke=\"var(--c%d)\" d=\"", i,
                p->slo <= STUDY_MET ? 2 : 1);
        for (size_t k = 0; k < count; k++)
            fprintf(out, "%c%.1f,%.1f", k ? 'L' : 'M', WAYS_SIDE + (double)k * step,
                    WAYS_HEIGHT - WAYS_BOTTOM -
                        way_share(s, shown[k], p->at[shown[k]], low[k], high[k]) *
                            (WAYS_HEIGHT - WAYS_TOP - WAYS_BOTTOM));
        fputs("\"/>", out);
    }
    fputc('\n', out);
    for (size_t k = 0; k < count; k++)
        draw_way_axis(s, shown[k], WAYS_SIDE + (double)k * step, low[k], high[k], out);
    fputs("</svg>\n", out);
}

static void write_value(const struct study_column *c, double v, double half, FILE *out)
{
    char text[160];
    value_text(c, v, text, sizeof text);
    fputs("<td", out);
    if (isfinite(v) && c->numeric)
        fprintf(out, " data-v=\"%.9g\"", v);
    fputs(">", out);
    html_text(out, text);
    if (isfinite(half) && half > 0 && isfinite(v) && v != 0)
        fprintf(out, "<small>± %.2g %%</small>", 100 * half / fabs(v));
    fputs("</td>", out);
}

void study_table(const struct study *s, FILE *out)
{
    html_heading(out, "points", "All of them");
    fputs("<table class=\"sortable\"><tr><th>point</th>", out);
    for (size_t c = 0; c < s->column_count; c++) {
        char title[96];
        short_title(s->columns[c].title, title, sizeof title);
        fputs("<th>", out);
        html_text(out, title);
        fputs("</th>", out);
    }
    fputs("<th>SLO</th></tr>\n", out);
    for (size_t i = 0; i < s->count; i++) {
        const struct study_point *p = &s->points[i];
        fprintf(out, "<tr id=\"point-%zu\"><td data-v=\"%zu\">%s", i, i,
                p->slo == STUDY_OVERLOADED ? "<b>overloaded</b> " : "");
        if (p->link[0]) {
            fputs("<a href=\"", out);
            html_text(out, p->link);
            fputs("\">", out);
        }
        html_text(out, p->label);
        fputs(p->link[0] ? "</a>" : "", out);
        if (p->replications > 1)
            fprintf(out, "<small>%zu replications</small>", p->replications);
        fputs("</td>", out);
        for (size_t c = 0; c < s->column_count; c++)
            write_value(&s->columns[c], p->at[c], p->half[c], out);
        fprintf(out, "<td class=\"%s\">%s</td></tr>\n", p->slo <= STUDY_MET ? "good" : "bad", slo_words[p->slo]);
    }
    fputs("</table>\n", out);
}
