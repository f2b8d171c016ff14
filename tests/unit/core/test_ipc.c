/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ipc.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void
pair(struct bh_ipc **a, struct bh_ipc **b)
{
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    cr_assert_eq(bh_ipc_new(fds[0], true, a), BH_OK);
    cr_assert_eq(bh_ipc_new(fds[1], true, b), BH_OK);
}

Test(ipc, frames_in_order)
{
    struct bh_ipc_msg m;
    struct bh_ipc *a, *b;
    bool got;

    pair(&a, &b);
    cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_OK);
    cr_assert_not(got);
    for (uint16_t i = 0; i < 100; i++)
        cr_assert_eq(bh_ipc_queue(a, i, i * 3u, bh_span("payload", i % 8)), BH_OK);
    cr_assert_eq(bh_ipc_flush(a, NULL), BH_OK);
    for (uint16_t i = 0; i < 100; i++) {
        cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_OK);
        cr_assert(got);
        cr_assert_eq(m.type, i);
        cr_assert_eq(m.id, i * 3u);
        cr_assert_eq(m.payload.len, i % 8u);
        cr_assert_eq(m.fd, -1);
    }
    bh_ipc_free(a);
    cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_ERR_IO);
    bh_ipc_free(b);
}

Test(ipc, asks_again_only_after_poll)
{
    struct bh_ipc_msg m;
    struct bh_ipc *a, *b;
    bool got;

    pair(&a, &b);
    cr_assert_eq(bh_ipc_send(a, 1, 0, bh_span_none(), -1), BH_OK);
    bh_ipc_polled(b);
    cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_OK);
    cr_assert(got);
    cr_assert_eq(bh_ipc_send(a, 2, 0, bh_span_none(), -1), BH_OK);
    cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_OK);
    cr_assert_not(got, "not reported by poll yet");
    bh_ipc_polled(b);
    cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_OK);
    cr_assert(got);
    cr_assert_eq(m.type, 2);
    bh_ipc_free(a);
    bh_ipc_polled(b);
    cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_ERR_IO);
    bh_ipc_free(b);
}

Test(ipc, large_frames_and_partial_writes)
{
    uint8_t *big = calloc(1, BH_IPC_MAX);
    struct bh_ipc_msg m;
    struct bh_ipc *a, *b;
    bool got = false, more = true;

    pair(&a, &b);
    big[BH_IPC_MAX - 1] = 9;
    for (int i = 0; i < 4; i++)
        cr_assert_eq(bh_ipc_queue(a, 7, 1, bh_span(big, BH_IPC_MAX)), BH_OK);
    for (int n = 0; n < 4;) {
        if (more)
            cr_assert_eq(bh_ipc_flush(a, &more), BH_OK);
        cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_OK);
        if (got) {
            cr_assert_eq(m.payload.len, BH_IPC_MAX);
            cr_assert_eq(m.payload.ptr[BH_IPC_MAX - 1], 9);
            n++;
        }
    }
    cr_assert_eq(bh_ipc_queue(a, 7, 1, bh_span(big, BH_IPC_MAX + 1)), BH_ERR_TOO_LARGE);
    bh_ipc_free(a);
    bh_ipc_free(b);
    free(big);
}

Test(ipc, descriptors_stay_with_their_frames)
{
    struct bh_ipc_msg m;
    struct bh_ipc *a, *b;
    int pipe_fds[2];
    char c = 0;
    bool got;

    pair(&a, &b);
    cr_assert_eq(pipe(pipe_fds), 0);
    cr_assert_eq(bh_ipc_send(a, 1, 0, bh_span("x", 1), -1), BH_OK);
    cr_assert_eq(bh_ipc_send(a, 2, 0, bh_span("y", 1), pipe_fds[1]), BH_OK);
    cr_assert_eq(bh_ipc_send(a, 3, 0, bh_span("z", 1), -1), BH_OK);
    for (uint16_t i = 1; i <= 3; i++) {
        cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_OK);
        cr_assert(got);
        cr_assert_eq(m.type, i);
        cr_assert_eq(m.fd >= 0, i == 2);
        if (i == 2) {
            cr_assert_eq(write(m.fd, "!", 1), 1);
            cr_assert_eq(close(m.fd), 0);
        }
    }
    cr_assert_eq(read(pipe_fds[0], &c, 1), 1);
    cr_assert_eq(c, '!');
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    bh_ipc_free(a);
    bh_ipc_free(b);
}

Test(ipc, bad_lengths_end_the_channel)
{
    static const uint8_t too_short[] = {0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t too_long[] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t no_fd[] = {0, 0, 0, 10, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    const uint8_t *bad[] = {too_short, too_long, no_fd};

    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        struct bh_ipc_msg m;
        struct bh_ipc *a, *b;
        bool got;

        pair(&a, &b);
        cr_assert_eq(write(bh_ipc_fd(a), bad[i], 14), 14);
        cr_assert_eq(bh_ipc_receive(b, &m, &got), BH_ERR_MALFORMED);
        bh_ipc_free(a);
        bh_ipc_free(b);
    }
}

Test(ipc, what_cannot_be_sent)
{
    static uint8_t large[BH_IPC_MAX + 1];
    struct bh_ipc *a = NULL;
    int pair[2];
    enum bh_err e = BH_OK;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(bh_ipc_new(pair[0], true, &a), BH_OK);
    cr_expect_eq(bh_ipc_queue(a, 1, 1, bh_span(large, sizeof(large))), BH_ERR_TOO_LARGE);
    cr_expect_eq(bh_ipc_send(a, 1, 1, bh_span(large, sizeof(large)), -1), BH_ERR_TOO_LARGE);
    /* A peer that does not read is not waited for for ever. */
    for (size_t i = 0; i < 1000 && e == BH_OK; i++)
        e = bh_ipc_send(a, 1, i, bh_span(large, BH_IPC_MAX), -1);
    cr_expect_eq(e, BH_ERR_OVERLOADED);
    (void)close(pair[1]);
    cr_expect_eq(bh_ipc_flush(a, NULL), BH_ERR_IO);
    cr_expect_eq(bh_ipc_send(a, 1, 1, bh_span_none(), 0), BH_ERR_IO);
    bh_ipc_free(a);
    bh_ipc_free(NULL);
}
