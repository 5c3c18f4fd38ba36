/* SPDX-License-Identifier: MIT */
/* table.h — interpolation in cost tables. Inside the range linear between neighbours, so that measured
 * steps are kept; outside by the operation's own scaling, anchored at the edge, never decreasing. */
#ifndef TANDEM_PROFILES_TABLE_H
#define TANDEM_PROFILES_TABLE_H

#include "profiles/device.h"

/* One axis: linear in x beyond the last point with the slope of the last octave. Sets *outside to true
 * beyond the range. */
double table_at(const struct cost_table *t, double x, bool *outside);

/* Decode attention [sequences][mean KV]: bilinear; beyond the range linear in either. */
double table_decode_at(const struct cost_table *t, double sequences, double kv, bool *outside);

/* Prefill attention [new tokens][KV before]: linear in KV on each row, between rows linear in the
 * work c·(k + c/2); beyond the last row on the line of the last octave. */
double table_prefill_at(const struct cost_table *t, double new_tokens, double kv_before, bool *outside);

/* Mixed launches [new tokens][KV before][sequences][mean KV]: linear in every axis between neighbours, by the last
 * segment's slope beyond an axis, flat before it. */
double table_mixed_at(const struct cost_table *t, double new_tokens, double kv_before, double sequences, double kv,
                      bool *outside);

/* An operation's table read as the cost model reads it, at a place on each of its axes in their order; those that it
 * has not got are ignored. */
double table_value(const struct cost_table *t, const double at[TABLE_AXES], bool *outside);

#endif
