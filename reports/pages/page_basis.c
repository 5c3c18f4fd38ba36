/* SPDX-License-Identifier: MIT */
#include "reports/pages/page_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int take_station(void *state, int columns, char **values, struct error *err)
{
    FILE *out = state;
    (void)err;
    fputs("<tr><td>", out);
    html_text(out, values[0]);
    fputs("</td>", out);
    for (int i = 1; i < columns; i++)
        fprintf(out, values[i] ? "<td>%.4g</td>" : "<td>–</td>", kept_number(values[i]));
    fputs("</tr>\n", out);
    return 0;
}

static int take_theory(void *state, int columns, char **values, struct error *err)
{
    FILE *out = state;
    (void)columns, (void)err;
    char text[32], simulated[32];
    html_seconds(text, sizeof text, kept_number(values[2]));
    html_seconds(simulated, sizeof simulated, kept_number(values[4]));
    fputs("<tr><td>", out);
    html_text(out, values[0]);
    fputs("</td><td>", out);
    html_text(out, values[1]);
    fprintf(out, "</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
            values[2]                    ? text
            : kept_number(values[3]) > 0 ? "no steady state"
                                         : "–",
            simulated, kept_number(values[3]) > 0 ? "yes" : "no");
    return 0;
}

int page_queueing(struct page *p, struct error *err)
{
    html_heading(p->out, "queueing", "Queueing");
    fputs("<table><tr><th>station</th><th>λ/s</th><th>ρ</th><th>busy</th><th>L</th><th>Lq</th><th>W s</th><th>Wq "
          "s</th><th>SCV "
          "arrivals</th><th>SCV service</th><th>Little's law off by</th></tr>\n",
          p->out);
    if (store_read(
            p->run->store, take_station, p->out, err,
            "SELECT station, lambda_per_s, rho, busy, l, lq, w_s, wq_s, arrival_scv, service_scv, little_residual FROM "
            "station WHERE run_id = ? ORDER BY station = 'system' DESC, station = 'queue' DESC, station LIMIT 70",
            "i", p->run->id))
        return -1;
    fputs("</table>\n<p class=\"hint\">ρ is λ/(c μ) where a server has one request at a time (as in delay stations), "
          "and where servers have "
          "batches the rate of arrivals over the largest that can be sustained, by formula. Busy is the share of time "
          "with "
          "an iteration.</p>\n",
          p->out);
    fputs("<table><caption>Mean wait by theory and as simulated, over the whole run</caption><tr><th>station</th><th>"
          "formula</th><th>by theory</th><th>simulated</th><th>this run meets its assumptions</th></tr>\n",
          p->out);
    if (store_read(p->run->store, take_theory, p->out, err,
                   "SELECT t.station, formula, value, assumptions_met, wq_s FROM theory t LEFT JOIN station s ON "
                   "s.run_id = t.run_id AND s.station = t.station WHERE t.run_id = ? ORDER BY t.station = 'system' "
                   "DESC, t.station, formula",
                   "i", p->run->id))
        return -1;
    fputs("</table>\n", p->out);
    return 0;
}

void page_provenance(struct page *p)
{
    FILE *out = p->out;
    html_heading(out, "provenance", "What this rests on");
    fprintf(out, "<p>Run %lld, tandem ", (long long)p->run->id);
    html_text(out, p->run->texts[RUN_VERSION]);
    fputs(", ", out);
    html_text(out, p->run->texts[RUN_STARTED]);
    fputs(", seed ", out);
    html_text(out, p->run->texts[RUN_SEED]);
    fputs(". Costs: ", out);
    html_text(out, p->run->texts[RUN_SOURCE]);
    fprintf(out,
            ".</p>\n<table><tr><th>busy time costed</th><th>share</th></tr>"
            "<tr><td>at measured points</td><td>%.1f %%</td></tr><tr><td>between them</td><td>%.1f %%</td></tr>"
            "<tr><td>beyond them</td><td>%.1f %%</td></tr><tr><td>by formula</td><td>%.1f %%</td></tr></table>\n",
            100 * kept_run_single(p->run, "measured_share"), 100 * kept_run_single(p->run, "interpolated_share"),
            100 * kept_run_single(p->run, "extrapolated_share"), 100 * kept_run_single(p->run, "estimated_share"));
    double n = kept_run_value(p->run, "e2e_s", "run", "count");
    double cut = kept_run_single(p->run, "warmup_requests");
    fprintf(out, "<p>Latencies, rates and the verdict are of the requests after the warm-up: %.0f were served", n);
    if (cut > 0)
        fprintf(out, "; %.0f that arrived before %.4g s are cut", cut, kept_run_single(p->run, "warmup_s"));
    fputs(". What replicas did, and stations, are of the whole run.</p>\n", out);
    char *text = cJSON_Print(p->run->scenario);
    fputs("<details><summary>The scenario</summary><pre>", out);
    html_text(out, text ? text : "");
    fputs("</pre></details>\n", out);
    free(text);
}
