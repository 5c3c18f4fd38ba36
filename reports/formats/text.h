/* SPDX-License-Identifier: MIT */
/* text.h — a run's summary for the terminal. */
#ifndef TANDEM_REPORTS_FORMATS_TEXT_H
#define TANDEM_REPORTS_FORMATS_TEXT_H

#include <stdio.h>

#include "reports/stats/metrics.h"

void text_print_summary(FILE *out, const struct scenario *s, const struct run_summary *r, const struct run_metrics *m,
                        double wall_s);

#endif
