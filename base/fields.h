/* SPDX-License-Identifier: MIT */
/* fields.h — what a JSON object may hold, as a table: it is checked, read, described (field_paths.h) and exported as
 * JSON Schema (field_schema.h) from that. A row begins as a policy's parameter does, and adds forms that are no plain
 * value. */
#ifndef TANDEM_BASE_FIELDS_H
#define TANDEM_BASE_FIELDS_H

#include <stddef.h>

#include "base/choice.h"
#include "base/param.h"

enum field_kind {
    FIELD_VALUE,  /* of the type that `is` names; a text may be one of `names` alone */
    FIELD_CHOICE, /* one of `choices`: its name, or an object with "name" and, if any, `members` */
    FIELD_NAMED,  /* one of `names`: its name, or an object with "name" and what goes with that */
    FIELD_OBJECT, /* of `members` */
    FIELD_MAP,    /* an object of values that are each like members[0], by keys of the user's, or of `names` */
    FIELD_LIST,   /* of values that are each like members[0] */
    FIELD_FORMS,  /* like one of `members` */
    FIELD_FREE,   /* an object that another reader checks */
    FIELD_TABLE   /* no field: the rows of the table `members` stand here */
};

struct field;

/* One of several that a scenario may name, and what an object that names it may hold: parameters, or fields. */
struct named {
    const char *name, *summary, *source; /* source NULL: not told */
    const struct param_spec *params;
    const struct field *members; /* the first is FIELD_ITS_NAME */
};

/* A row of a table that ends with a row without a name. Rows of `members` that stand for one thing, such as a list's
 * element, have a name for people: "NAME". */
struct field {
    struct param_spec is; /* name, type, unit, default, range, help */
    enum field_kind kind;
    bool required;
    const char *otherwise; /* in words, what holds where it is absent; NULL: the default of `is` */
    size_t into;           /* FIELD_INTO; 0: the reader takes it by itself */
    const struct choice *choices;
    const struct choice *of_all_forms; /* where each form has its own ones of these; NULL: it stands in one form */
    bool (*names)(size_t index, struct named *out); /* false after the last */
    const char *other_names;                        /* pattern of texts that are allowed, too, such as paths */
    const char *listed;                             /* what `tandem list` calls the names; NULL: they are few */
    const char *name_key;                           /* of FIELD_NAMED: what "name" may also be called */
    const struct field *members;
    const char *when;  /* of the first of several forms, or of the first few: it is this one where the object has this
                          key */
    const char *title; /* where it is used several times, "pool": it is told once, and referred to */
};

/* Where in the reader's struct a field goes: a double, long long, bool, const char *, or int for a choice. */
#define FIELD_INTO(type, member) (offsetof(type, member) + 1)

/* The row for the name of an object that has one. */
#define FIELD_ITS_NAME                                                                                                 \
    {                                                                                                                  \
        .is = {"name", PARAM_TEXT, "", 0, 0, 0, "which one", NULL, NULL}, .required = true                             \
    }

/* The row that stands for those of another table. */
#define FIELDS_OF(TABLE)                                                                                               \
    {                                                                                                                  \
        .is = {.name = "..."}, .kind = FIELD_TABLE, .members = TABLE                                                   \
    }

/* The field at an index, with tables in the table; NULL after the last. */
const struct field *fields_at(const struct field *table, size_t index);

/* Checks the object's keys, and reads the fields that go `into` something. One that is absent has its default there, or
 * stays as it is where the default is in words. An absent object (node NULL) has defaults alone. */
int fields_read(const struct json *object, const struct field *table, void *into, struct error *err);

/* Checks the keys of an object alone. */
int fields_check(const struct json *object, const struct field *table, struct error *err);

/* Reads a choice: its name, or an object with it whose keys are checked. *out stays as it is where `at` is absent. */
int field_read_choice(const struct json *at, const struct field *choice, int *out, struct error *err);

/* The table's row of that name, or NULL. */
const struct field *fields_find(const struct field *table, const char *name);

#endif
