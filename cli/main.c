/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/printable.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/manual.h"
#include "cli/memory_limit.h"
#include "cli/signals.h"
#include "planner/parallel.h"
#include "workloads/source.h"

static const struct command *const commands[] = {&command_run,       &command_sweep,   &command_plan,
                                                 &command_size,      &command_list,    &command_describe,
                                                 &command_trace,     &command_profile, &command_model,
                                                 &command_report,    &command_compare, &command_validate,
                                                 &command_calibrate, &command_engine,  &command_serve,
                                                 &command_explore,   &command_papers,  NULL};

int exit_for(const struct error *err)
{
    return err->code == ERROR_INPUT ? EXIT_BAD_INPUT : EXIT_FAILED;
}

int read_count(const char *option, const char *text, size_t otherwise, size_t most, size_t *out, struct error *err)
{
    char *end = NULL;
    *out = text ? strtoul(text, &end, 10) : otherwise;
    if (text && (*end || *text == '-' || *out < 1 || *out > most))
        return error_set(err, ERROR_INPUT, "%s %s: expected a whole number from 1 to %zu", option, text, most);
    return 0;
}

int read_threads(const char *text, unsigned *out, struct error *err)
{
    size_t threads;
    if (read_count("-j", text, parallel_processors(), 4096, &threads, err))
        return -1;
    *out = (unsigned)threads;
    return 0;
}

int need_words(const struct arguments *args, int least, int most, const char *usage, struct error *err)
{
    if (args->word_count >= least && args->word_count <= most)
        return 0;
    return error_set(err, ERROR_INPUT, "found %d argument%s, expected: tandem %s", args->word_count,
                     args->word_count == 1 ? "" : "s", usage);
}

static void make_way(const struct json *scenario, const char *setting)
{
    char path[200];
    snprintf(path, sizeof path, "%.*s", (int)strcspn(setting, "="), setting);
    workload_make_way(scenario, path);
}

/* Before the first setting is applied, the scenario lets go of what any setting or varied value takes the place of. */
static void make_way_for_all(const struct arguments *args, const struct json *root)
{
    static const char within[] = "scenario.";
    static const char *const axes[] = {"vary", "search"};
    struct json inner = json_member(root, "scenario");
    const struct json *scenario = inner.node ? &inner : root;
    for (int i = 0; i < args->set_count; i++) {
        bool is_inner = strncmp(args->sets[i], within, sizeof within - 1) == 0;
        make_way(is_inner ? &inner : root, args->sets[i] + (is_inner ? sizeof within - 1 : 0));
    }
    for (int i = 0; i < args->vary_count; i++)
        make_way(scenario, args->varied[i]);
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) {
        const cJSON *axis = json_member(root, axes[i]).node;
        for (axis = cJSON_IsObject(axis) ? axis->child : NULL; axis; axis = axis->next)
            make_way(scenario, axis->string);
    }
}

int apply_settings(const struct arguments *args, struct json *root, struct error *err)
{
    make_way_for_all(args, root);
    for (int i = 0; i < args->set_count; i++) {
        char path[200];
        const char *equals = strchr(args->sets[i], '=');
        size_t length = equals ? (size_t)(equals - args->sets[i]) : 0;
        if (length == 0 || length >= sizeof path)
            return error_set(err, ERROR_INPUT, "--set %s: expected PATH=VALUE", args->sets[i]);
        memcpy(path, args->sets[i], length);
        path[length] = 0;
        if (json_set_path(root, path, equals + 1, err))
            return -1;
    }
    return 0;
}

int load_plugins(const struct arguments *args, struct error *err)
{
    for (int i = 0; i < args->plugin_count; i++)
        if (plugin_load(args->plugins[i], err))
            return -1;
    return 0;
}

int refuse_option(const struct arguments *args, const struct option_spec *options, int option, const char *is_of,
                  struct error *err)
{
    return args->values[option] ? error_set(err, ERROR_INPUT, "%s: is of %s alone", options[option].name, is_of) : 0;
}

static const struct option_spec shared_options[] = {MEMORY_LIMIT_OPTION, {0}};

static void print_help(void)
{
    printf("tandem %s — simulate and plan the serving of large language models\n\n", TANDEM_VERSION);
    for (const struct command *const *c = commands; *c; c++)
        printf("  tandem %-44s %s\n", (*c)->usage, (*c)->summary);
    printf("\ntandem COMMAND --help says more. Exit status: 0 done, 1 the run failed, 2 bad input, 3 SLO not met.\n");
}

static void print_options(const struct option_spec *o)
{
    for (; o->name; o++)
        printf("\n  %s%s%s\n      %s\n", o->name, o->value ? " " : "", o->value ? o->value : "", o->help);
}

static void print_command_help(const struct command *c)
{
    printf("usage: tandem %s\n\n%s\n", c->usage, c->summary);
    print_options(c->options);
    print_options(shared_options);
}

static int find_option(const struct option_spec *options, const char *text, size_t length)
{
    for (int i = 0; options[i].name; i++)
        if (strlen(options[i].name) == length && strncmp(options[i].name, text, length) == 0)
            return i;
    return -1;
}

/* Takes one option at argv[*i], stepping over its value. */
static int take_option(const struct command *c, int argc, char **argv, int *i, struct arguments *out, struct error *err)
{
    const char *text = argv[*i], *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    int own = find_option(c->options, text, length), shared = find_option(shared_options, text, length);
    if (own < 0 && shared < 0)
        return error_set(err, ERROR_INPUT, "unknown option %s; see tandem %s --help", text, c->name);
    const struct option_spec *option = own >= 0 ? &c->options[own] : &shared_options[shared];
    const char *value = equals ? equals + 1 : "";
    if (!option->value && equals)
        return error_set(err, ERROR_INPUT, "%s: expected no value after %s", text, option->name);
    if (option->value && !equals) {
        if (*i + 1 == argc)
            return error_set(err, ERROR_INPUT, "%s: expected %s after it", text, option->value);
        value = argv[++*i];
    }
    if (strcmp(option->name, "--set") == 0) {
        if (out->set_count == SETS_MAX)
            return error_set(err, ERROR_INPUT, "more than %d --set options", SETS_MAX);
        out->sets[out->set_count++] = value;
    }
    if (strcmp(option->name, "--vary") == 0) {
        if (out->vary_count == SETS_MAX)
            return error_set(err, ERROR_INPUT, "more than %d --vary options", SETS_MAX);
        out->varied[out->vary_count++] = value;
    }
    if (strcmp(option->name, "--plugin") == 0) {
        if (out->plugin_count == PLUGINS_MAX)
            return error_set(err, ERROR_INPUT, "more than %d --plugin options", PLUGINS_MAX);
        out->plugins[out->plugin_count++] = value;
    }
    if (own < 0)
        out->max_memory = value;
    else
        out->values[own] = value;
    return 0;
}

static int parse(const struct command *c, int argc, char **argv, struct arguments *out, struct error *err)
{
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0 || strcmp(argv[i], "-j") == 0) {
            if (take_option(c, argc, argv, &i, out, err))
                return -1;
        } else if (out->word_count < WORDS_MAX) {
            out->words[out->word_count++] = argv[i];
        } else {
            return error_set(err, ERROR_INPUT, "too many arguments; usage: tandem %s", c->usage);
        }
    }
    return 0;
}

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t own = strcspn(at, " ");
        if (own == length && strncmp(at, word, own) == 0)
            return true;
        at += own;
    }
    return false;
}

static const struct action *find_action(const struct command *c, const char *name)
{
    const struct action *a = c->actions;
    while (a && a->name && strcmp(a->name, name) != 0)
        a++;
    return a && a->name ? a : NULL;
}

/* The actions that list an option, "import, fit"; "" where none does. */
static void takers_of(const struct command *c, const char *option, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (const struct action *a = c->actions; a->name && used < size; a++)
        if (has_word(a->options, option))
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", a->name);
}

/* An option of another action would change nothing. */
static int check_action(const struct command *c, const struct arguments *args, struct error *err)
{
    const struct action *action = find_action(c, args->word_count ? args->words[0] : "");
    char takers[80];
    for (int i = 0; action && c->options[i].name; i++) {
        const char *option = c->options[i].name;
        takers_of(c, option, takers, sizeof takers);
        if (args->values[i] && *takers && !has_word(action->options, option))
            return error_set(err, ERROR_INPUT, "%s is an option of %s, not of %s; see tandem %s --help", option, takers,
                             action->name, c->name);
    }
    return 0;
}

/* Where results go, and that they go nowhere. */
static int check_database(const struct command *c, const struct arguments *args, struct error *err)
{
    int said = find_option(c->options, "--db", 4), unsaid = find_option(c->options, "--no-db", 7);
    return said >= 0 && unsaid >= 0 && args->values[said] && args->values[unsaid]
               ? error_set(err, ERROR_INPUT, "--db and --no-db: expected one of them at most")
               : 0;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* No library that is used here ends the program, or leaves out in silence what it has no memory for. */
static void prepare_libraries(void)
{
    static char buffer[1 << 16]; /* a stream that finds no memory for its own may lose what is written first */
    setvbuf(stdout, buffer, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, sizeof buffer);
    json_note_failures();
    gsl_set_error_handler_off();
}

/* Plug-ins are loaded before any scenario is compiled, and before any thread that simulates is started. */
static int run_command(const struct command *c, int argc, char **argv, struct error *err)
{
    struct arguments args = {0};
    if (parse(c, argc, argv, &args, err) || check_action(c, &args, err) || check_database(c, &args, err))
        return EXIT_BAD_INPUT;
    if (args.max_memory && memory_limit_set(args.max_memory, argv, err))
        return exit_for(err);
    if (!c->joins && load_plugins(&args, err))
        return exit_for(err);
    int status = c->run(&args, err);
    bool done = status == EXIT_DONE || status == EXIT_SLO_MISSED;
    if (done)
        return memory_check(err) ? EXIT_FAILED : status;
    if (err->code == ERROR_NONE) /* without a sentence it can only have been that */
        status = memory_check(err) ? EXIT_FAILED : status;
    return status;
}

static const char *command_name(const void *names, size_t index)
{
    (void)names;
    return commands[index] ? commands[index]->name : NULL;
}

/* A file that is opened later must not become the standard output or error that the process was started without. */
static void keep_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

/* Whatever was printed has to have arrived. `told`: what went wrong has been said. */
static int finish(const char *command, int status, bool told)
{
    bool whole = !ferror(stdout);
    errno = 0;
    if (!whole && fflush(stdout) == 0) /* it failed earlier; writing once more tells why */
        putchar('\n');
    whole = fclose(stdout) == 0 && whole;
    if (whole || told)
        return status;
    fprintf(stderr, "tandem%s%s: standard output: %s\n", *command ? " " : "", command,
            errno ? strerror(errno) : "cannot be written");
    return EXIT_FAILED;
}

static int run_or_help(const struct command *c, int argc, char **argv)
{
    struct error err = {0};
    if (asks_help(argc, argv)) {
        print_command_help(c);
        return finish(c->name, EXIT_DONE, false);
    }
    int status = run_command(c, argc, argv, &err);
    bool told = err.code != ERROR_NONE && (status == EXIT_FAILED || status == EXIT_BAD_INPUT);
    if (told)
        fprintf(stderr, "tandem %s: %s%s\n", c->name, err.text, err.code == ERROR_MEMORY ? memory_limit_said() : "");
    return finish(c->name, status, told);
}

/* `help` with what is to be installed: --man [COMMAND], --completion SHELL. */
static int print_manual(int argc, char **argv)
{
    const struct manual manual = {commands, shared_options};
    struct error err = {0};
    int status = manual_print(&manual, argc - 2, argv + 2, &err);
    if (status != EXIT_DONE)
        fprintf(stderr, "tandem %s\n", err.text);
    return finish("", status, status != EXIT_DONE);
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    keep_standard_streams();
    prepare_libraries();
    for (const struct command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, word) == 0) {
            signals_begin((*c)->name);
            return run_or_help(*c, argc, argv);
        }
    signals_begin(NULL);
    for (const struct command *const *c = commands; argc == 3 && strcmp(word, "help") == 0 && *c; c++)
        if (strcmp((*c)->name, argv[2]) == 0) {
            print_command_help(*c);
            return finish("", EXIT_DONE, false);
        }
    if (argc > 2 && strcmp(word, "help") == 0 &&
        (strcmp(argv[2], "--man") == 0 || strcmp(argv[2], "--completion") == 0))
        return print_manual(argc, argv);
    if (argc < 2 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help();
        return finish("", argc < 2 ? EXIT_BAD_INPUT : EXIT_DONE, false);
    }
    if (strcmp(word, "--version") == 0) {
        printf("tandem %s\n", TANDEM_VERSION);
        return finish("", EXIT_DONE, false);
    }
    const char *meant = nearest_name(word, command_name, NULL);
    fprintf(stderr, "tandem: unknown command \"%s\"; %s%s%ssee tandem --help\n", PRINTABLE(word),
            meant ? "did you mean \"" : "", meant ? meant : "", meant ? "\"? " : "");
    return EXIT_BAD_INPUT;
}
