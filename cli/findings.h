/* SPDX-License-Identifier: MIT */
/* findings.h — what validate engine has found so far, kept in a file, so that one that was interrupted goes on. */
#ifndef TANDEM_CLI_FINDINGS_H
#define TANDEM_CLI_FINDINGS_H

#include "reports/stats/latencies.h"

/* Kinds of iterations, priced one by one. */
enum priced_kind { PRICED_DECODES, PRICED_PROMPTS, PRICED_MIXED, PRICED_KINDS };

/* Iterations of one kind that were served: how many, what they took, what the profile says of the same batches, and,
 * with e = said ÷ taken − 1 of each, Σ e and Σ e². */
struct priced {
    double count, taken_s, said_s, errors, squares;
};

/* What one repeat found of one policy. */
struct finding {
    struct comparison latencies;
    double throughput_error; /* of requests a second */
    double measured_e2e_s, simulated_e2e_s, measured_rate, simulated_rate;
    struct priced priced[PRICED_KINDS];
};

/* Adds a line to the file. `key` says what was asked, in full. */
int findings_keep(const char *file, const char *key, const struct finding *f, const struct latencies *measured,
                  const struct latencies *simulated, struct error *err);

/* Looks for the key. *found is false where the file is not there, or has no whole line of it. Latencies are replaced.
 */
int findings_recall(const char *file, const char *key, bool *found, struct finding *f, struct latencies *measured,
                    struct latencies *simulated, struct error *err);

#endif
