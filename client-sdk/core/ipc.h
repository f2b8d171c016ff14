/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing between the processes of one program: u32 length of what follows,
 * u16 type, u64 id, payload; big-endian, on a stream socket pair. A descriptor
 * may ride with a frame. Buffers grow to BH_IPC_MAX and no further; a peer that
 * sends a longer frame, or an unknown type, is cut off by its reader.
 */
#ifndef BH_IPC_H
#define BH_IPC_H

#include "err.h"
#include "limits.h"

/* One end of a channel, with its input and output buffers, which share nothing: one thread may
 * receive while another, one at a time, sends. */
struct bh_ipc;

struct bh_ipc_msg {
    uint16_t type;
    uint64_t id;
    struct bh_span payload; /* borrowed until the next call on the channel */
    int fd;                 /* -1, or a descriptor that now belongs to the caller */
};

/** Wrap @p fd, which now belongs to the channel. @p nonblocking: for event loops. */
BH_MUST_USE enum bh_err bh_ipc_new(int fd, bool nonblocking, struct bh_ipc **ret_ipc);
void bh_ipc_free(struct bh_ipc *ipc);
int bh_ipc_fd(const struct bh_ipc *ipc);
/** Change what bh_ipc_new() was told; what is buffered stays. */
void bh_ipc_set_nonblocking(struct bh_ipc *ipc, bool nonblocking);

/** Append a frame to the output and try to send. @p fd is -1 or sent along (and stays the
 * caller's). BH_ERR_IO when the peer is gone, BH_ERR_OVERLOADED when more than 64 MiB wait. */
BH_MUST_USE enum bh_err bh_ipc_send(
    struct bh_ipc *ipc, uint16_t type, uint64_t id, struct bh_span payload, int fd);
/** Append a frame without sending it yet: batches leave with the next flush or send. */
BH_MUST_USE enum bh_err bh_ipc_queue(
    struct bh_ipc *ipc, uint16_t type, uint64_t id, struct bh_span payload);
/** Send what waits. Nonblocking: true in @p ret_more when some is left (wait for POLLOUT). */
BH_MUST_USE enum bh_err bh_ipc_flush(struct bh_ipc *ipc, bool *ret_more);

/**
 * The next whole frame. @p ret_got is false when a nonblocking channel has none yet.
 * BH_ERR_IO at the end of the stream, BH_ERR_MALFORMED on bad framing.
 */
BH_MUST_USE enum bh_err bh_ipc_receive(
    struct bh_ipc *ipc, struct bh_ipc_msg *ret_msg, bool *ret_got);
/**
 * For who waits in poll(): say that it reported @p ipc. From the first such call on,
 * bh_ipc_receive() reads a nonblocking channel until a read took all there was and then answers
 * "none yet" until the next report, without asking the kernel once more.
 */
void bh_ipc_polled(struct bh_ipc *ipc);

#endif
