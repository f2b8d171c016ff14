/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc.h"

#include "reader.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEAD 14        /* length, type, id */
#define WITH_FD 0x8000 /* in the type: a descriptor belongs to this frame */
#define FIRST_BUFFER (16 * 1024)
#define WAITING_MAX (64u * 1024 * 1024)
#define FDS_MAX 16

struct buffer {
    uint8_t *bytes;
    size_t start, end, cap;
};

struct bh_ipc {
    int fd;
    bool nonblocking;
    bool polled;  /* bh_ipc_polled() says when there is something to read */
    bool drained; /* since the last report a read took all there was */
    struct buffer in, out;
    int fds[FDS_MAX]; /* descriptors received; they belong to frames in order of arrival */
    size_t fds_len;
};

enum bh_err
bh_ipc_new(int fd, bool nonblocking, struct bh_ipc **ret_ipc)
{
    struct bh_ipc *ipc = calloc(1, sizeof(*ipc));

    if (ipc == NULL)
        return BH_ERR_NOMEM;
    ipc->fd = fd;
    ipc->nonblocking = nonblocking;
    *ret_ipc = ipc;
    return BH_OK;
}

void
bh_ipc_free(struct bh_ipc *ipc)
{
    if (ipc == NULL)
        return;
    (void)close(ipc->fd);
    for (size_t i = 0; i < ipc->fds_len; i++)
        (void)close(ipc->fds[i]);
    free(ipc->in.bytes);
    free(ipc->out.bytes);
    free(ipc);
}

int
bh_ipc_fd(const struct bh_ipc *ipc)
{
    return ipc->fd;
}

void
bh_ipc_set_nonblocking(struct bh_ipc *ipc, bool nonblocking)
{
    ipc->nonblocking = nonblocking;
}

/* Room for @p more bytes at the end; what was consumed is given back first. */
static bool
make_room(struct buffer *b, size_t more)
{
    size_t cap = b->cap != 0 ? b->cap : FIRST_BUFFER;
    uint8_t *grown;

    if (b->start > 0 && (b->start == b->end || b->cap - b->end < more)) {
        memmove(b->bytes, b->bytes + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
    if (b->bytes != NULL && b->cap - b->end >= more)
        return true;
    while (cap - b->end < more)
        cap *= 2;
    if ((grown = realloc(b->bytes, cap)) == NULL)
        return false;
    b->bytes = grown;
    b->cap = cap;
    return true;
}

/* A large frame must not cost its size for ever. */
static void
shrink(struct buffer *b)
{
    if (b->start == b->end && b->cap > 4 * FIRST_BUFFER) {
        free(b->bytes);
        memset(b, 0, sizeof(*b));
    }
}

static void
put_be(uint8_t *to, uint64_t v, size_t width)
{
    for (size_t i = 0; i < width; i++)
        to[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

enum bh_err
bh_ipc_queue(struct bh_ipc *ipc, uint16_t type, uint64_t id, struct bh_span payload)
{
    uint8_t *at;

    if (payload.len > BH_IPC_MAX)
        return BH_ERR_TOO_LARGE;
    if (ipc->out.end - ipc->out.start + payload.len > WAITING_MAX)
        return BH_ERR_OVERLOADED;
    if (!make_room(&ipc->out, HEAD + payload.len))
        return BH_ERR_NOMEM;
    at = ipc->out.bytes + ipc->out.end;
    put_be(at, HEAD - 4 + payload.len, 4);
    put_be(at + 4, type, 2); /* bh_ipc_send() adds WITH_FD */
    put_be(at + 6, id, 8);
    if (payload.len > 0)
        memcpy(at + HEAD, payload.ptr, payload.len);
    ipc->out.end += HEAD + payload.len;
    return BH_OK;
}

static enum bh_err
wait_for(const struct bh_ipc *ipc, short events)
{
    struct pollfd p = {.fd = ipc->fd, .events = events};

    while (poll(&p, 1, -1) < 0)
        if (errno != EINTR)
            return BH_ERR_IO;
    return BH_OK;
}

enum bh_err
bh_ipc_flush(struct bh_ipc *ipc, bool *ret_more)
{
    struct buffer *b = &ipc->out;

    while (b->start < b->end) {
        const ssize_t n = send(ipc->fd, b->bytes + b->start, b->end - b->start,
            MSG_NOSIGNAL | (ipc->nonblocking ? MSG_DONTWAIT : 0));

        if (n >= 0) {
            b->start += (size_t)n;
        } else if (errno == EAGAIN && ipc->nonblocking) {
            break;
        } else if (errno != EINTR) {
            return BH_ERR_IO;
        }
    }
    if (b->start == b->end)
        b->start = b->end = 0;
    shrink(b);
    if (ret_more != NULL)
        *ret_more = b->start < b->end;
    return BH_OK;
}

/* The descriptor rides on the first byte of its frame, so all that waits goes out before it. */
static enum bh_err
send_with_fd(struct bh_ipc *ipc, size_t frame_start, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {
        .iov_base = ipc->out.bytes + frame_start,
        .iov_len = ipc->out.end - frame_start,
    };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    ssize_t n;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    while ((n = sendmsg(ipc->fd, &msg, MSG_NOSIGNAL)) < 0) {
        if (errno == EAGAIN && wait_for(ipc, POLLOUT) == BH_OK)
            continue;
        if (errno != EINTR)
            return BH_ERR_IO;
    }
    ipc->out.start = frame_start + (size_t)n;
    return BH_OK;
}

enum bh_err
bh_ipc_send(struct bh_ipc *ipc, uint16_t type, uint64_t id, struct bh_span payload, int fd)
{
    enum bh_err e;
    bool more;

    if (fd >= 0) {
        /* Descriptors are rare: waiting here keeps them in order with their frames. */
        do {
            if ((e = bh_ipc_flush(ipc, &more)) != BH_OK)
                return e;
            if (more && (e = wait_for(ipc, POLLOUT)) != BH_OK)
                return e;
        } while (more);
    }
    if ((e = bh_ipc_queue(ipc, type, id, payload)) != BH_OK)
        return e;
    if (fd >= 0) {
        ipc->out.bytes[ipc->out.start + 4] |= WITH_FD >> 8;
        if ((e = send_with_fd(ipc, ipc->out.start, fd)) != BH_OK)
            return e;
    }
    return bh_ipc_flush(ipc, NULL);
}

static bool
keep_fds(struct bh_ipc *ipc, struct msghdr *msg)
{
    bool ok = (msg->msg_flags & MSG_CTRUNC) == 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        const size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (ipc->fds_len < FDS_MAX) {
                ipc->fds[ipc->fds_len++] = fd;
            } else {
                (void)close(fd);
                ok = false;
            }
        }
    }
    return ok;
}

/* Read once. *ret_some false: nothing there now. */
static enum bh_err
fill(struct bh_ipc *ipc, size_t want, bool *ret_some)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 4)];
    } control;
    struct iovec iov;
    struct msghdr msg;
    ssize_t n;

    if (!make_room(&ipc->in, want > FIRST_BUFFER ? want : FIRST_BUFFER))
        return BH_ERR_NOMEM;
    iov.iov_base = ipc->in.bytes + ipc->in.end;
    iov.iov_len = ipc->in.cap - ipc->in.end;
    do {
        msg = (struct msghdr){
            .msg_iov = &iov,
            .msg_iovlen = 1,
            .msg_control = control.bytes,
            .msg_controllen = sizeof(control.bytes),
        };
        n = recvmsg(ipc->fd, &msg, MSG_CMSG_CLOEXEC | (ipc->nonblocking ? MSG_DONTWAIT : 0));
    } while (n < 0 && errno == EINTR);
    *ret_some = false;
    if (n < 0)
        return errno == EAGAIN && ipc->nonblocking ? BH_OK : BH_ERR_IO;
    if (!keep_fds(ipc, &msg))
        return BH_ERR_MALFORMED;
    if (n == 0)
        return BH_ERR_IO;
    ipc->in.end += (size_t)n;
    ipc->drained = (size_t)n < iov.iov_len;
    *ret_some = true;
    return BH_OK;
}

static int
take_fd(struct bh_ipc *ipc)
{
    int fd;

    if (ipc->fds_len == 0)
        return -1;
    fd = ipc->fds[0];
    ipc->fds_len--;
    memmove(ipc->fds, ipc->fds + 1, ipc->fds_len * sizeof(int));
    return fd;
}

void
bh_ipc_polled(struct bh_ipc *ipc)
{
    ipc->polled = true;
    ipc->drained = false;
}

enum bh_err
bh_ipc_receive(struct bh_ipc *ipc, struct bh_ipc_msg *ret_msg, bool *ret_got)
{
    struct buffer *b = &ipc->in;
    struct bh_reader r;
    bool some = true;
    uint32_t len = 0;
    enum bh_err e;

    for (;;) {
        const size_t have = b->end - b->start;

        if (have >= HEAD) {
            bh_reader_init(&r, bh_span(b->bytes + b->start, have));
            len = bh_reader_u32be(&r);
            if (len < HEAD - 4 || len > BH_IPC_MAX + HEAD - 4)
                return BH_ERR_MALFORMED;
            if (have >= (size_t)len + 4)
                break;
        }
        if (have == 0)
            shrink(b);
        if (ipc->polled && ipc->drained && ipc->nonblocking) {
            *ret_got = false;
            return BH_OK;
        }
        if ((e = fill(ipc, have >= HEAD ? (size_t)len + 4 - have : 0, &some)) != BH_OK)
            return e;
        if (!some) {
            *ret_got = false;
            return BH_OK;
        }
    }
    ret_msg->type = bh_reader_u16be(&r);
    ret_msg->id = bh_reader_u64be(&r);
    ret_msg->payload = bh_reader_take(&r, len - (HEAD - 4));
    ret_msg->fd = -1;
    if ((ret_msg->type & WITH_FD) != 0 && (ret_msg->fd = take_fd(ipc)) < 0)
        return BH_ERR_MALFORMED;
    ret_msg->type &= (uint16_t)~WITH_FD;
    b->start += (size_t)len + 4;
    *ret_got = true;
    return BH_OK;
}
