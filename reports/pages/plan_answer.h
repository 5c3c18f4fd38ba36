/* SPDX-License-Identifier: MIT */
/* plan_answer.h — what a buyer reads first on a plan's page: what to buy, how sure, for what, at which price. */
#ifndef TANDEM_REPORTS_PAGES_PLAN_ANSWER_H
#define TANDEM_REPORTS_PAGES_PLAN_ANSWER_H

#include <cjson/cJSON.h>
#include <stdio.h>

/* Numbers and texts of a kept answer: an estimate's value; NAN and "" where there is none. */
double answer_number(const cJSON *object, const char *key);
const char *answer_text(const cJSON *object, const char *key);

/* "4 nodes of 8 × h100-sxm", of a size's "bill". */
void answer_purchase(FILE *out, const cJSON *bill);

/* The sentences under the verdict: money, certainty, the choice of device, what breaks first, what to measure, how to
 * start it. `size` is the recommended one's. */
void answer_sentences(FILE *out, const cJSON *result, const cJSON *size);

/* What is asked for: model, rate, lengths, limits; expected values next to these; and where prices and times are from.
 */
void answer_asked(FILE *out, const cJSON *result, const cJSON *size);
void answer_expected(FILE *out, const cJSON *result, const cJSON *size);
void answer_bill(FILE *out, const cJSON *size);
void answer_curves(FILE *out, const cJSON *result);
void answer_needs(FILE *out, const cJSON *result);

#endif
