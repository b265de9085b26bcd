/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The port between the daemon and a hypervisor: bare QEMUs by QMP, libvirt, or the fake of the
 * tests. A backend finds domains, observes and turns knobs; it takes no decision and reads no
 * clock. Everything runs on the main loop and never blocks; every request is answered exactly once,
 * also when the peer dies or hangs (then with an error).
 */
#pragma once

#include <glib.h>

#include "policy/decision.h"
#include "policy/knobs.h"
#include "policy/sample.h"
#include "qmp/fault.h"
#include "writeprotect/detect.h"

typedef struct MigdBackend MigdBackend;
typedef struct MigdDomain MigdDomain; /* a domain as its backend knows it; the backend owns it */

typedef enum {
    MIGD_DOMAIN_CONNECTING, /* known by its socket, not yet answering */
    MIGD_DOMAIN_RUNNING,
    MIGD_DOMAIN_PAUSED,
    MIGD_DOMAIN_INCOMING,     /* waits for a migration (QEMU's inmigrate) */
    MIGD_DOMAIN_SHUTOFF,      /* incl. postmigrate: the guest lives elsewhere */
    MIGD_DOMAIN_UNRESPONSIVE, /* connected, but does not answer in time */
    MIGD_DOMAIN_FAULTY,       /* broke the protocol; `problem` says how */
} MigdDomainState;

/* Static string, e.g. "running". */
const char *migd_domain_state_to_string(MigdDomainState state);

/* What every backend tells about a domain. The backend owns the strings; valid until the next call
 * of `changed` or `removed` for it. */
typedef struct {
    const char *uuid;            /* canonical; unique among all domains */
    const char *name;            /* as the hypervisor spells it: clean before printing */
    const char *problem;         /* why UNRESPONSIVE or FAULTY, clean text; NULL otherwise */
    const char *migration_error; /* why the last migration failed, clean text; NULL = not known */
    MigdDomainState state;
    guint64 memory_bytes;          /* 0 = not known */
    guint64 dirty_rate_bps;        /* as last measured on request; 0 = never */
    const char *dirty_rate_method; /* how: a mode of MigdMeasureOptions, static; NULL = never */
    const char *profile; /* name that the domain carries with it, in its form only; NULL = none */
    gboolean tainted;    /* its monitor was used past its owner (libvirt's custom-monitor) */
    MigdWriteProtect write_protect; /* how its writes are tracked, as far as that is known */
    guint32 supports; /* MIGD_KNOB_… that this hypervisor has (feature detection, not version) */
} MigdDomainInfo;

typedef enum {
    MIGD_EVENT_STATUS,   /* argument: MigdStatus */
    MIGD_EVENT_PASS,     /* argument: dirty syncs so far; ask for a sample at once */
    MIGD_EVENT_INCOMING, /* argument: MigdStatus of a migration that arrives here; its source has
                            the samples and the knobs */
} MigdEventKind;

/* The daemon's side. Called on the main loop. */
typedef struct {
    void (*domain_added)(MigdDomain *domain, gpointer user_data);
    void (*domain_changed)(MigdDomain *domain, gpointer user_data);
    void (*domain_removed)(MigdDomain *domain,
                           gpointer user_data); /* `domain` dies when this returns */
    void (*event)(MigdDomain *domain, MigdEventKind kind, guint64 argument, gpointer user_data);
    /* What `problem` of the backend says has changed. May be NULL. */
    void (*backend_changed)(MigdBackend *backend, gpointer user_data);
    /* The monitor of whichever domain: to be counted. May be NULL. */
    void (*qmp_fault)(MigdQmpFault fault, gpointer user_data);
} MigdBackendListener;

typedef struct {
    const char *destination;   /* as check_destination() let it pass */
    const char *migrate_uri;   /* libvirt: where the stream goes; NULL = chosen by it */
    gboolean allow_postcopy;   /* switch the capability on where it exists */
    gboolean allow_throttle;   /* switch auto-converge on, with a throttle that does nothing yet */
    guint64 downtime_limit_us; /* 0 = leave what is in force */
    guint64 max_bandwidth_bps; /* 0 = leave what is in force */
    guint32 connections;       /* for the stream; 0 = as many as it needs, by what was measured */
} MigdStartOptions;

/* Exactly one of `sample` and `error` is set; both die when the callback returns. sample->time_us
 * is 0: the watch stamps it. Knob fields (downtime_limit_us, max_bandwidth_bps) are part of the
 * sample where they are known. */
typedef void (*MigdSampleFunc)(const MigdSample *sample, const GError *error, gpointer user_data);

/* `error` is NULL on success. */
typedef void (*MigdDoneFunc)(const GError *error, gpointer user_data);

/* `knobs` = the values in force; NULL with `error` set on failure. */
typedef void (*MigdKnobsFunc)(const MigdKnobs *knobs, const GError *error, gpointer user_data);

/* What the guest dirtied within one period. */
typedef struct {
    guint64 rate_bps;       /* distinct bytes, over the period; hypervisors say it in whole MiB/s */
    guint64 period_us;      /* as measured: maybe longer than asked for */
    guint64 resident_bytes; /* of its memory what the host holds pages for; 0 = not known */
    guint sample_pages;     /* looked at, of each GiB; 0 = all */
} MigdDirtyRate;

/* What QEMU looks at unless asked for more, of each GiB. */
#define MIGD_QEMU_SAMPLE_PAGES 512

/* `measured` is NULL with `error` set; both die when the callback returns. */
typedef void (*MigdRateFunc)(const MigdDirtyRate *measured, const GError *error,
                             gpointer user_data);

typedef struct {
    guint period_ms;  /* how long to measure, 1 to 60 s; rounded up where only seconds can be had */
    const char *mode; /* "page-sampling", "dirty-bitmap", "dirty-ring" */
    guint sample_pages; /* of each GiB, for page-sampling; 0 = as the hypervisor does */
} MigdMeasureOptions;

#define MIGD_MEASURE_MAX_MS 60000

/* One that migd_write_protect_choose() found possible for the domain. */
typedef struct {
    MigdMechanism mechanism;
    guint32 ring_entries; /* dirty-ring: of each vCPU */
} MigdWriteProtectChange;

typedef struct {
    const char *name;        /* "qmp", "fake", "libvirt" */
    guint32 max_connections; /* that migrate() may be asked for; 0 = one */

    void (*free)(MigdBackend *backend);
    /* Begins to look for domains; may call the listener before it returns. */
    gboolean (*start)(MigdBackend *backend, const MigdBackendListener *listener, gpointer user_data,
                      GError **error);
    const MigdDomainInfo *(*info)(MigdDomain *domain);
    /* Why it cannot be used now, clean text, valid until it changes; NULL = it can. NULL function:
     * it always can. */
    const char *(*problem)(const MigdBackend *backend);
    /* Whether migrate() could take `destination` and `migrate_uri` (may be NULL); pure. */
    gboolean (*check_destination)(const char *destination, const char *migrate_uri, GError **error);
    void (*query)(MigdDomain *domain, MigdSampleFunc callback, gpointer user_data);
    void (*read_knobs)(MigdDomain *domain, MigdKnobsFunc callback, gpointer user_data);
    /* Puts back the knobs named in `mask` to their value in `knobs`; capabilities only when no
     * migration runs. */
    void (*write_knobs)(MigdDomain *domain, const MigdKnobs *knobs, guint32 mask,
                        MigdDoneFunc callback, gpointer user_data);
    /* Sets what `options` asks for and starts. Answers when the hypervisor took the command, not at
     * the end. */
    void (*migrate)(MigdDomain *domain, const MigdStartOptions *options, MigdDoneFunc callback,
                    gpointer user_data);
    /* Carries `decision` out (any action but WAIT; ABORT = cancel). `throttle_now_pct` = the level
     * last seen. */
    void (*act)(MigdDomain *domain, const MigdDecision *decision, guint32 throttle_now_pct,
                MigdDoneFunc callback, gpointer user_data);
    /* Makes `profile` travel with the domain; NULL takes it away. `persistent`: for its next start
     * as well. NULL function: not with this hypervisor. */
    void (*set_profile)(MigdDomain *domain, const char *profile, gboolean persistent,
                        MigdDoneFunc callback, gpointer user_data);
    /* Only while no migration runs. NULL function: not with this hypervisor. */
    void (*measure)(MigdDomain *domain, const MigdMeasureOptions *options, MigdRateFunc callback,
                    gpointer user_data);
    /* Turns it on, now or for the next start of the domain; when it fails, nothing has changed.
     * NULL function: not with this hypervisor. */
    void (*set_write_protect)(MigdDomain *domain, const MigdWriteProtectChange *change,
                              MigdDoneFunc callback, gpointer user_data);
} MigdBackendOps;

/* First member of every backend's own struct, and of its domains: generic code finds the table by
 * it. */
struct MigdBackend {
    const MigdBackendOps *ops;
};

struct MigdDomain {
    MigdBackend *backend;
    gpointer owner; /* for the daemon's use */
};

void migd_backend_free(MigdBackend *backend);

/* For backends: calls the listener, where it wants to hear of it. */
void migd_backend_tell_fault(const MigdBackendListener *listener, MigdQmpFault fault,
                             gpointer user_data);

/* Every `*.qmp` socket in `directory` is a domain; sockets may come and go. `command_timeout_ms`
 * bounds each command. */
MigdBackend *migd_backend_qmp_new(const char *directory, guint command_timeout_ms);

/* Domains described by *.scenario files in `directory`, migrated by src/sim in real time (1:1). */
MigdBackend *migd_backend_fake_new(const char *directory);

typedef struct {
    const char *uri;        /* of libvirt, e.g. "qemu:///system" */
    guint call_timeout_ms;  /* bounds each call */
    gboolean allow_monitor; /* use the monitor for what libvirt has no call for; taints domains */
    const char *hook_fifo;  /* where the hook of libvirt leaves its messages; NULL = nowhere */
} MigdVirtOptions;

/* The domains of a libvirt. It may come and go. */
MigdBackend *migd_backend_virt_new(const MigdVirtOptions *options);

/* The same, from its module, which is loaded first. NULL with NotSupported where it is not
 * installed or its libraries are not. */
MigdBackend *migd_backend_load_virt(const MigdVirtOptions *options, GError **error);
