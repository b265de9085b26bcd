/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the host probe with made-up answers of /dev/kvm: upstream kernels of three
 * architectures, a patched one, and liars. What the probe asks for is checked as well as what it
 * concludes: a number that means something else there must not even be asked for.
 */
#include "writeprotect/host.h"

#include "writeprotect/kvm-write-protect-all.h"

#include <errno.h>
#include <string.h>

#define KVM_FD 7
#define VM_FD 8
#define N_UPSTREAM 512u /* capabilities that upstream may know are below */

typedef struct {
    const char *machine;
    int open_result, api;
    guint32 answers[N_UPSTREAM];  /* by capability */
    guint32 all, without_protect; /* those that upstream does not know */
    int all_result;               /* of the ioctl on the VM */
    guint64 all_generation;       /* that it writes */
    int create_result;
    const char *eager, *tdp, *pml;
    gboolean asked[N_UPSTREAM], asked_all;
    guint vms, open_fds, calls_of_all;
} Fake;

static int
fake_open(gpointer user_data)
{
    Fake *fake = user_data;

    if (fake->open_result >= 0)
        fake->open_fds++;
    return fake->open_result;
}

static int
check_extension(Fake *fake, unsigned long number)
{
    if (number == KVM_CAP_X86_WRITE_PROTECT_ALL_MEM ||
        number == KVM_CAP_X86_DIRTY_LOG_WITHOUT_WRITE_PROTECT) {
        fake->asked_all = TRUE;
        return (int)(number == KVM_CAP_X86_WRITE_PROTECT_ALL_MEM ? fake->all
                                                                 : fake->without_protect);
    }
    g_assert_cmpuint(number, <, N_UPSTREAM);
    fake->asked[number] = TRUE;
    return (int)fake->answers[number];
}

static int
write_protect_all(Fake *fake, struct kvm_write_protect_all *request)
{
    g_assert_cmpuint(request->flags, ==,
                     KVM_WRITE_PROTECT_ALL_ENABLE | KVM_WRITE_PROTECT_ALL_PROTECT);
    g_assert_cmpuint(
        request->pad | request->generation | request->reserved[0] | request->reserved[1], ==, 0);
    request->generation = fake->all_generation;
    fake->calls_of_all++;
    return fake->all_result;
}

static int
fake_ioctl(gpointer user_data, int fd, unsigned long request, unsigned long argument)
{
    Fake *fake = user_data;

    if (fd == KVM_FD && request == KVM_GET_API_VERSION)
        return fake->api;
    if (fd == KVM_FD && request == KVM_CHECK_EXTENSION)
        return check_extension(fake, argument);
    if (fd == KVM_FD && request == KVM_CREATE_VM) {
        if (fake->create_result < 0)
            return fake->create_result;
        fake->vms++;
        fake->open_fds++;
        return VM_FD;
    }
    g_assert_cmpint(fd, ==, VM_FD); /* nothing else is ever done */
    g_assert_cmpuint(request, ==, KVM_WRITE_PROTECT_ALL);
    return write_protect_all(fake, (struct kvm_write_protect_all *)argument);
}

static void
fake_close(gpointer user_data, int fd)
{
    ((Fake *)user_data)->open_fds--;
}

static char *
fake_parameter(gpointer user_data, const char *module, const char *name)
{
    const Fake *fake = user_data;

    if (strcmp(module, "kvm_intel") == 0)
        return strcmp(name, "pml") == 0 ? g_strdup(fake->pml) : NULL;
    g_assert_cmpstr(module, ==, "kvm");
    return g_strdup(strcmp(name, "tdp_mmu") == 0 ? fake->tdp : fake->eager);
}

static Fake
fake_upstream(const char *machine)
{
    Fake fake = {.machine = machine, .open_result = KVM_FD, .api = 12, .all_result = -ENOTTY};

    fake.answers[168] = 3;
    fake.answers[203] = 1;
    return fake;
}

static void
probe(Fake *fake, MigdHostKvm *ret)
{
    MigdKvmPort port = {fake->machine, fake, fake_open, fake_ioctl, fake_close, fake_parameter};

    migd_host_kvm_probe(&port, ret);
    g_assert_cmpuint(fake->open_fds, ==, 0); /* whatever happened */
}

static void
test_upstream_x86(void)
{
    Fake fake = fake_upstream("x86_64");
    g_auto(MigdHostKvm) host = {0};

    fake.answers[192] = fake.answers[223] = 1048576;
    fake.eager = "Y\n";
    fake.tdp = "N\n";
    fake.pml = "1\n";
    probe(&fake, &host);
    g_assert_true(host.known);
    g_assert_null(host.problem);
    g_assert_cmpuint(host.manual_bits, ==, 3);
    g_assert_cmpuint(host.ring_entries, ==, 65536);
    g_assert_false(host.ring_bitmap);
    g_assert_false(host.all);
    g_assert_cmpint(host.eager_page_split, ==, MIGD_SWITCH_ON);
    g_assert_cmpint(host.tdp_mmu, ==, MIGD_SWITCH_OFF);
    g_assert_cmpint(host.pml, ==, MIGD_SWITCH_ON);
    g_assert_cmpuint(fake.vms, ==, 0);
}

/* On arm64 144 is the user-space interrupt controller, and answers as a version number. */
static void
test_upstream_arm64(void)
{
    Fake fake = fake_upstream("aarch64");
    g_auto(MigdHostKvm) host = {0};

    fake.answers[144] = 1;
    fake.answers[145] = 1;
    fake.all = fake.without_protect = 1;
    fake.all_result = 0; /* and should the ioctl succeed a hundred times */
    fake.all_generation = 1;
    fake.answers[223] = 1048576;
    fake.answers[225] = 1;
    probe(&fake, &host);
    g_assert_true(host.known);
    g_assert_false(host.all);
    g_assert_false(fake.asked[144]);
    g_assert_false(fake.asked[145]);
    g_assert_false(fake.asked_all);
    g_assert_cmpuint(fake.calls_of_all, ==, 0);
    g_assert_cmpuint(fake.vms, ==, 0);
    g_assert_cmpuint(host.ring_entries, ==, 65536);
    g_assert_true(host.ring_bitmap);
}

/* On s390 145 is about the migration of storage attributes. */
static void
test_upstream_s390(void)
{
    Fake fake = fake_upstream("s390x");
    g_auto(MigdHostKvm) host = {0};

    fake.answers[144] = fake.answers[145] = 1;
    fake.all = fake.without_protect = 1;
    fake.all_result = 0;
    fake.all_generation = 1;
    probe(&fake, &host);
    g_assert_false(host.all);
    g_assert_false(fake.asked[145] || fake.asked_all);
    g_assert_cmpuint(fake.vms, ==, 0);
    g_assert_cmpuint(host.ring_entries, ==, 0);
}

static void
test_patched(void)
{
    Fake fake = fake_upstream("x86_64");
    g_auto(MigdHostKvm) host = {0};

    fake.all = fake.without_protect = 1;
    fake.all_result = 0;
    fake.all_generation = 1;
    probe(&fake, &host);
    g_assert_true(host.all);
    g_assert_cmpuint(fake.vms, ==, 1);
    g_assert_cmpuint(fake.calls_of_all, ==, 1);
}

/* The original patches' own numbers are somebody else's by now: whatever they answer. */
static void
test_numbers_of_old(void)
{
    Fake fake = fake_upstream("x86_64");
    g_auto(MigdHostKvm) host = {0};

    fake.answers[144] = fake.answers[145] = 1;
    fake.all_result = 0;
    fake.all_generation = 1;
    probe(&fake, &host);
    g_assert_false(host.all);
    g_assert_false(fake.asked[144] || fake.asked[145]);
    g_assert_cmpuint(fake.vms, ==, 0);
}

/* Some of the signs, never all: each of these must count for nothing. */
static void
test_half_patched(void)
{
    static const struct {
        const char *what;
        guint32 first, second;
        int create_result, all_result;
        guint64 generation;
    } rows[] = {
        {"only one capability", 1, 0, 0, 0, 1},
        {"only the other", 0, 1, 0, 0, 1},
        {"a version number, not a yes", 2, 1, 0, 0, 1},
        {"no such ioctl", 1, 1, 0, -ENOTTY, 1},
        {"virtual machines that cannot", 1, 1, 0, -EOPNOTSUPP, 1},
        {"an ioctl of that number with another meaning", 1, 1, 0, -EINVAL, 1},
        {"a result that is no success", 1, 1, 0, 1, 1},
        {"success, and nothing done", 1, 1, 0, 0, 0},
        {"no virtual machine to try it on", 1, 1, -ENOMEM, 0, 1},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        Fake fake = fake_upstream("x86_64");
        g_auto(MigdHostKvm) host = {0};

        g_test_message("%s", rows[i].what);
        fake.all = rows[i].first;
        fake.without_protect = rows[i].second;
        fake.all_generation = rows[i].generation;
        fake.create_result = rows[i].create_result;
        fake.all_result = rows[i].all_result;
        probe(&fake, &host);
        g_assert_true(host.known);
        g_assert_false(host.all);
    }
}

static void
test_unknown(void)
{
    Fake closed = {.machine = "x86_64", .open_result = -EACCES};
    Fake strange = fake_upstream("x86_64");
    Fake old = {.machine = "x86_64", .open_result = KVM_FD, .api = 12};
    g_auto(MigdHostKvm) host = {0};

    probe(&closed, &host);
    g_assert_false(host.known);
    g_assert_nonnull(strstr(host.problem, "/dev/kvm"));
    g_assert_cmpint(host.tdp_mmu, ==, MIGD_SWITCH_UNKNOWN);
    strange.api = 11;
    probe(&strange, &host);
    g_assert_false(host.known);
    g_assert_nonnull(strstr(host.problem, "11"));
    g_assert_cmpuint(host.manual_bits, ==, 0);
    probe(&old, &host); /* knows none of it */
    g_assert_true(host.known);
    g_assert_cmpuint(host.manual_bits, ==, 0);
    g_assert_cmpuint(host.ring_entries, ==, 0);
}

/* Errors and odd values of single capabilities. */
static void
test_odd_answers(void)
{
    Fake fake = fake_upstream("x86_64");
    g_auto(MigdHostKvm) host = {0};

    fake.answers[168] = 0xff; /* newer bits */
    fake.answers[192] = (guint32)-EINVAL;
    fake.eager = "maybe";
    fake.tdp = "";
    probe(&fake, &host);
    g_assert_cmpuint(host.manual_bits, ==, 3);
    g_assert_cmpuint(host.ring_entries, ==, 0);
    g_assert_cmpint(host.eager_page_split, ==, MIGD_SWITCH_UNKNOWN);
    g_assert_cmpint(host.tdp_mmu, ==, MIGD_SWITCH_UNKNOWN);
}

/* The real one answers, or says why not; the two are told apart. */
static void
test_this_machine(void)
{
    g_auto(MigdHostKvm) host = {0};

    migd_host_kvm_probe(migd_kvm_port(), &host);
    g_assert_true(host.known == (host.problem == NULL));
    g_assert_cmpuint(host.manual_bits, <=, 3);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/upstream-x86", test_upstream_x86);
    g_test_add_func("/host/upstream-arm64", test_upstream_arm64);
    g_test_add_func("/host/upstream-s390", test_upstream_s390);
    g_test_add_func("/host/patched", test_patched);
    g_test_add_func("/host/numbers-of-old", test_numbers_of_old);
    g_test_add_func("/host/half-patched", test_half_patched);
    g_test_add_func("/host/unknown", test_unknown);
    g_test_add_func("/host/odd-answers", test_odd_answers);
    g_test_add_func("/host/this-machine", test_this_machine);
    return g_test_run();
}
