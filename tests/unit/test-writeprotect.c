/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what a guest uses and what it should use: the process behind it, the rules, the choice.
 */
#include "writeprotect/choose.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define GIB (1024ull * 1024 * 1024)
#define UUID "11111111-2222-3333-4444-555555555555"

/* ---- a procfs of our own -----------------------------------------------------------------------
 */

typedef struct {
    char *root;
} Proc;

static Proc
proc_new(void)
{
    return (Proc){g_dir_make_tmp("migd-proc-XXXXXX", NULL)};
}

static void
proc_clear(Proc *proc)
{
    const char *argv[] = {"rm", "-rf", proc->root, NULL};

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                               NULL, NULL, NULL));
    g_free(proc->root);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Proc, proc_clear)

static void
put(const Proc *proc, const char *path, const char *text, gssize length)
{
    g_autofree char *file = g_build_filename(proc->root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    g_assert_true(g_file_set_contents(file, text, length, NULL));
}

#define MAPS_PLAIN                                                                                 \
    "7f0000000000-7f0000003000 rw-s 00000000 00:0f 1041  anon_inode:kvm-vcpu:0\n"                  \
    "7f0000010000-7f0000013000 rw-s 00000000 00:0f 1041  anon_inode:kvm-vcpu:1\n"                  \
    "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0     [stack]\n"
#define MAPS_RING                                                                                  \
    MAPS_PLAIN "7f0000020000-7f0000030000 rw-s 00040000 00:0f 1041  anon_inode:kvm-vcpu:0\n"       \
               "7f0000040000-7f0000050000 rw-s 00040000 00:0f 1041  anon_inode:kvm-vcpu:1\n"
#define COMMAND_RING "qemu-system-x86_64\0-uuid\0" UUID "\0-accel\0kvm,dirty-ring-size=4096\0"

static void
put_qemu(const Proc *proc, const char *maps, const char *command, gsize length)
{
    put(proc, "42/maps", maps, -1);
    put(proc, "42/cmdline", command, (gssize)length);
    put(proc, "42/stat", "42 (qemu) S 1 2", -1);
    put(proc, "42/task/42/comm", "qemu\n", -1);
}

static MigdProcessFacts
look_at(const Proc *proc)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdProcess) process = migd_process_open(proc->root, 42, &error);
    MigdProcessFacts facts;

    g_assert_no_error(error);
    g_assert_true(migd_process_look(process, &facts, &error));
    return facts;
}

static void
test_process_ring(void)
{
    g_auto(Proc) proc = proc_new();
    MigdProcessFacts facts;

    put_qemu(&proc, MAPS_RING, COMMAND_RING, sizeof COMMAND_RING - 1);
    put(&proc, "42/task/43/comm", "kvm-reaper\n", -1);
    facts = look_at(&proc);
    g_assert_true(facts.maps);
    g_assert_cmpuint(facts.n_vcpus, ==, 2);
    g_assert_cmpuint(facts.ring_entries, ==, 4096);
    g_assert_cmpuint(facts.asked_entries, ==, 4096);
    g_assert_true(facts.threads);
    g_assert_true(facts.reaper);
}

/* Whatever a guest is named, it does not pass for an option. */
static void
test_process_names(void)
{
    static const char command[] = "qemu\0-name\0kvm,dirty-ring-size=4096\0-accel\0kvm\0"
                                  "-append\0-accel dirty-ring-size=2048\0";
    g_auto(Proc) proc = proc_new();
    MigdProcessFacts facts;

    put_qemu(&proc, MAPS_PLAIN "7f0000060000-7f0000070000 rw-s 00040000 08:01 77  /tmp/evil\n",
             command, sizeof command - 1);
    put(&proc, "42/stat", "42 (qemu) Z 9 (x) S 1 2", -1); /* the name of it is "qemu) Z 9 (x" */
    facts = look_at(&proc);
    g_assert_cmpuint(facts.ring_entries, ==, 0);
    g_assert_cmpuint(facts.asked_entries, ==, 0);
    g_assert_false(facts.reaper);
}

static void
test_process_garbage(void)
{
    static const char *const maps[] = {
        "",
        "\n\n",
        "anon_inode:kvm-vcpu\n",
        "ffffffffffffffff-0 rw-s 00040000 00:0f 1 anon_inode:kvm-vcpu:0\n",
        "0-ffffffffffffffff rw-s 00040000 00:0f 1 anon_inode:kvm-vcpu:0\n",
        "zz-yy rw-s 00040000 00:0f 1 anon_inode:kvm-vcpu:0\n",
        "7f0000020000-7f0000030000 rw-s",
    };

    for (guint i = 0; i < G_N_ELEMENTS(maps); i++) {
        MigdProcessFacts facts = {0};

        migd_process_read_maps(maps[i], &facts);
        g_assert_cmpuint(facts.ring_entries, ==, 0);
    }
}

static void
test_process_uuid(void)
{
    static const char other[] = "qemu\0-name\0" UUID "\0-uuid\0"
                                "99999999-2222-3333-4444-555555555555\0";
    g_auto(Proc) proc = proc_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdProcess) process = NULL;

    put_qemu(&proc, MAPS_RING, COMMAND_RING, sizeof COMMAND_RING - 1);
    process = migd_process_open(proc.root, 42, &error);
    g_assert_true(migd_process_has_uuid(process, UUID, &error));
    put(&proc, "42/cmdline", other, sizeof other - 1);
    g_assert_false(migd_process_has_uuid(process, UUID, &error));
    g_assert_nonnull(strstr(error->message, "42"));
    g_clear_error(&error);
    g_assert_null(migd_process_open(proc.root, 4711, &error));
    g_assert_nonnull(error);
}

/* Dead but not buried: its files are there, and empty. */
static void
test_process_zombie(void)
{
    g_auto(Proc) proc = proc_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdProcess) process = NULL;
    MigdProcessFacts facts = {.n_vcpus = 77};

    put_qemu(&proc, "", "", 0);
    put(&proc, "42/stat", "42 (qemu) Z 1 2", -1);
    process = migd_process_open(proc.root, 42, &error);
    g_assert_false(migd_process_look(process, &facts, &error));
    g_assert_nonnull(strstr(error->message, "died"));
    g_assert_cmpuint(facts.n_vcpus, ==, 77); /* untouched */
}

/* A real process that dies between the pinning and the look, buried or not. */
static void
test_process_dies(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdProcess) process = NULL;
    MigdProcessFacts facts;
    pid_t child = fork();
    siginfo_t info;

    g_assert_cmpint(child, >=, 0);
    if (child == 0)
        for (;;)
            pause();
    process = migd_process_open("/proc", child, &error);
    g_assert_true(migd_process_look(process, &facts, &error));
    g_assert_true(facts.maps);
    g_assert_cmpint(kill(child, SIGKILL), ==, 0);
    g_assert_cmpint(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), ==, 0);
    g_assert_false(migd_process_look(process, &facts, &error));
    g_clear_error(&error);
    g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
    g_assert_false(migd_process_look(process, &facts, &error));
}

/* ---- a number that is used again ---------------------------------------------------------------
 */

static pid_t
sleeper(void)
{
    pid_t child = fork();

    if (child == 0)
        for (;;)
            pause();
    return child;
}

static void
end(pid_t child)
{
    if (kill(child, SIGKILL) == 0)
        waitpid(child, NULL, 0);
}

/* Runs as process 1 of a PID namespace of its own, where it may say which number comes next.
 * Returns what went wrong; NULL = nothing. */
static const char *
reuse(const char *proc)
{
    g_autofree char *next = g_build_filename(proc, "sys/kernel/ns_last_pid", NULL);
    pid_t first = sleeper(), second;
    g_autoptr(MigdProcess) pinned = migd_process_open(proc, first, NULL);
    g_autoptr(MigdProcess) fresh = NULL;
    MigdProcessFacts facts;
    FILE *file;

    if (pinned == NULL || !migd_process_look(pinned, &facts, NULL))
        return "the first is not seen";
    end(first);
    file = fopen(next, "w");
    if (file == NULL || fprintf(file, "%d", (int)first - 1) < 0 || fclose(file) != 0)
        return "the next number cannot be chosen";
    second = sleeper();
    if (second != first)
        return "the number was not used again";
    fresh = migd_process_open(proc, second, NULL);
    if (fresh == NULL || !migd_process_look(fresh, &facts, NULL))
        return "the second is not seen";
    if (migd_process_look(pinned, &facts, NULL))
        return "the second passes for the first";
    end(second);
    return NULL;
}

/* The pinned process has died, and another has its number. */
static void
test_process_reuse(void)
{
    g_autofree char *proc = g_dir_make_tmp("migd-proc-XXXXXX", NULL);
    int status, pipe_fds[2];
    char answer[128] = "";
    pid_t helper;

    g_assert_cmpint(pipe(pipe_fds), ==, 0);
    helper = fork();
    if (helper == 0) {
        const char *problem = "no namespace of our own";

        if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0)
            _exit(errno == EPERM ? 77 : 1);
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0) {
            pid_t first = fork();

            if (first == 0) {
                problem = mount("proc", proc, "proc", 0, NULL) == 0 ? reuse(proc) : "no procfs";
                dprintf(pipe_fds[1], "%s", problem != NULL ? problem : "fine");
                _exit(0);
            }
            waitpid(first, NULL, 0);
        }
        _exit(0);
    }
    close(pipe_fds[1]);
    g_assert_cmpint(waitpid(helper, &status, 0), ==, helper);
    g_assert_cmpint(read(pipe_fds[0], answer, sizeof answer - 1), >=, 0);
    close(pipe_fds[0]);
    g_rmdir(proc);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        g_test_skip("not root: no PID namespace of our own");
        return;
    }
    g_assert_cmpstr(answer, ==, "fine");
}

/* ---- rules -------------------------------------------------------------------------------------
 */

static const MigdHostKvm modern = {.known = TRUE, .manual_bits = 3, .ring_entries = 65536};
static const MigdHostKvm patched = {
    .known = TRUE, .manual_bits = 3, .ring_entries = 65536, .all = TRUE};
static const MigdHostKvm middling = {.known = TRUE, .manual_bits = 1};
static const MigdHostKvm ancient = {.known = TRUE};
static const MigdProcessFacts ring_process = {.maps = TRUE,
                                              .n_vcpus = 2,
                                              .ring_entries = 4096,
                                              .threads = TRUE,
                                              .reaper = TRUE,
                                              .asked_entries = 4096};
static const MigdProcessFacts refused_process = {
    .maps = TRUE, .n_vcpus = 2, .threads = TRUE, .asked_entries = 4096};
static const MigdProcessFacts plain_process = {.maps = TRUE, .n_vcpus = 2, .threads = TRUE};
static const MigdProcessFacts thread_only = {
    .threads = TRUE, .reaper = TRUE, .asked_entries = 4096};
static const MigdProcessFacts asked_only = {.asked_entries = 4096};
static const MigdProcessFacts stranger = {.maps = TRUE, .threads = TRUE};

typedef struct {
    const char *what;
    MigdWriteProtectFacts facts;
    MigdMechanism active;
    guint32 evidence, absent; /* bits that must, and must not, be there */
} Rule;

#define KVM .running = TRUE, .kvm = MIGD_SEEN_YES

static const Rule rules[] = {
    {"nothing is known", {0}, MIGD_MECHANISM_UNKNOWN, 0, ~0u},
    {"TCG",
     {.running = TRUE, .kvm = MIGD_SEEN_NO, .host = &modern, .process = &plain_process},
     MIGD_MECHANISM_NONE,
     MIGD_EVIDENCE_ACCELERATOR,
     MIGD_EVIDENCE_INFERRED},
    {"TCG by a command line that asks for a ring",
     {.running = TRUE, .kvm = MIGD_SEEN_NO, .host = &modern, .process = &asked_only},
     MIGD_MECHANISM_NONE,
     MIGD_EVIDENCE_ACCELERATOR,
     0},
    {"ring mapped",
     {KVM, .host = &modern, .process = &ring_process, .ring = MIGD_SEEN_YES},
     MIGD_MECHANISM_RING,
     MIGD_EVIDENCE_RING_MAPPING | MIGD_EVIDENCE_RING_THREAD | MIGD_EVIDENCE_MONITOR,
     MIGD_EVIDENCE_INFERRED | MIGD_EVIDENCE_REFUSED},
    {"asked for and refused",
     {KVM, .host = &modern, .process = &refused_process, .ring = MIGD_SEEN_NO},
     MIGD_MECHANISM_MANUAL_INITIAL,
     MIGD_EVIDENCE_REFUSED | MIGD_EVIDENCE_COMMAND_LINE | MIGD_EVIDENCE_NO_RING_MAPPING,
     MIGD_EVIDENCE_RING_THREAD},
    {"asked for in the XML and refused, by the monitor's word alone",
     {KVM, .host = &modern, .xml_entries = 4096, .ring = MIGD_SEEN_NO},
     MIGD_MECHANISM_MANUAL_INITIAL,
     MIGD_EVIDENCE_REFUSED | MIGD_EVIDENCE_DOMAIN_XML,
     0},
    {"the monitor's word alone",
     {KVM, .host = &modern, .ring = MIGD_SEEN_YES},
     MIGD_MECHANISM_RING,
     MIGD_EVIDENCE_MONITOR,
     MIGD_EVIDENCE_INFERRED},
    {"the monitor and the map disagree: the map counts",
     {KVM, .host = &modern, .process = &plain_process, .ring = MIGD_SEEN_YES},
     MIGD_MECHANISM_MANUAL_INITIAL,
     MIGD_EVIDENCE_NO_RING_MAPPING,
     MIGD_EVIDENCE_MONITOR},
    {"maps are not permitted",
     {KVM, .host = &modern, .process = &thread_only},
     MIGD_MECHANISM_RING,
     MIGD_EVIDENCE_RING_THREAD,
     MIGD_EVIDENCE_RING_MAPPING},
    {"only the request is known",
     {KVM, .host = &modern, .process = &asked_only},
     MIGD_MECHANISM_RING,
     MIGD_EVIDENCE_COMMAND_LINE | MIGD_EVIDENCE_INFERRED,
     0},
    {"only the request is known, and the host cannot",
     {KVM, .host = &ancient, .process = &asked_only},
     MIGD_MECHANISM_LEGACY,
     MIGD_EVIDENCE_REFUSED | MIGD_EVIDENCE_INFERRED,
     0},
    {"only the XML is known",
     {KVM, .host = &modern, .xml_entries = 8192},
     MIGD_MECHANISM_RING,
     MIGD_EVIDENCE_DOMAIN_XML | MIGD_EVIDENCE_INFERRED,
     0},
    {"a process that is not the guest's",
     {KVM, .host = &modern, .process = &stranger},
     MIGD_MECHANISM_MANUAL_INITIAL,
     MIGD_EVIDENCE_INFERRED,
     MIGD_EVIDENCE_NO_RING_MAPPING},
    {"modern",
     {KVM, .host = &modern, .process = &plain_process, .version = 702},
     MIGD_MECHANISM_MANUAL_INITIAL,
     MIGD_EVIDENCE_VERSION | MIGD_EVIDENCE_INFERRED,
     0},
    {"QEMU 5.0",
     {KVM, .host = &modern, .process = &plain_process, .version = 500},
     MIGD_MECHANISM_MANUAL,
     MIGD_EVIDENCE_VERSION,
     0},
    {"QEMU 4.0", {KVM, .host = &modern, .version = 400}, MIGD_MECHANISM_LEGACY, 0, 0},
    {"host without initially-set", {KVM, .host = &middling}, MIGD_MECHANISM_MANUAL, 0, 0},
    {"old host", {KVM, .host = &ancient}, MIGD_MECHANISM_LEGACY, MIGD_EVIDENCE_INFERRED, 0},
    {"no host",
     {KVM, .process = &plain_process},
     MIGD_MECHANISM_UNKNOWN,
     0,
     MIGD_EVIDENCE_INFERRED},
    {"the seed's",
     {KVM, .host = &patched, .has_all = TRUE, .all_on = TRUE},
     MIGD_MECHANISM_ALL,
     MIGD_EVIDENCE_CAPABILITY,
     MIGD_EVIDENCE_INFERRED},
    {"the seed's, there but off",
     {KVM, .host = &patched, .has_all = TRUE},
     MIGD_MECHANISM_MANUAL_INITIAL,
     0,
     MIGD_EVIDENCE_CAPABILITY},
    {"shut off",
     {.kvm = MIGD_SEEN_YES, .host = &modern, .can_define = TRUE, .next_entries = 4096},
     MIGD_MECHANISM_UNKNOWN,
     0,
     0},
};

static void
test_rules(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(rules); i++) {
        MigdWriteProtect found;

        g_test_message("%s", rules[i].what);
        migd_write_protect_detect(&rules[i].facts, &found);
        g_assert_cmpstr(migd_mechanism_to_string(found.active), ==,
                        migd_mechanism_to_string(rules[i].active));
        g_assert_cmphex(found.evidence & rules[i].evidence, ==, rules[i].evidence);
        g_assert_cmphex(found.evidence & rules[i].absent, ==, 0);
    }
}

static void
test_next_boot(void)
{
    MigdWriteProtectFacts facts = {KVM, .host = &modern, .process = &plain_process,
                                   .can_define = TRUE};
    MigdWriteProtect found;

    migd_write_protect_detect(&facts, &found);
    g_assert_cmpint(found.next_boot, ==, MIGD_MECHANISM_MANUAL_INITIAL);
    g_assert_cmphex(found.settable_next, ==,
                    1u << MIGD_MECHANISM_RING | 1u << MIGD_MECHANISM_MANUAL_INITIAL);
    g_assert_cmphex(found.settable_now, ==, 0);
    facts.next_entries = 4096;
    migd_write_protect_detect(&facts, &found);
    g_assert_cmpint(found.next_boot, ==, MIGD_MECHANISM_RING);
    facts.host = &middling; /* it would fall back */
    migd_write_protect_detect(&facts, &found);
    g_assert_cmpint(found.next_boot, ==, MIGD_MECHANISM_MANUAL);
    g_assert_cmphex(found.settable_next & 1u << MIGD_MECHANISM_RING, ==, 0);
}

static void
test_words(void)
{
    g_autofree const char **evidence =
        migd_evidence_names(MIGD_EVIDENCE_RING_MAPPING | MIGD_EVIDENCE_INFERRED);
    g_autofree const char **mechanisms =
        migd_mechanism_names(1u << MIGD_MECHANISM_LEGACY | 1u << MIGD_MECHANISM_RING);
    MigdMechanism mechanism = MIGD_MECHANISM_ALL;

    g_assert_cmpstr(evidence[0], ==, "ring-mapping");
    g_assert_cmpstr(evidence[1], ==, "inferred");
    g_assert_null(evidence[2]);
    g_assert_cmpstr(mechanisms[0], ==, "legacy");
    g_assert_cmpstr(mechanisms[1], ==, "dirty-ring");
    g_assert_null(mechanisms[2]);
    g_assert_false(migd_mechanism_from_string("unknown", &mechanism));
    g_assert_false(migd_mechanism_from_string("", &mechanism));
    g_assert_cmpint(mechanism, ==, MIGD_MECHANISM_ALL);
    for (guint i = MIGD_MECHANISM_NONE; i < MIGD_N_MECHANISMS; i++) {
        g_assert_true(
            migd_mechanism_from_string(migd_mechanism_to_string((MigdMechanism)i), &mechanism));
        g_assert_cmpint(mechanism, ==, (MigdMechanism)i);
    }
}

/* ---- the choice --------------------------------------------------------------------------------
 */

static MigdChoice
choose(const MigdWriteProtectFacts *facts, const char *allow, const char *wanted, GError **error)
{
    MigdWriteProtect found;
    MigdChoice choice = {.mechanism = MIGD_N_MECHANISMS};
    MigdProfile profile;

    migd_profile_init(&profile);
    if (allow != NULL)
        g_assert_true(migd_profile_set(&profile, "Allow", allow, NULL));
    migd_write_protect_detect(facts, &found);
    (void)migd_write_protect_choose(&found, &profile, wanted, 64 * GIB, &choice, error);
    return choice;
}

static void
test_choose_best(void)
{
    static const struct {
        const char *what;
        MigdWriteProtectFacts facts;
        const char *allow;
        MigdMechanism mechanism;
        MigdEffect effect;
    } rows[] = {
        {"nothing to do",
         {KVM, .host = &modern, .can_define = TRUE},
         NULL,
         MIGD_MECHANISM_MANUAL_INITIAL,
         MIGD_EFFECT_NONE},
        {"a ring in use",
         {KVM, .host = &modern, .process = &ring_process, .can_define = TRUE},
         NULL,
         MIGD_MECHANISM_RING,
         MIGD_EFFECT_NONE},
        {"a ring that somebody has set",
         {KVM, .host = &modern, .can_define = TRUE, .next_entries = 1024},
         NULL,
         MIGD_MECHANISM_RING,
         MIGD_EFFECT_NEXT_BOOT},
        {"the seed's, with something to set against it",
         {KVM, .host = &patched, .has_all = TRUE},
         NULL,
         MIGD_MECHANISM_ALL,
         MIGD_EFFECT_NOW},
        {"the seed's, with nothing to set against it",
         {KVM, .host = &patched, .has_all = TRUE},
         "downtime",
         MIGD_MECHANISM_MANUAL_INITIAL,
         MIGD_EFFECT_NONE},
        {"an old QEMU under libvirt",
         {KVM, .host = &modern, .version = 400, .can_define = TRUE},
         NULL,
         MIGD_MECHANISM_LEGACY,
         MIGD_EFFECT_NONE},
        {"TCG",
         {.running = TRUE, .kvm = MIGD_SEEN_NO, .can_define = TRUE},
         NULL,
         MIGD_MECHANISM_NONE,
         MIGD_EFFECT_NONE},
        {"nothing known", {0}, NULL, MIGD_MECHANISM_UNKNOWN, MIGD_EFFECT_NONE},
    };
    MigdHostKvm rings_only = {.known = TRUE, .ring_entries = 65536};
    MigdWriteProtectFacts legacy = {KVM, .host = &rings_only, .can_define = TRUE};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(MigdChoice) choice = choose(&rows[i].facts, rows[i].allow, "auto", &error);

        g_test_message("%s", rows[i].what);
        g_assert_no_error(error);
        g_assert_cmpint(choice.mechanism, ==, rows[i].mechanism);
        g_assert_cmpint(choice.effect, ==, rows[i].effect);
        g_assert_cmpuint(strlen(choice.reason), >, 10);
    }
    g_auto(MigdChoice) ring = choose(&legacy, NULL, "auto", NULL);
    g_assert_cmpint(ring.mechanism, ==, MIGD_MECHANISM_RING);
    g_assert_cmpint(ring.effect, ==, MIGD_EFFECT_NEXT_BOOT);
}

static void
test_choose_by_name(void)
{
    const MigdWriteProtectFacts bare = {KVM, .host = &modern, .process = &plain_process};
    const MigdWriteProtectFacts libvirt = {KVM, .host = &modern, .can_define = TRUE};
    const MigdWriteProtectFacts set = {KVM, .host = &modern, .can_define = TRUE,
                                       .next_entries = 4096};
    const MigdWriteProtectFacts old = {KVM, .host = &middling, .can_define = TRUE};
    const MigdWriteProtectFacts tcg = {.running = TRUE, .kvm = MIGD_SEEN_NO, .can_define = TRUE};
    const MigdWriteProtectFacts ring = {KVM, .host = &modern, .process = &ring_process,
                                        .has_all = TRUE};
    const MigdWriteProtectFacts unpatched = {KVM, .host = &modern, .has_all = TRUE};
    const MigdWriteProtectFacts blind = {KVM, .has_all = TRUE, .process = &plain_process};
    const MigdWriteProtectFacts all = {KVM, .host = &patched, .has_all = TRUE, .all_on = TRUE};
    const struct {
        const MigdWriteProtectFacts *facts;
        const char *wanted, *refusal; /* NULL = not refused */
        MigdEffect effect;
    } rows[] = {
        {&bare, "dirty-ring", "dirty-ring-size=4096", MIGD_EFFECT_NONE},
        {&bare, "manual-protect+initially-set", NULL, MIGD_EFFECT_NONE},
        {&bare, "write-protect-all", "x-write-protect-all", MIGD_EFFECT_NONE},
        {&bare, "none", "KVM", MIGD_EFFECT_NONE},
        {&bare, "legacy", "does not have it", MIGD_EFFECT_NONE},
        {&bare, "fastest", "fastest", MIGD_EFFECT_NONE},
        {&libvirt, "dirty-ring", NULL, MIGD_EFFECT_NEXT_BOOT},
        {&set, "dirty-ring", NULL, MIGD_EFFECT_NEXT_BOOT},
        {&set, "manual-protect+initially-set", NULL, MIGD_EFFECT_NEXT_BOOT}, /* undo */
        {&old, "dirty-ring", "does not have it", MIGD_EFFECT_NONE},
        {&tcg, "dirty-ring", "without KVM", MIGD_EFFECT_NONE},
        {&ring, "write-protect-all", "dirty ring", MIGD_EFFECT_NONE},
        {&unpatched, "write-protect-all", "this host's KVM does not have it", MIGD_EFFECT_NONE},
        {&blind, "write-protect-all", NULL, MIGD_EFFECT_NOW},          /* QEMU knows better */
        {&all, "manual-protect+initially-set", NULL, MIGD_EFFECT_NOW}, /* undo */
        {&all, "write-protect-all", NULL, MIGD_EFFECT_NONE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(MigdChoice) choice = choose(rows[i].facts, NULL, rows[i].wanted, &error);

        g_test_message("%u: %s", i, rows[i].wanted);
        if (rows[i].refusal != NULL) {
            g_assert_nonnull(error);
            g_assert_nonnull(strstr(error->message, rows[i].refusal));
            continue;
        }
        g_assert_no_error(error);
        g_assert_cmpint(choice.effect, ==, rows[i].effect);
    }
}

/* The order of magnitude, against the figures that the rows are made of. */
static void
test_price(void)
{
    g_autofree char *ring = migd_mechanism_price(MIGD_MECHANISM_RING, 128 * GIB);
    g_autofree char *none = migd_mechanism_price(MIGD_MECHANISM_NONE, 128 * GIB);

    g_assert_cmpuint(migd_mechanism_start_us(MIGD_MECHANISM_LEGACY, 3 * GIB) / 1000, ==, 64);
    g_assert_cmpuint(migd_mechanism_start_us(MIGD_MECHANISM_MANUAL, 128 * GIB) / 1000, ==, 460);
    g_assert_cmpuint(migd_mechanism_start_us(MIGD_MECHANISM_MANUAL_INITIAL, 128 * GIB) / 1000, ==,
                     9);
    g_assert_cmpuint(migd_mechanism_start_us(MIGD_MECHANISM_ALL, 3 * GIB), ==, 138);
    g_assert_cmpuint(migd_mechanism_start_us(MIGD_MECHANISM_ALL, 3000 * GIB), ==, 138);
    g_assert_nonnull(strstr(ring, "460 ms"));
    g_assert_null(strstr(none, " ms"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/process/ring", test_process_ring);
    g_test_add_func("/process/names", test_process_names);
    g_test_add_func("/process/garbage", test_process_garbage);
    g_test_add_func("/process/uuid", test_process_uuid);
    g_test_add_func("/process/zombie", test_process_zombie);
    g_test_add_func("/process/dies", test_process_dies);
    g_test_add_func("/process/reuse", test_process_reuse);
    g_test_add_func("/detect/rules", test_rules);
    g_test_add_func("/detect/next-boot", test_next_boot);
    g_test_add_func("/detect/words", test_words);
    g_test_add_func("/choose/best", test_choose_best);
    g_test_add_func("/choose/by-name", test_choose_by_name);
    g_test_add_func("/choose/price", test_price);
    return g_test_run();
}
