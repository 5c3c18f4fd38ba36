/* SPDX-License-Identifier: MIT */
/* kept_studies.h — a sweep and a plan of the runs that a database has, as hand-made rows. */
#ifndef TANDEM_TESTS_KEPT_STUDIES_H
#define TANDEM_TESTS_KEPT_STUDIES_H

#include <sqlite3.h>

static const char plan_result[] =
    "{\"rate_per_s\": 4, \"recommendation\": 0, \"runner_up\": 1, \"equally_cheap\": 2, \"confidence_of_choice\": 0.95,"
    "\"trials\": 12, \"requests\": 1e6, \"closest\": 1, \"closest_units\": 2, \"alone\": {\"words\": \"late\","
    "\"unserved\": 0.1, \"reason\": \"long\"}, \"headroom\": {\"rate\": [1.5, 1.4, 1.6], \"prompt_tokens\": [2, 1, 3]},"
    "\"one_lost\": {\"verdict\": \"breaks\", \"binding\": \"ttft_s p99\"}, \"sensitivity\": [{\"input\": \"rate\","
    "\"factor\": 0.8, \"units\": 1, \"runner_up_units\": 2}, {\"input\": \"rate\", \"factor\": 1.2, \"units\": 3,"
    "\"runner_up_units\": 3, \"runner_up_is_cheaper\": true}], \"families\": [{\"label\": \"one\", \"units\": 2,"
    "\"capacity_per_s\": 3, \"why\": \"\", \"scenario\": {\"policy\": {\"batching\": \"continuous\"}}, \"sizes\": ["
    "{\"units\": 2, \"gpus\": 2, \"cost\": 6, \"ttft_s.p99\": [0.1, 0.09, 0.11], \"tpot_s.p99\": [0.01, 0.01, 0.02],"
    "\"e2e_s.p99\": [1, 1, 1], \"attainment\": 1, \"tokens_per_s\": 100, \"verdict\": \"holds\", \"binding\": \"x\","
    "\"replications\": 4}, {\"units\": 1, \"gpus\": 1, \"cost\": 3, \"ttft_s.p99\": [0.5, 0.4, 0.6],"
    "\"tpot_s.p99\": [0.03, 0.02, 0.04], \"attainment\": 0.5, \"verdict\": \"breaks\", \"words\": \"late\"}]},"
    "{\"label\": \"two\", \"units\": 3, \"why\": \"dear\", \"scenario\": {\"policy\": {\"batching\": \"static\"}},"
    "\"sizes\": [{\"units\": 2, \"gpus\": 4, \"cost\": 12, \"ttft_s.p99\": [0.2, 0.1, 0.3],"
    "\"tpot_s.p99\": [0.01, 0.01, 0.02], \"attainment\": 1, \"verdict\": \"holds\", \"replications\": 4}]}]}";

/* The statements that insert them, the caller's to free (sqlite3_free). */
static inline char *kept_studies_sql(void)
{
    return sqlite3_mprintf(
        "INSERT INTO sweep VALUES (1, '{\"scenario\": \"default\", \"vary\": {\"policy.batching\": [\"continuous\","
        "\"prefill_first\"], \"seed\": {\"from\": 1, \"to\": 3, \"steps\": 2}}}', 'done', 'a sweep', '2026');"
        "INSERT INTO sweep_point SELECT 1, 'p' || id, id, 'done', '{}' FROM run;"
        "INSERT INTO plan VALUES (1, '{\"scenario\": \"default\", \"search\": {\"policy.batching\": [\"continuous\","
        "\"static\"]}, \"objective\": \"cost\"}', 'done', %Q, 'a plan', '2026');"
        "INSERT INTO headroom SELECT id, 'rate', 'found', 2, 1.5, 1.4, 1.6, 'ttft_s p99' FROM run;",
        plan_result);
}

#endif
