/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unix stream sockets without blocking. A connect() to one is immediate: done, refused, or EAGAIN
 * when the listener's queue is full.
 */
#include "qmp/socket.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int
fail(GError **error, const char *path, int code)
{
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_BACKEND_LOST, "cannot connect: %s (%s)",
                g_strerror(code), path);
    return -1;
}

int
migd_qmp_socket_connect(const char *path, gboolean *ret_refused, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    *ret_refused = FALSE;
    if (strlen(path) >= sizeof address.sun_path)
        return fail(error, path, ENAMETOOLONG);
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(error, path, errno);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int code = errno;

        close(fd);
        *ret_refused = code == ECONNREFUSED || code == ENOENT;
        return fail(error, path, code);
    }
    return fd;
}

gssize
migd_qmp_socket_send(int fd, const void *bytes, gsize length)
{
    gssize n = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

gssize
migd_qmp_socket_receive(int fd, void *bytes, gsize size)
{
    gssize n = recv(fd, bytes, size, MSG_DONTWAIT);

    if (n == 0)
        return -1; /* the peer closed */
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

gint
migd_qmp_socket_peer(int fd)
{
    struct ucred peer = {0};
    socklen_t length = sizeof peer;

    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return 0;
    return peer.pid;
}
