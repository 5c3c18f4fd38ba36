/* SPDX-License-Identifier: MIT */
/* prices.h — prices on a command line. */
#ifndef TANDEM_CLI_PRICES_H
#define TANDEM_CLI_PRICES_H

#include "base/json.h"

/* Puts "h100-sxm=2.99,l4=0.5" among a plan's own prices, each in the place of one that is there. */
int prices_set(const char *text, struct json *plan, struct error *err);

#endif
