/* SPDX-License-Identifier: Apache-2.0 */
/* What the parent does without children: the snapshot, the listening socket, the service manager.
 */
#include "core/file.h"
#include "server.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct pas_server s;

static void
set_up(void)
{
    memset(&s, 0, sizeof(s));
    (void)snprintf(s.dir, sizeof(s.dir), "/tmp/bh-parent-%ld", (long)getpid());
    cr_assert_eq(mkdir(s.dir, 0700), 0);
    s.listen_fd = -1;
    s.config_text = (uint8_t *)strdup("{}");
    s.config_len = 2;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void
tear_down(void)
{
    (void)nftw(s.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(s.config_text);
    free(s.tls_chain);
    free(s.tls_key);
    if (s.listen_fd >= 0)
        (void)close(s.listen_fd);
}

TestSuite(parent, .init = set_up, .fini = tear_down);

static void
put(const char *name, const char *text)
{
    char path[PAS_DIR_MAX];

    cr_assert_eq(bh_path_join(path, sizeof(path), s.dir, name), BH_OK);
    cr_assert_eq(bh_file_write(path, bh_span_str(text), 0600, NULL), BH_OK);
}

static void
folder(const char *name)
{
    char path[PAS_DIR_MAX];

    cr_assert_eq(bh_path_join(path, sizeof(path), s.dir, name), BH_OK);
    cr_assert_eq(mkdir(path, 0700), 0);
}

/* ---- snapshots ---- */

Test(parent, a_snapshot_holds_the_files_in_order)
{
    static const struct {
        uint8_t kind;
        const char *name, *text;
    } want[] = {
        {PAS_SNAPSHOT_CONFIG, "server.json", "{}"},
        {PAS_SNAPSHOT_POLICY, "A.json", "first"},
        {PAS_SNAPSHOT_POLICY, "a.json", "second"},
        {PAS_SNAPSHOT_POLICY, "b.json", ""},
        {PAS_SNAPSHOT_ANCHOR, "psa.pem", "anchor"},
        {PAS_SNAPSHOT_SIMULATED, "psa.pem", "simulated"},
        {PAS_SNAPSHOT_ENDORSED, "e.json", "endorsed"},
        {PAS_SNAPSHOT_COLLATERAL, "crl.der", "list"},
        {PAS_SNAPSHOT_COLLATERAL, "tcb_info.json", "info"},
        {PAS_SNAPSHOT_COLLATERAL, "x.pem", "chain"},
    };
    struct pas_snapshot_record record;
    struct bh_span bytes;
    struct bh_diag diag = {0};
    struct bh_reader r;
    size_t n = 0;
    int fd;

    folder("policy");
    folder("trust");
    folder("trust/simulated");
    folder("endorsed");
    folder("collateral");
    put("policy/b.json", "");
    put("policy/a.json", "second");
    put("policy/A.json", "first");
    put("policy/.hidden.json", "x");
    put("policy/a.json.bak", "x");
    put("trust/psa.pem", "anchor");
    put("trust/psa.crt", "x");
    put("trust/simulated/psa.pem", "simulated");
    put("endorsed/e.json", "endorsed");
    put("collateral/x.pem", "chain");
    put("collateral/crl.der", "list");
    put("collateral/tcb_info.json", "info");
    put("collateral/.crl.der", "x");
    put("collateral/crl.der.Xa3f9k", "half");
    cr_assert_eq(pas_snapshot_make(&s, &fd, &diag), BH_OK, "%s", diag.detail);
    cr_assert_lt(write(fd, "x", 1), 0, "it is not sealed");
    cr_assert_eq(pas_snapshot_map(fd, &bytes, &diag), BH_OK, "%s", diag.detail);
    bh_reader_init(&r, bytes);
    while (pas_snapshot_next(&r, &record)) {
        cr_assert_lt(n, BH_COUNT(want));
        cr_expect_eq(record.kind, want[n].kind);
        cr_expect(bh_span_is(record.name, want[n].name), "%zu", n);
        cr_expect(bh_span_is(record.bytes, want[n].text), "%zu", n);
        n++;
    }
    cr_assert_eq(bh_reader_end(&r), BH_OK);
    cr_assert_eq(n, BH_COUNT(want));
    pas_snapshot_unmap(bytes);
    (void)close(fd);
}

Test(parent, folders_that_are_not_there_are_empty)
{
    struct stat st;
    int fd;

    cr_assert_eq(pas_snapshot_make(&s, &fd, NULL), BH_OK);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_size, 1 + 2 + 11 + 4 + 2);
    (void)close(fd);
}

Test(parent, a_file_that_cannot_be_read_is_named)
{
    struct bh_diag diag = {0};
    char path[PAS_DIR_MAX];
    int fd = -1;

    folder("policy");
    cr_assert_eq(bh_path_join(path, sizeof(path), s.dir, "policy/gone.json"), BH_OK);
    cr_assert_eq(symlink("/nonexistent/file", path), 0);
    cr_assert_eq(pas_snapshot_make(&s, &fd, &diag), BH_ERR_IO);
    cr_assert_not_null(strstr(diag.detail, "gone.json"), "%s", diag.detail);
    cr_assert_eq(fd, -1);
}

/* Hard links of one file: the whole is bounded, not only each. */
static void
links(const char *of, size_t count)
{
    char from[PAS_DIR_MAX], to[PAS_DIR_MAX], name[64];

    cr_assert_eq(bh_path_join(from, sizeof(from), s.dir, of), BH_OK);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof(name), "collateral/%zu.json", i);
        cr_assert_eq(bh_path_join(to, sizeof(to), s.dir, name), BH_OK);
        cr_assert_eq(link(from, to), 0);
    }
}

static void
is_too_much(const char *check)
{
    struct bh_diag diag = {0};
    int fd = -1;

    cr_assert_eq(pas_snapshot_make(&s, &fd, &diag), BH_ERR_TOO_LARGE, "%s", check);
    cr_assert_str_eq(diag.check, check, "%s", diag.detail);
    cr_assert_gt(strlen(diag.hint), 0);
    cr_assert_eq(fd, -1);
}

Test(parent, files_of_collateral_are_counted)
{
    folder("collateral");
    put("small", "{}");
    links("small", BH_COLLATERAL_FILES_MAX + 1);
    is_too_much("collateral.files");
}

Test(parent, collateral_is_bounded)
{
    char *text = malloc(BH_COLLATERAL_MAX + 2);

    memset(text, 'x', BH_COLLATERAL_MAX + 1);
    text[BH_COLLATERAL_MAX] = '\0';
    folder("collateral");
    put("big", text);
    links("big", BH_COLLATERAL_TOTAL_MAX / BH_COLLATERAL_MAX + 1);
    is_too_much("collateral.total");
    free(text);
}

Test(parent, a_file_of_collateral_is_bounded)
{
    char *text = malloc(BH_COLLATERAL_MAX + 2);
    struct bh_diag diag = {0};
    int fd = -1;

    memset(text, 'x', BH_COLLATERAL_MAX + 1);
    text[BH_COLLATERAL_MAX + 1] = '\0';
    folder("collateral");
    put("collateral/x.json", text);
    cr_assert_eq(pas_snapshot_make(&s, &fd, &diag), BH_ERR_TOO_LARGE);
    cr_assert_str_eq(diag.check, "collateral.size");
    cr_assert_not_null(strstr(diag.detail, "x.json"), "%s", diag.detail);
    free(text);
}

Test(parent, tls_files_are_needed)
{
    struct bh_diag diag = {0};

    folder("tls");
    put("tls/server.crt", "chain");
    cr_assert_eq(pas_tls_read(&s, &diag), BH_ERR_IO);
    cr_assert_not_null(strstr(diag.detail, "server.key"), "%s", diag.detail);
    cr_assert_null(s.tls_chain);
    put("tls/server.key", "key");
    cr_assert_eq(pas_tls_read(&s, NULL), BH_OK);
    cr_assert(bh_span_is(bh_span(s.tls_chain, s.tls_chain_len), "chain"));
    cr_assert(bh_span_is(bh_span(s.tls_key, s.tls_key_len), "key"));
}

/* ---- the listening socket ---- */

static void
listens(const char *address, const char *url)
{
    struct bh_diag diag = {0};

    (void)snprintf(s.config.listen, sizeof(s.config.listen), "%s", address);
    cr_assert_eq(pas_listen(&s, &diag), BH_OK, "%s: %s", address, diag.detail);
    cr_expect_eq(strncmp(s.url, url, strlen(url)), 0, "%s", s.url);
    cr_expect_gt(strtol(s.url + strlen(url), NULL, 10), 0, "%s", s.url);
    cr_expect_neq(fcntl(s.listen_fd, F_GETFD) & FD_CLOEXEC, 0);
    (void)close(s.listen_fd);
    s.listen_fd = -1;
}

Test(parent, the_url_is_one_that_works_here)
{
    listens("127.0.0.1:0", "https://127.0.0.1:");
    listens("0.0.0.0:0", "https://127.0.0.1:");
}

Test(parent, a_port_that_is_taken_is_refused)
{
    struct pas_server other = s;
    struct bh_diag diag = {0};

    (void)snprintf(s.config.listen, sizeof(s.config.listen), "127.0.0.1:0");
    cr_assert_eq(pas_listen(&s, NULL), BH_OK);
    (void)snprintf(
        other.config.listen, sizeof(other.config.listen), "%s", s.url + strlen("https://"));
    cr_assert_eq(pas_listen(&other, &diag), BH_ERR_IO);
    cr_assert_str_eq(diag.check, "server.json.listen");
    cr_assert_eq(other.listen_fd, -1);
}

/* ---- the service manager ---- */

Test(parent, tells_the_service_manager)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char got[64] = "";

    pas_notify("READY=1"); /* nobody to tell: nothing happens */
    cr_assert_lt(snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/bh-notify-%ld", (long)getpid()),
        (int)sizeof(at.sun_path));
    cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(setenv("NOTIFY_SOCKET", at.sun_path, 1), 0);
    pas_notify_init();
    cr_assert_null(getenv("NOTIFY_SOCKET"), "the children see it");
    pas_notify("READY=1");
    cr_assert_eq(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 7);
    cr_assert_str_eq(got, "READY=1");
    (void)unlink(at.sun_path);
    (void)close(fd);
}
