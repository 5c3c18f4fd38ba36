/* SPDX-License-Identifier: MIT */
#include "sim/plain_delay.h"

#include "sim/delay_read.h"

static const struct choice its_kind[] = {PLAIN_DELAY_KIND, {0}};

const struct field plain_delay_fields[] = {{.is = {.name = "kind", .help = "what it is"},
                                            .kind = FIELD_CHOICE,
                                            .required = true,
                                            .choices = its_kind,
                                            .of_all_forms = pool_kinds},
                                           DELAY_SERVERS("1"),
                                           {.is = {.name = "service_s", .help = "seconds that a request is served"},
                                            .kind = FIELD_FORMS,
                                            .required = true,
                                            .members = duration_forms},
                                           {.is.name = NULL}};

static int read(const struct json *root, const struct json *pool, struct delay_config *out, struct error *err)
{
    (void)root;
    struct json service = json_member(pool, "service_s");
    return delay_read_servers(pool, 1, &out->servers, err) || duration_read(&service, &out->service, err) ? -1 : 0;
}

const struct delay_kind plain_delay = {.name = "delay", .fields = plain_delay_fields, .read = read};
