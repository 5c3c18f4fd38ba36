/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "cli/papers_parts.h"
#include "reports/pages/html.h"

static void cell(FILE *out, const char *tag, const char *text)
{
    fprintf(out, "<%s%s>", tag, strcmp(tag, "td") == 0 ? " class=\"words\"" : "");
    html_text(out, text);
    fprintf(out, "</%s>", tag);
}

static void print_row(FILE *out, const struct paper *p, size_t i, const struct claim_result *r)
{
    const struct paper_claim *c = &p->claims[i];
    char claim[2 * PAPERS_TEXT], value[PAPERS_TEXT], verdict[1200];
    papers_claimed(c, claim);
    papers_number(r->figure, value);
    papers_verdict_text(c, r, verdict, sizeof verdict);
    fprintf(out, "<tr><td><a href=\"#%s\">%s</a></td>", p->id, p->id);
    cell(out, "td", c->says);
    cell(out, "td", claim);
    cell(out, "td", value);
    cell(out, "td", verdict);
    fprintf(out, "</tr>\n");
}

static void print_table(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count)
{
    fprintf(out, "<table><thead><tr><th>paper</th><th>what is claimed</th><th>claim</th><th>simulated</th>"
                 "<th>verdict</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < papers[i].claim_count; c++)
            print_row(out, &papers[i], c, &results[i].claims[c]);
    fprintf(out, "</tbody></table>\n");
}

static void print_list(FILE *out, const char *head, const struct json *list)
{
    const cJSON *item = list->node ? list->node->child : NULL;
    if (!item)
        return;
    cell(out, "p", head);
    fprintf(out, "<ul>");
    for (; item; item = item->next)
        cell(out, "li", item->valuestring);
    fprintf(out, "</ul>\n");
}

static void print_settings(FILE *out, const struct paper_claim *c, const struct claim_result *r)
{
    if (!c->vary.node)
        return;
    cell(out, "p", c->says);
    fprintf(out, "<ul>");
    for (size_t i = 0; i < c->cells; i++) {
        char name[200], value[PAPERS_TEXT], text[300];
        papers_cell_name(c, i, name, sizeof name);
        papers_number(r->cells[i], value);
        snprintf(text, sizeof text, "%s: %s", name, value);
        cell(out, "li", text);
    }
    fprintf(out, "</ul>\n");
}

static void print_section(FILE *out, const struct paper *p, const struct paper_result *r)
{
    char text[1200];
    html_heading(out, p->id, p->id);
    snprintf(text, sizeof text, "%s (%s, %lld)", p->title, p->source, p->year);
    cell(out, "p", text);
    if (p->out_of_scope) {
        snprintf(text, sizeof text, "Out of scope: %s", p->out_of_scope);
        cell(out, "p", text);
    }
    print_list(out, "Stated", &p->stated);
    print_list(out, "Assumed", &p->assumed);
    for (size_t i = 0; i < p->claim_count; i++)
        print_settings(out, &p->claims[i], &r->claims[i]);
}

void papers_print_html(FILE *out, const struct paper *papers, const struct paper_result *results, size_t count)
{
    char text[400];
    html_begin(out, "Published systems");
    cell(out, "h1", "Published systems");
    papers_counts(papers, results, count, text, sizeof text);
    cell(out, "p", text);
    print_table(out, papers, results, count);
    for (size_t i = 0; i < count; i++)
        print_section(out, &papers[i], &results[i]);
    html_end(out);
}
