/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system calls of the client, none of which blocks or raises SIGPIPE. Private to src/qmp.
 */
#pragma once

#include <glib.h>

/* A connected, non-blocking descriptor, or -1 with `error`; `ret_refused`: nobody listens there
 * (else the peer is there, but its queue is full or we may not connect). */
int migd_qmp_socket_connect(const char *path, gboolean *ret_refused, GError **error);

/* The process that listens there (SO_PEERCRED); 0 = not known. */
gint migd_qmp_socket_peer(int fd);

/* Bytes sent or received, 0 = would block, -1 = the connection is over. */
gssize migd_qmp_socket_send(int fd, const void *bytes, gsize length);
gssize migd_qmp_socket_receive(int fd, void *bytes, gsize size);
