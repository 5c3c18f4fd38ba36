/* SPDX-License-Identifier: MIT */
#include "cli/manual.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "base/version.h"

/* Text of a man page: a hyphen is a minus there, and a line that begins with a dot or quote is a request. */
static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'')
        printf("\\&");
    for (; *text; text++) {
        if (*text == '-')
            printf("\\-");
        else if (*text == '\\')
            printf("\\e");
        else
            putchar(*text);
    }
}

static void print_roff_options(const struct option_spec *o)
{
    for (; o->name; o++) {
        printf(".TP\n.B ");
        print_roff(o->name);
        if (o->value) {
            printf("\\fR \\fI");
            print_roff(o->value);
            printf("\\fR");
        }
        printf("\n");
        print_roff(o->help);
        printf("\n");
    }
}

static void print_title(const char *name)
{
    printf(".TH TANDEM%s%s 1 \"\" \"tandem %s\" \"User Commands\"\n", *name ? "-" : "", name, TANDEM_VERSION);
    printf(".SH NAME\ntandem%s%s \\- ", *name ? "\\-" : "", name);
}

static const char exits[] =
    ".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nthe run failed\n.TP\n2\nbad input\n.TP\n3\nthe SLO is not met\n";

static void page_of_command(const struct manual *m, const struct command *c)
{
    print_title(c->name);
    print_roff(c->summary);
    printf("\n.SH SYNOPSIS\n.B tandem ");
    print_roff(c->usage);
    printf("\n.SH OPTIONS\n");
    print_roff_options(c->options);
    print_roff_options(m->shared);
    printf("%s.SH SEE ALSO\n.BR tandem (1)\n", exits);
}

static void page_of_all(const struct manual *m)
{
    print_title("");
    printf("simulate and plan the serving of large language models\n.SH SYNOPSIS\n.B tandem\n.I COMMAND\n"
           "[\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n.SH COMMANDS\n");
    for (const struct command *const *c = m->commands; *c; c++) {
        printf(".TP\n.B tandem ");
        print_roff((*c)->usage);
        printf("\n");
        print_roff((*c)->summary);
        printf("\n");
    }
    printf("%s.SH SEE ALSO\n", exits);
    for (const struct command *const *c = m->commands; *c; c++)
        printf(".BR tandem\\-%s (1)%s\n", (*c)->name, c[1] ? "," : "");
}

static const struct command *find(const struct manual *m, const char *name)
{
    for (const struct command *const *c = m->commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static void print_words(const struct manual *m, const struct command *c)
{
    for (const struct option_spec *o = c->options; o->name; o++)
        printf(" %s", o->name);
    for (const struct option_spec *o = m->shared; o->name; o++)
        printf(" %s", o->name);
    printf(" --help");
}

static void print_actions(const struct command *c)
{
    for (const struct action *a = c->actions; a && a->name; a++)
        printf("%s%s", a == c->actions ? "" : " ", a->name);
}

/* What the first word behind a command may be, besides files: a command that lists it. */
static const char *names_for(const struct command *c)
{
    static const char *const kinds[][2] = {
        {"run", "scenarios"}, {"sweep", "scenarios"}, {"serve", "scenarios"}, {"plan", "plans"}, {NULL, NULL}};
    for (size_t i = 0; kinds[i][0]; i++)
        if (strcmp(kinds[i][0], c->name) == 0)
            return kinds[i][1];
    return strcmp(c->name, "describe") == 0 ? "all" : NULL;
}

static void bash_of(const struct manual *m, const struct command *c)
{
    const char *names = names_for(c);
    printf("        %s)\n            options=\"", c->name);
    print_words(m, c);
    printf("\"\n            words=\"");
    print_actions(c);
    printf("\"\n");
    if (names)
        printf("            words=$(tandem list %s 2>/dev/null | sed -n 's/^  \\([^ ]*\\).*/\\1/p')\n", names);
    printf("            ;;\n");
}

static void complete_bash(const struct manual *m)
{
    printf("# tandem's completions for bash, made by: tandem help --completion bash\n_tandem() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} options= words=\n"
           "    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -W \"");
    for (const struct command *const *c = m->commands; *c; c++)
        printf("%s ", (*c)->name);
    printf("help --help --version\" -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n");
    for (const struct command *const *c = m->commands; *c; c++)
        bash_of(m, *c);
    printf("    esac\n    if [ \"${word#-}\" != \"$word\" ]; then\n"
           "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
           "    elif [ \"$COMP_CWORD\" = 2 ]; then\n"
           "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\") $(compgen -f -- \"$word\"))\n"
           "    else\n        COMPREPLY=($(compgen -f -- \"$word\"))\n    fi\n}\ncomplete -o filenames -F _tandem "
           "tandem\n");
}

/* Inside '…' of zsh's and fish's descriptions. */
static void print_quoted(const char *text, const char *escaped)
{
    for (; *text && *text != '\n'; text++) {
        if (*text == '\'')
            printf("'\\''");
        else if (strchr(escaped, *text))
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void zsh_options(const struct option_spec *o)
{
    for (; o->name; o++) {
        printf(" \\\n                '*%s[", o->name);
        print_quoted(o->help, "[]:\\");
        printf("]");
        if (o->value) {
            bool file = strstr(o->value, "FILE") || strcmp(o->value, "PATH") == 0 || strcmp(o->value, "FOLDER") == 0;
            printf(":");
            print_quoted(o->value, "[]:\\");
            printf(":%s", file ? "_files" : "");
        }
        printf("'");
    }
}

static void complete_zsh(const struct manual *m)
{
    printf("#compdef tandem\n# tandem's completions for zsh, made by: tandem help --completion zsh\n_tandem() {\n"
           "    local -a commands\n    commands=(\n");
    for (const struct command *const *c = m->commands; *c; c++) {
        printf("        '%s:", (*c)->name);
        print_quoted((*c)->summary, ":\\");
        printf("'\n");
    }
    printf("        'help:what a command does'\n    )\n"
           "    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n    fi\n"
           "    case $words[2] in\n");
    for (const struct command *const *c = m->commands; *c; c++) {
        printf("        %s)\n            _arguments '1: :'", (*c)->name);
        if ((*c)->actions) {
            printf(" '2:action:(");
            print_actions(*c);
            printf(")'");
        } else if (names_for(*c))
            printf(" '2:name:{compadd -- $(tandem list %s 2>/dev/null | sed -n \"s/^  \\([^ ]*\\).*/\\1/p\"); _files}'",
                   names_for(*c));
        printf(" '*:file:_files'");
        zsh_options((*c)->options);
        zsh_options(m->shared);
        printf("\n            ;;\n");
    }
    printf("    esac\n}\n_tandem \"$@\"\n");
}

static void fish_options(const char *command, const struct option_spec *o)
{
    for (; o->name; o++) {
        bool is_long = o->name[1] == '-';
        printf("complete -c tandem -n '__fish_seen_subcommand_from %s' %s %s%s -d '", command, is_long ? "-l" : "-s",
               o->name + (is_long ? 2 : 1), o->value ? " -r" : "");
        print_quoted(o->help, "");
        printf("'\n");
    }
}

static void complete_fish(const struct manual *m)
{
    printf("# tandem's completions for fish, made by: tandem help --completion fish\n");
    for (const struct command *const *c = m->commands; *c; c++) {
        printf("complete -c tandem -f -n __fish_use_subcommand -a %s -d '", (*c)->name);
        print_quoted((*c)->summary, "");
        printf("'\n");
        if ((*c)->actions) {
            printf("complete -c tandem -n '__fish_seen_subcommand_from %s' -a '", (*c)->name);
            print_actions(*c);
            printf("'\n");
        }
        if (names_for(*c))
            printf("complete -c tandem -n '__fish_seen_subcommand_from %s' -a \"(tandem list %s 2>/dev/null | string "
                   "replace -rf '^  (\\S+).*' '\\$1')\"\n",
                   (*c)->name, names_for(*c));
        fish_options((*c)->name, (*c)->options);
        fish_options((*c)->name, m->shared);
    }
}

static int print_completion(const struct manual *m, const char *shell, struct error *err)
{
    static const struct {
        const char *name;
        void (*print)(const struct manual *m);
    } shells[] = {{"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].print(m);
            return EXIT_DONE;
        }
    error_set(err, ERROR_INPUT, "help --completion: expected bash, zsh or fish, found \"%s\"", PRINTABLE(shell));
    return EXIT_BAD_INPUT;
}

int manual_print(const struct manual *m, int count, char **words, struct error *err)
{
    const char *name = count > 1 ? words[1] : "";
    if (strcmp(words[0], "--completion") == 0)
        return print_completion(m, name, err);
    const struct command *c = find(m, name);
    if (!c && *name) {
        error_set(err, ERROR_INPUT, "help --man: expected a command, found \"%s\"", PRINTABLE(name));
        return EXIT_BAD_INPUT;
    }
    if (c)
        page_of_command(m, c);
    else
        page_of_all(m);
    return EXIT_DONE;
}
