/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the KVM of this host offers. Asks /dev/kvm through a port, so that tests can answer for it.
 * Changes nothing: the one virtual machine that it may create is empty and closed at once.
 *
 * The numbers by which write-protect-all announces itself are not upstream's
 * (writeprotect/kvm-write-protect-all.h), and some day may mean something else there, as those of
 * the original patches, 144 and 145, do by now. So they are asked for on x86 only, must both answer
 * 1, and count for nothing until the ioctl has worked on a virtual machine of our own.
 */
#pragma once

#include <glib.h>

typedef enum {
    MIGD_SWITCH_UNKNOWN, /* no such parameter, or not readable */
    MIGD_SWITCH_OFF,
    MIGD_SWITCH_ON,
} MigdSwitch;

typedef struct {
    gboolean known;       /* /dev/kvm was asked; else `problem` says why not */
    char *problem;        /* NULL if known */
    guint32 manual_bits;  /* 168: 1 = manual protect, 2 = initially set */
    guint32 ring_entries; /* 192 or 223: most entries per vCPU; 0 = no dirty ring */
    gboolean ring_bitmap; /* 225: writes outside of vCPUs are logged in ring mode, too */
    gboolean all;         /* write-protect-all, confirmed */
    MigdSwitch eager_page_split, tdp_mmu,
        pml; /* reported, never set; they hold for the whole host */
} MigdHostKvm;

void migd_host_kvm_clear(MigdHostKvm *host);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MigdHostKvm, migd_host_kvm_clear)

/* Every function gets `user_data` first. */
typedef struct {
    const char *machine; /* as uname calls it: "x86_64", "aarch64", … */
    gpointer user_data;
    int (*open)(gpointer user_data); /* /dev/kvm: a descriptor, or -errno */
    int (*ioctl)(gpointer user_data, int fd, unsigned long request, unsigned long argument);
    void (*close)(gpointer user_data, int fd);
    /* The text of /sys/module/MODULE/parameters/NAME, NULL = none. Caller frees. */
    char *(*parameter)(gpointer user_data, const char *module, const char *name);
} MigdKvmPort;

/* This machine's own. Static. */
const MigdKvmPort *migd_kvm_port(void);

/* Fills `ret_host`, which must be zeroed or filled. */
void migd_host_kvm_probe(const MigdKvmPort *port, MigdHostKvm *ret_host);

/* "unknown", "off", "on". Static string. */
const char *migd_switch_to_string(MigdSwitch value);
