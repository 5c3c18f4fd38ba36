/* SPDX-License-Identifier: MIT */
/* theory.h — closed forms of queueing theory, to lay next to simulated waits. Rates per second. */
#ifndef TANDEM_REPORTS_STATS_THEORY_H
#define TANDEM_REPORTS_STATS_THEORY_H

/* Mean wait in M/G/1 (Pollaczek–Khinchine; Kleinrock 1975, eq. 5.61): λ E[S²] / (2 (1 − ρ)), with
 * E[S²] = S² (1 + SCV). M/M/1 has SCV 1, M/D/1 SCV 0. Infinite when ρ >= 1. */
double theory_mg1_wait_s(double arrival_rate, double mean_service_s, double service_scv);

/* Mean wait in M/M/c (Erlang C; Kleinrock 1975, eq. 3.40). Infinite when ρ >= 1. */
double theory_mmc_wait_s(double arrival_rate, double service_rate, unsigned servers);

/* Mean wait in G/G/c (Allen and Cunneen's approximation; Allen 1990): M/M/c times the mean of both SCVs. */
double theory_ggc_wait_s(double arrival_rate, double service_rate, unsigned servers, double arrival_scv,
                         double service_scv);

/* Mean wait in M/M/1 when the shortest job goes first, not preempting (Phipps 1956; Conway, Maxwell and Miller 1967,
 * eq. 8-4.6): λ E[S²] / 2 · ∫ f(x) / (1 − ρ(x))² dx, with ρ(x) the load of jobs up to x. Infinite when ρ >= 1. */
double theory_mm1_sjf_wait_s(double arrival_rate, double mean_service_s);

enum { BULK_MOST = 64, BULK_OUTCOMES = 4096 };

/* How long a batch of `size` takes: fills what it may take, in seconds, with probabilities that sum to 1, and returns
 * how many outcomes there are, at most BULK_OUTCOMES. */
typedef unsigned (*bulk_service)(const void *model, unsigned size, double *seconds, double *probability);

/* Mean wait in M/G^(least, most)/1, Neuts' general bulk service rule (Neuts 1967; Chaudhry and Templeton 1983, chapter
 * 4): a free server waits until `least` are there and takes up to `most` (1 ≤ least ≤ most ≤ BULK_MOST). By the chain
 * of how many wait when a batch ends, and Little's law over its cycles. Infinite where the server cannot keep up. */
double theory_bulk_wait_s(double arrival_rate, unsigned least, unsigned most, bulk_service service, const void *model);

#endif
