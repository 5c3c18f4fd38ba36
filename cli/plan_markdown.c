/* SPDX-License-Identifier: MIT */
#include "cli/plan_markdown.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/output.h"
#include "reports/pages/plan_answer.h"

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* Text in a table or a line: what would end either, or begin markup, is escaped. */
static void write_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("\\|*_`<>[]#", *text))
            fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

static const cJSON *size_of(const cJSON *family, double units)
{
    const cJSON *size;
    cJSON_ArrayForEach(size, member(family, "sizes"))
    {
        if (answer_number(size, "units") == units)
            return size;
    }
    return NULL;
}

static void write_number(FILE *out, double value, const char *format)
{
    if (isfinite(value))
        fprintf(out, format, value);
    else
        fputs("–", out);
}

static void write_bill(FILE *out, const cJSON *size)
{
    const cJSON *bill = member(size, "bill"), *line;
    fputs("| device | GPUs needed | to buy | nodes | a GPU and hour | an hour | price |\n"
          "| --- | ---: | ---: | ---: | ---: | ---: | --- |\n",
          out);
    cJSON_ArrayForEach(line, member(bill, "devices"))
    {
        fputs("| ", out);
        write_text(out, answer_text(line, "device"));
        fputs(" | ", out);
        write_number(out, answer_number(line, "gpus_needed"), "%.4g | ");
        write_number(out, answer_number(line, "gpus_to_buy"), "%.4g | ");
        write_number(out, answer_number(line, "nodes"), "%.4g");
        fputs(" | ", out);
        write_number(out, answer_number(line, "price_per_h"), "%.2f");
        fputs(" ", out);
        write_text(out, answer_text(line, "currency"));
        fputs(" | ", out);
        write_number(out, answer_number(line, "cost_per_h"), "%.2f");
        fputs(" | ", out);
        write_text(out, answer_text(line, "price_source"));
        fputs(*answer_text(line, "price_date") ? ", " : "", out);
        write_text(out, answer_text(line, "price_date"));
        fputs(" |\n", out);
    }
    if (answer_number(bill, "cost_per_h") > 0) {
        fprintf(out, "\n%.2f ", answer_number(bill, "cost_per_h"));
        write_text(out, answer_text(bill, "currency"));
        fprintf(out, " an hour, %.0f a month of %g hours", answer_number(bill, "cost_per_month"),
                answer_number(bill, "hours_per_month"));
        if (answer_number(bill, "cost_per_million_tokens") > 0)
            fprintf(out, ", %.3f for a million tokens", answer_number(bill, "cost_per_million_tokens"));
        fputs(".\n", out);
    }
}

static void write_certainty(FILE *out, const cJSON *certainty)
{
    const cJSON *needs = member(certainty, "recommendation"), *level, *e;
    if (!certainty)
        return;
    fputs("\n## How sure\n\nConfidence that the SLO is met, the cost model's error included: ", out);
    write_number(out, 100 * answer_number(certainty, "confidence"), "%.0f %%");
    fprintf(out, " (%.0f %% asked for).", 100 * answer_number(certainty, "asked_for"));
    if (member(certainty, "rival")) {
        fputs(" The choice of device, against ", out);
        write_text(out, answer_text(member(certainty, "rival"), "device"));
        fprintf(out, ", is right with a probability of %.0f %%.", 100 * answer_number(certainty, "right"));
    }
    fputs("\n\n| quantile of the error | kernels | GPUs needed | nodes |\n| ---: | ---: | ---: | ---: |\n", out);
    cJSON_ArrayForEach(level, member(needs, "levels"))
    {
        fprintf(out, "| %.0f %% | × %.3f | ", 100 * answer_number(level, "level"), answer_number(level, "factor"));
        write_number(out, answer_number(level, "gpus"), "%.4g");
        fputs(" | ", out);
        write_number(out, answer_number(level, "nodes"), "%.4g");
        fputs(" |\n", out);
    }
    fputs("\n| statistic | limit | expected | 90 % interval |\n| --- | ---: | ---: | ---: |\n", out);
    cJSON_ArrayForEach(e, member(certainty, "expected"))
    {
        fputs("| ", out);
        write_text(out, answer_text(e, "name"));
        fputs(" | ", out);
        write_number(out, answer_number(e, "limit"), "%.4g");
        fputs(" | ", out);
        write_number(out, answer_number(e, "value"), "%.4g");
        fputs(" | ", out);
        write_number(out, answer_number(e, "low"), "%.4g … ");
        write_number(out, answer_number(e, "high"), "%.4g");
        fputs(" |\n", out);
    }
}

static void write_choice(FILE *out, const cJSON *answer, const char *role, const char *title)
{
    double at = answer_number(answer, role);
    const cJSON *family = at >= 0 ? cJSON_GetArrayItem(member(answer, "families"), (int)at) : NULL;
    bool closest = strcmp(role, "closest") == 0;
    if (!family)
        return;
    double units = answer_number(closest ? answer : family, closest ? "closest_units" : "units");
    const cJSON *size = size_of(family, units);
    fprintf(out, "\n## %s\n\n%.0f units of ", title, units);
    write_text(out, answer_text(family, "label"));
    fputs(": ", out);
    write_text(out, answer_text(size, "words"));
    fputs(".\n\n", out);
    write_bill(out, size);
}

int plan_markdown_write(const char *file, const cJSON *answer, struct error *err)
{
    struct output o;
    if (output_open(&o, file, err))
        return -1;
    fputs("# ", o.out);
    write_text(o.out, answer_text(answer, "name"));
    fprintf(o.out, "\n\n%.4g requests/s of ", answer_number(answer, "rate_per_s"));
    write_text(o.out, answer_text(member(answer, "asked"), "model"));
    fputs("; tandem ", o.out);
    write_text(o.out, answer_text(answer, "version"));
    fputs(".\n", o.out);
    if (!member(answer, "recommendation"))
        fputs("\n**Nothing that may be bought meets the SLO.**\n", o.out);
    write_choice(o.out, answer, "recommendation", "Recommended");
    write_certainty(o.out, member(answer, "certainty"));
    write_choice(o.out, answer, "runner_up", "Runner-up");
    write_choice(o.out, answer, "closest", "Closest");
    return output_close(&o, false, err);
}
