/* SPDX-License-Identifier: MIT */
/* folder.h — bytes as a folder of files: a line "@NAME" begins the file of that name, one of those that the target
 * knows. "@KEY=VALUE" sets the target's word. YAML lies one folder up, as with LLMServingSim's bundles. */
#ifndef TANDEM_TESTS_FUZZ_FOLDER_H
#define TANDEM_TESTS_FUZZ_FOLDER_H

#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

enum { FUZZ_PATH = 120 };

static char fuzz_above[40], fuzz_folder[60], fuzz_word[40];
static const char *const *fuzz_names; /* NULL-ended */

static inline void fuzz_path(const char *name, char *out)
{
    snprintf(out, FUZZ_PATH, "%s/%s", strstr(name, ".yaml") ? fuzz_above : fuzz_folder, name);
}

static inline void fuzz_remove_files(void)
{
    char path[FUZZ_PATH];
    for (size_t i = 0; fuzz_names[i]; i++) {
        fuzz_path(fuzz_names[i], path);
        unlink(path);
    }
}

static void fuzz_remove_folder(void)
{
    fuzz_remove_files();
    rmdir(fuzz_folder);
    rmdir(fuzz_above);
}

static inline void fuzz_make_folder(const char *const *names)
{
    fuzz_names = names;
    snprintf(fuzz_above, sizeof fuzz_above, "%s/tandem_fuzz_XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(fuzz_above) || atexit(fuzz_remove_folder))
        abort();
    snprintf(fuzz_folder, sizeof fuzz_folder, "%s/tp1", fuzz_above);
    if (mkdir(fuzz_folder, 0700))
        abort();
}

static inline void fuzz_write_file(const char *name, const char *from, size_t size)
{
    char path[FUZZ_PATH];
    const char *equals = strchr(name, '=');
    if (equals)
        snprintf(fuzz_word, sizeof fuzz_word, "%s", equals + 1);
    for (size_t i = 0; fuzz_names[i]; i++)
        if (strcmp(fuzz_names[i], name) == 0) {
            fuzz_path(name, path);
            FILE *out = fopen(path, "wb");
            if (!out || fwrite(from, 1, size, out) != size || fclose(out))
                abort();
        }
}

/* Makes the folder's files those that the bytes say; fuzz_word is "" where they do not say it. */
static inline void fuzz_write_folder(const char *const *names, const uint8_t *data, size_t size)
{
    if (!fuzz_names)
        fuzz_make_folder(names);
    fuzz_remove_files();
    fuzz_word[0] = 0;
    char *text = fuzz_text(data, size), *end = text + size;
    for (char *at = text[0] == '@' ? text : NULL; at;) {
        char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            break;
        *line_end = 0;
        char *from = line_end + 1, *next = from;
        while (next < end && !(*next == '@' && (next == from || next[-1] == '\n')))
            next++;
        fuzz_write_file(at + 1, from, (size_t)(next - from));
        at = next < end ? next : NULL;
    }
    free(text);
}

#endif
