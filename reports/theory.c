/* SPDX-License-Identifier: MIT */
#include "reports/theory.h"

#include <math.h>

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
