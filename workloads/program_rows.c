/* SPDX-License-Identifier: MIT */
#include "workloads/program_rows.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/ordered.h"
#include "base/random.h"

struct name {
    struct ordered place; /* by two hashes of kind and text */
    size_t row;
    struct name *next;
};

struct row {
    struct arrival a; /* without its hashes */
    size_t first_hash, first_wait;
    uint32_t wait_count;
    sim_time delay, tool;
    uint32_t context_tokens;
    size_t up; /* towards the row that stands for all of its program */
};

struct program_rows {
    struct row *rows; /* [count] */
    size_t count, capacity;
    uint64_t *hashes;
    size_t hash_count, hash_capacity;
    struct row_wait *waits;
    size_t wait_count, wait_capacity;
    struct ordered *names;
    struct name *all_names;
};

void programs_release(struct programs *p)
{
    free(p->items);
    free(p->steps);
    free(p->links);
    free(p->hashes);
    *p = (struct programs){0};
}

struct program_rows *program_rows_create(struct error *err)
{
    struct program_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        error_no_memory(err);
    return rows;
}

void program_rows_destroy(struct program_rows *rows)
{
    if (!rows)
        return;
    for (struct name *n = rows->all_names, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    free(rows->rows);
    free(rows->hashes);
    free(rows->waits);
    free(rows);
}

size_t program_rows_count(const struct program_rows *rows)
{
    return rows->count;
}

const struct arrival *program_rows_arrival(const struct program_rows *rows, size_t row)
{
    return &rows->rows[row].a;
}

static int keep_hashes(struct program_rows *rows, const struct arrival *a, struct error *err)
{
    uint64_t *grown =
        array_grow(rows->hashes, &rows->hash_capacity, rows->hash_count + a->hash_count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    rows->hashes = grown;
    for (uint32_t i = 0; i < a->hash_count; i++)
        grown[rows->hash_count++] = a->hashes[i];
    return 0;
}

static int keep_waits(struct program_rows *rows, const struct row_said *said, struct error *err)
{
    struct row_wait *grown =
        array_grow(rows->waits, &rows->wait_capacity, rows->wait_count + said->wait_count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    rows->waits = grown;
    for (uint32_t i = 0; i < said->wait_count; i++)
        grown[rows->wait_count++] = said->waits[i];
    return 0;
}

static size_t stands_for(struct program_rows *rows, size_t row)
{
    while (rows->rows[row].up != row)
        row = rows->rows[row].up = rows->rows[rows->rows[row].up].up;
    return row;
}

/* The earlier of the two stands for both. */
void program_rows_join(struct program_rows *rows, size_t a, size_t b)
{
    a = stands_for(rows, a);
    b = stands_for(rows, b);
    rows->rows[a > b ? a : b].up = a < b ? a : b;
}

int program_rows_add(struct program_rows *rows, const struct arrival *a, const struct row_said *said, struct error *err)
{
    struct row *grown = array_grow(rows->rows, &rows->capacity, rows->count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    rows->rows = grown;
    struct row row = {.a = *a,
                      .first_hash = rows->hash_count,
                      .first_wait = rows->wait_count,
                      .wait_count = said->wait_count,
                      .delay = said->delay,
                      .tool = said->tool,
                      .context_tokens = said->context_tokens,
                      .up = rows->count};
    row.a.hashes = NULL;
    if (keep_hashes(rows, a, err) || keep_waits(rows, said, err))
        return -1;
    grown[rows->count++] = row;
    for (uint32_t i = 0; i < said->wait_count; i++)
        program_rows_join(rows, said->waits[i].row, rows->count - 1);
    return 0;
}

/* Two independent hashes, of 63 and 64 bits: no two names of a trace have both in common. */
static struct ordered place_of(enum row_name kind, const char *name)
{
    uint64_t a = random_mix(kind + 1), b = 0xcbf29ce484222325u + kind; /* FNV-1a */
    for (const char *c = name; *c; c++) {
        a = random_mix(a ^ (unsigned char)*c);
        b = (b ^ (unsigned char)*c) * 0x100000001b3u;
    }
    return (struct ordered){.time = (sim_time)(a >> 1), .number = b};
}

static struct name *find_name(const struct program_rows *rows, const struct ordered *place)
{
    return (struct name *)ordered_find(rows->names, place);
}

size_t program_rows_find(const struct program_rows *rows, enum row_name kind, const char *name)
{
    struct ordered place = place_of(kind, name);
    const struct name *found = find_name(rows, &place);
    return found ? found->row : SIZE_MAX;
}

int program_rows_give_name(struct program_rows *rows, enum row_name kind, const char *name, size_t row,
                           struct error *err)
{
    struct ordered place = place_of(kind, name);
    struct name *n = find_name(rows, &place);
    if (!n) {
        n = malloc(sizeof *n);
        if (!n)
            return error_no_memory(err);
        n->place = place;
        n->next = rows->all_names;
        rows->all_names = n;
        ordered_insert(&rows->names, &n->place);
    }
    n->row = row;
    return 0;
}

/* A program while it is put together: by the row that stands for it. */
struct draft {
    sim_time at;
    size_t row;
    uint32_t count;
};

static int compare_drafts(const void *a, const void *b)
{
    const struct draft *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Drafts in order of time. A program begins when the first of its requests comes that wait for nobody. */
static size_t draft_programs(struct program_rows *rows, struct draft *drafts, size_t *draft_of)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = stands_for(rows, i);
        if (row == i) {
            draft_of[i] = count;
            drafts[count++] = (struct draft){.at = SIM_TIME_NEVER, .row = i};
        }
        struct draft *d = &drafts[draft_of[row]];
        d->count++;
        if (rows->rows[i].wait_count == 0 && rows->rows[i].a.at < d->at)
            d->at = rows->rows[i].a.at;
    }
    qsort(drafts, count, sizeof *drafts, compare_drafts);
    for (size_t i = 0; i < count; i++)
        draft_of[drafts[i].row] = i;
    return count;
}

static struct program_step step_of(const struct program_rows *rows, const struct row *r, uint32_t hash_tokens)
{
    uint64_t said = 0;
    if (r->wait_count > 0) {
        const struct arrival *before = &rows->rows[rows->waits[r->first_wait].row].a;
        said = (uint64_t)before->prompt_tokens + before->output_tokens;
    }
    if (said > r->context_tokens)
        said = r->context_tokens;
    return (struct program_step){.at = r->a.at,
                                 .delay = r->delay,
                                 .tool = r->tool,
                                 .prompt_tokens = r->a.prompt_tokens,
                                 .output_tokens = r->a.output_tokens,
                                 .max_output_tokens = r->a.max_output_tokens,
                                 .context_tokens = said < r->a.prompt_tokens ? (uint32_t)said : r->a.prompt_tokens,
                                 .origin = r->a.origin,
                                 .first_hash = r->first_hash,
                                 .hash_count = r->a.hash_count,
                                 .hash_tokens = r->a.hash_tokens ? r->a.hash_tokens : hash_tokens,
                                 .after_count = r->wait_count};
}

/* Links to those that a step waits for come first, then those back. */
static void link_steps(const struct program_rows *rows, const size_t *place, struct programs *out)
{
    size_t at = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *r = &rows->rows[i];
        out->steps[place[i]].first_after = at;
        for (uint32_t k = 0; k < r->wait_count; k++)
            out->steps[place[rows->waits[r->first_wait + k].row]].next_count++;
        at += r->wait_count;
    }
    for (size_t i = 0; i < rows->count; i++) {
        out->steps[i].first_next = at;
        at += out->steps[i].next_count;
        out->steps[i].next_count = 0;
    }
}

static void fill_links(const struct program_rows *rows, const size_t *place, const size_t *first_of,
                       struct programs *out)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *r = &rows->rows[i];
        struct program_step *step = &out->steps[place[i]];
        for (uint32_t k = 0; k < r->wait_count; k++) {
            const struct row_wait *w = &rows->waits[r->first_wait + k];
            struct program_step *before = &out->steps[place[w->row]];
            out->links[step->first_after + k] =
                (struct program_link){.step = (uint32_t)(place[w->row] - first_of[i]), .delay = w->delay};
            out->links[before->first_next + before->next_count++] =
                (struct program_link){.step = (uint32_t)(place[i] - first_of[i]), .delay = w->delay};
        }
    }
}

struct build {
    struct draft *drafts; /* [count] at most, as the next three */
    size_t *draft_of, *place, *first_of;
};

static void lay_out(struct program_rows *rows, uint32_t hash_tokens, const struct build *b, struct programs *out)
{
    out->count = draft_programs(rows, b->drafts, b->draft_of);
    size_t first = 0;
    for (size_t i = 0; i < out->count; i++) {
        out->items[i] = (struct program){.at = b->drafts[i].at - b->drafts[0].at, .first = first};
        first += b->drafts[i].count;
    }
    for (size_t i = 0; i < rows->count; i++) {
        size_t number = b->draft_of[stands_for(rows, i)];
        struct program *p = &out->items[number];
        b->first_of[i] = p->first;
        b->place[i] = p->first + p->count++;
        out->steps[b->place[i]] = step_of(rows, &rows->rows[i], hash_tokens);
        out->steps[b->place[i]].at -= b->drafts[number].at;
    }
    out->step_count = rows->count;
    link_steps(rows, b->place, out);
    fill_links(rows, b->place, b->first_of, out);
}

int program_rows_build(struct program_rows *rows, uint32_t hash_tokens, struct programs *out, struct error *err)
{
    size_t n = rows->count + 1;
    struct build b = {.drafts = calloc(n, sizeof *b.drafts),
                      .draft_of = calloc(n, sizeof *b.draft_of),
                      .place = calloc(n, sizeof *b.place),
                      .first_of = calloc(n, sizeof *b.first_of)};
    *out = (struct programs){.items = calloc(n, sizeof *out->items),
                             .steps = calloc(n, sizeof *out->steps),
                             .links = calloc(2 * rows->wait_count + 1, sizeof *out->links),
                             .hashes = rows->hashes};
    rows->hashes = NULL;
    bool fits = b.drafts && b.draft_of && b.place && b.first_of && out->items && out->steps && out->links;
    if (fits)
        lay_out(rows, hash_tokens, &b, out);
    else
        programs_release(out);
    free(b.drafts);
    free(b.draft_of);
    free(b.place);
    free(b.first_of);
    return fits ? 0 : error_no_memory(err);
}
