/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of where libvirt's files with process numbers are: beside its socket, and nowhere when it
 * is another machine's, whose numbers mean other processes here.
 */
#include "daemon/virt-writeprotect.h"

static void
test_directory(void)
{
    static const struct {
        const char *uri, *directory; /* NULL = none */
    } rows[] = {
        {"qemu:///system", "/run/libvirt/qemu"},
        {"qemu+unix:///system", "/run/libvirt/qemu"},
        {"qemu+unix:///system?socket=/tmp/a/libvirt-sock", "/tmp/a/qemu"},
        {"qemu+unix:///system?mode=legacy&socket=/tmp/b/virtqemud-sock&x=1", "/tmp/b/qemu"},
        {"qemu+tls://other/system", NULL},
        {"qemu+ssh://root@other/system?socket=/run/libvirt/libvirt-sock", NULL},
        {"test:///default", NULL},
        {"xen:///system", NULL},
        {"qemu", NULL},
        {"", NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *directory = migd_virt_pid_directory(rows[i].uri);

        g_test_message("%s", rows[i].uri);
        g_assert_cmpstr(directory, ==, rows[i].directory);
    }
}

static void
test_session(void)
{
    g_autofree char *directory = migd_virt_pid_directory("qemu:///session");

    g_assert_true(g_str_has_prefix(directory, g_get_user_runtime_dir()));
    g_assert_true(g_str_has_suffix(directory, "/libvirt/qemu/run"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt-writeprotect/directory", test_directory);
    g_test_add_func("/virt-writeprotect/session", test_session);
    return g_test_run();
}
