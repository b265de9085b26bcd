/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * First a slot of its own that is made, logged, and removed, where every page counts; then all at
 * once, as a migration's copy: in the end none may be older than the guest's memory.
 */
#include "churn.h"
#include "rounds.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT_OTHER 2
#define OTHER_AT 0xc0000000u
#define OTHER_PAGES 1024u
#define SLOT_ROUNDS 6
#define FEWEST_TABLES 64 /* KVM_MIN_ALLOC_MMU_PAGES */
#define PAUSE_US 200

typedef struct {
    Vm *vm;
    const Mode *mode;
    uint32_t *copy;
    pthread_mutex_t lock; /* of the copy and of what is counted */
    atomic_bool stop;
    Churn *count;
} Scene;

static uint64_t *
new_bitmap(const Slot *slot)
{
    uint64_t *bitmap = calloc(slot->pages / 64 + 1, sizeof *bitmap);

    if (bitmap == NULL)
        die("no memory");
    return bitmap;
}

static void
start_log(Vm *vm, const Mode *mode, const Slot *slot)
{
    vm_log(vm, slot, true);
    if (mode->around != NULL)
        mode->around(vm, AFTER_START);
}

/* ---- one slot, exactly -------------------------------------------------------------------------
 */

static void
write_slot(Vm *vm, const Slot *slot, uint32_t stride, uint32_t mark)
{
    uint32_t share = slot->pages / vm->n_vcpus;

    for (uint32_t i = 0; i < vm->n_vcpus; i++)
        vm->vcpus[i].segment = (Segment){.first = vm_first_page(slot) + i * share,
                                         .stride = stride,
                                         .count = share / stride,
                                         .mark = mark};
    vm_begin(vm);
    vm_end(vm);
}

static void
count_exactly(Vm *vm, const Mode *mode, const Slot *slot, uint32_t mark, uint64_t *bitmap,
              Churn *ret)
{
    mode_read(vm, mode, slot, bitmap);
    for (uint32_t page = 0; page < slot->pages; page++) {
        bool written = vm_mark(slot, page) == mark;
        bool reported = (bitmap[page / 64] >> page % 64 & 1) != 0;

        ret->written += written;
        ret->missing += written && !reported;
        ret->extra += reported && !written;
    }
}

/* Logged from the beginning, or only once it has been written to; then not logged, then again. */
static uint32_t
slot_round(Vm *vm, const Mode *mode, bool huge, bool log, uint32_t mark, Churn *ret)
{
    Slot slot;
    uint64_t *bitmap;

    vm_add_slot(vm, &slot, SLOT_OTHER, OTHER_AT, OTHER_PAGES, huge, log);
    bitmap = new_bitmap(&slot);
    if (!log) {
        write_slot(vm, &slot, 1, ++mark);
        start_log(vm, mode, &slot);
    }
    mode_read(vm, mode, &slot, bitmap); /* initially-set names everything */
    for (uint32_t stride = 1; stride <= 16; stride *= 4) {
        write_slot(vm, &slot, stride, ++mark);
        count_exactly(vm, mode, &slot, mark, bitmap, ret);
    }
    count_exactly(vm, mode, &slot, ++mark, bitmap, ret); /* nothing */
    vm_log(vm, &slot, false);
    write_slot(vm, &slot, 2, ++mark);
    start_log(vm, mode, &slot);
    mode_read(vm, mode, &slot, bitmap);
    write_slot(vm, &slot, 8, ++mark);
    count_exactly(vm, mode, &slot, mark, bitmap, ret);
    vm_remove_slot(vm, &slot);
    ret->slots++;
    free(bitmap);
    return mark;
}

/* ---- all at once -------------------------------------------------------------------------------
 */

static void
read_and_copy(Scene *scene, uint64_t *bitmap)
{
    const Slot *slot = &scene->vm->slot;

    mode_read(scene->vm, scene->mode, slot, bitmap);
    pthread_mutex_lock(&scene->lock); /* nobody puts an older one over a newer one */
    for (uint32_t page = 0; page < slot->pages; page++) {
        if ((bitmap[page / 64] >> page % 64 & 1) == 0)
            continue;
        scene->copy[page] = vm_mark(slot, page);
        scene->count->copied++;
    }
    scene->count->reads++;
    pthread_mutex_unlock(&scene->lock);
}

static void *
reader_main(void *data)
{
    Scene *scene = data;
    uint64_t *bitmap = new_bitmap(&scene->vm->slot);

    while (!atomic_load(&scene->stop)) {
        read_and_copy(scene, bitmap);
        usleep(PAUSE_US);
    }
    free(bitmap);
    return NULL;
}

static void *
slots_main(void *data)
{
    Scene *scene = data;
    bool log = false;

    while (!atomic_load(&scene->stop)) {
        Slot slot;
        uint64_t *bitmap;

        vm_add_slot(scene->vm, &slot, SLOT_OTHER, OTHER_AT, OTHER_PAGES / 4, false, log);
        bitmap = new_bitmap(&slot);
        if (!log)
            start_log(scene->vm, scene->mode, &slot);
        mode_read(scene->vm, scene->mode, &slot, bitmap);
        vm_remove_slot(scene->vm, &slot);
        free(bitmap);
        scene->count->slots++;
        log = !log;
        usleep(PAUSE_US);
    }
    return NULL;
}

/* What belongs to two processes is write-protected, also where KVM has mapped it. */
static void *
forks_main(void *data)
{
    Scene *scene = data;

    while (!atomic_load(&scene->stop)) {
        pid_t child = fork();

        if (child == 0)
            _exit(0);
        if (child < 0)
            die("no child");
        waitpid(child, NULL, 0);
        scene->count->forks++;
        usleep(10 * PAUSE_US);
    }
    return NULL;
}

static uint32_t
write_while_it_changes(Scene *scene, unsigned passes, uint32_t mark)
{
    void *(*const mains[])(void *) = {slots_main, forks_main, reader_main, reader_main};
    const unsigned n = sizeof mains / sizeof mains[0];
    pthread_t threads[sizeof mains / sizeof mains[0]];
    uint32_t state = 1;

    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, mains[i], scene) != 0)
            die("no thread");
    for (unsigned pass = 0; pass < passes; pass++) {
        rounds_choose(scene->vm, ++mark, &state);
        vm_begin(scene->vm);
        vm_end(scene->vm);
    }
    atomic_store(&scene->stop, true);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return mark;
}

void
churn_run(Vm *vm, const Mode *mode, unsigned passes, uint32_t mark, Churn *ret)
{
    Scene scene = {.vm = vm, .mode = mode, .count = ret};
    uint64_t *bitmap = new_bitmap(&vm->slot);

    *ret = (Churn){0};
    for (unsigned i = 0; i < SLOT_ROUNDS; i++)
        mark = slot_round(vm, mode, i % 4 >= 2, i % 2 == 0, mark, ret);
    must_ioctl(vm->fd, KVM_SET_NR_MMU_PAGES, (void *)FEWEST_TABLES, "KVM_SET_NR_MMU_PAGES");
    pthread_mutex_init(&scene.lock, NULL);
    scene.copy = calloc(vm->slot.pages, sizeof *scene.copy);
    if (scene.copy == NULL)
        die("no memory");
    mode_read(vm, mode, &vm->slot, bitmap);
    for (uint32_t page = 0; page < vm->slot.pages; page++)
        scene.copy[page] = vm_mark(&vm->slot, page);
    (void)write_while_it_changes(&scene, passes, mark);
    read_and_copy(&scene, bitmap);
    for (uint32_t page = 0; page < vm->slot.pages; page++)
        ret->stale += scene.copy[page] != vm_mark(&vm->slot, page);
    free(scene.copy);
    free(bitmap);
}
