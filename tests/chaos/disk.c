/* SPDX-License-Identifier: Apache-2.0 */
/* A full disk under the store, wherever the failure strikes. */
#include "chaos.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DISK_MIB 24
#define PAGE 4096
#define RECOVERY_MS 3000

struct disk {
    struct chaos *chaos;
    struct chaos_site site;
    struct chaos_client client;
    struct chaos_load load;
    struct chaos_serials serials;
    char store[340], ballast[360];
};

static bool
write_text(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* Mounts of our own: as root, else in a user namespace in which we stay who we are. */
static bool
own_mounts(void)
{
    const unsigned uid = geteuid(), gid = getegid();
    char text[64];

    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            return false;
        (void)write_text("/proc/self/setgroups", "deny");
        (void)snprintf(text, sizeof(text), "%u %u 1", uid, uid);
        if (!write_text("/proc/self/uid_map", text))
            return false;
        (void)snprintf(text, sizeof(text), "%u %u 1", gid, gid);
        if (!write_text("/proc/self/gid_map", text))
            return false;
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool
copy_file(const char *from, const char *to)
{
    const int in = open(from, O_RDONLY | O_CLOEXEC);
    const int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char bytes[65536];
    ssize_t n = -1;

    if (in >= 0 && out >= 0)
        while ((n = read(in, bytes, sizeof(bytes))) > 0)
            if (write(out, bytes, (size_t)n) != n)
                break;
    if (in >= 0)
        (void)close(in);
    if (out >= 0)
        (void)close(out);
    return n == 0;
}

/* The store's folder becomes a small file system that holds what the folder held. */
static bool
shrink(struct disk *d)
{
    char db[360], aside[360], options[64];

    (void)snprintf(d->store, sizeof(d->store), "%s/store", d->site.server.home);
    (void)snprintf(d->ballast, sizeof(d->ballast), "%s/ballast", d->store);
    (void)snprintf(db, sizeof(db), "%s/state.db", d->store);
    (void)snprintf(aside, sizeof(aside), "%s/state.db", d->site.server.dir);
    (void)snprintf(options, sizeof(options), "size=%dm,mode=0700", DISK_MIB);
    if (copy_file(db, aside) && mount("tmpfs", d->store, "tmpfs", 0, options) == 0 &&
        copy_file(aside, db))
        return true;
    chaos_fail(d->chaos, "no small file system for the store: %s", strerror(errno));
    return false;
}

static struct disk *
begin(struct chaos *c)
{
    struct disk *d;

    if (!own_mounts()) {
        chaos_skip(c,
            "no mount namespace can be made here (%s): run as root, or permit user "
            "namespaces",
            strerror(errno));
        return NULL;
    }
    if ((d = calloc(1, sizeof(*d))) == NULL)
        return NULL;
    d->chaos = c;
    if (chaos_site_make(c, &d->site) && shrink(d) && chaos_site_start(c, &d->site) &&
        chaos_client_open(c, &d->site, "psa", &d->client) &&
        chaos_load_start(c, &d->site, 3, &d->load)) {
        chaos_load_stop(&d->load, 5000);
        return d;
    }
    chaos_site_end(c, &d->site);
    free(d);
    return NULL;
}

/* ---- space ---- */

/* Everything but @p left pages; again, until nothing more is to be had. */
static void
fill(struct disk *d, unsigned left)
{
    static const char page[PAGE];
    const int fd = open(d->ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct stat st;

    while (fd >= 0 && write(fd, page, sizeof(page)) == (ssize_t)sizeof(page))
        ;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= (off_t)left * PAGE &&
        ftruncate(fd, st.st_size - (off_t)left * PAGE) != 0)
        chaos_fail(d->chaos, "no page is given back: %s", strerror(errno));
    if (fd >= 0)
        (void)close(fd);
}

static void
unfill(struct disk *d)
{
    (void)unlink(d->ballast);
}

/* ---- what must hold ---- */

static void
enrol(struct disk *d, struct chaos_attempt *a)
{
    chaos_enrol(&d->client, AGENT_TAMPER_NONE, a);
    if (a->wrong[0] != '\0')
        chaos_fail(d->chaos, "%s", a->wrong);
    else if (a->status == 201)
        chaos_load_note(&d->load, a);
}

/* One enrolment on the full disk: it succeeds for good, or is refused as it should be. */
static bool
enrol_on_full(struct disk *d)
{
    struct chaos_attempt a;
    bool refused;
    long ready;

    enrol(d, &a);
    refused = a.status == 500;
    if (a.status != 201 && (a.status != 500 || strcmp(a.code, "internal") != 0 ||
                               strcmp(a.check, "server.store") != 0))
        chaos_fail(d->chaos, "on a full disk: %ld %s %s", a.status, a.code, a.check);
    chaos_attempt_clear(&a);
    if (chaos_get(&d->client, "/healthz", NULL, NULL) != 200)
        chaos_fail(d->chaos, "/healthz on a full disk");
    ready = chaos_get(&d->client, "/readyz", NULL, NULL);
    if (refused && ready != 503) {
        /* The store may have made room in its own log meanwhile: then it must keep its word. */
        enrol(d, &a);
        if (ready != 200 || a.status != 201)
            chaos_fail(d->chaos, "/readyz says %ld after a failed enrolment, the next one is %ld",
                ready, a.status);
        chaos_attempt_clear(&a);
        refused = false;
    }
    return refused;
}

/* Enrol until the disk stops it; then it must stay so. */
static void
until_refused(struct disk *d, unsigned left)
{
    unsigned accepted = 0, again = 0;

    while (!enrol_on_full(d) && ++accepted < 20000 && !d->chaos->failed)
        if (accepted % 64 == 0)
            fill(d, left);
    for (unsigned i = 0; i < 8 && !d->chaos->failed; i++)
        again += enrol_on_full(d);
    chaos_say(d->chaos, "%u pages left: %u more were accepted, then %u of 8 refused", left,
        accepted, again);
    if (accepted == 20000)
        chaos_fail(d->chaos, "the disk never was full");
}

static void
recovers(struct disk *d, const char *after)
{
    const int64_t begin = chaos_now_ms();
    struct chaos_attempt a;
    long status, ready;

    enrol(d, &a);
    status = a.status;
    if (status != 201)
        chaos_fail(d->chaos, "%s, with space again: %ld %s %s", after, status, a.code, a.check);
    chaos_attempt_clear(&a);
    while ((ready = chaos_get(&d->client, "/readyz", NULL, NULL)) != 200 &&
           chaos_now_ms() - begin < RECOVERY_MS)
        chaos_sleep_ms(20);
    if (ready != 200)
        chaos_fail(d->chaos, "%s, with space again: /readyz says %ld", after, ready);
}

/* ---- the rounds ---- */

/* Filled under load, so that it strikes anywhere: the log, its index, a checkpoint. */
static void
fill_under_load(struct disk *d)
{
    if (!chaos_load_start(d->chaos, &d->site, 3, &d->load))
        return;
    chaos_sleep_ms(200 + chaos_random(300));
    for (unsigned i = 0; i < 20; i++) {
        fill(d, chaos_random(4) * chaos_random(16));
        chaos_sleep_ms(20 + chaos_random(40));
        if (i % 5 == 4)
            unfill(d);
    }
    unfill(d);
    chaos_load_stop(&d->load, 5000);
    recovers(d, "filled under load");
    chaos_load_audit(&d->load, &d->serials);
}

/* The authority is restarted without room for the store's own files. */
static void
restart_on_full(struct disk *d)
{
    struct chaos_attempt a;
    const int64_t begin = chaos_now_ms();
    pid_t pid;
    long status = 0;

    fill(d, 0);
    if (chaos_site_pids(&d->site, "authority", &pid, 1) == 1)
        (void)kill(pid, SIGKILL);
    for (unsigned i = 0; i < 10; i++) {
        enrol(d, &a);
        if (a.status != 0 && a.status < 500 && a.status != 201)
            chaos_fail(d->chaos, "without an authority: %ld %s", a.status, a.code);
        chaos_attempt_clear(&a);
        if (chaos_get(&d->client, "/healthz", NULL, NULL) != 200)
            chaos_fail(d->chaos, "/healthz without an authority");
        chaos_sleep_ms(50);
    }
    unfill(d);
    while (status != 201 && chaos_now_ms() - begin < 10000) {
        enrol(d, &a);
        status = a.status;
        chaos_attempt_clear(&a);
        chaos_sleep_ms(20);
    }
    if (status != 201)
        chaos_fail(d->chaos, "an authority restarted on a full disk does not recover");
    chaos_say(d->chaos, "authority killed on a full disk: works %lld ms later",
        (long long)(chaos_now_ms() - begin));
}

/* And the whole server: it starts or says why not, and loses nothing. */
static void
start_on_full(struct disk *d)
{
    struct bh_diag diag = {0};

    fill(d, 0);
    chaos_site_kill(d->chaos, &d->site, true);
    if (bh_test_server_start(&d->site.server, &diag) == BH_OK)
        chaos_site_kill(d->chaos, &d->site, true);
    else if (!bh_test_server_logged(&d->site.server, 0, "start-failed", 1000))
        chaos_fail(d->chaos, "no start on a full disk, and no reason");
    unfill(d);
    if (chaos_site_start(d->chaos, &d->site)) {
        recovers(d, "started on a full disk");
        chaos_load_audit(&d->load, &d->serials);
    }
}

static void
one_round(struct disk *d)
{
    static const unsigned levels[] = {0, 1, 2, 4, 8, 16, 40};

    for (size_t i = 0; i < BH_COUNT(levels) && !d->chaos->failed; i++) {
        fill(d, levels[i]);
        until_refused(d, levels[i]);
        unfill(d);
        recovers(d, "full");
    }
    fill_under_load(d);
    restart_on_full(d);
    start_on_full(d);
}

void
chaos_full_disk(struct chaos *c)
{
    const int64_t end = chaos_now_ms() + (int64_t)c->seconds * 1000;
    struct disk *d = begin(c);
    struct statvfs vfs;

    if (d == NULL)
        return;
    /* As long as everything that is kept leaves room for the next round. */
    do
        one_round(d);
    while (chaos_now_ms() < end && !c->failed && statvfs(d->store, &vfs) == 0 &&
           vfs.f_bavail * vfs.f_bsize > (unsigned long)DISK_MIB << 18);
    const char *const check[] = {"beachhead-server", "check", "--dir", d->site.server.home, NULL};
    if (bh_test_server_run(&d->site.server, check, NULL) != 0)
        chaos_fail(c, "`beachhead-server check` finds a problem");
    chaos_serials_check(c, &d->site, &d->serials);
    chaos_load_free(&d->load);
    chaos_client_close(&d->client);
    (void)umount2(d->store, MNT_DETACH);
    chaos_site_end(c, &d->site);
    free(d);
}
