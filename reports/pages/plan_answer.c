/* SPDX-License-Identifier: MIT */
#include "reports/pages/plan_answer.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "reports/pages/chart.h"
#include "reports/pages/html.h"

double answer_number(const cJSON *object, const char *key)
{
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(object, key);
    if (cJSON_IsArray(at)) /* an estimate: value, low, high */
        at = cJSON_GetArrayItem(at, 0);
    return cJSON_IsNumber(at) ? at->valuedouble : NAN;
}

const char *answer_text(const cJSON *object, const char *key)
{
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(at) ? at->valuestring : "";
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* 93440 as 93 440, with spaces that do not break. */
static void write_grouped(FILE *out, double value)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.0f", fabs(value) < 1e18 ? value : 0);
    size_t length = strlen(digits);
    for (size_t i = 0; i < length; i++) {
        fputc(digits[i], out);
        if ((length - i) % 3 == 1 && i + 1 < length && isdigit((unsigned char)digits[i]))
            fputs("\u202f", out);
    }
}

/* A share that is neither 0 nor 1, though it may round to them. */
static void write_share(FILE *out, double share)
{
    if (share > 0.995)
        fputs("over 99 %", out);
    else if (share < 0.005)
        fputs("below 1 %", out);
    else
        fprintf(out, "%.0f %%", 100 * share);
}

void answer_purchase(FILE *out, const cJSON *bill)
{
    const cJSON *line;
    bool first = true;
    cJSON_ArrayForEach(line, member(bill, "devices"))
    {
        double nodes = answer_number(line, "nodes"), gpus = answer_number(line, "gpus_to_buy");
        fputs(first ? "" : " + ", out);
        first = false;
        if (nodes > 0)
            fprintf(out, "%.0f node%s of %.0f × ", nodes, nodes == 1 ? "" : "s", answer_number(line, "gpus_per_node"));
        else
            fprintf(out, "%.0f × ", gpus);
        html_text(out, answer_text(line, "device"));
    }
}

static void write_money(FILE *out, const cJSON *bill)
{
    const char *currency = answer_text(bill, "currency");
    double tokens = answer_number(bill, "cost_per_million_tokens");
    if (!(answer_number(bill, "cost_per_h") > 0))
        return;
    fprintf(out, "<p><b>");
    write_grouped(out, answer_number(bill, "cost_per_month"));
    fputs(*currency ? " " : "", out);
    html_text(out, currency);
    fprintf(out, " a month</b> (%g hours), %.2f an hour", answer_number(bill, "hours_per_month"),
            answer_number(bill, "cost_per_h"));
    if (tokens > 0)
        fprintf(out, ", %.3f for a million tokens", tokens);
    fprintf(out, ". %.4g GPUs are needed", answer_number(bill, "gpus_needed"));
    if (answer_number(bill, "nodes") > 0)
        fprintf(out, ", %.4g are bought", answer_number(bill, "gpus_to_buy"));
    fputs(".</p>\n", out);
}

static double level_of(const cJSON *needs, int index, const char *key)
{
    return answer_number(cJSON_GetArrayItem(member(needs, "levels"), index), key);
}

enum { LOW = 0, MIDDLE = 3, HIGH = 6 };

static void write_gpus(FILE *out, double gpus)
{
    if (gpus > 0)
        fprintf(out, "%.4g", gpus);
    else
        fputs("more than is allowed", out);
}

/* "ttft_s" as TTFT. */
static void write_metric(FILE *out, const char *name)
{
    for (; *name && *name != '_' && *name != '.'; name++)
        fputc(toupper((unsigned char)*name), out);
}

/* "TTFT p95 ≤ 1 s, TPOT p95 ≤ 50 ms, 99 % of requests within all": the SLO of all requests. */
static void write_limits(FILE *out, const cJSON *slo)
{
    const cJSON *metric, *limit;
    bool first = true;
    double attainment = answer_number(slo, "attainment"), goodput = answer_number(slo, "goodput_per_s");
    cJSON_ArrayForEach(metric, slo)
    {
        const char *unit = metric->string ? strstr(metric->string, "_s") : NULL;
        if (!cJSON_IsObject(metric) || !unit || unit[2])
            continue;
        cJSON_ArrayForEach(limit, metric)
        {
            char text[32];
            html_seconds(text, sizeof text, cJSON_IsNumber(limit) ? limit->valuedouble : NAN);
            fputs(first ? "" : ", ", out);
            first = false;
            write_metric(out, metric->string);
            fputc(' ', out);
            html_text(out, limit->string);
            fprintf(out, " ≤ %s", text);
        }
    }
    if (isfinite(attainment))
        fprintf(out, "%s%g %% of requests within every limit", first ? "" : ", ", 100 * attainment);
    if (isfinite(goodput))
        fprintf(out, "%sat least %g good requests/s", first && !isfinite(attainment) ? "" : ", ", goodput);
    if (member(slo, "classes"))
        fputs(", classes with limits of their own", out);
    if (member(slo, "windows"))
        fputs(", windows judged one by one", out);
}

static void write_certainty(FILE *out, const cJSON *certainty)
{
    const cJSON *needs = member(certainty, "recommendation"), *rival = member(certainty, "rival");
    double confidence = answer_number(certainty, "confidence");
    if (!certainty)
        return;
    fputs("<p><b>How sure:</b> it meets the SLO with ", out);
    if (isfinite(confidence))
        write_share(out, confidence);
    else
        fprintf(out, "at least %.0f %%", 100 * answer_number(certainty, "asked_for"));
    fprintf(out, " confidence (%.0f %% asked for), the cost model's error included. GPUs needed: ",
            100 * answer_number(certainty, "asked_for"));
    write_gpus(out, level_of(needs, MIDDLE, "gpus"));
    fputs(", 90 % interval ", out);
    write_gpus(out, level_of(needs, LOW, "gpus"));
    fputs(" … ", out);
    write_gpus(out, level_of(needs, HIGH, "gpus"));
    fputs(".", out);
    if (rival) {
        fputs(" ", out);
        html_text(out, answer_text(needs, "device"));
        fputs(" rather than ", out);
        html_text(out, answer_text(rival, "device"));
        fputs(" is right with a probability of ", out);
        write_share(out, answer_number(certainty, "right"));
        fputs(".", out);
    }
    fputs("</p>\n", out);
}

static void write_first_to_break(FILE *out, const cJSON *result, const cJSON *size)
{
    double rate = answer_number(member(result, "headroom"), "rate");
    fputs("<p><b>What breaks first:</b> ", out);
    html_text(out, answer_text(size, "words"));
    if (rate > 1)
        fprintf(out, "; the rate may grow × %.3g", rate);
    fputs(".", out);
    const cJSON *lost = member(result, "one_lost");
    if (lost)
        fprintf(out, " With one unit lost it %s.",
                strcmp(answer_text(lost, "verdict"), "holds") == 0    ? "still meets the SLO"
                : strcmp(answer_text(lost, "verdict"), "breaks") == 0 ? "misses the SLO"
                                                                      : "is not shown to meet the SLO");
    fputs("</p>\n", out);
}

static void write_measurement(FILE *out, const cJSON *result)
{
    const cJSON *measure = member(member(result, "certainty"), "measure"), *rates = member(measure, "rates_per_s");
    double right = answer_number(measure, "right");
    if (!measure)
        return;
    fputs("<p><b>What to measure next:</b> ", out);
    html_text(out, answer_text(member(result, "asked"), "model"));
    fputs(" on ", out);
    html_text(out, answer_text(measure, "device"));
    fprintf(out, " at %.3g and %.3g requests/s of a replica, then <code>tandem calibrate</code>",
            cJSON_GetArrayItem(rates, 0) ? cJSON_GetArrayItem(rates, 0)->valuedouble : NAN,
            cJSON_GetArrayItem(rates, 1) ? cJSON_GetArrayItem(rates, 1)->valuedouble : NAN);
    if (isfinite(right)) {
        fputs(": the choice of device is then right with a probability of ", out);
        write_share(out, right);
    }
    fputs(".</p>\n", out);
}

void answer_sentences(FILE *out, const cJSON *result, const cJSON *size)
{
    const cJSON *asked = member(result, "asked");
    fputs("<p>", out);
    html_text(out, answer_text(asked, "model"));
    fprintf(out, " at %.4g requests/s: ", answer_number(result, "rate_per_s"));
    write_limits(out, member(asked, "slo"));
    fputs(".</p>\n", out);
    write_money(out, member(size, "bill"));
    write_certainty(out, member(result, "certainty"));
    write_first_to_break(out, result, size);
    write_measurement(out, result);
    fputs("<p><b>How to start it:</b> the same <code>tandem plan</code> with <code>--emit vllm</code> (or sglang, "
          "trtllm, llm-d, dynamo) prints the servers' flags and the benchmark that tests them.</p>\n",
          out);
}

static void begin_row(FILE *out, const char *title)
{
    fputs("<tr><th scope=\"row\">", out);
    html_text(out, title);
    fputs("</th><td class=\"words\">", out);
}

/* "log-normal"s and such: a length's or arrival's object in words. */
static void write_words(FILE *out, const cJSON *value)
{
    const cJSON *at;
    if (cJSON_IsNumber(value))
        fprintf(out, "%g", value->valuedouble);
    else if (cJSON_IsString(value))
        html_text(out, value->valuestring);
    else if (cJSON_IsBool(value))
        fputs(cJSON_IsTrue(value) ? "yes" : "no", out);
    bool first = true;
    if (cJSON_IsObject(value) || cJSON_IsArray(value))
        cJSON_ArrayForEach(at, value)
        {
            if (at->string && strcmp(at->string, "rate_per_s") == 0) /* the plan's rate is a row of its own */
                continue;
            fputs(first ? "" : ", ", out);
            first = false;
            if (at->string && strcmp(at->string, "name") != 0 && strcmp(at->string, "preset") != 0) {
                html_text(out, at->string);
                fputc(' ', out);
            }
            write_words(out, at);
        }
}

static void write_row(FILE *out, const char *title, const cJSON *value)
{
    if (!value)
        return;
    begin_row(out, title);
    write_words(out, value);
    fputs("</td></tr>\n", out);
}

void answer_asked(FILE *out, const cJSON *result, const cJSON *size)
{
    const cJSON *asked = member(result, "asked"), *scenario = member(size, "scenario");
    const cJSON *workload = member(asked, "workload");
    static const char *const keys[] = {"arrivals", "lengths", "trace",   "conversations",
                                       "programs", "classes", "requests"};
    html_heading(out, "asked", "What is asked for");
    fputs("<table>\n", out);
    write_row(out, "model", member(scenario, "model") ? member(scenario, "model") : member(asked, "model"));
    write_row(out, "engine", member(scenario, "engine") ? member(scenario, "engine") : member(asked, "engine"));
    begin_row(out, "rate");
    fprintf(out, "%.4g requests/s</td></tr>\n", answer_number(result, "rate_per_s"));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        write_row(out, keys[i], member(workload, keys[i]));
    begin_row(out, "SLO");
    write_limits(out, member(asked, "slo"));
    fputs("</td></tr>\n", out);
    write_row(out, "chosen by", member(asked, "objective"));
    begin_row(out, "made by");
    fputs("tandem ", out);
    html_text(out, answer_text(result, "version"));
    fputs("</td></tr>\n</table>\n", out);
}

/* "ttft_s.p95" as TTFT p95. */
static void write_statistic(FILE *out, const char *name)
{
    const char *dot = strchr(name, '.');
    write_metric(out, name);
    fprintf(out, " %s", dot ? dot + 1 : "");
}

static void write_seconds_cell(FILE *out, double seconds)
{
    char text[32];
    html_seconds(text, sizeof text, seconds);
    fprintf(out, "<td>%s</td>", text);
}

/* Rows of what the SLO limits, against their limits; the others without a colour. */
void answer_expected(FILE *out, const cJSON *result, const cJSON *size)
{
    const cJSON *expected = member(member(result, "certainty"), "expected"), *e;
    if (!expected)
        return;
    html_heading(out, "expected", "What to expect, against the limits");
    fputs("<table class=\"narrow\"><tr><th></th><th>limit</th><th>expected</th><th>90 % interval</th><th>as "
          "judged</th></tr>\n",
          out);
    cJSON_ArrayForEach(e, expected)
    {
        const char *name = answer_text(e, "name");
        double limit = answer_number(e, "limit"), judged = answer_number(size, name);
        if (!strchr(name, '.'))
            continue;
        char low[32], high[32];
        html_seconds(low, sizeof low, answer_number(e, "low"));
        html_seconds(high, sizeof high, answer_number(e, "high"));
        fputs("<tr><td>", out);
        write_statistic(out, name);
        fputs("</td>", out);
        write_seconds_cell(out, limit);
        write_seconds_cell(out, answer_number(e, "value"));
        fprintf(out, "<td class=\"%s\">%s … %s</td>",
                !isfinite(limit)                    ? ""
                : answer_number(e, "high") <= limit ? "good"
                                                    : "bad",
                low, high);
        char text[32];
        html_seconds(text, sizeof text, judged);
        fprintf(out, "<td class=\"%s\">%s</td></tr>\n", !isfinite(limit) ? "" : judged <= limit ? "good" : "bad", text);
    }
    fputs("</table>\n<p class=\"hint\">Expected: with kernels as slow as the median of the cost model's error; the "
          "interval: at its 5 % and 95 % quantiles; as judged: at the quantile that the verdict is of. A dash: no "
          "limit.</p>\n",
          out);
}

void answer_bill(FILE *out, const cJSON *size)
{
    const cJSON *bill = member(size, "bill"), *line;
    if (!bill)
        return;
    html_heading(out, "bill", "What is bought, and where its price and its times are from");
    fputs("<table class=\"narrow\"><tr><th>device</th><th>GPUs needed</th><th>to buy</th><th>nodes</th><th>a GPU and "
          "hour</th><th>an hour</th><th>kW at most</th></tr>\n",
          out);
    cJSON_ArrayForEach(line, member(bill, "devices"))
    {
        fputs("<tr><td>", out);
        html_text(out, answer_text(line, "device"));
        fprintf(out, "</td><td>%.4g</td><td>%.4g</td>", answer_number(line, "gpus_needed"),
                answer_number(line, "gpus_to_buy"));
        if (answer_number(line, "nodes") > 0)
            fprintf(out, "<td>%.4g</td>", answer_number(line, "nodes"));
        else
            fputs("<td>–</td>", out);
        if (answer_number(line, "price_per_h") > 0)
            fprintf(out, "<td>%.2f %s</td><td>%.2f</td>", answer_number(line, "price_per_h"),
                    answer_text(line, "currency"), answer_number(line, "cost_per_h"));
        else
            fputs("<td>–</td><td>–</td>", out);
        fprintf(out, "<td>%.1f</td></tr>\n", answer_number(line, "power_w") / 1000);
    }
    fputs("</table>\n", out);
    cJSON_ArrayForEach(line, member(bill, "devices"))
    {
        fputs("<p class=\"hint\">", out);
        html_text(out, answer_text(line, "device"));
        fputs(": price of ", out);
        html_text(out, answer_text(line, "price_source"));
        fputs(*answer_text(line, "price_date") ? ", " : "", out);
        html_text(out, answer_text(line, "price_date"));
        fputs(". Times: ", out);
        html_text(out, answer_text(line, "cost_model"));
        fputs(".</p>\n", out);
    }
}

static void write_needs(FILE *out, const cJSON *needs)
{
    const cJSON *level;
    if (!needs)
        return;
    fputs("<tr><td>", out);
    html_text(out, answer_text(needs, "label"));
    fprintf(out, "<small>from %.0f measured points of ", answer_number(needs, "points"));
    html_text(out, answer_text(needs, "error_of"));
    fprintf(out, "; kernels × %.2f (%.2f … %.2f)</small></td>", level_of(needs, MIDDLE, "factor"),
            level_of(needs, LOW, "factor"), level_of(needs, HIGH, "factor"));
    cJSON_ArrayForEach(level, member(needs, "levels"))
    {
        fputs("<td>", out);
        if (answer_number(level, "gpus") > 0)
            fprintf(out, "%.4g", answer_number(level, "gpus"));
        else
            fputs("–", out);
        if (answer_number(level, "nodes") > 0)
            fprintf(out, "<small>%.4g node%s</small>", answer_number(level, "nodes"),
                    answer_number(level, "nodes") == 1 ? "" : "s");
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
}

void answer_needs(FILE *out, const cJSON *result)
{
    const cJSON *certainty = member(result, "certainty"), *level;
    if (!certainty)
        return;
    html_heading(out, "sure", "GPUs needed, if kernels are as slow as the cost model's error allows");
    fputs("<table class=\"narrow\"><tr><th>quantile of the error</th>", out);
    cJSON_ArrayForEach(level, member(member(certainty, "recommendation"), "levels"))
        fprintf(out, "<th>%.0f %%</th>", 100 * answer_number(level, "level"));
    fputs("</tr>\n", out);
    write_needs(out, member(certainty, "recommendation"));
    write_needs(out, member(certainty, "rival"));
    fputs("</table>\n", out);
}

enum { CURVE_POINTS = 40 };

struct curve {
    double rates[CURVE_POINTS], seconds[CURVE_POINTS];
    size_t count;
};

/* Of points beyond `most` the first alone, so that the limit can be seen. */
static void take_points(const cJSON *list, double most, struct curve *c)
{
    const cJSON *point;
    c->count = 0;
    cJSON_ArrayForEach(point, list)
    {
        const cJSON *rate = cJSON_GetArrayItem(point, 0), *seconds = cJSON_GetArrayItem(point, 1);
        if (c->count == CURVE_POINTS || !cJSON_IsNumber(rate) || !cJSON_IsNumber(seconds))
            continue;
        c->rates[c->count] = rate->valuedouble;
        c->seconds[c->count++] = fmin(seconds->valuedouble, most);
        if (seconds->valuedouble > most)
            return;
    }
}

static void draw_curve(FILE *out, const cJSON *curve, double rate)
{
    struct curve c;
    char title[120], name[60];
    double limit = answer_number(curve, "limit");
    const char *of = answer_text(curve, "name"), *dot = strchr(of, '.');
    take_points(member(curve, "points"), 2 * limit, &c);
    if (c.count < 2 || !(limit > 0) || !(c.rates[c.count - 1] > c.rates[0]))
        return;
    size_t length = 0;
    for (; of[length] && of[length] != '_' && of[length] != '.' && length < 20; length++)
        name[length] = (char)toupper((unsigned char)of[length]);
    snprintf(name + length, sizeof name - length, " %.30s", dot ? dot + 1 : "");
    snprintf(title, sizeof title, "%s against the rate", name);
    double low = fmin(c.rates[0], rate), high = fmax(c.rates[c.count - 1], rate), most = limit;
    for (size_t i = 0; i < c.count; i++)
        most = fmax(most, c.seconds[i]);
    const struct chart chart = {.title = title,
                                .x = {.label = "requests/s", .low = low, .high = high * 1.02},
                                .y = {.label = "s", .low = 0, .high = most * 1.1},
                                .out = out};
    chart_begin(&chart);
    chart_reference(&chart, low, limit, high * 1.02, limit);
    chart_reference(&chart, rate, 0, rate, most * 1.1);
    chart_line(&chart, 0, c.rates, c.seconds, c.count);
    chart_points(&chart, 0, c.rates, c.seconds, c.count);
    chart_end(&chart);
}

void answer_curves(FILE *out, const cJSON *result)
{
    const cJSON *curve;
    if (cJSON_GetArraySize(member(result, "curves")) == 0)
        return;
    html_heading(out, "curves", "Latency against the rate");
    fputs(
        "<p class=\"hint\">Of the recommended size, as the verdict is judged. Dashed: the limit, and the rate that is "
        "to be served. What is above twice the limit is drawn there.</p>\n<div class=\"charts\">\n",
        out);
    cJSON_ArrayForEach(curve, member(result, "curves")) draw_curve(out, curve, answer_number(result, "rate_per_s"));
    fputs("</div>\n", out);
}
