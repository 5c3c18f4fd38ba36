/* SPDX-License-Identifier: MIT */
#include "reports/pages/page_parts.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "reports/pages/heat.h"

struct cell {
    int64_t decodes, prompt_tokens; /* the most that fall into it */
    double iterations, ns, tokens, padded;
    size_t column, row;
};

struct cells {
    struct cell *items; /* [count] */
    size_t count, capacity;
    int64_t columns[64], rows[64]; /* bounds that occur, rising */
    size_t column_count, row_count;
    double ns, most_ns, most_waste;
};

static int take_cell(void *state, int columns, char **values, struct error *err)
{
    struct cells *c = state;
    (void)columns;
    struct cell *grown = array_grow(c->items, &c->capacity, c->count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    c->items = grown;
    grown[c->count++] = (struct cell){.decodes = kept_integer(values[0]),
                                      .prompt_tokens = kept_integer(values[1]),
                                      .iterations = kept_number(values[2]),
                                      .ns = kept_number(values[3]),
                                      .tokens = kept_number(values[4]),
                                      .padded = kept_number(values[5])};
    return 0;
}

static double waste(const struct cell *c)
{
    return c->padded > 0 ? 1 - c->tokens / c->padded : 0;
}

/* The place of a bound among those that occur; all between two that occur are there, so that distances stay. */
static size_t place(int64_t *bounds, size_t *count, int64_t first, int64_t bound)
{
    size_t at = bound == 0 ? 0 : 1;
    for (int64_t b = first; b < bound; b *= 2)
        at++;
    for (; *count <= at; ++*count)
        bounds[*count] = *count == 0 ? 0 : first << (*count - 1);
    return at;
}

static void arrange(struct cells *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct cell *cell = &c->items[i];
        cell->column = place(c->columns, &c->column_count, 1, cell->decodes);
        cell->row = place(c->rows, &c->row_count, 16, cell->prompt_tokens);
        c->ns += cell->ns;
        c->most_ns = fmax(c->most_ns, cell->ns);
        c->most_waste = fmax(c->most_waste, waste(cell));
    }
}

static void bound_text(char *out, size_t size, int64_t bound)
{
    if (bound >= 1024 && bound % 1024 == 0)
        snprintf(out, size, "≤ %lldk", (long long)bound / 1024);
    else
        snprintf(out, size, bound > 1 ? "≤ %lld" : "%lld", (long long)bound);
}

static void draw(FILE *out, const struct cells *c, bool padding)
{
    struct heat h = {.title = padding ? "Share of computed tokens that is padding" : "Share of busy time",
                     .x_label = "sequences that decode",
                     .y_label = "prompt tokens",
                     .columns = c->column_count,
                     .rows = c->row_count,
                     .out = out};
    char text[80], tip[200];
    heat_begin(&h);
    for (size_t i = 0; i < c->column_count; i++) {
        bound_text(text, sizeof text, c->columns[i]);
        heat_column(&h, i, text);
    }
    for (size_t i = 0; i < c->row_count; i++) {
        bound_text(text, sizeof text, c->rows[i]);
        heat_row(&h, i, text);
    }
    for (size_t i = 0; i < c->count; i++) {
        const struct cell *cell = &c->items[i];
        double share = padding ? waste(cell) : cell->ns / c->ns;
        snprintf(text, sizeof text, share >= 0.0995 ? "%.0f %%" : share >= 0.0005 ? "%.1f %%" : "·", 100 * share);
        snprintf(tip, sizeof tip, "%.0f iterations, %.2f %% of busy time, %.2f ms each, %.1f %% padding",
                 cell->iterations, 100 * cell->ns / c->ns, cell->ns / cell->iterations * 1e-6, 100 * waste(cell));
        heat_cell(&h, &(struct heat_cell){.column = cell->column,
                                          .row = cell->row,
                                          .share = padding ? share : sqrt(cell->ns / c->most_ns),
                                          .text = text,
                                          .tip = tip});
    }
    heat_end(&h);
}

static void write_table(FILE *out, const struct cells *c)
{
    fputs("<details><summary>As a table</summary><table class=\"sortable\"><tr><th>decoding sequences</th><th>prompt "
          "tokens</th><th>iterations</th><th>busy time</th><th>mean iteration</th><th>padding</th></tr>\n",
          out);
    for (size_t i = 0; i < c->count; i++) {
        const struct cell *cell = &c->items[i];
        char decodes[32], prompts[32], each[32];
        bound_text(decodes, sizeof decodes, cell->decodes);
        bound_text(prompts, sizeof prompts, cell->prompt_tokens);
        html_seconds(each, sizeof each, cell->ns / cell->iterations * 1e-9);
        fprintf(out,
                "<tr><td data-v=\"%lld\">%s</td><td data-v=\"%lld\">%s</td><td>%.0f</td><td data-v=\"%.9g\">%.2f "
                "%%</td><td data-v=\"%.9g\">%s</td><td data-v=\"%.9g\">%.1f %%</td></tr>\n",
                (long long)cell->decodes, decodes, (long long)cell->prompt_tokens, prompts, cell->iterations, cell->ns,
                100 * cell->ns / c->ns, cell->ns / cell->iterations, each, waste(cell), 100 * waste(cell));
    }
    fputs("</table></details>\n", out);
}

int page_batches(struct page *p, struct error *err)
{
    struct cells c = {0};
    int status = store_read(p->run->store, take_cell, &c, err,
                            "SELECT decodes, prompt_tokens, iterations, ns, tokens, padded_tokens FROM batch_cell "
                            "WHERE run_id = ?",
                            "i", p->run->id);
    if (status == 0 && c.count > 0) {
        arrange(&c);
        html_heading(p->out, "batches", "What batches were made of");
        fputs(
            "<p class=\"hint\">Where busy time went, by what an iteration held. The bottom row is decoding alone, the "
            "first column prompts alone, the rest both at once.</p>\n",
            p->out);
        draw(p->out, &c, false);
        if (c.most_waste > 0.0005)
            draw(p->out, &c, true);
        else
            fputs("<p>No iteration computed padding.</p>\n", p->out);
        write_table(p->out, &c);
    }
    free(c.items);
    return status;
}
