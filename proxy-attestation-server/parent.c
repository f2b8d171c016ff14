/* SPDX-License-Identifier: Apache-2.0 */
/* `beachhead-server run`. */
#include "commands.h"
#include "server.h"

#include "core/file.h"
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <openssl/crypto.h>

static void
usage(FILE *to)
{
    (void)fputs(
        "usage: beachhead-server run --dir DIR\n"
        "\n"
        "Serve from the folder that `beachhead-server init` made. Logs JSON lines on standard\n"
        "error; writes DIR/run/url when it accepts requests. SIGHUP reloads policy, trust,\n"
        "endorsed keys, collateral and TLS certificate; SIGTERM finishes what was begun and ends.\n"
        "\n"
        "example: beachhead-server run --dir /var/lib/beachhead\n",
        to);
}

/* What is opened where standard error should be would get the log: a socket, the database. */
static enum bh_err
fill_standard_descriptors(struct bh_diag *diag)
{
    int fd;

    do
        if ((fd = open("/dev/null", O_RDWR)) < 0)
            return bh_fail(diag, BH_ERR_IO, "/dev/null: %s", strerror(errno));
    while (fd <= STDERR_FILENO);
    (void)close(fd);
    return BH_OK;
}

/* The parent holds the TLS key for frontends that it starts again. */
static void
forbid_core_dumps(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
}

static enum bh_err
read_config(struct pas_server *s, const char *dir, struct bh_diag *diag)
{
    char path[PAS_DIR_MAX], *absolute = realpath(dir, NULL);
    enum bh_err e;

    if (absolute == NULL || strlen(absolute) >= sizeof(s->dir)) {
        free(absolute);
        return bh_fail(diag, BH_ERR_IO, "%s: %s", dir, strerror(errno));
    }
    (void)snprintf(s->dir, sizeof(s->dir), "%s", absolute);
    free(absolute);
    if ((e = bh_path_join(path, sizeof(path), s->dir, "server.json")) != BH_OK ||
        (e = bh_file_read(path, BH_POLICY_MAX, &s->config_text, &s->config_len, diag)) != BH_OK) {
        bh_hint(diag, "make a server's folder with `beachhead-server init --dir %s ...`", dir);
        return bh_fail(diag, e, "%s/server.json", s->dir);
    }
    return pas_config_parse(bh_span(s->config_text, s->config_len), &s->config, diag);
}

static enum bh_err
take_lock(struct pas_server *s, struct bh_diag *diag)
{
    char path[PAS_DIR_MAX];
    enum bh_err e;

    if ((e = bh_path_join(path, sizeof(path), s->dir, "run")) != BH_OK)
        return bh_fail(diag, e, "%s/run: the name is too long", s->dir);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return bh_fail(diag, BH_ERR_IO, "%s: %s", path, strerror(errno));
    if ((e = bh_path_join(path, sizeof(path), s->dir, "run/lock")) != BH_OK)
        return bh_fail(diag, e, "%s/run/lock: the name is too long", s->dir);
    if ((s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
        return bh_fail(diag, BH_ERR_IO, "%s: %s", path, strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        e = bh_refuse(diag, BH_ERR_DENIED, "run.lock", "no other server on this folder",
            "one that runs", "another server runs on %s", s->dir);
        bh_hint(diag, "stop it first, or use a folder of its own");
        return e;
    }
    /* An old one would send clients to a port of somebody else's. */
    if (bh_path_join(path, sizeof(path), s->dir, "run/url") == BH_OK)
        (void)unlink(path);
    return BH_OK;
}

static enum bh_err
take_signals(struct pas_server *s, struct bh_diag *diag)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        (s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return bh_fail(diag, BH_ERR_IO, "signals: %s", strerror(errno));
    return BH_OK;
}

/*
 * Started by root, the parent keeps what starting children takes: to read the folder, become other
 * users and end them. The bounding set hands the children no more than that.
 */
static void
drop_capabilities(void)
{
    const uint32_t keep = (1u << CAP_DAC_OVERRIDE) | (1u << CAP_SETUID) | (1u << CAP_SETGID) |
                          (1u << CAP_SETPCAP) | (1u << CAP_KILL);
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (geteuid() != 0)
        return;
    for (unsigned long cap = 0; cap < 64; cap++)
        if (cap >= 32 || (keep & (1u << cap)) == 0)
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (syscall(SYS_capget, &head, data) != 0)
        return;
    data[0].effective &= keep;
    data[0].permitted &= keep;
    data[0].inheritable = 0;
    data[1] = (struct __user_cap_data_struct){0};
    (void)syscall(SYS_capset, &head, data);
}

static void
lay_out(struct pas_server *s)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct pas_proc *p = s->procs;

    s->verifiers = s->config.verifiers > 0 ? (size_t)s->config.verifiers
                   : cores > 0             ? (size_t)cores
                                           : 1;
    if (s->verifiers > PAS_VERIFIERS_MAX)
        s->verifiers = PAS_VERIFIERS_MAX;
    (p++)->role = PAS_AUTHORITY; /* opens most, so it starts first */
    (p++)->role = PAS_SIGNER;
    (p++)->role = PAS_FRONTEND;
    for (unsigned i = 0; i < 2 * s->verifiers; i++)
        *p++ = (struct pas_proc){.role = PAS_VERIFIER, .index = i};
    s->procs_len = (size_t)(p - s->procs);
}

static enum bh_err
set_up(struct pas_server *s, const char *dir, struct bh_diag *diag)
{
    enum bh_err e;

    forbid_core_dumps();
    if ((e = fill_standard_descriptors(diag)) != BH_OK ||
        (e = read_config(s, dir, diag)) != BH_OK || (e = take_lock(s, diag)) != BH_OK ||
        (e = pas_tls_read(s, diag)) != BH_OK ||
        (e = pas_snapshot_make(s, &s->snapshot_fd, diag)) != BH_OK ||
        (e = pas_listen(s, diag)) != BH_OK || (e = take_signals(s, diag)) != BH_OK)
        return e;
    drop_capabilities();
    lay_out(s);
    s->generation = s->new_generation = 1;
    return BH_OK;
}

static void
close_one(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static void
clear(struct pas_server *s)
{
    char path[PAS_DIR_MAX];

    for (size_t i = 0; i < s->procs_len; i++)
        bh_ipc_free(s->procs[i].control);
    if (s->tls_key != NULL)
        OPENSSL_cleanse(s->tls_key, s->tls_key_len);
    free(s->tls_key);
    free(s->tls_chain);
    free(s->config_text);
    /* Only the holder of the lock removes what it wrote. */
    if (s->listen_fd >= 0 && bh_path_join(path, sizeof(path), s->dir, "run/url") == BH_OK)
        (void)unlink(path);
    close_one(s->listen_fd);
    close_one(s->signal_fd);
    close_one(s->snapshot_fd);
    close_one(s->new_snapshot_fd);
    close_one(s->lock_fd);
}

static int
complain(const struct bh_diag *diag)
{
    (void)fprintf(stderr, "beachhead-server: run: %s\n", diag->detail);
    if (diag->check[0] != '\0')
        (void)fprintf(stderr, "  check:    %s\n", diag->check);
    if (diag->expected[0] != '\0')
        (void)fprintf(stderr, "  expected: %s\n", diag->expected);
    if (diag->found[0] != '\0')
        (void)fprintf(stderr, "  found:    %s\n", diag->found);
    if (diag->hint[0] != '\0')
        (void)fprintf(stderr, "  hint:     %s\n", diag->hint);
    return diag->err == BH_ERR_DENIED ? 1 : 2;
}

static int
run(const char *dir)
{
    struct pas_server *s = calloc(1, sizeof(*s));
    struct bh_diag diag = {0};
    int code;

    if (s == NULL)
        return 2;
    s->lock_fd = s->listen_fd = s->signal_fd = s->snapshot_fd = s->new_snapshot_fd = -1;
    bh_log_init("parent", BH_LOG_INFO);
    pas_notify_init();
    if (set_up(s, dir, &diag) != BH_OK) {
        code = complain(&diag);
    } else {
        if (pas_start_all(s, &diag) != BH_OK)
            bh_log_diag(BH_LOG_ERROR, "start-failed", &diag);
        code = pas_supervise(s);
    }
    clear(s);
    free(s);
    return code;
}

int
pas_run_command(int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const char *dir = NULL;
    int c;

    optind = 1;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'h') {
            usage(stdout);
            return 0;
        }
        if (c != 'd') {
            usage(stderr);
            return 2;
        }
        dir = optarg;
    }
    if (dir == NULL || optind != argc) {
        (void)fputs("beachhead-server: run: --dir DIR is needed, and nothing else\n", stderr);
        usage(stderr);
        return 2;
    }
    return run(dir);
}
