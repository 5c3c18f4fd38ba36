/* SPDX-License-Identifier: MIT */
#include "cli/prices.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

static int set_price(cJSON *prices, const char *device, double per_h, struct error *err)
{
    cJSON_DeleteItemFromObjectCaseSensitive(prices, device);
    return cJSON_AddNumberToObject(prices, device, per_h) ? 0 : error_no_memory(err);
}

int prices_set(const char *text, struct json *plan, struct error *err)
{
    cJSON *root = (cJSON *)(uintptr_t)plan->node, *prices = cJSON_GetObjectItemCaseSensitive(root, "prices_per_h");
    if (!prices)
        prices = cJSON_AddObjectToObject(root, "prices_per_h");
    if (!prices)
        return error_no_memory(err);
    while (*text) {
        char device[200], *end;
        size_t all = strcspn(text, ","), name = strcspn(text, "=");
        double per_h = name + 1 < all ? strtod(text + name + 1, &end) : NAN;
        if (name == 0 || name + 1 >= all || name >= sizeof device || end != text + all || !(per_h >= 0 && per_h <= 1e6))
            return error_set(err, ERROR_INPUT, "--price: expected DEVICE=PRICE,..., as in h100-sxm=2.99, found \"%s\"",
                             PRINTABLE(text));
        snprintf(device, sizeof device, "%.*s", (int)name, text);
        if (set_price(prices, device, per_h, err))
            return -1;
        text += all + (text[all] == ',');
    }
    return 0;
}
