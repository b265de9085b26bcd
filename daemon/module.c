/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loading the libvirt backend. It is the only module; nothing else is ever loaded, and never from a
 * place that others can write to: the installation's own folder, or the folder of the executable
 * for a daemon that runs from its build.
 */
#include <gmodule.h>

#include "base/error.h"
#include "daemon/backend.h"

#define MODULE "backend-libvirt.so"

typedef MigdBackend *(*NewFunc)(const MigdVirtOptions *options);

static char *
find_module(void)
{
    g_autofree char *executable = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(executable != NULL ? executable : "");
    g_autofree char *beside = g_build_filename(folder, MODULE, NULL);

    if (g_file_test(beside, G_FILE_TEST_EXISTS))
        return g_steal_pointer(&beside);
    return g_build_filename(MIGD_MODULE_DIR, MODULE, NULL);
}

MigdBackend *
migd_backend_load_virt(const MigdVirtOptions *options, GError **error)
{
    g_autofree char *path = find_module();
    GModule *module = g_module_open(path, G_MODULE_BIND_LOCAL);
    gpointer symbol = NULL;

    if (module == NULL || !g_module_symbol(module, "migd_backend_virt_new", &symbol)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                    "the libvirt backend cannot be loaded: %s", g_module_error());
        return NULL;
    }
    /* libvirt has threads of its own: once in, it stays. */
    g_module_make_resident(module);
    return ((NewFunc)symbol)(options);
}
