/* SPDX-License-Identifier: MIT */
/* `model`: a model's sizes, and a config.json as a model file of ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "base/printable.h"
#include "cli/command.h"
#include "profiles/model.h"

enum { OPT_OUT, OPT_NAME };

static const struct option_spec options[] = {
    [OPT_OUT] = {"--out", "FILE", "import: write the model there (default: standard output)"},
    [OPT_NAME] = {"--name", "NAME", "import: what the model is called (default: as its file or folder)"},
    {0}};

/* Parameters that one token meets: of routed experts only as many as it goes to. */
static double active_parameters(const struct model *m)
{
    double experts = model_expert_parameters(m);
    return model_parameters(m) - (m->moe.experts ? experts * (1 - (double)m->moe.top_k / m->moe.experts) : 0);
}

static void show_layers(const struct model *m)
{
    printf("  layers     %u: %u with attention", m->layers, m->attention_layers);
    if (m->windowed_layers)
        printf(" (%u see the last %u tokens alone)", m->windowed_layers, m->window);
    if (m->state.layers)
        printf(", %u with a state of %.2f MB a sequence", m->state.layers,
               m->state.values * m->state.bytes_per_value * 1e-6);
    if (m->moe.experts)
        printf(", %u with %u of %u experts a token", m->mlp_layers - m->moe.dense_layers, m->moe.top_k, m->moe.experts);
    printf("\n");
}

static void show(const struct model *m)
{
    printf("%s\n  parameters %.3f billion, %.3f of them for one token\n", PRINTABLE(m->name),
           model_parameters(m) * 1e-9, active_parameters(m) * 1e-9);
    show_layers(m);
    printf("  weights    %s", dtype_names[m->dtype]);
    if (m->moe.experts && m->moe.dtype != m->dtype)
        printf(", experts %s", dtype_names[m->moe.dtype]);
    printf(", %.2f GB\n  KV         %.0f bytes a token\n  longest    %u tokens\n", model_weight_bytes(m) * 1e-9,
           model_kv_bytes_per_token(m), m->max_tokens);
    if (m->left_out[0])
        printf("  not costed %s\n", PRINTABLE(m->left_out));
}

static int run_show(const struct arguments *args, struct error *err)
{
    struct model m;
    if (model_load(args->words[1], &m, err))
        return exit_for(err);
    show(&m);
    return EXIT_DONE;
}

static int run_import(const struct arguments *args, struct error *err)
{
    struct model m;
    char source[300];
    const char *path = args->values[OPT_OUT], *name = args->values[OPT_NAME];
    if (model_load(args->words[1], &m, err))
        return exit_for(err);
    if (name)
        snprintf(m.name, sizeof m.name, "%s", name);
    snprintf(source, sizeof source, "%.290s", PRINTABLE(args->words[1]));
    cJSON *object = model_json(&m, source);
    char *text = object ? cJSON_Print(object) : NULL;
    cJSON_Delete(object);
    int status = !text ? error_no_memory(err) : path ? output_write(path, text, err) : 0;
    if (status == 0 && !path)
        printf("%s\n", text);
    free(text);
    if (status == 0 && path)
        show(&m);
    return status ? exit_for(err) : EXIT_DONE;
}

static int run_model(const struct arguments *args, struct error *err)
{
    const char *action = args->word_count ? args->words[0] : "";
    if (strcmp(action, "import") != 0 && strcmp(action, "show") != 0) {
        error_set(err, ERROR_INPUT, "expected import or show, found \"%s\"; usage: tandem %s", PRINTABLE(action),
                  command_model.usage);
        return EXIT_BAD_INPUT;
    }
    if (need_words(args, 2, 2, command_model.usage, err))
        return EXIT_BAD_INPUT;
    return strcmp(action, "import") == 0 ? run_import(args, err) : run_show(args, err);
}

static const struct action actions[] = {{"show", ""}, {"import", "--out --name"}, {0}};

const struct command command_model = {
    .name = "model",
    .usage = "model show|import NAME|FILE|FOLDER [--out FILE]",
    .summary = "a model's parameters and bytes; a Hugging Face config.json as a model file",
    .options = options,
    .actions = actions,
    .run = run_model,
};
