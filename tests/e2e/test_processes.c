/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a running server as the kernel shows them: confinement, descriptors, keys. */
#include "own.h"

#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"
#include "support/proc.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>

#define NOBODY "65534\t65534\t65534\t65534"

static struct own o;

/* Every process has done its part of an enrolment of each platform. */
static void
setup(void)
{
    own_init(&o);
    own_start(&o);
    own_enrol(&o.psa);
    own_enrol(&o.cca);
    own_enrol(&o.nitro);
}

static void
teardown(void)
{
    own_end(&o);
}

TestSuite(processes, .init = setup, .fini = teardown);

static bool
is_child(size_t i)
{
    return strcmp(o.server.processes[i].role, "parent") != 0;
}

Test(processes, are_all_there)
{
    static const char *const roles[] = {"parent", "frontend", "verifier", "authority", "signer"};

    for (size_t i = 0; i < BH_COUNT(roles); i++)
        cr_assert_gt(bh_test_server_pid(&o.server, roles[i]), 0, "%s", roles[i]);
}

static bool
can_look(void)
{
    const uint8_t any[16] = {0};
    const pid_t pid = bh_test_server_pid(&o.server, "signer");

    if (bh_proc_memory_has(pid, bh_span(any, sizeof(any))) != BH_PROC_UNREADABLE)
        return true;
    (void)fprintf(stderr,
        "SKIP: not root: the kernel shows neither descriptors nor memory of confined processes\n");
    return false;
}

/* ---- confinement ---- */

static void
expect_status(size_t i, const char *name, const char *value)
{
    char found[128] = "";

    cr_assert(bh_proc_status(o.server.processes[i].pid, name, found, sizeof(found)), "%s", name);
    cr_assert_str_eq(found, value, "%s of %s: %s", name, o.server.processes[i].role, found);
}

static void
expect_no_core(pid_t pid)
{
    char path[64], line[256];
    bool found = false;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
    cr_assert_not_null(f = fopen(path, "re"));
    while (fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "Max core file size", 18) != 0)
            continue;
        found = true;
        const char *value = line + 18 + strspn(line + 18, " ");
        cr_assert_eq(strncmp(value, "0 ", 2), 0, "%s", line);
    }
    (void)fclose(f);
    cr_assert(found);
}

/* The files of a process that may not be dumped belong to root, whoever it runs as. */
static void
expect_not_dumpable(pid_t pid)
{
    char path[64];
    struct stat st;

    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_uid, 0);
}

Test(processes, are_confined)
{
    for (size_t i = 0; i < o.server.len; i++) {
        expect_status(i, "NoNewPrivs", "1");
        if (!is_child(i))
            continue;
        expect_status(i, "Seccomp", "2");
        expect_status(i, "CapEff", "0000000000000000");
        expect_status(i, "CapPrm", "0000000000000000");
        expect_status(i, "CapInh", "0000000000000000");
        expect_status(i, "CapAmb", "0000000000000000");
        expect_status(i, "CoreDumping", "0");
        expect_no_core(o.server.processes[i].pid);
        expect_not_dumpable(o.server.processes[i].pid);
    }
}

/* The authority owns the store; nobody else owns anything. */
Test(processes, run_as_nobody_when_started_by_root)
{
    if (geteuid() != 0) {
        (void)fprintf(stderr, "SKIP: not root: the server changes no user\n");
        return;
    }
    for (size_t i = 0; i < o.server.len; i++) {
        if (!is_child(i) || strcmp(o.server.processes[i].role, "authority") == 0)
            continue;
        expect_status(i, "Uid", NOBODY);
        expect_status(i, "Gid", NOBODY);
        expect_status(i, "Groups", "");
    }
}

/* ---- descriptors ---- */

static bool
starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool
may_have(const char *role, const char *target)
{
    char store[400];

    if (starts(target, "socket:"))
        return true;
    if (strcmp(role, "frontend") == 0)
        return starts(target, "anon_inode:[eventpoll]") || starts(target, "anon_inode:[eventfd]");
    (void)snprintf(store, sizeof(store), "%s/store/state.db", o.server.home);
    return strcmp(role, "authority") == 0 && starts(target, store);
}

/* Standard input, output and error are what the server was given. */
static bool
check_fd(void *arg, int fd, const char *target)
{
    const char *role = arg;

    cr_assert(fd <= 2 || may_have(role, target), "%s holds %d: %s", role, fd, target);
    return true;
}

static void
check_all_fds(void)
{
    for (size_t i = 0; i < o.server.len; i++)
        if (is_child(i))
            cr_assert(bh_proc_fds(o.server.processes[i].pid, check_fd, o.server.processes[i].role));
}

Test(processes, hold_what_their_role_may)
{
    if (can_look())
        check_all_fds();
}

/* What the server's caller left open is nobody's business in there. */
Test(processes, inherit_no_descriptors)
{
    char path[400];

    own_stop(&o);
    cr_assert_eq(bh_test_server_path(&o.server, "ca/issuing.key", path, sizeof(path)), BH_OK);
    const int fd = open(path, O_RDONLY); /* not close-on-exec */
    cr_assert_geq(fd, 0);
    const int high = fcntl(fd, F_DUPFD, 100);
    own_start(&o);
    (void)close(fd);
    (void)close(high);
    if (can_look())
        check_all_fds();
}

/* ---- keys ---- */

struct secret {
    struct bh_span forms[2]; /* as it is encoded; as a number lies in memory */
    uint8_t big[64], little[64];
};

static void
take(struct secret *s, const uint8_t *bytes, size_t len)
{
    cr_assert_leq(len, sizeof(s->big));
    for (size_t i = 0; i < len; i++) {
        s->big[i] = bytes[i];
        s->little[len - 1 - i] = bytes[i];
    }
    s->forms[0] = bh_span(s->big, len);
    s->forms[1] = bh_span(s->little, len);
}

static void
take_key(struct secret *s, const char *name)
{
    char path[400];
    struct bh_diag diag = {0};
    uint8_t *pem = NULL, scalar[64];
    EVP_PKEY *key = NULL;
    BIGNUM *number = NULL;
    size_t len = 0;

    cr_assert_eq(bh_test_server_path(&o.server, name, path, sizeof(path)), BH_OK);
    cr_assert_eq(bh_file_read(path, 65536, &pem, &len, &diag), BH_OK, "%s", diag.detail);
    cr_assert_eq(bh_key_from_pem(bh_span(pem, len), NULL, &key, &diag), BH_OK);
    cr_assert_eq(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
    const int bytes = (EVP_PKEY_get_bits(key) + 7) / 8;
    cr_assert_eq(BN_bn2binpad(number, scalar, bytes), bytes);
    take(s, scalar, (size_t)bytes);
    BN_clear_free(number);
    EVP_PKEY_free(key);
    free(pem);
}

static void
take_challenge_key(struct secret *s)
{
    char path[400];
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;

    cr_assert_eq(bh_test_server_path(&o.server, "store/state.db", path, sizeof(path)), BH_OK);
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    cr_assert_eq(
        sqlite3_prepare_v2(db, "SELECT value FROM secret WHERE name = 'challenge'", -1, &st, NULL),
        SQLITE_OK);
    cr_assert_eq(sqlite3_step(st), SQLITE_ROW);
    take(s, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
}

static bool
holds(pid_t pid, const struct secret *s)
{
    bool found = false;

    for (size_t i = 0; i < 2; i++) {
        const enum bh_proc_memory m = bh_proc_memory_has(pid, s->forms[i]);

        cr_assert_neq(m, BH_PROC_UNREADABLE);
        found = found || m == BH_PROC_FOUND;
    }
    return found;
}

/* Found where it must be, so that "not found" elsewhere means something. */
static void
only_in(const struct secret *s, const char *what, const char *owner, const char *also)
{
    for (size_t i = 0; i < o.server.len; i++) {
        const char *role = o.server.processes[i].role;
        const bool found = holds(o.server.processes[i].pid, s);

        if (strcmp(role, owner) == 0)
            cr_assert(found, "%s is not in the %s: nothing is proved", what, owner);
        else if (strcmp(role, also) != 0)
            cr_assert_not(found, "%s is in the %s", what, role);
    }
}

Test(processes, issuing_key_is_in_the_signer_alone)
{
    struct secret s;

    if (!can_look())
        return;
    take_key(&s, "ca/issuing.key");
    only_in(&s, "the issuing key", "signer", "");
}

Test(processes, root_key_is_nowhere)
{
    struct secret s;

    if (!can_look())
        return;
    take_key(&s, "ca/root.key");
    for (size_t i = 0; i < o.server.len; i++)
        cr_assert_not(holds(o.server.processes[i].pid, &s), "%s", o.server.processes[i].role);
}

Test(processes, tls_key_is_in_the_frontend)
{
    struct secret s;

    if (!can_look())
        return;
    take_key(&s, "tls/server.key");
    only_in(&s, "the TLS key", "frontend", "parent");
}

Test(processes, challenge_key_is_in_the_authority_alone)
{
    struct secret s;

    if (!can_look())
        return;
    take_challenge_key(&s);
    only_in(&s, "the challenge key", "authority", "");
}

/* ---- death of the parent ---- */

Test(processes, end_with_their_parent)
{
    struct timespec nap = {.tv_nsec = 10000000};
    bool alive = true;

    cr_assert_eq(kill(o.server.parent, SIGKILL), 0);
    cr_assert_eq(waitpid(o.server.parent, NULL, 0), o.server.parent);
    for (int i = 0; i < 200 && alive; i++) {
        alive = false;
        for (size_t k = 0; k < o.server.len; k++)
            alive = alive || (is_child(k) && bh_proc_lives(o.server.processes[k].pid));
        (void)nanosleep(&nap, NULL);
    }
    o.server.parent = 0;
    cr_assert_not(alive, "a child outlives its parent by 2 s");
    /* And the folder is free for the next one. */
    own_start(&o);
    own_enrol(&o.psa);
}
