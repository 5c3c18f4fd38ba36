/* SPDX-License-Identifier: MIT */
#include "cli/plan_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "base/printable.h"
#include "cli/plan_emit.h"
#include "cli/plan_markdown.h"
#include "cli/plan_text.h"
#include "cli/session.h"

const char *plan_database(const char *named, const char *none)
{
    return none ? NULL : named ? named : "tandem.db";
}

/* Keeps what was found in the plan's row, and in a file if wanted. */
static int keep_answer(const struct plan_wishes *wishes, const struct plan_search *s, const struct plan_answer *a,
                       struct journal *journal, struct error *err)
{
    cJSON *json = plan_answer_json(s, a);
    char *text = json && !memory_has_failed() ? cJSON_Print(json) : NULL;
    if (!text) {
        cJSON_Delete(json);
        return error_no_memory(err);
    }
    int status = journal ? journal_finish(journal, s->chosen ? "done" : "not met", text, err) : 0;
    if (status == 0 && wishes->json)
        status = output_write(wishes->json, text, err);
    if (status == 0 && wishes->markdown)
        status = plan_markdown_write(wishes->markdown, json, err);
    cJSON_Delete(json);
    free(text);
    return status;
}

/* A configuration that was refused says so; one that was not has failed with every number of units. */
static const char *why_not(const struct contender *c)
{
    return c->family->refused[0] ? c->family->refused : c->why;
}

static int search_and_answer(const struct plan_wishes *wishes, const struct plan *plan, struct session *session,
                             struct error *err)
{
    struct plan_search search;
    struct plan_answer answer = {0};
    enum deploy_form form = DEPLOY_VLLM;
    double started = wall_clock_s();
    int status = plan_search_run(&search, plan, &session->pool, err);
    if (status == 0 && search.chosen)
        status = plan_answer_make(&answer, &search, err);
    progress_end(&session->progress);
    if (status == 0 && !search.chosen && !search.closest)
        status = error_set(err, ERROR_INPUT, "none of the configurations can be run: %s: %s", search.families[0].label,
                           why_not(&search.contenders[0]));
    if (status == 0)
        status = keep_answer(wishes, &search, search.chosen ? &answer : NULL, session_journal(session), err);
    if (status == 0)
        plan_text_answer(&search, search.chosen ? &answer : NULL, wishes->all, wall_clock_s() - started);
    if (status == 0 && wishes->emit)
        status = plan_emit_find(wishes->emit, &form, err) || plan_emit(&search, form, err);
    int exit = status ? exit_for(err) : search.chosen ? EXIT_DONE : EXIT_SLO_MISSED;
    plan_answer_release(&answer);
    plan_search_release(&search);
    return exit;
}

/* What a budget is worth: nothing of it is kept in a database. */
static int find_most(const struct plan_wishes *wishes, const struct plan *plan, struct session *session,
                     struct error *err)
{
    struct plan_most most;
    double started = wall_clock_s();
    int status = plan_most_find(&most, plan, &session->pool, err);
    progress_end(&session->progress);
    cJSON *json = status == 0 && wishes->json ? plan_most_json(&most) : NULL;
    char *text = json && !memory_has_failed() ? cJSON_Print(json) : NULL;
    if (status == 0 && wishes->json)
        status = text ? output_write(wishes->json, text, err) : error_no_memory(err);
    if (status == 0)
        plan_text_most(&most, session->pool.trials, wall_clock_s() - started);
    int exit = status ? exit_for(err) : plan_most_found(&most) ? EXIT_DONE : EXIT_SLO_MISSED;
    cJSON_Delete(json);
    free(text);
    plan_most_release(&most);
    return exit;
}

int plan_run(const struct plan_wishes *wanted, struct json root, struct error *err)
{
    struct plan plan;
    struct session session;
    char *specification = session_specification(root.node);
    enum deploy_form form = DEPLOY_VLLM;
    if (wanted->emit && plan_emit_find(wanted->emit, &form, err)) {
        free(specification);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return exit_for(err);
    }
    if (plan_read(&plan, root, err)) {
        free(specification);
        return exit_for(err);
    }
    bool most = plan.aim != AIM_LEAST;
    if (most && (wanted->markdown || wanted->emit)) {
        enum plan_aim aim = plan.aim;
        free(specification);
        plan_release(&plan);
        error_set(err, ERROR_INPUT, "%s: is of a plan for the least cost, GPUs or energy, not of objective %s",
                  wanted->markdown ? "--markdown" : "--emit", aim_names[aim]);
        return exit_for(err);
    }
    if (wanted->emit && deployment_check(&plan, form, err)) {
        free(specification);
        plan_release(&plan);
        return exit_for(err);
    }
    struct session_wishes wishes = {.threads = wanted->threads,
                                    .quiet = wanted->quiet,
                                    .db = most ? NULL : wanted->db,
                                    .table = "plan",
                                    .name = plan.name,
                                    .specification = specification};
    int status = session_open(&session, &wishes, err) ? exit_for(err)
                 : most                               ? find_most(wanted, &plan, &session, err)
                                                      : search_and_answer(wanted, &plan, &session, err);
    session_close(&session, status == EXIT_FAILED, err);
    plan_release(&plan);
    free(specification);
    return status;
}
