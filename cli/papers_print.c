/* SPDX-License-Identifier: MIT */
#include "cli/papers_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

void papers_number(double value, char *out)
{
    if (isnan(value))
        snprintf(out, PAPERS_TEXT, "none");
    else if (isinf(value))
        snprintf(out, PAPERS_TEXT, value > 0 ? "no end" : "-no end");
    else
        snprintf(out, PAPERS_TEXT, fabs(value) >= 1000 ? "%.0f" : "%.3g", value);
}

/* "6 ± 25 %", "1.1 to 2 ± 25 %", "at least 2". */
void papers_claimed(const struct paper_claim *c, char *out)
{
    char low[PAPERS_TEXT], high[PAPERS_TEXT];
    papers_number(c->low, low);
    papers_number(c->high, high);
    size_t used = (size_t)(isinf(c->high)     ? snprintf(out, 2 * PAPERS_TEXT, "at least %s", low)
                           : isinf(c->low)    ? snprintf(out, 2 * PAPERS_TEXT, "at most %s", high)
                           : c->low < c->high ? snprintf(out, 2 * PAPERS_TEXT, "%s to %s", low, high)
                                              : snprintf(out, 2 * PAPERS_TEXT, "%s", low));
    if (c->band > 0 && used < PAPERS_TEXT)
        snprintf(out + used, PAPERS_TEXT, " ± %g %%", 100 * c->band);
}

/* The verdict with its cause: what stands in for the mechanism, or why the figure is another. */
void papers_verdict_text(const struct paper_claim *c, const struct claim_result *r, char *out, size_t size)
{
    const char *why = r->verdict == PAPER_REPRODUCED ? NULL : c->out_of_scope ? c->out_of_scope : c->why;
    snprintf(out, size, "%s%s%s%s%s", paper_verdict_names[r->verdict], why || c->stand_in ? ": " : "",
             c->stand_in ? c->stand_in : "", why && c->stand_in ? "; " : "", why ? why : "");
}

static void print_sentences(FILE *out, const char *head, const char *next, const struct json *list)
{
    const cJSON *item = list->node ? list->node->child : NULL;
    for (bool first = true; item; item = item->next, first = false)
        fprintf(out, "%s%s\n", first ? head : next, PRINTABLE(item->valuestring));
}

void papers_cell_name(const struct paper_claim *c, size_t cell, char *out, size_t size)
{
    size_t used = 0;
    *out = 0;
    for (const cJSON *axis = c->vary.node ? c->vary.node->child : NULL; axis; axis = axis->next) {
        char *value = cJSON_PrintUnformatted(cJSON_GetArrayItem(axis, (int)cell));
        const char *dot = strrchr(axis->string, '.');
        if (used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s %s", used ? ", " : "", dot ? dot + 1 : axis->string,
                                     value ? value : "");
        cJSON_free(value);
    }
}

static void print_cells(FILE *out, const struct paper_claim *c, const struct claim_result *r, const char *each)
{
    for (size_t i = 0; c->vary.node && i < c->cells; i++) {
        char name[200], value[PAPERS_TEXT];
        papers_cell_name(c, i, name, sizeof name);
        papers_number(r->cells[i], value);
        fprintf(out, "%s%s: %s\n", each, PRINTABLE(name), value);
    }
}

static void print_claim(FILE *out, const struct paper_claim *c, const struct claim_result *r)
{
    char claim[2 * PAPERS_TEXT], value[PAPERS_TEXT], verdict[1200];
    papers_claimed(c, claim);
    fprintf(out, "  claim      %s (%s)\n", PRINTABLE(c->says), claim);
    if (!r)
        return;
    papers_number(r->figure, value);
    papers_verdict_text(c, r, verdict, sizeof verdict);
    fprintf(out, "  simulated  %s\n", value);
    print_cells(out, c, r, "             at ");
    fprintf(out, "  verdict    %s\n", PRINTABLE(verdict));
}

void papers_print_text(FILE *out, const struct paper *p, const struct paper_result *r)
{
    fprintf(out, "%s: %s (%s, %lld)\n", p->id, PRINTABLE(p->title), PRINTABLE(p->source), p->year);
    print_sentences(out, "  stated     ", "             ", &p->stated);
    print_sentences(out, "  assumed    ", "             ", &p->assumed);
    for (size_t i = 0; i < p->claim_count; i++)
        print_claim(out, &p->claims[i], r ? &r->claims[i] : NULL);
    if (p->out_of_scope)
        fprintf(out, "  verdict    out of scope: %s\n", PRINTABLE(p->out_of_scope));
}

static bool add_number(cJSON *to, const char *key, double value)
{
    return isfinite(value) ? cJSON_AddNumberToObject(to, key, value) != NULL : cJSON_AddNullToObject(to, key) != NULL;
}

static bool add_claim(cJSON *to, const struct paper_claim *c, const struct claim_result *r)
{
    cJSON *o = cJSON_CreateObject();
    if (!o || !cJSON_AddItemToArray(to, o))
        return false;
    bool done = cJSON_AddStringToObject(o, "says", c->says) && add_number(o, "claim_low", c->low) &&
                add_number(o, "claim_high", c->high) && add_number(o, "band", c->band) &&
                add_number(o, "figure", r->figure) &&
                cJSON_AddStringToObject(o, "verdict", paper_verdict_names[r->verdict]);
    if (done && c->stand_in)
        done = cJSON_AddStringToObject(o, "stand_in", c->stand_in) != NULL;
    const char *why = c->out_of_scope ? c->out_of_scope : c->why;
    if (done && why && r->verdict != PAPER_REPRODUCED)
        done = cJSON_AddStringToObject(o, "why", why) != NULL;
    cJSON *cells = done && c->vary.node ? cJSON_AddArrayToObject(o, "settings") : NULL;
    for (size_t i = 0; cells && i < c->cells; i++) {
        char name[200];
        cJSON *cell = cJSON_CreateObject();
        papers_cell_name(c, i, name, sizeof name);
        if (!cell || !cJSON_AddItemToArray(cells, cell) || !cJSON_AddStringToObject(cell, "at", name) ||
            !add_number(cell, "figure", r->cells[i]))
            return false;
    }
    return done;
}

static bool add_paper(cJSON *to, const struct paper *p, const struct paper_result *r)
{
    cJSON *o = cJSON_CreateObject();
    if (!o || !cJSON_AddItemToArray(to, o))
        return false;
    bool done = cJSON_AddStringToObject(o, "id", p->id) && cJSON_AddStringToObject(o, "title", p->title) &&
                cJSON_AddStringToObject(o, "source", p->source) &&
                cJSON_AddNumberToObject(o, "year", (double)p->year) &&
                cJSON_AddStringToObject(o, "verdict", paper_verdict_names[r->verdict]);
    if (done && p->out_of_scope)
        done = cJSON_AddStringToObject(o, "why", p->out_of_scope) != NULL;
    cJSON *claims = done ? cJSON_AddArrayToObject(o, "claims") : NULL;
    for (size_t i = 0; claims && i < p->claim_count; i++)
        if (!add_claim(claims, &p->claims[i], &r->claims[i]))
            return false;
    return claims != NULL;
}

int papers_print_json(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count,
                      struct error *err)
{
    cJSON *list = cJSON_CreateArray();
    bool done = list != NULL;
    for (size_t i = 0; done && i < count; i++)
        done = add_paper(list, &papers[i], &results[i]);
    char *text = done ? cJSON_Print(list) : NULL;
    cJSON_Delete(list);
    if (!text)
        return error_no_memory(err);
    fprintf(out, "%s\n", text);
    cJSON_free(text);
    return 0;
}

static void print_row(FILE *out, const struct paper *p, size_t i, const struct claim_result *r)
{
    const struct paper_claim *c = &p->claims[i];
    char claim[2 * PAPERS_TEXT], value[PAPERS_TEXT], over[PAPERS_TEXT] = "";
    papers_claimed(c, claim);
    papers_number(r->figure, value);
    double against = r->figure < c->low ? c->low : r->figure > c->high ? c->high : r->figure;
    if (isfinite(r->figure) && against != 0)
        papers_number(r->figure / against, over);
    fprintf(out, "| [%s](#%s) | %s | %s | %s | %s | %s%s |\n", p->id, p->id, c->says, claim, value, over,
            paper_verdict_names[r->verdict], c->stand_in ? " (stand-in)" : "");
}

static void print_table(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count)
{
    fprintf(out, "| id | what is claimed | claim | simulated | over the claim | verdict |\n");
    fprintf(out, "| --- | --- | ---: | ---: | ---: | --- |\n");
    for (size_t i = 0; i < count; i++) {
        const struct paper *p = &papers[i];
        for (size_t c = 0; c < p->claim_count; c++)
            print_row(out, p, c, &results[i].claims[c]);
        if (p->out_of_scope)
            fprintf(out, "| [%s](#%s) | %s | | | | out of scope |\n", p->id, p->id, p->title);
    }
}

/* Words in lines of at most 120 columns; those after the first begin with `indent`. */
static void wrap(FILE *out, const char *indent, const char *text)
{
    enum { COLUMNS = 120 };
    size_t column = 0;
    while (*text) {
        size_t bytes = strcspn(text, " "), width = 0;
        for (size_t i = 0; i < bytes; i++)
            width += ((unsigned char)text[i] & 0xC0) != 0x80;
        if (column > strlen(indent) && column + 1 + width > COLUMNS) {
            fprintf(out, "\n%s", indent);
            column = strlen(indent);
        } else if (column > 0) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, bytes, out);
        column += width;
        text += bytes + strspn(text + bytes, " ");
    }
    fputc('\n', out);
}

static void print_list(FILE *out, const char *head, const struct json *list)
{
    const cJSON *item = list->node ? list->node->child : NULL;
    if (!item)
        return;
    fprintf(out, "\n%s\n\n", head);
    for (; item; item = item->next) {
        char text[1200];
        snprintf(text, sizeof text, "- %s", item->valuestring);
        wrap(out, "  ", text);
    }
}

static void print_section(FILE *out, const struct paper *p, const struct paper_result *r)
{
    char text[2400];
    snprintf(text, sizeof text, "%s (%s, %lld).", p->title, p->source, p->year);
    fprintf(out, "\n### %s\n\n", p->id);
    wrap(out, "", text);
    if (p->out_of_scope) {
        snprintf(text, sizeof text, "Out of scope: %s.", p->out_of_scope);
        fprintf(out, "\n");
        wrap(out, "", text);
    }
    print_list(out, "Stated:", &p->stated);
    print_list(out, "Assumed:", &p->assumed);
    for (size_t i = 0; i < p->claim_count; i++) {
        const struct paper_claim *c = &p->claims[i];
        char claim[2 * PAPERS_TEXT], value[PAPERS_TEXT], verdict[1200];
        papers_claimed(c, claim);
        papers_number(r->claims[i].figure, value);
        papers_verdict_text(c, &r->claims[i], verdict, sizeof verdict);
        snprintf(text, sizeof text, "**%s**: claimed %s, simulated %s; %s.", c->says, claim, value, verdict);
        fprintf(out, "\n");
        wrap(out, "", text);
        if (c->vary.node)
            fprintf(out, "\n");
        print_cells(out, c, &r->claims[i], "- ");
    }
}

void papers_counts(const struct paper *papers, const struct paper_result *results, size_t count, char *out, size_t size)
{
    size_t rows[PAPER_VERDICTS] = {0}, claims[PAPER_VERDICTS] = {0}, all = 0;
    for (size_t i = 0; i < count; i++) {
        rows[results[i].verdict]++;
        for (size_t c = 0; c < papers[i].claim_count; c++, all++)
            claims[results[i].claims[c].verdict]++;
    }
    snprintf(out, size,
             "%zu papers: %zu %s, %zu %s, %zu %s, %zu %s. A paper is what its worst claim is. %zu claims: %zu %s, %zu "
             "%s, %zu %s, %zu %s.",
             count, rows[0], paper_verdict_names[0], rows[1], paper_verdict_names[1], rows[2], paper_verdict_names[2],
             rows[3], paper_verdict_names[3], all, claims[0], paper_verdict_names[0], claims[1], paper_verdict_names[1],
             claims[2], paper_verdict_names[2], claims[3], paper_verdict_names[3]);
}

void papers_print_counts(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count)
{
    char text[400];
    papers_counts(papers, results, count, text, sizeof text);
    fprintf(out, "%s\n", text);
}

void papers_print_markdown(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count)
{
    char text[400];
    papers_counts(papers, results, count, text, sizeof text);
    wrap(out, "", text);
    fprintf(out, "\n");
    print_table(out, papers, results, count);
    for (size_t i = 0; i < count; i++)
        print_section(out, &papers[i], &results[i]);
}
