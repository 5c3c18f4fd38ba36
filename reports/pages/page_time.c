/* SPDX-License-Identifier: MIT */
#include "reports/pages/page_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/stats/bands.h"

const char *const page_part_words[PART_COUNT] = {"waiting for admission",
                                                 "its own prefill",
                                                 "stalls of its prefill",
                                                 "its own decoding",
                                                 "other requests' prefill",
                                                 "stalls of its decoding",
                                                 "preemption and computing again",
                                                 "KV transfer",
                                                 "routing",
                                                 "delay stations before serving",
                                                 "delay stations after serving",
                                                 "loading KV from tiers"};

/* One bar for each band, its parts side by side; lengths are shares of the band's mean. */
static void write_parts(struct page *p, const char *metric, const char *title)
{
    static const char *const bands[] = {"the faster half", "p50 to p90", "p90 to p99", "the slowest hundredth"};
    FILE *out = p->out;
    fprintf(out, "<h3>%s</h3>\n<div class=\"bars\">\n", title);
    for (int b = 0; b < BANDS; b++) {
        char scope[32], name[48], total[32];
        double parts[PART_COUNT], sum = 0;
        snprintf(scope, sizeof scope, "band:%s", band_names[b]);
        for (int i = 0; i < PART_COUNT; i++) {
            snprintf(name, sizeof name, "%s_part_%s", metric, time_part_names[i]);
            parts[i] = kept_run_value(p->run, name, scope, "mean");
            parts[i] = isfinite(parts[i]) ? parts[i] : 0;
            sum += parts[i];
        }
        if (sum == 0)
            continue;
        html_seconds(total, sizeof total, sum);
        fprintf(out, "<div class=\"bar\"><span>%s<small>mean %s</small></span><div role=\"img\" aria-label=\"",
                bands[b], total);
        for (int i = 0; i < PART_COUNT; i++)
            if (parts[i] > 0)
                fprintf(out, "%s %.1f %%; ", page_part_words[i], 100 * parts[i] / sum);
        fputs("\">", out);
        for (int i = 0; i < PART_COUNT; i++)
            if (parts[i] > 0)
                fprintf(out, "<i class=\"p%d\" style=\"width:%.3f%%\" title=\"%s: %.1f %%\"></i>", i,
                        100 * parts[i] / sum, page_part_words[i], 100 * parts[i] / sum);
        fputs("</div></div>\n", out);
    }
    fputs("</div>\n", out);
}

static void write_part_table(struct page *p, const char *metric)
{
    FILE *out = p->out;
    fputs("<table><tr><th>part</th>", out);
    for (int b = 0; b < BANDS; b++)
        fprintf(out, "<th>%s</th>", band_names[b]);
    fputs("</tr>\n", out);
    for (int i = 0; i < PART_COUNT; i++) {
        char name[48];
        snprintf(name, sizeof name, "%s_part_%s", metric, time_part_names[i]);
        bool any = false;
        for (int b = 0; b < BANDS; b++) {
            char scope[32];
            snprintf(scope, sizeof scope, "band:%s", band_names[b]);
            any = any || isfinite(kept_run_value(p->run, name, scope, "mean"));
        }
        if (!any)
            continue;
        fprintf(out, "<tr><td>%s (%s)</td>", page_part_words[i], time_part_names[i]);
        for (int b = 0; b < BANDS; b++) {
            char scope[32], text[32];
            snprintf(scope, sizeof scope, "band:%s", band_names[b]);
            html_seconds(text, sizeof text, kept_run_value(p->run, name, scope, "mean"));
            fprintf(out, "<td>%s</td>", text);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table>\n", out);
}

void page_part_legend(FILE *out)
{
    fputs("<p class=\"legend\">", out);
    for (int i = 0; i < PART_COUNT; i++)
        fprintf(out, "<span><i class=\"p%d\"></i>%s</span>", i, page_part_words[i]);
    fputs("</p>\n", out);
}

void page_where(struct page *p)
{
    FILE *out = p->out;
    html_heading(out, "time", "Where the time went");
    fputs("<p class=\"hint\">Of all requests, from the fastest to the slowest, those of the warm-up included.</p>\n",
          out);
    write_parts(p, "ttft_s", "To the first token");
    write_parts(p, "e2e_s", "To the last token");
    page_part_legend(out);
    fputs("<details><summary>As tables: means, which sum to the band's mean</summary><h4>First token</h4>", out);
    write_part_table(p, "ttft_s");
    fputs("<h4>Last token</h4>", out);
    write_part_table(p, "e2e_s");
    fputs("</details>\n", out);
}

struct slow {
    struct page *page;
    double longest;
    int shown;
};

struct timeline {
    double ns[PART_COUNT];
};

static int take_part(void *state, int columns, char **values, struct error *err)
{
    struct timeline *t = state;
    (void)columns, (void)err;
    for (int i = 0; i < PART_COUNT; i++)
        if (strcmp(kept_text(values[0]), time_part_names[i]) == 0)
            t->ns[i] = kept_number(values[1]);
    return 0;
}

static int take_slow(void *state, int columns, char **values, struct error *err)
{
    struct slow *s = state;
    struct page *p = s->page;
    struct timeline t = {0};
    (void)columns;
    double e2e = kept_number(values[4]);
    char total[32], first[32];
    if (store_read(p->run->store, take_part, &t, err,
                   "SELECT part, ns FROM time_parts WHERE run_id = ? AND request_id = ?", "ii", p->run->id,
                   kept_integer(values[0])))
        return -1;
    if (s->shown++ == 0) {
        html_heading(p->out, "slowest", "The slowest requests that were kept");
        fputs("<div class=\"bars\">\n", p->out);
        s->longest = e2e;
    }
    html_seconds(total, sizeof total, e2e);
    html_seconds(first, sizeof first, kept_number(values[3]));
    fprintf(p->out,
            "<div class=\"bar\"><span>request %lld<small>%lld prompt, %lld output tokens; first after %s, last after "
            "%s</small></span><div>",
            (long long)kept_integer(values[0]), (long long)kept_integer(values[1]), (long long)kept_integer(values[2]),
            first, total);
    for (int i = 0; i < PART_COUNT; i++)
        if (t.ns[i] > 0)
            fprintf(p->out, "<i class=\"p%d\" style=\"width:%.3f%%\" title=\"%s: %.3g s\"></i>", i,
                    100 * t.ns[i] * 1e-9 / s->longest, page_part_words[i], t.ns[i] * 1e-9);
    fputs("</div></div>\n", p->out);
    return 0;
}

int page_slowest(struct page *p, struct error *err)
{
    struct slow s = {.page = p};
    if (store_read(
            p->run->store, take_slow, &s, err,
            "SELECT id, prompt_tokens, output_tokens, ttft_s, e2e_s FROM request WHERE run_id = ? ORDER BY e2e_s "
            "DESC LIMIT 12",
            "i", p->run->id))
        return -1;
    if (s.shown)
        fputs("</div>\n", p->out);
    return 0;
}
