/* SPDX-License-Identifier: MIT */
#include "profiles/shared_costs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "profiles/cost_parts.h"

struct cost_loan {
    struct shared_costs *of;
    char *key;
    struct cost_model model; /* with its own arrays */
    unsigned borrowers;
    struct cost_loan *next; /* the one that was borrowed before */
};

struct shared_costs {
    pthread_mutex_t mutex;
    struct cost_loan *first;
};

struct shared_costs *shared_costs_create(void)
{
    struct shared_costs *c = calloc(1, sizeof *c);
    if (c && pthread_mutex_init(&c->mutex, NULL)) {
        free(c);
        c = NULL;
    }
    return c;
}

static void end_loan(struct cost_loan *loan)
{
    cost_model_release(&loan->model);
    free(loan->key);
    free(loan);
}

void shared_costs_destroy(struct shared_costs *c)
{
    if (!c)
        return;
    for (struct cost_loan *next, *loan = c->first; loan; loan = next) {
        next = loan->next;
        end_loan(loan);
    }
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

static void lend(struct cost_loan *loan, struct cost_model *out)
{
    loan->borrowers++;
    *out = loan->model;
    out->loan = loan;
}

/* The one of a key, which is the first one then; NULL: there is none. */
static struct cost_loan *find(struct shared_costs *c, const char *key)
{
    for (struct cost_loan **at = &c->first; *at; at = &(*at)->next) {
        struct cost_loan *loan = *at;
        if (strcmp(loan->key, key) != 0)
            continue;
        *at = loan->next;
        loan->next = c->first;
        return c->first = loan;
    }
    return NULL;
}

static bool borrow(struct shared_costs *c, const char *key, struct cost_model *out)
{
    pthread_mutex_lock(&c->mutex);
    struct cost_loan *loan = find(c, key);
    if (loan)
        lend(loan, out);
    pthread_mutex_unlock(&c->mutex);
    return loan;
}

/* Of those that nobody has borrowed, the ones longest ago go. */
static void forget(struct shared_costs *c)
{
    size_t kept = 0;
    for (struct cost_loan **at = &c->first; *at;) {
        struct cost_loan *loan = *at;
        if (loan->borrowers > 0 || kept++ < SHARED_COSTS_KEPT) {
            at = &loan->next;
            continue;
        }
        *at = loan->next;
        end_loan(loan);
    }
}

/* Puts one in that has just been made, and borrows it; or the one of somebody who was faster. */
static void keep(struct shared_costs *c, struct cost_loan *made, struct cost_model *out)
{
    pthread_mutex_lock(&c->mutex);
    struct cost_loan *loan = find(c, made->key);
    if (!loan) {
        made->next = c->first;
        c->first = loan = made;
    }
    lend(loan, out);
    forget(c);
    pthread_mutex_unlock(&c->mutex);
    if (loan != made)
        end_loan(made);
}

/* A backend knows where its model stands, so it is made where it stays. */
int shared_cost_model(struct shared_costs *c, const char *key, struct cost_model *out, const char *model,
                      const char *device, const struct parallel *parallel, const struct engine *engine,
                      const struct techniques *techniques, struct error *err)
{
    if (!borrow(c, key, out)) {
        struct cost_loan *loan = calloc(1, sizeof *loan);
        if (!loan || !(loan->key = strdup(key))) {
            free(loan);
            return error_no_memory(err);
        }
        loan->of = c;
        if (cost_model_create(&loan->model, model, device, parallel, engine, techniques, err)) {
            end_loan(loan);
            return -1;
        }
        keep(c, loan, out);
    }
    out->device_name = device;
    return 0;
}

void cost_loan_end(struct cost_loan *loan)
{
    pthread_mutex_lock(&loan->of->mutex);
    loan->borrowers--;
    forget(loan->of);
    pthread_mutex_unlock(&loan->of->mutex);
}
