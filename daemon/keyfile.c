/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GKeyFile knows no lines, so they are looked up in the text once something is wrong. Interprets no
 * values.
 */
#include "daemon/keyfile.h"

#include <string.h>

#include "base/error.h"

#define FILE_MAX_BYTES (1024 * 1024)

/* What a line of a key file is, as far as messages need it. */
typedef struct {
    const char *start; /* without leading blanks */
    gsize length;      /* without trailing blanks */
} Line;

static gboolean
next_line(const char **p, Line *ret_line)
{
    const char *end;

    if (**p == '\0')
        return FALSE;
    end = strchrnul(*p, '\n');
    ret_line->start = *p;
    ret_line->length = (gsize)(end - *p);
    *p = *end == '\n' ? end + 1 : end;
    while (ret_line->length > 0 && g_ascii_isspace(ret_line->start[0])) {
        ret_line->start++;
        ret_line->length--;
    }
    while (ret_line->length > 0 && g_ascii_isspace(ret_line->start[ret_line->length - 1]))
        ret_line->length--;
    return TRUE;
}

static gboolean
is_section(const Line *line, const char *section)
{
    gsize n = strlen(section);
    return line->length == n + 2 && line->start[0] == '[' && line->start[n + 1] == ']' &&
           strncmp(line->start + 1, section, n) == 0;
}

static gboolean
is_key(const Line *line, const char *key)
{
    gsize n = strlen(key);

    if (line->length <= n || strncmp(line->start, key, n) != 0)
        return FALSE;
    while (n < line->length && g_ascii_isspace(line->start[n]))
        n++;
    return n < line->length && line->start[n] == '=';
}

/* The last such line: of a key that is set twice the last value counts. 0 = not found. */
static guint
find_line(const char *text, const char *section, const char *key)
{
    gboolean inside = FALSE;
    guint found = 0, number = 0;
    Line line;

    for (const char *p = text; next_line(&p, &line);) {
        number++;
        if (line.length > 0 && line.start[0] == '[') {
            inside = is_section(&line, section);
            if (inside && key == NULL)
                found = number;
        } else if (inside && key != NULL && is_key(&line, key)) {
            found = number;
        }
    }
    return found;
}

/* The first line that no key file may have; 0 = none such. */
static guint
find_bad_line(const char *text)
{
    gboolean in_section = FALSE;
    guint number = 0;
    Line line;

    for (const char *p = text; next_line(&p, &line);) {
        number++;
        if (line.length == 0 || line.start[0] == '#')
            continue;
        if (line.start[0] == '[' && line.start[line.length - 1] == ']')
            in_section = TRUE;
        else if (!in_section || line.start[0] == '=' ||
                 memchr(line.start, '=', line.length) == NULL)
            return number;
    }
    return 0;
}

MigdKeyFile *
migd_key_file_read(const char *path, GError **error)
{
    g_autoptr(MigdKeyFile) file = g_new0(MigdKeyFile, 1);
    g_autoptr(GError) cause = NULL;
    gsize length = 0;

    file->path = g_strdup(path);
    file->keys = g_key_file_new();
    if (!g_file_get_contents(path, &file->text, &length, &cause)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "%s", cause->message);
        return NULL;
    }
    if (length > FILE_MAX_BYTES || memchr(file->text, '\0', length) != NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "%s: not a text file of at most 1 MiB", path);
        return NULL;
    }
    if (!g_key_file_load_from_data(file->keys, file->text, length, G_KEY_FILE_NONE, &cause)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "%s:%u: %s", path,
                    find_bad_line(file->text), cause->message);
        return NULL;
    }
    return g_steal_pointer(&file);
}

void
migd_key_file_free(MigdKeyFile *file)
{
    if (file == NULL)
        return;
    g_free(file->path);
    g_free(file->text);
    g_clear_pointer(&file->keys, g_key_file_unref);
    g_free(file);
}

char *
migd_key_file_get(const MigdKeyFile *file, const char *section, const char *key)
{
    return g_key_file_get_string(file->keys, section, key, NULL);
}

gboolean
migd_key_file_refuse(const MigdKeyFile *file, const char *section, const char *key,
                     const char *what, GError **error)
{
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "%s:%u: [%s]%s%s: %s", file->path,
                find_line(file->text, section, key), section, key != NULL ? " " : "",
                key != NULL ? key : "", what);
    return FALSE;
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *
migd_list_files(const char *directory, const char *suffix, gboolean must_exist, GError **error)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) dir = g_dir_open(directory, 0, &cause);

    if (dir == NULL && !must_exist && g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return g_steal_pointer(&paths);
    if (dir == NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "%s", cause->message);
        return NULL;
    }
    for (const char *name = g_dir_read_name(dir); name != NULL; name = g_dir_read_name(dir))
        if (name[0] != '.' && g_str_has_suffix(name, suffix))
            g_ptr_array_add(paths, g_build_filename(directory, name, NULL));
    g_ptr_array_sort(paths, compare_names);
    return g_steal_pointer(&paths);
}
