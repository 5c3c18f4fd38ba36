/* SPDX-License-Identifier: MIT */
#include "reports/stats/theory.h"

#include <gsl/gsl_integration.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

double theory_mg1_wait_s(double arrival_rate, double mean_service_s, double service_scv)
{
    double rho = arrival_rate * mean_service_s;
    if (rho >= 1)
        return INFINITY;
    return arrival_rate * mean_service_s * mean_service_s * (1 + service_scv) / (2 * (1 - rho));
}

double theory_mmc_wait_s(double arrival_rate, double service_rate, unsigned servers)
{
    double load = arrival_rate / service_rate, c = servers;
    if (load >= c)
        return INFINITY;
    double blocking = 1; /* Erlang B by its recursion in the number of servers */
    for (unsigned i = 1; i <= servers; i++)
        blocking = load * blocking / (i + load * blocking);
    double waiting = blocking / (1 - load / c * (1 - blocking)); /* Erlang C from B */
    return waiting / (c * service_rate - arrival_rate);
}

double theory_ggc_wait_s(double arrival_rate, double service_rate, unsigned servers, double arrival_scv,
                         double service_scv)
{
    return theory_mmc_wait_s(arrival_rate, service_rate, servers) * (arrival_scv + service_scv) / 2;
}

/* In units of the mean service: f(x) = e^−x, and the load of jobs up to x is ρ (1 − (1 + x) e^−x). */
static double sjf_integrand(double x, void *rho)
{
    double load = *(double *)rho * (1 - (1 + x) * exp(-x));
    return exp(-x) / ((1 - load) * (1 - load));
}

double theory_mm1_sjf_wait_s(double arrival_rate, double mean_service_s)
{
    double rho = arrival_rate * mean_service_s, integral = 0, error = 0;
    if (rho >= 1)
        return INFINITY;
    gsl_integration_workspace *space = gsl_integration_workspace_alloc(1000);
    if (!space) {
        memory_note_failure(); /* GSL's own allocation */
        return NAN;
    }
    gsl_function f = {.function = sjf_integrand, .params = &rho};
    gsl_integration_qagiu(&f, 0, 0, 1e-9, 1000, space, &integral, &error);
    gsl_integration_workspace_free(space);
    return rho * mean_service_s * integral; /* E[S²] / 2 is the mean squared */
}

enum { BULK_STATES = 600 };

/* Of one batch size: how many arrive while it is served, and its service time's first two moments. */
struct bulk {
    double arrivals[BULK_MOST + 1][BULK_STATES];
    double mean[BULK_MOST + 1], square[BULK_MOST + 1];
    double seconds[BULK_OUTCOMES], probability[BULK_OUTCOMES];
    double now[BULK_STATES], next[BULK_STATES];
};

static void serve_size(struct bulk *b, double rate, unsigned size, bulk_service service, const void *model)
{
    unsigned outcomes = service(model, size, b->seconds, b->probability);
    for (unsigned i = 0; i < outcomes; i++) {
        double expected = rate * b->seconds[i], p = b->probability[i], poisson = exp(-expected);
        b->mean[size] += p * b->seconds[i];
        b->square[size] += p * b->seconds[i] * b->seconds[i];
        for (unsigned n = 0; n < BULK_STATES; n++) {
            b->arrivals[size][n] += p * poisson;
            poisson *= expected / (n + 1);
        }
    }
}

static unsigned size_of(unsigned waiting, unsigned least, unsigned most)
{
    return waiting < least ? least : waiting < most ? waiting : most;
}

/* One step of the chain; what would lie beyond its last state is left there. */
static double step_chain(struct bulk *b, unsigned least, unsigned most)
{
    double moved = 0;
    for (unsigned n = 0; n < BULK_STATES; n++)
        b->next[n] = 0;
    for (unsigned n = 0; n < BULK_STATES; n++) {
        unsigned size = size_of(n, least, most), left = n > size ? n - size : 0;
        double rest = b->now[n];
        for (unsigned k = 0; left + k < BULK_STATES - 1; k++) {
            b->next[left + k] += b->now[n] * b->arrivals[size][k];
            rest -= b->now[n] * b->arrivals[size][k];
        }
        b->next[BULK_STATES - 1] += rest;
    }
    for (unsigned n = 0; n < BULK_STATES; n++) {
        moved += fabs(b->next[n] - b->now[n]);
        b->now[n] = b->next[n];
    }
    return moved;
}

double theory_bulk_wait_s(double arrival_rate, unsigned least, unsigned most, bulk_service service, const void *model)
{
    struct bulk *b = calloc(1, sizeof *b);
    double area = 0, length = 0;
    if (!b)
        return NAN;
    for (unsigned size = least; size <= most; size++)
        serve_size(b, arrival_rate, size, service, model);
    bool keeps_up = arrival_rate * b->mean[most] < most;
    b->now[0] = 1;
    for (unsigned i = 0; keeps_up && i < 20000 && step_chain(b, least, most) > 1e-13; i++)
        ;
    for (unsigned n = 0; n < BULK_STATES; n++) {
        unsigned size = size_of(n, least, most), left = n > size ? n - size : 0;
        for (unsigned k = n; k < least; k++) { /* until there are enough */
            area += b->now[n] * k / arrival_rate;
            length += b->now[n] / arrival_rate;
        }
        area += b->now[n] * (left * b->mean[size] + arrival_rate * b->square[size] / 2);
        length += b->now[n] * b->mean[size];
    }
    free(b);
    return keeps_up ? area / length / arrival_rate : INFINITY;
}
