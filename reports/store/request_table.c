/* SPDX-License-Identifier: MIT */
#include "reports/store/request_table.h"

#include <stdlib.h>

enum {
    BATCH_ROWS = 8192, /* 2 MB; many more than are out of order, which is as many as are in flight */
    COLUMN_METRICS = 5,
    COLUMN_COUNTS = 10,
    COLUMN_PARTS = 13,
};

struct table {
    sqlite3_vtab base;
    struct row_spool *spool;
};

struct place {
    uint64_t id;
    size_t row;
};

struct cursor {
    sqlite3_vtab_cursor base;
    struct request_row *rows; /* [BATCH_ROWS] as they were spooled */
    struct place *order;      /* [BATCH_ROWS] by ID */
    size_t count, at;
    sqlite3_int64 passed;
};

static int connect_table(sqlite3 *db, void *spool, int argument_count, const char *const *arguments, sqlite3_vtab **out,
                         char **message)
{
    (void)argument_count, (void)arguments, (void)message;
    int status = sqlite3_declare_vtab(
        db, "CREATE TABLE t(id, replica, arrival_s, prompt_tokens, output_tokens, queue_s, ttft_s, tpot_s, e2e_s, "
            "normalized_s, preemptions, recomputed_tokens, cached_tokens, p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, "
            "p11)");
    _Static_assert(PART_COUNT == 12, "a column for each time part");
    struct table *table = status == SQLITE_OK ? calloc(1, sizeof *table) : NULL;
    if (!table)
        return status == SQLITE_OK ? SQLITE_NOMEM : status;
    table->spool = spool;
    *out = &table->base;
    return SQLITE_OK;
}

static int disconnect_table(sqlite3_vtab *table)
{
    free(table);
    return SQLITE_OK;
}

static int plan_whole_scan(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    info->estimatedCost = 1e6;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *cursor)
{
    struct cursor *c = (struct cursor *)cursor;
    free(c->rows);
    free(c->order);
    free(c);
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
    (void)table;
    struct cursor *c = calloc(1, sizeof *c);
    if (!c)
        return SQLITE_NOMEM;
    *out = &c->base;
    c->rows = malloc(BATCH_ROWS * sizeof *c->rows);
    c->order = malloc(BATCH_ROWS * sizeof *c->order);
    if (c->rows && c->order)
        return SQLITE_OK;
    close_cursor(&c->base);
    return SQLITE_NOMEM;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = ((const struct place *)a)->id, y = ((const struct place *)b)->id;
    return (x > y) - (x < y);
}

static int next_batch(struct cursor *c)
{
    struct table *table = (struct table *)c->base.pVtab;
    c->at = 0;
    c->count = row_spool_next_requests(table->spool, c->rows, BATCH_ROWS);
    if (c->count == 0 && row_spool_failed(table->spool)) {
        table->base.zErrMsg = sqlite3_mprintf("rows could not be read back from a temporary file");
        return SQLITE_IOERR;
    }
    for (size_t i = 0; i < c->count; i++)
        c->order[i] = (struct place){c->rows[i].id, i};
    qsort(c->order, c->count, sizeof *c->order, compare_ids);
    return SQLITE_OK;
}

static int first_row(sqlite3_vtab_cursor *cursor, int plan, const char *name, int count, sqlite3_value **values)
{
    (void)plan, (void)name, (void)count, (void)values;
    return next_batch((struct cursor *)cursor);
}

static int next_row(sqlite3_vtab_cursor *cursor)
{
    struct cursor *c = (struct cursor *)cursor;
    c->passed++;
    return ++c->at < c->count ? SQLITE_OK : next_batch(c);
}

static int at_end(sqlite3_vtab_cursor *cursor)
{
    return ((struct cursor *)cursor)->count == 0;
}

static int row_id(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out)
{
    *out = ((struct cursor *)cursor)->passed;
    return SQLITE_OK;
}

/* Metrics are in seconds, and NULL where they are not defined. */
static int read_column(sqlite3_vtab_cursor *cursor, sqlite3_context *out, int column)
{
    static const enum metric metrics[] = {METRIC_QUEUE, METRIC_TTFT, METRIC_TPOT, METRIC_E2E, METRIC_NORMALIZED};
    const struct cursor *c = (const struct cursor *)cursor;
    const struct request_row *row = &c->rows[c->order[c->at].row];
    if (column >= COLUMN_PARTS) {
        sqlite3_result_int64(out, row->parts[column - COLUMN_PARTS]);
    } else if (column >= COLUMN_COUNTS) {
        const uint32_t counts[] = {row->preemptions, row->recomputed_tokens, row->cached_tokens};
        sqlite3_result_int64(out, counts[column - COLUMN_COUNTS]);
    } else if (column >= COLUMN_METRICS) {
        int64_t ns = row->metrics[metrics[column - COLUMN_METRICS]];
        if (ns >= 0)
            sqlite3_result_double(out, sim_time_to_s(ns));
    } else if (column == 2) {
        sqlite3_result_double(out, sim_time_to_s(row->arrival));
    } else {
        const uint64_t numbers[] = {row->id, row->replica, 0, row->prompt_tokens, row->output_tokens};
        sqlite3_result_int64(out, (sqlite3_int64)numbers[column]);
    }
    return SQLITE_OK;
}

int request_table_register(sqlite3 *db, struct row_spool *spool)
{
    static const sqlite3_module module = {
        .xConnect = connect_table,
        .xDisconnect = disconnect_table,
        .xBestIndex = plan_whole_scan,
        .xOpen = open_cursor,
        .xClose = close_cursor,
        .xFilter = first_row,
        .xNext = next_row,
        .xEof = at_end,
        .xColumn = read_column,
        .xRowid = row_id,
    };
    return sqlite3_create_module(db, "spooled_request", &module, spool);
}
