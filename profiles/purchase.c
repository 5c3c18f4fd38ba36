/* SPDX-License-Identifier: MIT */
#include "profiles/purchase.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *const price_kind_names[] = {"on_demand", "reserved", "spot", NULL};
const char *const purchase_keys[] = {"gpus_per_node", "link_gpus", "node_power_w", "prices", NULL};

/* "2026-08-26", "2026-08" or "2026". */
static bool is_date(const char *text)
{
    size_t length = strlen(text);
    if (length != 4 && length != 7 && length != 10)
        return false;
    for (size_t i = 0; i < length; i++)
        if (i == 4 || i == 7 ? text[i] != '-' : !isdigit((unsigned char)text[i]))
            return false;
    return true;
}

static int read_price(const struct json *prices, const char *kind, struct listed_price *out, struct error *err)
{
    static const char *const keys[] = {"per_h", "source", "date", NULL};
    struct json at = json_member(prices, kind), date_at = json_member(&at, "date");
    const char *source = NULL, *date = NULL;
    if (!at.node)
        return 0;
    if (!cJSON_IsObject(at.node))
        return json_complain(&at, "an object with per_h, source and date", err);
    if (json_check_keys(&at, keys, err) || json_read_number(&at, "per_h", true, 0, 1e6, &out->per_h, err) ||
        json_read_string(&at, "source", true, &source, err) || json_read_string(&at, "date", true, &date, err))
        return -1;
    if (!is_date(date))
        return json_complain(&date_at, "a date like \"2026-08-26\"", err);
    snprintf(out->source, sizeof out->source, "%s", source);
    snprintf(out->date, sizeof out->date, "%.10s", date);
    return 0;
}

int purchase_read(const struct json *device, struct purchase *out, struct error *err)
{
    struct json prices = json_member(device, "prices");
    if (json_read_number(device, "gpus_per_node", false, 1, 1e6, &out->gpus_per_node, err) ||
        json_read_number(device, "link_gpus", false, 1, 1e6, &out->link_gpus, err) ||
        json_read_number(device, "node_power_w", false, 1, 1e9, &out->node_power_w, err))
        return -1;
    if (!prices.node)
        return 0;
    if (!cJSON_IsObject(prices.node))
        return json_complain(&prices, "an object with on_demand, reserved or spot", err);
    if (json_check_keys(&prices, price_kind_names, err))
        return -1;
    for (int i = 0; i < PRICE_KINDS; i++)
        if (read_price(&prices, price_kind_names[i], &out->prices[i], err))
            return -1;
    return 0;
}

bool purchase_is_said(const struct json *device)
{
    for (size_t i = 0; purchase_keys[i]; i++)
        if (cJSON_GetObjectItemCaseSensitive(device->node, purchase_keys[i]))
            return true;
    return false;
}

bool purchase_is_known(const struct purchase *p)
{
    bool known = p->gpus_per_node > 0 || p->link_gpus > 0 || p->node_power_w > 0;
    for (int i = 0; i < PRICE_KINDS; i++)
        known = known || p->prices[i].date[0];
    return known;
}
