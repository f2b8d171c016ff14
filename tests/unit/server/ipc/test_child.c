/* SPDX-License-Identifier: Apache-2.0 */
/* A child's start over descriptor 3, and what it refuses there. */
#include "ipc/child.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bh_ipc *parent;

/* Fork a child whose descriptor 3 is the control channel; it ends with what @p body returns. */
static pid_t
start(int (*body)(void))
{
    int fds[2];
    pid_t pid;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    if ((pid = fork()) == 0) {
        if (fds[1] != PAS_CONTROL_FD && dup2(fds[1], PAS_CONTROL_FD) < 0)
            _exit(99);
        if (fds[0] != PAS_CONTROL_FD)
            (void)close(fds[0]);
        if (fds[1] != PAS_CONTROL_FD)
            (void)close(fds[1]);
        _exit(body());
    }
    (void)close(fds[1]);
    cr_assert_eq(bh_ipc_new(fds[0], false, &parent), BH_OK);
    return pid;
}

static int
result_of(pid_t pid)
{
    int status;

    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static int
end_of(pid_t pid)
{
    bh_ipc_free(parent);
    return result_of(pid);
}

static void
send_start(void)
{
    struct pas_config config;
    struct pas_start start_msg = {.index = 5, .dir = bh_span_str("/srv/beachhead")};
    char *text = NULL;
    uint8_t buf[8192];
    struct bh_span payload;
    struct bh_writer w;

    memset(&config, 0, sizeof(config));
    pas_config_defaults(&config);
    (void)snprintf(config.trust_domain, sizeof(config.trust_domain), "fleet.example");
    (void)snprintf(config.listen, sizeof(config.listen), "127.0.0.1:0");
    cr_assert_eq(pas_config_text(&config, &text, NULL), BH_OK);
    start_msg.config = bh_span_str(text);
    bh_writer_init(&w, buf, sizeof(buf));
    pas_start_encode(&w, &start_msg);
    cr_assert_eq(bh_writer_end(&w, &payload), BH_OK);
    cr_assert_eq(bh_ipc_send(parent, PAS_CTL_START, 0, payload, -1), BH_OK);
    free(text);
}

static void
tell(uint16_t type, uint64_t id)
{
    cr_assert_eq(bh_ipc_send(parent, type, id, bh_span_none(), -1), BH_OK);
}

static int
whole_start(void)
{
    struct pas_child c;
    struct bh_ipc_msg msg;
    bool got = true;

    if (pas_child_start(PAS_VERIFIER, &c, NULL) != BH_OK)
        return 1;
    if (c.index != 5 || strcmp(c.dir, "/srv/beachhead") != 0 ||
        strcmp(c.config.trust_domain, "fleet.example") != 0)
        return 2;
    if (prctl(PR_GET_DUMPABLE) != 0)
        return 3;
    if (pas_child_next(&c, &msg) != BH_OK || msg.type != PAS_CTL_CONFINE)
        return 4;
    if (pas_child_ready(&c, 77) != BH_OK)
        return 5;
    /* Non-blocking from here on: nothing there is no end. */
    if (bh_ipc_receive(c.control, &msg, &got) != BH_OK || got)
        return 6;
    bh_ipc_free(c.control);
    return 0;
}

Test(child, starts_and_is_ready)
{
    const pid_t pid = start(whole_start);
    struct bh_ipc_msg msg;
    bool got;

    send_start();
    tell(PAS_CTL_CONFINE, 0);
    cr_assert_eq(bh_ipc_receive(parent, &msg, &got), BH_OK);
    cr_assert(msg.type == PAS_CTL_READY && msg.id == 77);
    /* It still looks at its channel, which must not end before it does. */
    cr_assert_eq(result_of(pid), 0);
    bh_ipc_free(parent);
}

static int
start_error(void)
{
    struct pas_child c;
    struct bh_diag diag = {0};
    const enum bh_err e = pas_child_start(PAS_SIGNER, &c, &diag);
    const int code = e == BH_ERR_MALFORMED ? 10 : e == BH_ERR_IO ? 11 : e == BH_OK ? 0 : 12;

    if (e != BH_OK && pas_child_failed(&c, &diag) != 1)
        return 20;
    bh_ipc_free(c.control);
    return code;
}

Test(child, refuses_another_first_message)
{
    const pid_t pid = start(start_error);
    struct bh_ipc_msg msg;
    struct bh_diag diag;
    bool got;

    tell(PAS_CTL_CONFINE, 0);
    cr_assert_eq(bh_ipc_receive(parent, &msg, &got), BH_OK);
    cr_assert_eq(msg.type, PAS_CTL_FAILED);
    cr_assert_eq(pas_diag_decode(msg.payload, &diag), BH_OK);
    cr_assert_not_null(strstr(diag.detail, "START"));
    cr_assert_eq(end_of(pid), 10);
}

Test(child, ends_with_its_parent)
{
    const pid_t pid = start(start_error);

    bh_ipc_free(parent);
    parent = NULL;
    cr_assert_eq(end_of(pid), 11);
}

static int
next_error(void)
{
    struct pas_child c;
    struct bh_ipc_msg msg;
    enum bh_err e;

    if (pas_child_start(PAS_SIGNER, &c, NULL) != BH_OK)
        return 1;
    e = pas_child_next(&c, &msg);
    bh_ipc_free(c.control);
    return e == BH_ERR_MALFORMED ? 10 : 2;
}

Test(child, refuses_what_the_parent_may_not_send)
{
    /* A snapshot is not for the signer; an ISSUE is for no child from the parent. */
    const uint16_t types[] = {
        PAS_CTL_SNAPSHOT, PAS_CTL_TLS, PAS_CTL_LISTEN, PAS_ISSUE, PAS_CTL_READY};

    for (size_t i = 0; i < BH_COUNT(types); i++) {
        const pid_t pid = start(next_error);

        send_start();
        tell(types[i], 1);
        cr_expect_eq(end_of(pid), 10, "message %u", types[i]);
    }
}

static int
no_channel(void)
{
    struct pas_child c;
    struct bh_diag diag = {0};

    (void)close(PAS_CONTROL_FD);
    if (pas_child_start(PAS_VERIFIER, &c, &diag) != BH_ERR_USAGE)
        return 1;
    return strstr(diag.detail, "beachhead-server run") != NULL ? 0 : 2;
}

Test(child, says_so_when_started_by_hand)
{
    const pid_t pid = start(no_channel);

    cr_assert_eq(end_of(pid), 0);
}
