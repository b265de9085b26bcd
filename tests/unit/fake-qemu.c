/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The scripted peer. Reads commands with the production JSON code, since the codec has tests of its
 * own.
 */
#include "fake-qemu.h"

#include "json/json.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const struct {
    const char *command, *value;
} idle_replies[] = {
    {"qmp_capabilities", "{}"},
    {"query-uuid", "{\"UUID\":\"00000000-0000-0000-0000-000000000000\"}"},
    {"query-status", "{\"status\":\"running\",\"singlestep\":false,\"running\":true}"},
    {"query-migrate-capabilities", "[{\"state\":false,\"capability\":\"xbzrle\"},"
                                   "{\"state\":false,\"capability\":\"auto-converge\"},"
                                   "{\"state\":false,\"capability\":\"events\"},"
                                   "{\"state\":false,\"capability\":\"postcopy-ram\"}]"},
    {"query-migrate-parameters",
     "{\"cpu-throttle-tailslow\":false,\"cpu-throttle-initial\":20,\"downtime-limit\":300,"
     "\"tls-authz\":\"\",\"max-cpu-throttle\":99,\"throttle-trigger-threshold\":50,"
     "\"max-bandwidth\":134217728,\"cpu-throttle-increment\":10}"},
    {"query-migrate", "{}"},
    {"query-memory-size-summary", "{\"base-memory\":67108864,\"plugged-memory\":0}"},
    {"migrate-set-capabilities", "{}"},
    {"migrate-set-parameters", "{}"},
};

void
fake_qemu_say(FakeQemu *qemu, const char *bytes)
{
    gsize length = strlen(bytes);

    g_assert_cmpint(qemu->fd, >=, 0);
    while (length > 0) {
        gssize n = send(qemu->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            bytes += n;
            length -= (gsize)n;
        } else {
            if (errno != EAGAIN)
                return; /* the client hung up: it may */
            (void)g_main_context_iteration(NULL, FALSE);
            if (qemu->fd < 0)
                return;
        }
    }
}

static void
answer(FakeQemu *qemu, const char *line)
{
    g_autoptr(MigdJson) message = migd_json_parse(line, strlen(line), NULL);
    const char *command = NULL, *value;
    g_autofree char *reply = NULL;

    g_assert_nonnull(message);
    g_assert_cmpint(migd_json_get_string(message, "execute", &command, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpint(migd_json_get_u64(message, "id", 0, G_MAXUINT64, &qemu->last_id, NULL), ==,
                    MIGD_JSON_OK);
    value = g_hash_table_lookup(qemu->replies, command);
    if (value == NULL)
        reply = g_strdup_printf("{\"id\":%" G_GUINT64_FORMAT ",\"error\":{\"class\":"
                                "\"CommandNotFound\",\"desc\":\"unknown\"}}\r\n",
                                qemu->last_id);
    else if (*value != '\0')
        reply = g_strdup_printf("{\"return\":%s,\"id\":%" G_GUINT64_FORMAT "}\r\n", value,
                                qemu->last_id);
    if (reply != NULL)
        fake_qemu_say(qemu, reply);
}

static gboolean
on_bytes(gint fd, GIOCondition condition, gpointer user_data)
{
    FakeQemu *qemu = user_data;
    char chunk[4096];
    gssize n;
    char *newline;

    if (qemu->deaf) {
        qemu->watch = 0;
        return G_SOURCE_REMOVE;
    }
    n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (n <= 0) {
        qemu->watch = 0;
        fake_qemu_hang_up(qemu);
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(qemu->partial, chunk, n);
    while (qemu->fd == fd && (newline = strchr(qemu->partial->str, '\n')) != NULL) {
        char *line = g_strndup(qemu->partial->str, (gsize)(newline - qemu->partial->str));

        g_string_erase(qemu->partial, 0, newline - qemu->partial->str + 1);
        g_ptr_array_add(qemu->heard, line);
        answer(qemu, line);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean
on_client(gint fd, GIOCondition condition, gpointer user_data)
{
    FakeQemu *qemu = user_data;

    if (qemu->fd >= 0)
        return G_SOURCE_CONTINUE;
    qemu->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    g_assert_cmpint(qemu->fd, >=, 0);
    qemu->connections++;
    g_string_truncate(qemu->partial, 0);
    /* As the client's: it shares the loop, and another process would not wait for its turn. */
    qemu->watch = g_unix_fd_add_full(G_PRIORITY_HIGH, qemu->fd, G_IO_IN, on_bytes, qemu, NULL);
    if (qemu->greeting != NULL)
        fake_qemu_say(qemu, qemu->greeting);
    return G_SOURCE_CONTINUE;
}

FakeQemu *
fake_qemu_new(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    FakeQemu *qemu = g_new0(FakeQemu, 1);

    g_assert_cmpuint(strlen(path), <, sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    qemu->path = g_strdup(path);
    qemu->greeting = FAKE_GREETING;
    qemu->fd = -1;
    qemu->heard = g_ptr_array_new_with_free_func(g_free);
    qemu->partial = g_string_new(NULL);
    qemu->replies = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 0; i < G_N_ELEMENTS(idle_replies); i++)
        fake_qemu_reply(qemu, idle_replies[i].command, idle_replies[i].value);
    (void)g_unlink(path);
    qemu->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    g_assert_cmpint(bind(qemu->listener, (const struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(qemu->listener, 1), ==, 0);
    qemu->listener_watch = g_unix_fd_add(qemu->listener, G_IO_IN, on_client, qemu);
    return qemu;
}

void
fake_qemu_reply(FakeQemu *qemu, const char *command, const char *value)
{
    if (value != NULL)
        g_hash_table_replace(qemu->replies, g_strdup(command), g_strdup(value));
    else
        g_hash_table_remove(qemu->replies, command);
}

void
fake_qemu_hang_up(FakeQemu *qemu)
{
    g_clear_handle_id(&qemu->watch, g_source_remove);
    if (qemu->fd >= 0)
        close(qemu->fd);
    qemu->fd = -1;
}

void
fake_qemu_die(FakeQemu *qemu)
{
    fake_qemu_hang_up(qemu);
    g_clear_handle_id(&qemu->listener_watch, g_source_remove);
    if (qemu->listener >= 0)
        close(qemu->listener);
    qemu->listener = -1;
}

void
fake_qemu_free(FakeQemu *qemu)
{
    if (qemu == NULL)
        return;
    fake_qemu_die(qemu);
    (void)g_unlink(qemu->path);
    g_hash_table_unref(qemu->replies);
    g_ptr_array_unref(qemu->heard);
    g_string_free(qemu->partial, TRUE);
    g_free(qemu->path);
    g_free(qemu);
}

guint
fake_qemu_heard(const FakeQemu *qemu, const char *text)
{
    guint n = 0;

    for (guint i = 0; i < qemu->heard->len; i++)
        n += strstr(g_ptr_array_index(qemu->heard, i), text) != NULL;
    return n;
}

static gboolean
set_flag(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

void
spin_ms(guint ms)
{
    gboolean over = FALSE;

    (void)g_timeout_add(ms, set_flag, &over);
    while (!over)
        (void)g_main_context_iteration(NULL, TRUE);
}

char *
make_directory(void)
{
    g_autoptr(GError) error = NULL;
    char *directory = g_dir_make_tmp("migd-XXXXXX", &error);

    g_assert_no_error(error);
    return directory;
}

void
remove_directory(char *directory)
{
    g_autoptr(GDir) handle = g_dir_open(directory, 0, NULL);
    const char *name;

    while (handle != NULL && (name = g_dir_read_name(handle)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);

        if (g_file_test(path, G_FILE_TEST_IS_DIR))
            remove_directory(g_strdup(path));
        else
            (void)g_unlink(path);
    }
    (void)g_rmdir(directory);
    g_free(directory);
}
