/* SPDX-License-Identifier: MIT */
/* A run on its way into the database, table by table, in one transaction. */
#include "reports/stats/run_values.h"
#include "reports/store/store_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/version.h"
#include "policies/plugins.h"
#include "reports/stats/theory.h"
#include "reports/store/request_table.h"

static int save_scoped(struct store *s, sqlite3_int64 run, const char *name, const char *scope, const char *statistic,
                       struct estimate e, const char *unit, struct error *err)
{
    return store_insert(s, err, "INSERT INTO metric VALUES (?,?,?,?,?,?,?,?)", "isssddds", run, name, scope, statistic,
                        e.value, e.low, e.high, unit);
}

static int save_metric(struct store *s, sqlite3_int64 run, const char *name, const char *statistic, struct estimate e,
                       const char *unit, struct error *err)
{
    return save_scoped(s, run, name, "run", statistic, e, unit, err);
}

static int save_value(struct store *s, sqlite3_int64 run, const char *name, const char *scope, const char *statistic,
                      double value, const char *unit, struct error *err)
{
    return save_scoped(s, run, name, scope, statistic, (struct estimate){value, NAN, NAN}, unit, err);
}

/* A latency's statistics; what has no value has no row but its count. */
static int save_latency(struct store *s, sqlite3_int64 run, const char *name, const char *scope,
                        const struct summary *metric, struct error *err)
{
    if (save_value(s, run, name, scope, "count", (double)metric->count, "requests", err) ||
        save_value(s, run, name, scope, "sum", fine_to_ns(metric->sum) * 1e-9, "s", err))
        return -1;
    for (int i = 0; metric->count > 0 && i < STAT_COUNT; i++) {
        struct estimate e = metric->at[i];
        e = (struct estimate){e.value * 1e-9, e.low * 1e-9, e.high * 1e-9};
        if (save_scoped(s, run, name, scope, statistic_names[i], e, "s", err))
            return -1;
    }
    return 0;
}

/* The latencies of a class of requests. */
static int save_class(struct store *s, sqlite3_int64 run, const struct attainment *a, size_t class,
                      const struct run_summary *r, struct error *err)
{
    char scope[48];
    snprintf(scope, sizeof scope, "class:%s", a->slo->classes[class].name);
    int status = save_value(s, run, "slo_attainment", scope, "value", r->slo.attainment[class].value, "", err);
    for (int m = 0; m < METRIC_COUNT && status == 0; m++) {
        struct summary metric;
        if (m == METRIC_ITL)
            continue;
        if (samples_summarise(&a->scopes[class].metrics[m], r->warmup.requests, &metric, NULL))
            return error_no_memory(err);
        status = save_latency(s, run, metric_names[m], scope, &metric, err);
    }
    return status;
}

/* Mean time parts of the requests of each percentile band: the rows of a band sum to its mean. */
static int save_bands(struct store *s, sqlite3_int64 run, const char *metric, const struct bands *bands,
                      struct error *err)
{
    struct band each[BANDS];
    bands_summarise(bands, each);
    for (int b = 0; b < BANDS; b++) {
        char scope[32];
        snprintf(scope, sizeof scope, "band:%s", band_names[b]);
        if (save_value(s, run, metric, scope, "count", (double)each[b].requests, "requests", err))
            return -1;
        for (int i = 0; i < PART_COUNT && each[b].requests; i++) {
            char name[48];
            snprintf(name, sizeof name, "%s_part_%s", metric, time_part_names[i]);
            if (each[b].parts_s[i] > 0 && save_value(s, run, name, scope, "mean", each[b].parts_s[i], "s", err))
                return -1;
        }
    }
    return 0;
}

/* Time parts by band, of the TTFT and of the E2E. */
static int save_all_bands(struct store *s, sqlite3_int64 run, const struct run_metrics *m, const struct run_summary *r,
                          struct error *err)
{
    struct bands ttft, e2e;
    int status = run_metrics_bands(m, r->warmup.sections, &ttft, &e2e) ? error_no_memory(err) : 0;
    if (status == 0)
        status = save_bands(s, run, "ttft_s", &ttft, err) || save_bands(s, run, "e2e_s", &e2e, err) ? -1 : 0;
    bands_release(&ttft);
    bands_release(&e2e);
    return status;
}

static int save_scopes(struct store *s, sqlite3_int64 run, const struct attainment *a, const struct run_summary *r,
                       struct error *err)
{
    struct slo_window w;
    for (size_t i = 1; i <= a->slo->class_count; i++)
        if (save_class(s, run, a, i, r, err))
            return -1;
    for (size_t next = 0; attainment_next_window(a, &r->warmup, &next, &w);) {
        char scope[48];
        snprintf(scope, sizeof scope, "window:%.9g", (double)w.index * sim_time_to_s(a->slo->window));
        if (save_value(s, run, "requests", scope, "count", w.arrived, "requests", err) ||
            save_value(s, run, "slo_attainment", scope, "value", (double)w.met / w.arrived, "", err))
            return -1;
    }
    return 0;
}

/* After the warm-up's cut, and of all requests. */
static int save_latencies(struct store *s, sqlite3_int64 run, const struct run_metrics *m, const struct run_summary *r,
                          struct error *err)
{
    for (int i = 0; i < METRIC_COUNT; i++)
        if (save_latency(s, run, metric_names[i], "run", &r->metrics[i], err) ||
            save_latency(s, run, metric_names[i], "all", &r->all[i], err))
            return -1;
    double met = (double)attainment_counts(&m->attainment, 0, 0).met;
    if (r->alone.count > 0 && save_latency(s, run, "ideal_e2e_s", "all", &r->alone, err))
        return -1;
    return save_value(s, run, "goodput_per_s", "all", "value", met / r->duration_s, "1/s", err) ||
                   save_value(s, run, "prompt_tokens", "all", "sum", (double)r->prompt_tokens, "tokens", err) ||
                   save_value(s, run, "output_tokens", "all", "sum", (double)r->output_tokens, "tokens", err)
               ? -1
               : 0;
}

/* How sessions and agents fared. */
static int save_sessions(struct store *s, sqlite3_int64 run, const struct session_summary *sessions, struct error *err)
{
    static const char scope[] = "sessions";
    if (sessions->begun == 0)
        return 0;
    for (int i = 0; i < SESSION_LATENCIES; i++)
        if (save_latency(s, run, session_latency_names[i], scope, &sessions->latencies[i], err))
            return -1;
    return save_value(s, run, "sessions", scope, "count", (double)sessions->begun, "sessions", err) ||
                   save_value(s, run, "complete_sessions", scope, "count", (double)sessions->complete, "sessions",
                              err) ||
                   save_value(s, run, "turns", scope, "mean", sessions->turns, "requests", err) ||
                   save_value(s, run, "tool_share", scope, "value", sessions->tool_share, "", err)
               ? -1
               : 0;
}

/* Of a replica, by the name of its pool where there are several. */
static int save_kv_size(struct store *s, sqlite3_int64 run, const struct kv_size *kv, const char *scope,
                        struct error *err)
{
    return save_value(s, run, "kv_pool_blocks", scope, "value", (double)kv->blocks, "blocks", err) ||
                   save_value(s, run, "kv_pool_tokens", scope, "value", (double)kv->tokens, "tokens", err) ||
                   save_value(s, run, "kv_max_concurrency", scope, "value", kv->at_longest, "requests", err) ||
                   save_value(s, run, "kv_mean_concurrency", scope, "value", kv->at_mean, "requests", err)
               ? -1
               : 0;
}

static int save_kv(struct store *s, sqlite3_int64 run, const struct run_summary *r, struct error *err)
{
    if (save_kv_size(s, run, &r->kv[0], "run", err))
        return -1;
    for (size_t i = 0; r->pool_count > 1 && i < r->pool_count; i++) {
        char scope[80];
        snprintf(scope, sizeof scope, "pool:%s", r->kv[i].pool);
        if (save_kv_size(s, run, &r->kv[i], scope, err))
            return -1;
    }
    return 0;
}

/* What tiers below GPU memory held and gave. */
static int save_tiers(struct store *s, sqlite3_int64 run, const struct run_summary *r, struct error *err)
{
    for (size_t i = 0; i < r->tier_count; i++) {
        const struct tier_summary *t = &r->tiers[i];
        const struct tier_totals *all = &t->totals;
        const struct {
            const char *name, *unit;
            double value;
        } rows[] = {{"tier_hit_rate", "", t->hit_rate},
                    {"tier_loads", "", (double)all->loads},
                    {"tier_tokens", "tokens", (double)all->tokens},
                    {"tier_read_bytes", "bytes", (double)all->read},
                    {"tier_written_bytes", "bytes", (double)all->written},
                    {"tier_evicted_bytes", "bytes", (double)all->evicted},
                    {"tier_held_bytes", "bytes", (double)all->held},
                    {"tier_peak_bytes", "bytes", (double)all->peak},
                    {"tier_turned_away_bytes", "bytes", (double)all->turned_away},
                    {"tier_capacity_bytes", "bytes", (double)all->capacity}};
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
            if (save_value(s, run, rows[k].name, t->reads.name, "value", rows[k].value, rows[k].unit, err))
                return -1;
    }
    return 0;
}

/* KV that went from replicas that prefill to replicas that decode. */
static int save_transfers(struct store *s, sqlite3_int64 run, const struct run_summary *r, struct error *err)
{
    const struct kv_transfer_totals *t = &r->totals.transfers;
    const struct {
        const char *name, *unit;
        double value;
    } rows[] = {{"kv_transfers", "", (double)t->transfers},
                {"kv_transfers_failed", "", (double)t->failed},
                {"kv_transfer_bytes", "bytes", t->bytes},
                {"kv_transfer_present_share", "", (double)t->present / (double)t->tokens}};
    for (size_t k = 0; t->transfers > 0 && k < sizeof rows / sizeof *rows; k++)
        if (save_value(s, run, rows[k].name, "run", "value", rows[k].value, rows[k].unit, err))
            return -1;
    return 0;
}

static int save_values(struct store *s, sqlite3_int64 run, const struct run_summary *r, struct error *err)
{
    struct run_value values[RUN_VALUES_MAX];
    size_t count = run_values(r, values);
    for (size_t i = 0; i < count; i++) {
        struct estimate e = {values[i].value, NAN, NAN};
        if (save_metric(s, run, values[i].name, "value", e, values[i].unit, err))
            return -1;
    }
    return 0;
}

/* A target of the SLO: no value where it is infinite, because requests were not served, or where there was none, and
 * then nothing in `met`. */
static int save_target(struct store *s, sqlite3_int64 run, const char *scope, const char *name, const char *statistic,
                       double asked, const struct slo_result *r, struct error *err)
{
    return store_insert(s, err, "INSERT INTO slo_target VALUES (?,?,?,?,?,?,?,?)", "isssdddd", run, scope, name,
                        statistic, asked, r->value, r->margin, r->judged ? (double)r->met : NAN);
}

static int save_targets(struct store *s, sqlite3_int64 run, const struct slo *slo, const struct slo_verdict *v,
                        struct error *err)
{
    char scopes[SLO_SCOPES_MAX][48] = {"run"};
    for (size_t i = 1; i <= slo->class_count; i++)
        snprintf(scopes[i], sizeof scopes[i], "class:%s", slo->classes[i].name);
    for (size_t i = 0; i < slo->count; i++)
        if (save_target(s, run, scopes[slo->limits[i].scope], slo->limits[i].metric, slo->limits[i].statistic,
                        slo->limits[i].limit_s, &v->limits[i], err))
            return -1;
    for (size_t i = 0; i <= slo->class_count; i++)
        if (slo->attainment[i] > 0 &&
            save_target(s, run, scopes[i], "slo_attainment", "value", slo->attainment[i], &v->attainment[i], err))
            return -1;
    if (slo->goodput_per_s > 0 &&
        save_target(s, run, "run", "goodput_per_s", "value", slo->goodput_per_s, &v->goodput, err))
        return -1;
    return slo->window > 0 &&
                   save_target(s, run, "run", "slo_windows_kept", "value", slo->window_share, &v->windows, err)
               ? -1
               : 0;
}

/* Buckets are lumped by their number, so that all histograms have the same values. */
static int save_buckets(struct store *s, sqlite3_int64 run, const char *metric, const char *scope,
                        const struct histogram *h, struct error *err)
{
    size_t last = histogram_bucket(h->max) + 1, first = histogram_bucket(h->min);
    for (size_t from = first - first % s->buckets_a_row; h->total > 0 && from < last; from += s->buckets_a_row) {
        size_t to = from + s->buckets_a_row;
        uint64_t count = 0;
        for (size_t b = from; b < to && b < last; b++)
            count += histogram_count(h, b);
        double middle = (double)histogram_bucket_value((from + to - 1) / 2) * 1e-9;
        if (count && store_insert(s, err, "INSERT INTO histogram VALUES (?,?,?,?,?)", "issdi", run, metric, scope,
                                  middle, (int64_t)count))
            return -1;
    }
    return 0;
}

/* Of all values, and of those among them that statistics leave out as warm-up. */
static int save_histograms(struct store *s, sqlite3_int64 run, const struct run_metrics *m, const struct run_summary *r,
                           struct error *err)
{
    for (int k = 0; k < METRIC_COUNT; k++) {
        struct histogram all = {0}, warmup = {0};
        int status = 0;
        for (size_t i = 0; i < SECTIONS_MAX && status == 0; i++) {
            const struct histogram *section = &m->samples[k].sections[i].histogram;
            if (histogram_merge(&all, section) || (i < r->metrics[k].sections_cut && histogram_merge(&warmup, section)))
                status = error_no_memory(err);
        }
        if (status == 0)
            status = save_buckets(s, run, metric_names[k], "run", &all, err) ||
                             save_buckets(s, run, metric_names[k], "warmup", &warmup, err)
                         ? -1
                         : 0;
        histogram_release(&all);
        histogram_release(&warmup);
        if (status)
            return -1;
    }
    return 0;
}

static int save_batches(struct store *s, sqlite3_int64 run, const struct batch_map *map, struct error *err)
{
    for (int d = 0; d < DECODE_CELLS; d++)
        for (int p = 0; p < PROMPT_CELLS; p++) {
            const struct batch_cell *c = &map->cells[d][p];
            if (c->iterations &&
                store_insert(s, err, "INSERT INTO batch_cell VALUES (?,?,?,?,?,?,?)", "iiiiiii", run,
                             (int64_t)batch_map_decodes(d), (int64_t)batch_map_prompt_tokens(p), (int64_t)c->iterations,
                             (int64_t)c->ns, (int64_t)c->tokens, (int64_t)c->padded_tokens))
                return -1;
        }
    return 0;
}

static int save_station(struct store *s, sqlite3_int64 run, const struct station_summary *t, struct error *err)
{
    return store_insert(s, err, "INSERT INTO station VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", "isddddddddddd", run, t->name,
                        t->arrival_rate, t->service_rate, t->utilization, t->number, t->queue_number, t->stay_s,
                        t->wait_s, t->arrival_scv, t->service_scv, t->little_residual, t->busy);
}

/* What formulas say of the mean wait, with the run's own rates and moments. They hold for servers that
 * serve one request at a time; a row says whether this run's did. */
static int save_theory(struct store *s, sqlite3_int64 run, const struct scenario *sc, const struct run_metrics *m,
                       const struct run_summary *r, struct error *err)
{
    double mu = r->system.service_rate, lambda = r->system.arrival_rate, c2 = r->system.service_scv;
    unsigned c = r->system.servers;
    bool single = m->sequence_ns == m->system.busy_ns, poisson = fabs(r->system.arrival_scv - 1) < 0.1;
    bool shared = c == 1 || sc->cluster.routers[0].policy->central;
    const struct {
        const char *formula;
        double value;
        bool holds;
    } rows[] = {
        {"M/M/c wait (Erlang C)", theory_mmc_wait_s(lambda, mu, c), single && shared && poisson && fabs(c2 - 1) < 0.1},
        {"M/G/1 wait (Pollaczek-Khinchine)", theory_mg1_wait_s(lambda / c, 1 / mu, c2), single && c == 1 && poisson},
        {"G/G/c wait (Allen-Cunneen)", theory_ggc_wait_s(lambda, mu, c, r->system.arrival_scv, c2), single && shared},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (store_insert(s, err, "INSERT INTO theory VALUES (?,'system',?,?,?)", "isdi", run, rows[i].formula,
                         rows[i].value, (sqlite3_int64)rows[i].holds))
            return -1;
    return 0;
}

/* The same of a delay station, which has no batches: what holds depends on its arrivals and its times alone. */
static int save_delay_theory(struct store *s, sqlite3_int64 run, const struct station_summary *t, struct error *err)
{
    bool poisson = fabs(t->arrival_scv - 1) < 0.1;
    const struct {
        const char *formula;
        double value;
        bool holds;
    } rows[] = {
        {"M/M/c wait (Erlang C)", theory_mmc_wait_s(t->arrival_rate, t->service_rate, t->servers),
         poisson && fabs(t->service_scv - 1) < 0.1},
        {"G/G/c wait (Allen-Cunneen)",
         theory_ggc_wait_s(t->arrival_rate, t->service_rate, t->servers, t->arrival_scv, t->service_scv), true},
    };
    for (size_t i = 0; t->servers > 0 && i < sizeof rows / sizeof *rows; i++)
        if (store_insert(s, err, "INSERT INTO theory VALUES (?,?,?,?,?)", "issdi", run, t->name, rows[i].formula,
                         rows[i].value, (sqlite3_int64)rows[i].holds))
            return -1;
    return 0;
}

/* How many requests a delay station of such a kind has answered, of those that came; in the scope of its pool. */
static int save_answered(struct store *s, sqlite3_int64 run, const struct delay_config *config,
                         const struct delay_metrics *d, struct error *err)
{
    char scope[80];
    double came = (double)d->system.departures;
    if (!config->kind->answers)
        return 0;
    snprintf(scope, sizeof scope, "pool:%s", config->name);
    return save_value(s, run, "answered_requests", scope, "value", (double)d->answered, "requests", err) ||
                   save_value(s, run, "answered_share", scope, "value", came > 0 ? (double)d->answered / came : NAN, "",
                              err)
               ? -1
               : 0;
}

static int save_stations(struct store *s, sqlite3_int64 run, const struct scenario *sc, const struct run_metrics *m,
                         const struct run_summary *r, struct error *err)
{
    if (save_station(s, run, &r->system, err) || save_station(s, run, &r->queue, err))
        return -1;
    for (size_t i = 0; i < m->replica_count; i++)
        for (int queue = 0; queue < 2; queue++) {
            struct station_summary t = run_metrics_station(m, sc, (struct station_id){i}, queue, r->duration_s);
            if (save_station(s, run, &t, err))
                return -1;
        }
    for (size_t i = 0; i < sc->cluster.delay_count; i++)
        for (int queue = 0; queue < 2; queue++) {
            struct station_summary t = run_metrics_delay(m, sc, i, queue, r->duration_s);
            if (save_station(s, run, &t, err) || (!queue && save_delay_theory(s, run, &t, err)) ||
                (!queue && save_answered(s, run, &sc->cluster.delays[i], &m->delays[i], err)))
                return -1;
        }
    for (size_t i = 0; i < r->tier_count; i++)
        if (save_station(s, run, &r->tiers[i].reads, err))
            return -1;
    return save_theory(s, run, sc, m, r, err);
}

static const char *model_of(const struct cost_model *cost)
{
    return cost->model.name;
}

static const char *device_of(const struct cost_model *cost)
{
    return cost->device.name;
}

static const char *source_of(const struct cost_model *cost)
{
    return cost->device.source;
}

/* The models, devices or sources of costs of all pools, each named once. */
static void name_all(const struct scenario *s, const char *(*name_of)(const struct cost_model *cost), char *out,
                     size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < s->cluster.pool_count && used < size; i++) {
        const char *name = name_of(&s->pools[i].cost);
        bool new = true;
        for (size_t k = 0; k < i; k++)
            new &= strcmp(name_of(&s->pools[k].cost), name) != 0;
        if (new)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? " + " : "", name);
    }
}

static int save_run_row(struct store *s, const struct scenario *sc, const struct run_summary *r, double wall_s,
                        struct error *err)
{
    char *json = cJSON_PrintUnformatted(sc->root.node);
    if (!json)
        return error_no_memory(err);
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *c = json; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    char hash_text[20], started[32], models[400], devices[400], sources[1500];
    name_all(sc, model_of, models, sizeof models);
    name_all(sc, device_of, devices, sizeof devices);
    name_all(sc, source_of, sources, sizeof sources);
    snprintf(hash_text, sizeof hash_text, "%016llx", (unsigned long long)hash);
    time_t now = time(NULL);
    struct tm utc;
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    const struct cluster_totals *t = &r->totals;
    int status =
        store_insert(s, err, "INSERT INTO run VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                     "sssisssddiiiiissssdsis", sc->name, json, hash_text, (sqlite3_int64)sc->seed, TANDEM_VERSION,
                     t->stopped ? "interrupted" : "done", started, wall_s, sim_time_to_s(t->end),
                     (sqlite3_int64)t->arrived, (sqlite3_int64)t->finished, (sqlite3_int64)t->rejected,
                     (sqlite3_int64)t->unfinished, (sqlite3_int64)t->iterations, models, devices, sources,
                     sc->cluster.pools[0].replica.batching->name, r->slo.asked ? (double)r->slo.met : NAN,
                     r->slo.asked ? r->slo.binding : NULL, (sqlite3_int64)t->lost, r->slo.reason);
    free(json);
    return status;
}

static int finish_row(struct store *s, sqlite3_stmt *q, struct error *err)
{
    int status = sqlite3_step(q) == SQLITE_DONE ? 0 : store_fail(s, err);
    sqlite3_reset(q);
    return status;
}

static int save_requests(struct store *s, sqlite3_int64 run, struct error *err)
{
    if (request_table_register(s->db, &s->rows) != SQLITE_OK)
        return store_fail(s, err);
    return store_write(s, err, "INSERT INTO request SELECT ?, * FROM spooled_request", "i", run);
}

static int save_point(struct store *s, sqlite3_stmt *point, const struct point_row *row, struct error *err)
{
    sqlite3_bind_text(point, 2, row->series, -1, SQLITE_STATIC);
    sqlite3_bind_double(point, 3, sim_time_to_s(row->at));
    sqlite3_bind_double(point, 4, row->value);
    return finish_row(s, point, err);
}

/* Its prompts as [[id, tokens], …], for who wants to know whose they are. */
/* Iterations of each replica so far: they are told in order for each, but not over all of them. */
struct counters {
    int64_t *counts; /* [capacity] */
    size_t capacity;
};

static int counters_cover(struct counters *c, uint64_t replica, struct error *err)
{
    int64_t *grown = array_grow(c->counts, &c->capacity, replica + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    c->counts = grown;
    return 0;
}

static int save_iteration(struct store *s, sqlite3_stmt *q, const struct iteration_row *row, int64_t number,
                          struct error *err)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return error_no_memory(err);
    fputc('[', out);
    struct prompt_row p;
    for (uint64_t i = 0; i < row->prompts && row_spool_next_prompt(&s->rows, &p); i++)
        fprintf(out, "%s[%llu,%llu]", i ? "," : "", (unsigned long long)p.id, (unsigned long long)p.tokens);
    fputc(']', out);
    if (fclose(out)) {
        free(text);
        return error_no_memory(err);
    }
    const int64_t numbers[] = {(int64_t)row->replica,
                               row->start,
                               number,
                               row->end,
                               (int64_t)row->decodes,
                               (int64_t)row->decode_kv,
                               (int64_t)row->prompt_tokens,
                               (int64_t)row->padded_tokens};
    for (int i = 0; i < 8; i++)
        sqlite3_bind_int64(q, 2 + i, numbers[i]);
    sqlite3_bind_text(q, 10, text, (int)length, SQLITE_STATIC);
    int status = finish_row(s, q, err);
    free(text);
    return status;
}

static int prepare_rows(struct store *s, sqlite3_stmt **q, const char *sql, sqlite3_int64 run, struct error *err)
{
    if (sqlite3_prepare_v2(s->db, sql, -1, q, NULL) != SQLITE_OK)
        return store_fail(s, err);
    sqlite3_bind_int64(*q, 1, run);
    return 0;
}

static int save_rows(struct store *s, sqlite3_int64 run, struct error *err)
{
    sqlite3_stmt *point = NULL, *iteration = NULL;
    struct point_row at;
    struct iteration_row batch;
    int status = row_spool_rewind(&s->rows, err) || save_requests(s, run, err) ||
                 prepare_rows(s, &point, "INSERT INTO timeseries VALUES (?,?,?,?)", run, err) ||
                 prepare_rows(s, &iteration, "INSERT INTO iteration VALUES (?,?,?,?,?,?,?,?,?,?)", run, err);
    while (status == 0 && row_spool_next_point(&s->rows, &at))
        status = save_point(s, point, &at, err);
    struct counters saved = {0};
    while (status == 0 && row_spool_next_iteration(&s->rows, &batch))
        status = counters_cover(&saved, batch.replica, err)
                     ? -1
                     : save_iteration(s, iteration, &batch, saved.counts[batch.replica]++, err);
    if (status == 0 && row_spool_failed(&s->rows))
        status = error_set(err, ERROR_IO, "rows could not be read back from a temporary file");
    free(saved.counts);
    sqlite3_finalize(iteration);
    sqlite3_finalize(point);
    return status ? -1 : 0;
}

/* Where a policy came from that ran, unless it is built in. */
static int save_plugin(struct store *s, sqlite3_int64 run, enum policy_axis axis, const void *policy, struct error *err)
{
    const struct plugin *p = policy ? plugin_of(axis, policy) : NULL;
    return p ? store_insert(s, err, "INSERT OR IGNORE INTO run_plugin VALUES (?,?,?,?,?)", "issss", run,
                            policy_axis_names[axis], policy_name(policy), plugin_file(p), p->sha256)
             : 0;
}

static int save_plugins(struct store *s, sqlite3_int64 run, const struct cluster_config *c, struct error *err)
{
    for (size_t i = 0; i < c->pool_count; i++)
        if (save_plugin(s, run, AXIS_BATCHING, c->pools[i].replica.batching, err) ||
            save_plugin(s, run, AXIS_ORDER, c->pools[i].replica.order, err))
            return -1;
    for (size_t i = 0; i < c->step_count; i++)
        if (save_plugin(s, run, AXIS_ROUTING, c->routers[i].policy, err))
            return -1;
    for (size_t i = 0; i < c->fleet_count; i++)
        if (save_plugin(s, run, AXIS_AUTOSCALING, c->fleets[i].scaling, err))
            return -1;
    return save_plugin(s, run, AXIS_PREDICTOR, c->predictor, err);
}

static int save_all(struct store *s, const struct scenario *sc, const struct run_metrics *m,
                    const struct run_summary *r, double wall_s, sqlite3_int64 *run, struct error *err)
{
    if (save_run_row(s, sc, r, wall_s, err))
        return -1;
    *run = sqlite3_last_insert_rowid(s->db);
    if (save_latencies(s, *run, m, r, err) || save_values(s, *run, r, err) || save_tiers(s, *run, r, err) ||
        save_transfers(s, *run, r, err) || save_sessions(s, *run, &r->sessions, err) ||
        save_histograms(s, *run, m, r, err) || save_scopes(s, *run, &m->attainment, r, err) ||
        save_kv(s, *run, r, err) || save_targets(s, *run, &sc->slo, &r->slo, err) ||
        save_all_bands(s, *run, m, r, err) || save_batches(s, *run, &m->batches, err) ||
        save_stations(s, *run, sc, m, r, err) || save_plugins(s, *run, &sc->cluster, err))
        return -1;
    return s->rows.requests ? save_rows(s, *run, err) : 0;
}

/* All rows name the run that is made with them: nobody need look for it at each. */
int64_t store_save_run(struct store *store, const struct scenario *s, const struct run_metrics *m,
                       const struct run_summary *summary, double wall_s, struct error *err)
{
    sqlite3_int64 run = -1;
    struct error ignored;
    bool alone = sqlite3_get_autocommit(store->db); /* else a caller began, who ends it */
    if (alone && store_execute(store, "PRAGMA foreign_keys = OFF", err))
        return -1;
    int status = (alone && store_begin(store, err)) || save_all(store, s, m, summary, wall_s, &run, err) ||
                         (alone && store_commit(store, err))
                     ? -1
                     : 0;
    if (status)
        store_roll_back(store);
    if (alone)
        store_execute(store, "PRAGMA foreign_keys = ON", &ignored);
    return status ? -1 : run;
}

int store_save_validation(struct store *s, int64_t run_id, const char *against, const struct comparison *c,
                          struct error *err)
{
    int status = 0;
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS && status == 0; i++)
            status = store_insert(s, err, "INSERT INTO validation VALUES (?,?,?,?,?,?,?)", "isssddd",
                                  (sqlite3_int64)run_id, against, metric_names[measured_metrics[m]],
                                  measured_statistics[i], c->measured[m][i], c->simulated[m][i], c->error[m][i]);
    return status;
}
