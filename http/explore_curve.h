/* SPDX-License-Identifier: MIT */
/* explore_curve.h — latency over rate for settings of a scenario: the rate that is asked for first, then others up to
 * what can be sustained, a line of JSON each. */
#ifndef TANDEM_HTTP_EXPLORE_CURVE_H
#define TANDEM_HTTP_EXPLORE_CURVE_H

#include "http/explore.h"

/* Reads {"settings": {PATH: VALUE}, "rate_per_s", "requests", "points", "trace", "keep"} and answers line by line. */
void curve_begin(struct explorer *e, const struct http_request *request, struct http_answer *out);

/* An answer of one sentence. */
void explorer_refuse(struct http_answer *out, int status, const char *sentence);

#endif
