/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The probe, and the port to the real /dev/kvm.
 */
#include "writeprotect/host.h"

#include "writeprotect/kvm-write-protect-all.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Spelled out: headers differ in what they know, and in what they call it. */
#define CAP_MANUAL_PROTECT 168
#define CAP_RING 192
#define CAP_RING_ACQ_REL 223 /* the only one on architectures with weak ordering */
#define CAP_RING_WITH_BITMAP 225

#define RING_ENTRY_BYTES 16
#define API_VERSION 12

void
migd_host_kvm_clear(MigdHostKvm *host)
{
    g_free(host->problem);
    *host = (MigdHostKvm){0};
}

const char *
migd_switch_to_string(MigdSwitch value)
{
    static const char *const words[] = {"unknown", "off", "on"};

    return words[value];
}

/* ---- this machine ------------------------------------------------------------------------------
 */

static int
real_open(gpointer user_data)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static int
real_ioctl(gpointer user_data, int fd, unsigned long request, unsigned long argument)
{
    int result = ioctl(fd, request, argument);

    return result < 0 ? -errno : result;
}

static void
real_close(gpointer user_data, int fd)
{
    close(fd);
}

static char *
real_parameter(gpointer user_data, const char *module, const char *name)
{
    g_autofree char *path = g_strdup_printf("/sys/module/%s/parameters/%s", module, name);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

const MigdKvmPort *
migd_kvm_port(void)
{
    static struct utsname name;
    static MigdKvmPort port = {
        .open = real_open, .ioctl = real_ioctl, .close = real_close, .parameter = real_parameter};

    if (port.machine == NULL)
        port.machine = uname(&name) == 0 ? name.machine : "unknown";
    return &port;
}

/* ---- the probe ---------------------------------------------------------------------------------
 */

static MigdSwitch
read_switch(const MigdKvmPort *port, const char *module, const char *name)
{
    g_autofree char *text = port->parameter(port->user_data, module, name);

    if (text == NULL)
        return MIGD_SWITCH_UNKNOWN;
    switch (g_strstrip(text)[0]) {
    case 'Y':
    case '1':
        return MIGD_SWITCH_ON;
    case 'N':
    case '0':
        return MIGD_SWITCH_OFF;
    default:
        return MIGD_SWITCH_UNKNOWN;
    }
}

/* The value of a capability; an error counts as 0. */
static guint32
capability(const MigdKvmPort *port, int fd, unsigned long number)
{
    int value = port->ioctl(port->user_data, fd, KVM_CHECK_EXTENSION, number);

    return value > 0 ? (guint32)value : 0;
}

static gboolean
probe_all(const MigdKvmPort *port, int fd)
{
    struct kvm_write_protect_all request = {.flags = KVM_WRITE_PROTECT_ALL_ENABLE |
                                                     KVM_WRITE_PROTECT_ALL_PROTECT};
    int vm, result;

    if (strcmp(port->machine, "x86_64") != 0 ||
        capability(port, fd, KVM_CAP_X86_WRITE_PROTECT_ALL_MEM) != 1 ||
        capability(port, fd, KVM_CAP_X86_DIRTY_LOG_WITHOUT_WRITE_PROTECT) != 1)
        return FALSE;
    vm = port->ioctl(port->user_data, fd, KVM_CREATE_VM, 0);
    if (vm < 0)
        return FALSE;
    result = port->ioctl(port->user_data, vm, KVM_WRITE_PROTECT_ALL, (unsigned long)&request);
    port->close(port->user_data, vm);
    return result == 0 && request.generation == 1;
}

void
migd_host_kvm_probe(const MigdKvmPort *port, MigdHostKvm *ret_host)
{
    int fd, version;

    migd_host_kvm_clear(ret_host);
    ret_host->eager_page_split = read_switch(port, "kvm", "eager_page_split");
    ret_host->tdp_mmu = read_switch(port, "kvm", "tdp_mmu");
    ret_host->pml = read_switch(port, "kvm_intel", "pml");
    fd = port->open(port->user_data);
    if (fd < 0) {
        ret_host->problem = g_strdup_printf("/dev/kvm: %s", g_strerror(-fd));
        return;
    }
    version = port->ioctl(port->user_data, fd, KVM_GET_API_VERSION, 0);
    if (version == API_VERSION) {
        guint32 bytes = MAX(capability(port, fd, CAP_RING), capability(port, fd, CAP_RING_ACQ_REL));

        ret_host->known = TRUE;
        ret_host->manual_bits = capability(port, fd, CAP_MANUAL_PROTECT) & 3;
        ret_host->ring_entries = bytes / RING_ENTRY_BYTES;
        ret_host->ring_bitmap = capability(port, fd, CAP_RING_WITH_BITMAP) != 0;
        ret_host->all = probe_all(port, fd);
    } else {
        ret_host->problem = g_strdup_printf("/dev/kvm: not the KVM interface that is known "
                                            "(version %d)",
                                            version);
    }
    port->close(port->user_data, fd);
}
