/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "reports/pages/html.h"
#include "reports/pages/page_study.h"
#include "reports/pages/plan_answer.h"
#include "reports/pages/study.h"
#include "reports/store/kept_run.h"

enum { UNITS, GPUS, OBJECTIVE, TTFT_P99, TPOT_P99, WITHIN, OUTCOMES };

struct plan_page {
    char *name, *status;
    cJSON *spec, *result;
    const cJSON *families; /* in result */
    const char *objective;
    const char *paths[STUDY_COLUMNS_MAX]; /* [settings] of the plan's search */
    size_t settings, column[OUTCOMES];    /* how many, and where each outcome is */
    struct study study;
    FILE *out;
};

static int take_plan(void *state, int columns, char **values, struct error *err)
{
    struct plan_page *p = state;
    (void)columns;
    p->name = strdup(values[0] ? values[0] : "plan");
    p->status = strdup(kept_text(values[1]));
    p->spec = cJSON_Parse(kept_text(values[2]));
    p->result = values[3] ? cJSON_Parse(values[3]) : NULL;
    if (!p->name || !p->status)
        return error_no_memory(err);
    return p->spec ? 0 : error_set(err, ERROR_INPUT, "the plan as it was kept is not JSON");
}

static double half_in(const cJSON *object, const char *key)
{
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(object, key);
    const cJSON *low = cJSON_GetArrayItem(at, 1), *high = cJSON_GetArrayItem(at, 2);
    return cJSON_IsNumber(low) && cJSON_IsNumber(high) ? (high->valuedouble - low->valuedouble) / 2 : NAN;
}

static const cJSON *family_of(const struct plan_page *p, const char *role)
{
    double at = answer_number(p->result, role);
    return at >= 0 && at < 1e9 ? cJSON_GetArrayItem(p->families, (int)at) : NULL;
}

/* The size with so many units. */
static const cJSON *size_of(const cJSON *family, double units)
{
    const cJSON *size;
    cJSON_ArrayForEach(size, cJSON_GetObjectItemCaseSensitive(family, "sizes"))
    {
        if (answer_number(size, "units") == units)
            return size;
    }
    return NULL;
}

static const char *objective_of(const cJSON *spec)
{
    const char *objective = answer_text(spec, "objective");
    return *objective ? objective : "cost";
}

static const char *objective_words(const char *objective)
{
    return strcmp(objective, "cost") == 0 ? "cost an hour" : strcmp(objective, "energy") == 0 ? "watts" : "GPUs";
}

static int add_settings(struct plan_page *p, struct error *err)
{
    const cJSON *axis;
    cJSON_ArrayForEach(axis, cJSON_GetObjectItemCaseSensitive(p->spec, "search"))
    {
        if (p->settings < STUDY_COLUMNS_MAX - OUTCOMES)
            p->paths[p->settings++] = kept_text(axis->string);
    }
    for (size_t a = 0; a < p->settings; a++)
        if (!study_add_column(&p->study, p->paths[a], true))
            return error_no_memory(err);
    return 0;
}

/* Where GPUs are the objective, they are one column. */
static void add_outcomes(struct plan_page *p)
{
    static const char *const titles[OUTCOMES] = {"units", "GPUs", NULL, "TTFT p99", "TPOT p99", "within SLO"};
    for (int k = 0; k < OUTCOMES; k++) {
        p->column[k] = p->study.column_count;
        if (k == OBJECTIVE && strcmp(p->objective, "gpus") == 0) {
            p->column[k] = p->column[GPUS];
            continue;
        }
        const char *title = titles[k] ? titles[k] : objective_words(p->objective);
        struct study_column *o = study_add_column(&p->study, title, false);
        o->seconds = k == TTFT_P99 || k == TPOT_P99;
        o->share = o->more_is_better = k == WITHIN;
    }
}

static int add_size(struct plan_page *p, const cJSON *family, size_t number, const cJSON *size, struct error *err)
{
    static const char *const keys[OUTCOMES] = {"units", "gpus", NULL, "ttft_s.p99", "tpot_s.p99", "attainment"};
    struct study_point *point = study_add_point(&p->study);
    if (!point)
        return error_no_memory(err);
    for (size_t a = 0; a < p->settings; a++) {
        char *words = study_words_at(cJSON_GetObjectItemCaseSensitive(family, "scenario"), p->paths[a]);
        point->at[a] = words ? study_name(&p->study.columns[a], words) : -1;
        free(words);
        if (point->at[a] < 0)
            return error_no_memory(err);
    }
    bool grows = strcmp(answer_text(size, "binding"), "a queue that grows") == 0;
    for (int k = 0; k < OUTCOMES; k++) {
        bool latency = k >= TTFT_P99;
        point->at[p->column[k]] = latency && grows ? NAN : answer_number(size, keys[k] ? keys[k] : p->objective);
        point->half[p->column[k]] = latency && !grows ? half_in(size, keys[k]) : NAN;
    }
    const char *verdict = answer_text(size, "verdict");
    point->slo = grows                            ? STUDY_OVERLOADED
                 : strcmp(verdict, "holds") == 0  ? STUDY_MET
                 : strcmp(verdict, "breaks") == 0 ? STUDY_MISSED
                                                  : STUDY_AT_TIMES;
    double replications = answer_number(size, "replications");
    point->replications = replications > 0 && replications < 1e9 ? (size_t)replications : 0;
    snprintf(point->label, sizeof point->label, "%.0f × family %zu", answer_number(size, "units"), number);
    snprintf(point->link, sizeof point->link, "#family-%zu", number);
    return 0;
}

static int arrange(struct plan_page *p, struct error *err)
{
    const cJSON *family, *size;
    size_t number = 0;
    if (add_settings(p, err))
        return -1;
    add_outcomes(p);
    cJSON_ArrayForEach(family, p->families)
    {
        number++;
        cJSON_ArrayForEach(size, cJSON_GetObjectItemCaseSensitive(family, "sizes"))
        {
            if (add_size(p, family, number, size, err))
                return -1;
        }
    }
    study_settle(&p->study);
    return 0;
}

static void write_estimate(const struct plan_page *p, const cJSON *size, const char *key, const char *title)
{
    char text[32];
    double v = answer_number(size, key), half = half_in(size, key);
    html_seconds(text, sizeof text, v);
    if (isfinite(v))
        fprintf(p->out, "<div><dt>%s</dt><dd>%s<small>± %.2g %%</small></dd></div>\n", title, text, 100 * half / v);
}

static void write_unserved(const struct plan_page *p, const cJSON *outcome, const char *reason)
{
    double share = answer_number(outcome, "unserved");
    if (!(share > 0))
        return;
    fprintf(p->out, "<p>%.2f %% of requests are not served", 100 * share);
    fputs(*reason ? ", one of them because: " : "", p->out);
    html_text(p->out, reason);
    fputs(".</p>\n", p->out);
}

static void write_choice(const struct plan_page *p, const cJSON *family, double units, const char *role)
{
    const cJSON *size = size_of(family, units);
    fprintf(p->out, "<h3>%s: %.0f unit%s of ", role, units, units == 1 ? "" : "s");
    html_text(p->out, answer_text(family, "label"));
    fputs("</h3>\n<dl class=\"numbers\">\n", p->out);
    if (strcmp(p->objective, "gpus") != 0)
        fprintf(p->out, "<div><dt>%s</dt><dd>%.4g</dd></div>\n", objective_words(p->objective),
                answer_number(size, p->objective));
    fprintf(p->out, "<div><dt>GPUs</dt><dd>%.4g</dd></div>\n", answer_number(size, "gpus"));
    if (strcmp(p->objective, "cost") == 0 && answer_number(size, "tokens_per_s") > 0)
        fprintf(p->out, "<div><dt>cost of a million tokens</dt><dd>%.3g</dd></div>\n",
                answer_number(size, "cost") / answer_number(size, "tokens_per_s") / 3600 * 1e6);
    write_estimate(p, size, "ttft_s.p99", "TTFT p99");
    write_estimate(p, size, "tpot_s.p99", "TPOT p99");
    write_estimate(p, size, "e2e_s.p99", "E2E p99");
    fprintf(p->out, "<div><dt>requests within every limit</dt><dd>%.2f %%</dd></div></dl>\n",
            100 * answer_number(size, "attainment"));
    write_unserved(p, size, answer_text(size, "reason"));
}

/* The size that comes closest; and where requests miss the SLO even if each has an idle replica to itself, that. */
static void write_closest(const struct plan_page *p, const cJSON *closest)
{
    double units = answer_number(p->result, "closest_units");
    const cJSON *alone = cJSON_GetObjectItemCaseSensitive(p->result, "alone");
    write_choice(p, closest, units, "Closest");
    fputs("<p>It misses the SLO: ", p->out);
    html_text(p->out, answer_text(size_of(closest, units), "words"));
    fputs(".</p>\n", p->out);
    if (!alone)
        return;
    fputs("<p>No number of units helps. Requests that each have an idle replica to themselves miss the SLO, too: ",
          p->out);
    html_text(p->out, answer_text(alone, "words"));
    fputs(".</p>\n", p->out);
    write_unserved(p, alone, answer_text(alone, "reason"));
}

static void write_verdict(const struct plan_page *p)
{
    const cJSON *chosen = family_of(p, "recommendation"), *second = family_of(p, "runner_up"),
                *closest = family_of(p, "closest");
    fprintf(p->out, "<section class=\"verdict %s\" aria-label=\"verdict\">\n", chosen ? "good" : "bad");
    if (chosen) {
        const cJSON *size = size_of(chosen, answer_number(chosen, "units"));
        fputs("<p class=\"big\">Buy ", p->out);
        answer_purchase(p->out, cJSON_GetObjectItemCaseSensitive(size, "bill"));
        fputs("</p>\n", p->out);
        answer_sentences(p->out, p->result, size);
        if (answer_number(p->result, "equally_cheap") > 1)
            fprintf(p->out,
                    "<p>Of %.0f that cost as much it is the one with the widest margin, with a probability of %.0f "
                    "%%.</p>\n",
                    answer_number(p->result, "equally_cheap"), 100 * answer_number(p->result, "confidence_of_choice"));
    } else {
        fputs("<p class=\"big\">Nothing that may be bought meets the SLO</p>\n", p->out);
        if (closest)
            write_closest(p, closest);
    }
    fputs("</section>\n", p->out);
    const cJSON *shown = chosen ? chosen : closest;
    const cJSON *size = size_of(shown, answer_number(chosen ? chosen : p->result, chosen ? "units" : "closest_units"));
    answer_expected(p->out, p->result, size);
    answer_curves(p->out, p->result);
    answer_asked(p->out, p->result, size);
    answer_bill(p->out, size);
    answer_needs(p->out, p->result);
    html_heading(p->out, "choices", "The two best");
    if (chosen)
        write_choice(p, chosen, answer_number(chosen, "units"), "Recommended");
    if (second)
        write_choice(p, second, answer_number(second, "units"), "Runner-up");
}

enum { HEADROOM_WIDTH = 760, HEADROOM_LEFT = 130, HEADROOM_LINE = 34, HEADROOM_TEXT = 190 };

/* Where a factor is: 1 on the left, 2 and what is more on the right. */
static double headroom_x(double factor)
{
    return HEADROOM_LEFT + fmin(fmax(factor - 1, 0), 1) * (HEADROOM_WIDTH - HEADROOM_LEFT - HEADROOM_TEXT);
}

/* A bar from 1, and a line from the load that is shown to hold to the one that is shown to break, if any are. */
static void draw_headroom(FILE *out, const char *input, double v, double low, double high, double y)
{
    bool shown = isfinite(low) && isfinite(high);
    fprintf(out, "<text x=\"4\" y=\"%.0f\">", y + 16);
    html_text(out, input);
    fprintf(out, "</text><rect x=\"%d\" y=\"%.0f\" width=\"%.1f\" height=\"20\" fill=\"var(--c0)\"/>", HEADROOM_LEFT, y,
            fmax(headroom_x(v) - HEADROOM_LEFT, 1));
    if (shown)
        fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\" stroke=\"var(--ink)\" stroke-width=\"3\"/>",
                headroom_x(low), headroom_x(high), y + 10, y + 10);
    fprintf(out, "<text class=\"in\" x=\"%.1f\" y=\"%.0f\">× %.3g", headroom_x(shown ? fmax(v, high) : v) + 8, y + 15,
            v);
    if (shown)
        fprintf(out, " (%.3g … %.3g)", low, high);
    fputs("</text>\n", out);
}

static double number_at(const cJSON *list, int index)
{
    const cJSON *at = cJSON_GetArrayItem(list, index);
    return cJSON_IsNumber(at) ? at->valuedouble : NAN;
}

static void write_headroom(const struct plan_page *p)
{
    const cJSON *headroom = cJSON_GetObjectItemCaseSensitive(p->result, "headroom"), *input;
    if (!headroom)
        return;
    html_heading(p->out, "headroom", "How much more it bears");
    fprintf(
        p->out,
        "<p class=\"hint\">How many times as much of each input the recommendation bears; the bar reaches from what "
        "is shown to hold to what is shown to break. Kernel times are of the cost model's; the others are with kernels "
        "as "
        "slow as the verdict takes them to be.</p>\n<svg class=\"wide\" viewBox=\"0 0 %d %d\" role=\"img\" "
        "aria-label=\"headroom by input\">\n",
        HEADROOM_WIDTH, 24 + HEADROOM_LINE * cJSON_GetArraySize(headroom));
    int row = 0;
    cJSON_ArrayForEach(input, headroom)
    {
        double v = answer_number(headroom, input->string);
        draw_headroom(p->out, kept_text(input->string), v, number_at(input, 1), number_at(input, 2),
                      12 + HEADROOM_LINE * row++);
    }
    fputs("</svg>\n", p->out);
    const cJSON *lost = cJSON_GetObjectItemCaseSensitive(p->result, "one_lost");
    if (lost) {
        fprintf(p->out, "<p>With one unit lost it <b>%s</b> (first: ",
                strcmp(answer_text(lost, "verdict"), "holds") == 0    ? "still keeps the SLO"
                : strcmp(answer_text(lost, "verdict"), "breaks") == 0 ? "breaks the SLO"
                                                                      : "may or may not keep the SLO");
        html_text(p->out, answer_text(lost, "binding"));
        fputs(").</p>\n", p->out);
    }
}

/* Units that are needed when an input is less or more than was said; 0 for no number within the constraints. */
struct tornado_bar {
    const char *input;
    double less, more;
};

enum { TORNADO_BARS = 8 };

static double width_of(const struct tornado_bar *b, double units)
{
    double less = b->less > 0 ? fabs(b->less - units) : units, more = b->more > 0 ? fabs(b->more - units) : units;
    return less + more;
}

/* The input that matters most comes first. */
static size_t tornado_bars(const cJSON *needs, double units, struct tornado_bar *bars)
{
    const cJSON *n;
    size_t count = 0;
    cJSON_ArrayForEach(n, needs)
    {
        size_t k = 0;
        while (k < count && strcmp(bars[k].input, answer_text(n, "input")) != 0)
            k++;
        if (k == TORNADO_BARS)
            continue;
        if (k == count)
            bars[count++] = (struct tornado_bar){answer_text(n, "input"), units, units};
        *(answer_number(n, "factor") > 1 ? &bars[k].more : &bars[k].less) = answer_number(n, "units");
    }
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && width_of(&bars[k], units) > width_of(&bars[k - 1], units); k--) {
            struct tornado_bar other = bars[k];
            bars[k] = bars[k - 1];
            bars[k - 1] = other;
        }
    return count;
}

enum { TORNADO_WIDTH = 760, TORNADO_MIDDLE = 400, TORNADO_LINE = 30, TORNADO_SIDE = 230 };

static void draw_side(FILE *out, double y, double units, double needed, double widest, int colour)
{
    double change = needed > 0 ? needed - units : widest, width = fabs(change) / widest * TORNADO_SIDE;
    bool left = change < 0;
    if (change == 0)
        return;
    fprintf(out,
            "<rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"20\" fill=\"var(--c%d)\"/><text class=\"in\" "
            "x=\"%.1f\" y=\"%.0f\" text-anchor=\"%s\">",
            left ? TORNADO_MIDDLE - width : TORNADO_MIDDLE, y, width, colour,
            left ? TORNADO_MIDDLE - width - 5 : TORNADO_MIDDLE + width + 5, y + 15, left ? "end" : "start");
    fprintf(out, needed > 0 ? "%.0f</text>" : "more than may be had</text>", needed);
}

static void draw_tornado(FILE *out, const struct tornado_bar *bars, size_t count, double units)
{
    double widest = 1;
    for (size_t i = 0; i < count; i++)
        widest = fmax(widest, fmax(fabs(bars[i].less - units), bars[i].more > 0 ? fabs(bars[i].more - units) : 0));
    fprintf(out,
            "<svg class=\"wide\" viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"sensitivity of the recommendation; "
            "the table below has the numbers\">\n",
            TORNADO_WIDTH, 16 + TORNADO_LINE * count);
    for (size_t i = 0; i < count; i++) {
        double y = 8 + TORNADO_LINE * (double)i;
        fprintf(out, "<text x=\"4\" y=\"%.0f\">", y + 15);
        html_text(out, bars[i].input);
        fputs("</text>", out);
        draw_side(out, y, units, bars[i].less, widest, 0);
        draw_side(out, y, units, bars[i].more, widest, 1);
        fputc('\n', out);
    }
    fprintf(out, "<line x1=\"%d\" x2=\"%d\" y1=\"2\" y2=\"%zu\" stroke=\"var(--ink)\"/></svg>\n", TORNADO_MIDDLE,
            TORNADO_MIDDLE, 12 + TORNADO_LINE * count);
}

static void write_units(FILE *out, double units)
{
    fprintf(out, units > 0 ? "<td>%.0f</td>" : "<td>more than may be had</td>", units);
}

static void write_needs(const struct plan_page *p, const cJSON *needs)
{
    const cJSON *n;
    bool second = family_of(p, "runner_up") != NULL;
    fprintf(p->out, "<table><tr><th>input</th><th>off by</th><th>units</th>%s</tr>\n",
            second ? "<th>of the runner-up</th><th>then</th>" : "");
    cJSON_ArrayForEach(n, needs)
    {
        fputs("<tr><td>", p->out);
        html_text(p->out, answer_text(n, "input"));
        fprintf(p->out, "</td><td>%+.0f %%</td>", 100 * (answer_number(n, "factor") - 1));
        write_units(p->out, answer_number(n, "units"));
        if (second) {
            write_units(p->out, answer_number(n, "runner_up_units"));
            fputs(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(n, "runner_up_is_cheaper"))
                      ? "<td>the runner-up is cheaper</td>"
                      : "<td></td>",
                  p->out);
        }
        fputs("</tr>\n", p->out);
    }
    fputs("</table>\n", p->out);
}

/* "by 10 %", or where inputs are put off by different shares, what the table below says. */
static void write_share(FILE *out, const cJSON *needs)
{
    const cJSON *n;
    double share = fabs(answer_number(cJSON_GetArrayItem(needs, 0), "factor") - 1);
    bool same = true;
    cJSON_ArrayForEach(n, needs) same &= fabs(fabs(answer_number(n, "factor") - 1) - share) < 1e-9;
    if (same)
        fprintf(out, "by %.0f %%", 100 * share);
    else
        fputs("as far as the table below says", out);
}

static void write_tornado(const struct plan_page *p)
{
    const cJSON *needs = cJSON_GetObjectItemCaseSensitive(p->result, "sensitivity");
    double units = answer_number(family_of(p, "recommendation"), "units");
    struct tornado_bar bars[TORNADO_BARS];
    size_t count = tornado_bars(needs, units, bars);
    if (count == 0)
        return;
    html_heading(p->out, "sensitivity", "What it depends on");
    bool moved = width_of(&bars[0], units) != 0;
    fputs(moved ? "<p class=\"hint\">Units needed when an input is off " : "<p>No input that is off ", p->out);
    write_share(p->out, needs);
    if (!moved) {
        fputs(" changes the number of units.</p>\n", p->out);
    } else {
        fprintf(p->out,
                ": less of it in blue, more of it in orange; the line in the middle is the %.0f recommended.</p>\n",
                units);
        draw_tornado(p->out, bars, count, units);
    }
    write_needs(p, needs);
}

static void write_families(const struct plan_page *p)
{
    const cJSON *family;
    size_t index = 1;
    html_heading(p->out, "families", "Every way to run it, and why it was not chosen");
    fputs("<table><tr><th>family</th><th>fewest units</th><th>requests/s of a unit, about, by formula</th><th>why "
          "not</th></tr>\n",
          p->out);
    cJSON_ArrayForEach(family, p->families)
    {
        double units = answer_number(family, "units");
        char *scenario = cJSON_Print(cJSON_GetObjectItemCaseSensitive(family, "scenario"));
        fprintf(p->out, "<tr id=\"family-%zu\"><td>%zu. ", index, index);
        index++;
        html_text(p->out, answer_text(family, "label"));
        fputs("<details><summary>scenario of a unit</summary><pre>", p->out);
        html_text(p->out, scenario ? scenario : "");
        fputs("</pre></details></td>", p->out);
        fprintf(p->out, isfinite(units) ? "<td>%.0f</td>" : "<td>–</td>", units);
        fprintf(p->out, "<td>%.4g</td><td class=\"words\">", answer_number(family, "capacity_per_s"));
        html_text(p->out, family == family_of(p, "recommendation") ? "recommended" : answer_text(family, "why"));
        fputs("</td></tr>\n", p->out);
        free(scenario);
    }
    fputs("</table>\n", p->out);
}

static int write_front(const struct plan_page *p, struct error *err)
{
    size_t known = 0;
    for (size_t i = 0; i < p->study.count; i++)
        known += isfinite(p->study.points[i].at[p->column[TTFT_P99]]) ? 1 : 0;
    if (known < 2)
        return 0;
    html_heading(p->out, "front", "What more, or less, money buys");
    fputs("<p class=\"hint\">Every size that was looked at and whose queue does not grow. Green keeps the SLO, orange "
          "does not. The line joins the sizes that no other beats in both.</p>\n<div class=\"charts\">\n",
          p->out);
    if (study_front(&p->study, p->column[OBJECTIVE], p->column[TTFT_P99], p->out, err) ||
        study_front(&p->study, p->column[OBJECTIVE], p->column[TPOT_P99], p->out, err))
        return -1;
    fputs("</div>\n", p->out);
    return 0;
}

static int write_page(struct plan_page *p, struct error *err)
{
    html_begin(p->out, p->name);
    write_verdict(p);
    write_headroom(p);
    write_tornado(p);
    if (write_front(p, err))
        return -1;
    study_ways(&p->study, p->out);
    study_table(&p->study, p->out);
    write_families(p);
    char *spec = cJSON_Print(p->spec);
    fprintf(p->out,
            "<p>Found with %.0f trials of %.3g million requests.</p>\n<details><summary>The plan</summary><pre>",
            answer_number(p->result, "trials"), answer_number(p->result, "requests") * 1e-6);
    html_text(p->out, spec ? spec : "");
    fputs("</pre></details>\n", p->out);
    free(spec);
    html_end(p->out);
    return 0;
}

int page_write_plan(struct store *store, int64_t plan_id, FILE *out, struct error *err)
{
    struct plan_page p = {.out = out};
    int status =
        store_read(store, take_plan, &p, err, "SELECT name, status, spec, result FROM plan WHERE id = ?", "i", plan_id);
    if (status == 0 && !p.spec)
        status = error_set(err, ERROR_INPUT, "there is no plan %lld", (long long)plan_id);
    if (status == 0 && !p.result)
        status = error_set(err, ERROR_INPUT, "plan %lld: has no answer yet; the same tandem plan goes on with it",
                           (long long)plan_id);
    if (status == 0) {
        p.families = cJSON_GetObjectItemCaseSensitive(p.result, "families");
        p.objective = objective_of(p.spec);
        status = arrange(&p, err);
    }
    if (status == 0)
        status = write_page(&p, err);
    study_release(&p.study);
    free(p.name), free(p.status);
    cJSON_Delete(p.spec);
    cJSON_Delete(p.result);
    return status;
}
