/* SPDX-License-Identifier: MIT */
#include "reports/pages/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/pages/page_parts.h"
#include "reports/stats/bands.h"

/* Which part dominates a band, and how much of it. */
static int largest_part(const struct page *p, const char *metric, const char *band, double *share)
{
    double all = 0, most = 0;
    int which = 0;
    for (int i = 0; i < PART_COUNT; i++) {
        char name[48];
        snprintf(name, sizeof name, "%s_part_%s", metric, time_part_names[i]);
        double part = kept_run_value(p->run, name, band, "mean");
        all += isfinite(part) ? part : 0;
        if (part > most) {
            most = part;
            which = i;
        }
    }
    *share = all > 0 ? most / all : 0;
    return which;
}

/* Runs that were kept before there were bands say nothing here. */
static void write_slowest_hundredth(struct page *p)
{
    double first, last;
    int first_part = largest_part(p, "ttft_s", "band:p99-p100", &first),
        last_part = largest_part(p, "e2e_s", "band:p99-p100", &last);
    char ttft[32], e2e[32];
    if (first == 0 || last == 0)
        return;
    html_seconds(ttft, sizeof ttft, kept_run_value(p->run, "ttft_s", "run", "p99"));
    html_seconds(e2e, sizeof e2e, kept_run_value(p->run, "e2e_s", "run", "p99"));
    fprintf(p->out,
            "<p>Slowest hundredth by first token (p99 TTFT %s): <b>%.0f %% %s</b>. By the last token (p99 E2E %s): "
            "<b>%.0f %% %s</b>.</p>\n",
            ttft, 100 * first, page_part_words[first_part], e2e, 100 * last, page_part_words[last_part]);
}

/* "ttft_s p99" as people say it. */
static void write_target(FILE *out, const char *binding)
{
    static const struct {
        const char *name, *words;
    } known[] = {{"ttft_s", "TTFT"},
                 {"tpot_s", "TPOT"},
                 {"itl_s", "ITL"},
                 {"e2e_s", "E2E"},
                 {"attainment", "requests within every limit"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t length = strlen(known[i].name);
        if (strncmp(binding, known[i].name, length) == 0) {
            fputs(known[i].words, out);
            binding += length;
            break;
        }
    }
    html_text(out, binding);
}

struct headroom {
    FILE *out;
    bool found;
};

static int take_headroom(void *state, int columns, char **values, struct error *err)
{
    struct headroom *h = state;
    (void)columns, (void)err;
    double base = kept_number(values[1]), factor = kept_number(values[2]), holds = kept_number(values[3]),
           breaks = kept_number(values[4]);
    h->found = true;
    if (strcmp(kept_text(values[0]), "unbounded") == 0)
        fprintf(h->out, "<p>The SLO is kept at any rate that was tried, up to %.3g times this one.</p>\n", holds);
    else if (strcmp(kept_text(values[0]), "none") == 0)
        fputs("<p>The SLO breaks however few requests come.</p>\n", h->out);
    else {
        fprintf(h->out, "<p>It %s <b>%.3g requests/s</b>%s, %.3g times the rate it has",
                factor < 1 ? "breaks from" : "would break at", base * factor, factor < 1 ? " on" : "", factor);
        if (isfinite(holds) && isfinite(breaks))
            fprintf(h->out, " (shown to hold at %.3g and to break at %.3g times", holds, breaks);
        if (values[5] && values[5][0]) {
            fputs(isfinite(holds) ? "; first: " : " (first: ", h->out);
            write_target(h->out, values[5]);
        }
        fputs(isfinite(holds) || (values[5] && values[5][0]) ? ").</p>\n" : ".</p>\n", h->out);
    }
    return 0;
}

static int write_headroom(struct page *p, struct error *err)
{
    struct headroom h = {.out = p->out};
    if (store_read(p->run->store, take_headroom, &h, err,
                   "SELECT kind, base, factor, holds, breaks, binding FROM headroom WHERE run_id = ? AND input = "
                   "'rate'",
                   "i", p->run->id))
        return -1;
    if (!h.found && cJSON_GetObjectItemCaseSensitive(p->run->scenario, "slo"))
        fputs("<p>At what rate it would break was not looked for: <code>tandem report --headroom</code> does.</p>\n",
              p->out);
    return 0;
}

/* Whether a target like "ttft_s p99 of class chat" is missed by requests that were not served. */
static bool is_unserved(const struct page *p, const char *binding)
{
    char name[24] = "", statistic[12] = "", scope[48] = "run", class_name[32] = "";
    struct target_row t;
    if (sscanf(binding, "%23s %11s of class %31[^\n]", name, statistic, class_name) == 3)
        snprintf(scope, sizeof scope, "class:%s", class_name);
    return kept_run_target(p->run, scope, name, statistic, &t) && t.judged && !isfinite(t.value);
}

static void write_margin(struct page *p)
{
    double margin = kept_run_single(p->run, "slo_margin");
    const char *binding = p->run->texts[RUN_SLO_BINDING];
    if (!isfinite(margin))
        return;
    if (margin < 0 && binding && is_unserved(p, binding)) {
        fputs("<p>The SLO target that is missed most (", p->out);
        write_target(p->out, binding);
        fputs(") is one of all requests, and too many were not served.</p>\n", p->out);
        return;
    }
    if (margin < 0 && binding && strncmp(binding, "attainment", 10) == 0) {
        fprintf(p->out, "<p>Limits are missed <b>%.3g times</b> as often as they may be", exp(-margin));
        html_text(p->out, binding + 10);
        fputs(".</p>\n", p->out);
        return;
    }
    fputs(margin >= 0 ? "<p>The tightest SLO target" : "<p>The SLO target that is missed most", p->out);
    if (binding && *binding) {
        fputs(" (", p->out);
        write_target(p->out, binding);
        fputs(")", p->out);
    }
    if (margin >= 0)
        fprintf(p->out, " is kept with <b>%.0f %%</b> of it used.</p>\n", 100 * exp(-margin));
    else
        fprintf(p->out, " is exceeded <b>%.2f times</b>.</p>\n", exp(-margin));
}

/* Who was not served, which the SLO takes for infinitely late, and why the first of them was not. */
static void write_unserved(struct page *p)
{
    double share = kept_run_single(p->run, "unserved_share");
    const char *reason = p->run->texts[RUN_UNSERVED_REASON];
    if (!(share > 0))
        return;
    fprintf(p->out,
            "<p><b>%.3g %%</b> of the requests were not served and count as infinitely late; the first: ", 100 * share);
    html_text(p->out, reason ? reason : "the run ended before");
    fputs(".</p>\n", p->out);
}

static void write_judgement(struct page *p)
{
    bool overloaded = kept_run_overloaded(p->run), asked = p->run->texts[RUN_SLO_MET] != NULL;
    bool met = kept_number(p->run->texts[RUN_SLO_MET]) > 0;
    fprintf(p->out, "<section class=\"verdict %s\" aria-label=\"verdict\"><p class=\"big\">%s</p>\n",
            overloaded || (asked && !met) ? "bad"
            : asked                       ? "good"
                                          : "",
            kept_run_verdict(p->run));
    if (strcmp(p->run->texts[RUN_STATUS], "done") != 0) {
        fputs("<p>This run was ", p->out);
        html_text(p->out, p->run->texts[RUN_STATUS]);
        fputs(": it holds what had finished by then.</p>\n", p->out);
    }
    if (overloaded)
        fputs("<p>The queue grew as long as requests came. Latencies below say how long the run was, not how good the "
              "service is.</p>\n",
              p->out);
    write_unserved(p);
}

/* The answer first: kept or not, by how much, what breaks first, why. */
static int write_verdict(struct page *p, struct error *err)
{
    bool asked = cJSON_GetObjectItemCaseSensitive(p->run->scenario, "slo") != NULL;
    write_judgement(p);
    if (asked)
        write_margin(p);
    if (write_headroom(p, err))
        return -1;
    write_slowest_hundredth(p);
    double waste = kept_run_single(p->run, "padding_waste"), beyond = kept_run_single(p->run, "extrapolated_share"),
           estimated = kept_run_single(p->run, "estimated_share");
    fprintf(
        p->out,
        "<p>Padding wasted <b>%.1f %%</b> of the tokens computed. Of busy time <b>%.1f %%</b> was costed beyond what "
        "was measured, and %.1f %% by formula alone.</p></section>\n",
        100 * (isfinite(waste) ? waste : 0), 100 * (isfinite(beyond) ? beyond : 0),
        100 * (isfinite(estimated) ? estimated : 0));
    return 0;
}

/* As it was judged. Of a run from before verdicts were kept, by the statistic of the requests that were served. */
static struct target_row find_target(struct page *p, const char *name, const char *scope, const char *statistic,
                                     double asked, bool floor)
{
    struct target_row t;
    if (kept_run_target(p->run, scope, name, statistic, &t))
        return t;
    double got = kept_run_value(p->run, name, scope, statistic);
    return (struct target_row){.value = got, .judged = isfinite(got), .met = floor ? got >= asked : got <= asked};
}

static const char *mark_of(const struct target_row *t)
{
    return !t->judged ? "" : t->met ? "good" : "bad";
}

static void write_limit(struct page *p, int metric, const char *statistic, double limit, const char *scope,
                        const char *whose)
{
    const struct metric_row *r = kept_run_find(p->run, metric_names[metric], scope, statistic);
    struct target_row t = find_target(p, metric_names[metric], scope, statistic, limit, false);
    bool finite = isfinite(t.value);
    char found[32], low[32], high[32], most[32];
    html_seconds(found, sizeof found, t.value);
    html_seconds(low, sizeof low, r && finite ? r->low : NAN);
    html_seconds(high, sizeof high, r && finite ? r->high : NAN);
    html_seconds(most, sizeof most, limit);
    fprintf(p->out, "<tr><td>%s, %s", page_metric_titles[metric], statistic);
    html_text(p->out, whose);
    fprintf(p->out, "</td><td>%s</td><td class=\"%s\">%s</td><td>%s … %s</td><td>", most, mark_of(&t),
            finite     ? found
            : t.judged ? "not served"
                       : "no value",
            low, high);
    if (finite)
        fprintf(p->out,
                "<meter min=\"0\" max=\"1.5\" high=\"1\" low=\"0.8\" optimum=\"0\" value=\"%.3f\">%.0f %%</meter> %.0f "
                "%%",
                fmin(t.value / limit, 1.5), 100 * t.value / limit, 100 * t.value / limit);
    fputs("</td></tr>\n", p->out);
}

/* A share or a rate of which there must be so much. */
static void write_floor(struct page *p, const char *what, const char *whose, double asked, const char *name,
                        const char *scope, bool share)
{
    struct target_row t = find_target(p, name, scope, "value", asked, true);
    fprintf(p->out, "<tr><td>%s", what);
    html_text(p->out, whose);
    fprintf(p->out,
            share ? "</td><td>at least %g %%</td><td class=\"%s\">" : "</td><td>at least %g</td><td class=\"%s\">",
            share ? 100 * asked : asked, mark_of(&t));
    if (!t.judged)
        fputs("no value", p->out);
    else
        fprintf(p->out, share ? "%.2f %%" : "%.4g", share ? 100 * t.value : t.value);
    fputs("</td><td></td><td></td></tr>\n", p->out);
}

/* Targets of all requests, or of one class. */
static void write_scope(struct page *p, const cJSON *targets, const char *scope, const char *whose)
{
    static const char *const statistics[] = {"mean", "p50", "p90", "p95", "p99", "p99.9", "max"};
    for (int m = 1; m < METRIC_COUNT; m++)
        for (int k = 0; k < 7; k++) {
            const cJSON *limits = cJSON_GetObjectItemCaseSensitive(targets, metric_names[m]);
            const cJSON *limit = cJSON_GetObjectItemCaseSensitive(limits, statistics[k]);
            if (cJSON_IsNumber(limit))
                write_limit(p, m, statistics[k], limit->valuedouble, scope, whose);
        }
    const cJSON *asked = cJSON_GetObjectItemCaseSensitive(targets, "attainment");
    if (cJSON_IsNumber(asked))
        write_floor(p, "share of requests within every limit", whose, asked->valuedouble, "slo_attainment", scope,
                    true);
}

static void write_limits(struct page *p)
{
    const cJSON *slo = cJSON_GetObjectItemCaseSensitive(p->run->scenario, "slo"), *class;
    if (!slo)
        return;
    fputs("<table><caption>SLO targets</caption><tr><th>target</th><th>limit</th><th>found</th><th>95 % "
          "interval</th><th>share of the limit</th></tr>\n",
          p->out);
    write_scope(p, slo, "run", "");
    cJSON_ArrayForEach(class, cJSON_GetObjectItemCaseSensitive(slo, "classes"))
    {
        char scope[64], whose[64];
        snprintf(scope, sizeof scope, "class:%s", kept_text(class->string));
        snprintf(whose, sizeof whose, " (class %s)", kept_text(class->string));
        write_scope(p, class, scope, whose);
    }
    const cJSON *goodput = cJSON_GetObjectItemCaseSensitive(slo, "goodput_per_s");
    const cJSON *windows = cJSON_GetObjectItemCaseSensitive(slo, "windows");
    const cJSON *share = cJSON_GetObjectItemCaseSensitive(windows, "share");
    if (cJSON_IsNumber(goodput))
        write_floor(p, "goodput, requests/s", "", goodput->valuedouble, "goodput_per_s", "run", false);
    if (windows)
        write_floor(p, "windows that kept everything", "", cJSON_IsNumber(share) ? share->valuedouble : 1,
                    "slo_windows_kept", "run", true);
    fputs("</table>\n", p->out);
}

static void write_pool(struct page *p, const char *pool)
{
    static const char *const shown[][2] = {{"kv_pool_blocks", "blocks"}, {"kv_pool_tokens", "tokens"}};
    char scope[80];
    snprintf(scope, sizeof scope, "pool:%s", pool);
    for (int i = 0; i < 2; i++) {
        double v = kept_run_value(p->run, shown[i][0], scope, "value");
        if (!isfinite(v))
            continue;
        fprintf(p->out, "<div><dt>KV %s of a replica of ", shown[i][1]);
        html_text(p->out, pool);
        fprintf(p->out, "</dt><dd>%.0f</dd></div>\n", v);
    }
}

/* KV of each pool, where there are several. */
static void write_pools(struct page *p)
{
    const cJSON *cluster = cJSON_GetObjectItemCaseSensitive(p->run->scenario, "cluster"), *pool;
    const cJSON *pools = cJSON_GetObjectItemCaseSensitive(cluster, "pools");
    cJSON_ArrayForEach(pool, pools) write_pool(p, pool->string);
    for (int i = 0; !pools && i < 2; i++) /* of a placement */
        write_pool(p, i ? "decode" : "prefill");
}

static bool has_pools(const struct page *p)
{
    const cJSON *cluster = cJSON_GetObjectItemCaseSensitive(p->run->scenario, "cluster");
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(cluster, "pools")) > 1 ||
           isfinite(kept_run_value(p->run, "kv_pool_blocks", "pool:decode", "value"));
}

static void write_numbers(struct page *p)
{
    bool several = has_pools(p);
    static const struct {
        const char *name, *title, *format;
        double scale;
    } shown[] = {{"requests_per_s", "requests/s", "%.4g", 1},
                 {"goodput_per_s", "goodput, requests/s", "%.4g", 1},
                 {"input_tokens_per_s", "input tokens/s", "%.0f", 1},
                 {"output_tokens_per_s", "output tokens/s", "%.0f", 1},
                 {"load", "load, by formula", "%.1f %%", 100},
                 {"sustainable_requests_per_s", "requests/s that can be sustained, by formula", "%.4g", 1},
                 {"utilization", "time that replicas are busy", "%.1f %%", 100},
                 {"batch_sequences", "sequences in a batch", "%.1f", 1},
                 {"kv_use_mean", "KV use, mean", "%.1f %%", 100},
                 {"kv_use_peak", "KV use, peak", "%.1f %%", 100},
                 {"kv_pool_blocks", "KV blocks of a replica", "%.0f", 1},
                 {"kv_pool_tokens", "KV tokens of a replica", "%.0f", 1},
                 {"kv_max_concurrency", "longest requests that fit at once (vLLM's maximum concurrency)", "%.2f", 1},
                 {"kv_mean_concurrency", "mean requests that fit at once", "%.1f", 1},
                 {"mfu", "MFU", "%.1f %%", 100},
                 {"preemptions", "preemptions", "%.0f", 1},
                 {"prefix_hit_rate", "prompt tokens found in the KV pool", "%.1f %%", 100},
                 {"replica_hours", "replica hours held", "%.2f", 1},
                 {"lost_requests", "requests lost", "%.0f", 1}};
    fputs("<dl class=\"numbers\">\n", p->out);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        double v = kept_run_single(p->run, shown[i].name);
        bool matters = isfinite(v) && (v != 0 || i < 6);
        if (!matters || (several && strncmp(shown[i].name, "kv_pool_", 8) == 0))
            continue;
        char text[64];
        snprintf(text, sizeof text, shown[i].format, v * shown[i].scale);
        fprintf(p->out, "<div><dt>%s</dt><dd>%s</dd></div>\n", shown[i].title, text);
    }
    if (several)
        write_pools(p);
    fputs("</dl>\n", p->out);
}

static int write_page(struct page *p, struct error *err)
{
    char title[300];
    snprintf(title, sizeof title, "%s%.250s", kept_run_overloaded(p->run) ? "Overloaded: " : "",
             p->run->texts[RUN_NAME]);
    html_begin(p->out, title);
    fputs("<p class=\"hint\">", p->out);
    html_text(p->out, p->run->texts[RUN_MODEL]);
    fputs(" on ", p->out);
    html_text(p->out, p->run->texts[RUN_DEVICE]);
    fputs("</p>\n", p->out);
    if (write_verdict(p, err))
        return -1;
    write_limits(p);
    write_numbers(p);
    fputs("<nav aria-label=\"parts of this page\"><a href=\"#latency\">latency</a><a href=\"#time\">where the time "
          "went</a><a href=\"#series\">over time</a><a href=\"#batches\">batches</a><a "
          "href=\"#queueing\">queueing</a><a href=\"#provenance\">what this rests on</a></nav>\n",
          p->out);
    if (page_latencies(p, err))
        return -1;
    page_where(p);
    if (page_series(p, err) || page_batches(p, err) || page_slowest(p, err) || page_queueing(p, err))
        return -1;
    page_provenance(p);
    html_end(p->out);
    return store_check(p->run->store, err);
}

int page_write(struct store *store, int64_t run_id, FILE *out, struct error *err)
{
    struct kept_run run;
    struct page p = {.run = &run, .out = out};
    int status = kept_run_read(&run, store, run_id, err) || write_page(&p, err) ? -1 : 0;
    kept_run_release(&run);
    return status;
}
