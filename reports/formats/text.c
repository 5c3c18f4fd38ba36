/* SPDX-License-Identifier: MIT */
#include "reports/formats/text.h"

#include <math.h>
#include <string.h>

#include "base/printable.h"

static void print_seconds(FILE *out, double ns)
{
    double s = ns * 1e-9;
    if (!isfinite(s))
        fprintf(out, " %9s", "–");
    else if (s < 1e-3)
        fprintf(out, " %6.1f µs", s * 1e6);
    else if (s < 1)
        fprintf(out, " %6.1f ms", s * 1e3);
    else
        fprintf(out, " %7.2f s", s);
}

static void print_latencies(FILE *out, const struct run_summary *r)
{
    static const char *const labels[METRIC_COUNT] = {"queue", "TTFT", "TPOT", "ITL", "E2E", "E2E/token"};
    static const enum statistic shown[] = {STAT_MEAN, STAT_P50, STAT_P90, STAT_P99, STAT_P999, STAT_MAX};
    fprintf(out, "\n  %-10s %9s %9s %9s %9s %9s %9s   95 %% interval of p99\n", "latency", "mean", "p50", "p90", "p99",
            "p99.9", "max");
    for (int m = 0; m < METRIC_COUNT; m++) {
        fprintf(out, "  %-10s", labels[m]);
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
            print_seconds(out, r->metrics[m].count ? r->metrics[m].at[shown[i]].value : NAN);
        const struct estimate *p99 = &r->metrics[m].at[STAT_P99];
        if (r->metrics[m].count && isfinite(p99->low)) {
            fprintf(out, "  ");
            print_seconds(out, p99->low);
            fprintf(out, " …");
            print_seconds(out, p99->high);
        }
        fprintf(out, "\n");
    }
}

/* "ok", "miss", or "–" where there is no value to judge by. */
static const char *mark(const struct slo_result *r, bool asked)
{
    return !asked ? "    " : !r->judged ? "–   " : r->met ? "ok  " : "miss";
}

static void print_share(FILE *out, double share)
{
    if (isnan(share))
        fprintf(out, "–");
    else
        fprintf(out, "%.2f %%", 100 * share);
}

static void print_attainment(FILE *out, const struct scenario *s, const struct slo_verdict *v, size_t scope)
{
    double asked = s->slo.attainment[scope];
    if (scope > 0 && asked == 0)
        return;
    fprintf(out, "    %s ", mark(&v->attainment[scope], asked > 0));
    print_share(out, v->attainment[scope].value);
    fprintf(out, " of requests%s%s met every limit", scope ? " of class " : "",
            scope ? PRINTABLE(s->slo.classes[scope].name) : "");
    if (asked > 0)
        fprintf(out, "  (asked: %g %%)", 100 * asked);
    fprintf(out, "\n");
}

static void print_limit(FILE *out, const struct scenario *s, const struct slo_limit *l, const struct slo_result *r)
{
    fprintf(out, "    %s %-12s %-5s ", mark(r, true), l->metric, l->statistic);
    if (isfinite(r->value))
        fprintf(out, "%9.4g s", r->value);
    else
        fprintf(out, "%s", r->judged ? "  not served" : "   no value");
    fprintf(out, "  (limit %g s%s%s)\n", l->limit_s, l->scope ? ", class " : "",
            l->scope ? PRINTABLE(s->slo.classes[l->scope].name) : "");
}

static void print_windows(FILE *out, const struct scenario *s, const struct slo_verdict *v)
{
    fprintf(out, "    %s %zu of %zu windows of %g s kept everything  (asked: %g %%", mark(&v->windows, true),
            v->window_count - v->windows_missed, v->window_count, sim_time_to_s(s->slo.window),
            100 * s->slo.window_share);
    if (v->window_count)
        fprintf(out, "; the worst begins at %g s", v->worst_window_s);
    fprintf(out, ")\n");
}

/* Requests that were not served are infinitely late: how many, and why the first one. */
static void print_unserved(FILE *out, const struct slo_verdict *v)
{
    if (v->unserved == 0)
        return;
    fprintf(out, "    %llu of %llu requests (%.2f %%) were not served and count as infinitely late; the first: %s\n",
            (unsigned long long)v->unserved, (unsigned long long)v->arrived,
            100 * (double)v->unserved / (double)v->arrived, v->reason ? PRINTABLE(v->reason) : "the run ended before");
}

static void print_slo(FILE *out, const struct scenario *s, const struct run_summary *r)
{
    const struct slo_verdict *v = &r->slo;
    if (!v->asked)
        return;
    bool judged = v->missed > 0 || v->unjudged == 0;
    fprintf(out, "\n  SLO %s%s",
            v->met   ? "MET"
            : judged ? "NOT MET"
                     : "NOT JUDGED",
            r->overloaded && v->missed == 0 ? " while the queue grows" : "");
    if (v->unjudged)
        fprintf(out, ": no value to judge %s by", PRINTABLE(v->unjudged_first));
    if (v->unjudged > 1)
        fprintf(out, ", and %zu more", v->unjudged - 1);
    fprintf(out, "\n");
    print_unserved(out, v);
    for (size_t i = 0; i < s->slo.count; i++)
        print_limit(out, s, &s->slo.limits[i], &v->limits[i]);
    for (size_t i = 0; i <= s->slo.class_count; i++)
        print_attainment(out, s, v, i);
    if (s->slo.goodput_per_s > 0)
        fprintf(out, "    %s goodput %.3f requests/s  (asked: %g)\n", mark(&v->goodput, true), v->goodput.value,
                s->slo.goodput_per_s);
    if (s->slo.window > 0)
        print_windows(out, s, v);
}

static void print_where_time_went(FILE *out, const struct run_summary *r)
{
    fprintf(out, "\n  where the time went");
    const char *separator = "  ";
    for (int i = 0; i < PART_COUNT; i++)
        if (r->part_share[i] >= 0.0005) {
            fprintf(out, "%s%s %.1f %%", separator, time_part_names[i], 100 * r->part_share[i]);
            separator = " · ";
        }
    fprintf(out, "\n");
}

/* Where the costs come from, and how much of the time came from where. */
/* A word of "policy", like "batching unified_budget (token_budget 8192)". */
static void print_word(FILE *out, const cJSON *word)
{
    fprintf(out, "%s ", PRINTABLE(word->string));
    if (cJSON_IsBool(word)) {
        fprintf(out, "%s", cJSON_IsTrue(word) ? "on" : "off");
    } else if (cJSON_IsNumber(word)) {
        fprintf(out, "%g", word->valuedouble);
    } else if (cJSON_IsString(word)) {
        fprintf(out, "%s", PRINTABLE(word->valuestring));
    } else {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(word, "name");
        size_t printed = 0;
        fprintf(out, "%s", cJSON_IsString(name) ? PRINTABLE(name->valuestring) : "");
        for (const cJSON *n = word->child; n; n = n->next)
            if (cJSON_IsNumber(n))
                fprintf(out, "%s%s %g", printed++ ? ", " : " (", PRINTABLE(n->string), n->valuedouble);
        fprintf(out, "%s", printed ? ")" : "");
    }
}

/* Words of what a pool's engine's server starts with: those that hold, or those that the scenario has put aside. */
static void print_words(FILE *out, const struct scenario *s, size_t pool, bool hold, const char *before)
{
    size_t printed = 0;
    const cJSON *policy = s->pools[pool].server.policy.node;
    for (const cJSON *word = policy ? policy->child : NULL; word; word = word->next) {
        if ((scenario_server_word(s, pool, word->string).node != NULL) != hold)
            continue;
        fprintf(out, "%s", printed++ ? ", " : before);
        print_word(out, word);
    }
}

/* Once for pools of the same engine. */
static void print_engines(FILE *out, const struct scenario *s)
{
    for (size_t i = 0; i < s->cluster.pool_count; i++) {
        const char *name = s->pools[i].cost.engine.name;
        if (!s->pools[i].server.policy.node || (i > 0 && strcmp(name, s->pools[i - 1].cost.engine.name) == 0))
            continue;
        fprintf(out, "  engine     %s", PRINTABLE(name));
        print_words(out, s, i, true, ", as its server starts on this GPU: ");
        print_words(out, s, i, false, "; the scenario's own in place of ");
        fprintf(out, "\n");
    }
}

/* What a model has and its costs leave out, once for each model. */
static void print_left_out(FILE *out, const struct scenario *s)
{
    for (size_t i = 0; i < s->cluster.pool_count; i++) {
        const struct model *m = &s->pools[i].cost.model;
        if (m->left_out[0] && (i == 0 || strcmp(m->name, s->pools[i - 1].cost.model.name) != 0))
            fprintf(out, "  not costed %s: %s\n", PRINTABLE(m->name), PRINTABLE(m->left_out));
    }
}

static void print_costs(FILE *out, const struct scenario *s, const struct run_summary *r)
{
    bool told_apart = false;
    print_left_out(out, s);
    fprintf(out, "  costs      %s", PRINTABLE(scenario_cost(s)->device.source));
    for (size_t i = 0; i < s->cluster.pool_count; i++) {
        told_apart |= !s->pools[i].cost.estimated;
        if (strcmp(s->pools[i].cost.device.source, s->pools[i ? i - 1 : 0].cost.device.source) != 0)
            fprintf(out, "; %s", PRINTABLE(s->pools[i].cost.device.source));
    }
    for (int i = 0; told_apart && i < COST_SOURCES; i++)
        fprintf(out, "%s%.1f %% %s", i ? ", " : "; of busy time ", 100 * r->source_share[i], cost_source_names[i]);
    fprintf(out, "\n");
}

/* What ran, and first of all whether it was too much. */
static void print_title(FILE *out, const struct scenario *s, const struct run_summary *r)
{
    if (r->overloaded)
        fprintf(out,
                "OVERLOADED: the queue of %s grew as long as requests came; latencies say how long the run was, not "
                "how good the service is.\n",
                PRINTABLE(r->overloaded_station));
    const struct cluster_config *c = &s->cluster;
    fprintf(out, "%s: %s", PRINTABLE(s->name), PRINTABLE(scenario_cost(s)->model.name));
    for (size_t i = 0; i < c->pool_count; i++) {
        const struct cost_model *cost = &s->pools[i].cost;
        bool alone = c->pool_count == 1, other = strcmp(cost->model.name, scenario_cost(s)->model.name) != 0;
        fprintf(out, "%s%s%s%s on %zu × %s%s%s%s%s%s%s",
                i       ? ", "
                : alone ? ""
                        : ", ",
                alone ? "" : PRINTABLE(c->pools[i].name), other ? " with " : "",
                other ? PRINTABLE(cost->model.name) : "", pool_replicas(&c->pools[i]) * cost->parallel.tensor,
                PRINTABLE(cost->device.name), alone && cost->parallel.tensor > 1 ? " (tensor parallel)" : "",
                alone ? ", " : " (", PRINTABLE(c->pools[i].replica.batching->name), i ? "" : ", ",
                i ? "" : PRINTABLE(c->routers[0].policy->name), alone ? "" : ")");
    }
    fprintf(out, "\n");
}

static void print_requests(FILE *out, const struct cluster_totals *t, const struct run_metrics *m)
{
    char lost[40] = "";
    if (t->lost)
        snprintf(lost, sizeof lost, " + %llu lost", (unsigned long long)t->lost);
    fprintf(out,
            "  requests   %llu arrived = %llu finished + %llu rejected%s + %llu unfinished; at most %llu in flight\n",
            (unsigned long long)t->arrived, (unsigned long long)t->finished, (unsigned long long)t->rejected, lost,
            (unsigned long long)t->unfinished, (unsigned long long)t->peak_in_flight);
    if (t->rejected)
        fprintf(out, "  rejected   %llu requests, the first one because: %s\n", (unsigned long long)t->rejected,
                m->reject_reason ? PRINTABLE(m->reject_reason) : "?");
    if (t->lost)
        fprintf(out, "  lost       %llu requests, the first one because: %s\n", (unsigned long long)t->lost,
                m->lose_reason ? PRINTABLE(m->lose_reason) : "?");
}

/* Load first: a batching server is busy nearly always, whatever its load. */
static void print_load(FILE *out, const struct run_summary *r)
{
    if (isfinite(r->load))
        fprintf(out, "  load       %.1f %% of the %.3g requests/s that can be sustained%s, by formula\n", 100 * r->load,
                r->sustainable_per_s, r->prefix_hit_rate > 0 ? " if no prefix were found" : "");
}

static void print_kv_size(FILE *out, const struct kv_size *kv, bool named)
{
    fprintf(out,
            "  KV pool    %s%s%llu blocks, %llu tokens a replica: %.2f requests of %u tokens at once (the model's "
            "longest)",
            named ? PRINTABLE(kv->pool) : "", named ? ": " : "", (unsigned long long)kv->blocks,
            (unsigned long long)kv->tokens, kv->at_longest, kv->longest_tokens);
    if (isfinite(kv->at_mean))
        fprintf(out, ", %.1f of the mean length", kv->at_mean);
    fprintf(out, "\n");
}

static void print_replicas(FILE *out, const struct scenario *s, const struct run_summary *r)
{
    fprintf(out,
            "  replicas   busy %.1f %% of the time, batch %.1f sequences, padding waste %.1f %%, KV use %.1f %% (peak "
            "%.1f %%), %llu preemptions",
            100 * r->utilization, r->mean_batch_sequences, 100 * r->padding_waste, 100 * r->mean_kv_use,
            100 * r->peak_kv_use, (unsigned long long)r->preemptions);
    if (isnan(r->mfu))
        fprintf(out, "\n");
    else
        fprintf(out, ", MFU %.1f %%\n", 100 * r->mfu);
    for (size_t i = 0; i < r->pool_count; i++)
        print_kv_size(out, &r->kv[i], r->pool_count > 1);
    if (!isnan(r->bubble_share))
        fprintf(out, "  pipeline   idle %.1f %% of its stages' time while anything was in flight (bubbles)\n",
                100 * r->bubble_share);
    if (!isnan(r->prefill_rows))
        fprintf(out, "  prefill    %.1f rows a batch, %.2f prompts a row\n", r->prefill_rows, r->prompts_per_row);
    if (s->cluster.pools[0].replica.prefix_caching)
        fprintf(out, "  prefixes   %.1f %% of prompt tokens were found in the KV pool%s\n", 100 * r->prefix_hit_rate,
                r->tier_count > 0 ? " or in tiers" : "");
}

static void print_queueing(FILE *out, const struct station_summary *t)
{
    fprintf(out, "  queueing   λ %.3f/s, ", t->arrival_rate);
    if (isfinite(t->utilization))
        fprintf(out, "ρ %.3f, ", t->utilization);
    fprintf(out, "L %.2f, Lq %.2f, W %.3f s, Wq %.3f s; Little's law residual %.1e\n", t->number, t->queue_number,
            t->stay_s, t->wait_s, t->little_residual);
}

static void print_tier(FILE *out, const struct tier_summary *t)
{
    const struct tier_totals *all = &t->totals;
    fprintf(out,
            "  %-10s %s gave %.1f %% of the tokens of admitted requests in %llu loads of %.3f ms; %.3g of %.3g GB held "
            "(%.3g GB written, %.3g evicted, %.3g read)\n",
            "tier", PRINTABLE(t->reads.name + sizeof "tier:" - 1), 100 * t->hit_rate, (unsigned long long)all->loads,
            1e3 * t->reads.stay_s, (double)all->held * 1e-9, (double)all->capacity * 1e-9, (double)all->written * 1e-9,
            (double)all->evicted * 1e-9, (double)all->read * 1e-9);
}

static void print_transfers(FILE *out, const struct kv_transfer_totals *t)
{
    if (t->transfers == 0)
        return;
    fprintf(out, "  transfers  %llu of KV, %.3g GB", (unsigned long long)t->transfers, t->bytes * 1e-9);
    if (t->present > 0)
        fprintf(out, "; %.1f %% of their tokens were there already", 100 * (double)t->present / (double)t->tokens);
    if (t->failed > 0)
        fprintf(out, "; %llu failed", (unsigned long long)t->failed);
    fprintf(out, "\n");
}

static void print_delay(FILE *out, const struct station_summary *t)
{
    size_t kind = strcspn(t->name, ":");
    fprintf(out, "  %-10.*s %s ", (int)kind, t->name, PRINTABLE(t->name + kind + 1));
    if (isfinite(t->utilization))
        fprintf(out, "ρ %.3f, ", t->utilization);
    fprintf(out, "L %.2f, Lq %.2f, W %.3f s, Wq %.3f s", t->number, t->queue_number, t->stay_s, t->wait_s);
    if (t->answers)
        fprintf(out, ", answered %llu requests", (unsigned long long)t->answered);
    fputc('\n', out);
}

/* One cut, and what it is for. */
static void print_warmup(FILE *out, const struct scenario *s, const struct run_summary *r)
{
    if (r->warmup.requests)
        fprintf(out,
                "  warm-up    %llu requests that arrived before %.4g s are cut (MSER-5) from latencies, rates and the "
                "verdict\n",
                (unsigned long long)r->warmup.requests, sim_time_to_s(r->warmup.at));
    else
        fprintf(out, "  warm-up    nothing cut (%s)\n", s->warmup == WARMUP_MSER5 ? "MSER-5" : "none asked");
}

static void print_sessions(FILE *out, const struct session_summary *s)
{
    const struct summary *length = &s->latencies[SESSION_LENGTH], *first = &s->latencies[SESSION_FIRST_TTFT],
                         *later = &s->latencies[SESSION_LATER_TTFT];
    if (s->begun == 0)
        return;
    fprintf(out, "  sessions   %llu of %llu complete, %.2f requests each", (unsigned long long)s->complete,
            (unsigned long long)s->begun, s->turns);
    if (length->count > 0)
        fprintf(out, "; %.4g s long (p99 %.4g s), %.1f %% of that in tools", length->at[STAT_MEAN].value * 1e-9,
                length->at[STAT_P99].value * 1e-9, 100 * s->tool_share);
    if (first->count > 0)
        fprintf(out, "; TTFT %.4g s of first requests", first->at[STAT_MEAN].value * 1e-9);
    if (later->count > 0)
        fprintf(out, ", %.4g s of later ones", later->at[STAT_MEAN].value * 1e-9);
    fputc('\n', out);
}

void text_print_summary(FILE *out, const struct scenario *s, const struct run_summary *r, const struct run_metrics *m,
                        double wall_s)
{
    const struct cluster_totals *t = &r->totals;
    print_title(out, s, r);
    print_requests(out, t, m);
    if (s->cluster.fleet_count > 0)
        fprintf(out, "  fleet      %.2f of %zu replicas held on average (%.2f replica hours), %llu failures\n",
                cluster_replica_held_s(&s->cluster, t) / r->duration_s, cluster_stations(&s->cluster),
                cluster_replica_held_s(&s->cluster, t) / 3600, (unsigned long long)t->failures);
    fprintf(out, "  simulated  %.1f s in %.2f s of wall time (%.0f requests/s, %llu iterations)\n", r->duration_s,
            wall_s, (double)t->arrived / wall_s, (unsigned long long)t->iterations);
    print_load(out, r);
    fprintf(out, "  throughput %.2f requests/s, %.0f input + %.0f output tokens/s, goodput %.2f requests/s\n",
            r->requests_per_s, r->input_tokens_per_s, r->output_tokens_per_s, r->goodput_per_s);
    print_latencies(out, r);
    print_sessions(out, &r->sessions);
    print_where_time_went(out, r);
    print_replicas(out, s, r);
    print_queueing(out, &r->system);
    for (size_t i = 0; i < r->delay_count; i++)
        print_delay(out, &r->delays[i]);
    print_transfers(out, &r->totals.transfers);
    for (size_t i = 0; i < r->tier_count; i++)
        print_tier(out, &r->tiers[i]);
    print_engines(out, s);
    print_costs(out, s, r);
    print_warmup(out, s, r);
    print_slo(out, s, r);
}
