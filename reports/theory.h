/* SPDX-License-Identifier: MIT */
/* theory.h — closed forms of queueing theory, to lay beside simulated waits. Rates per second. */
#ifndef TANDEM_REPORTS_THEORY_H
#define TANDEM_REPORTS_THEORY_H

/* Mean wait in M/G/1 (Pollaczek–Khinchine; Kleinrock 1975, eq. 5.61): λ E[S²] / (2 (1 − ρ)), with
 * E[S²] = S² (1 + SCV). M/M/1 has SCV 1, M/D/1 SCV 0. Infinite when ρ >= 1. */
double theory_mg1_wait_s(double arrival_rate, double mean_service_s, double service_scv);

/* Mean wait in M/M/c (Erlang C; Kleinrock 1975, eq. 3.40). Infinite when ρ >= 1. */
double theory_mmc_wait_s(double arrival_rate, double service_rate, unsigned servers);

/* Mean wait in G/G/c (Allen and Cunneen's approximation; Allen 1990): M/M/c times the mean of both SCVs. */
double theory_ggc_wait_s(double arrival_rate, double service_rate, unsigned servers, double arrival_scv,
                         double service_scv);

#endif
