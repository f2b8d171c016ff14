/* SPDX-License-Identifier: Apache-2.0 */
/* bh_ipc_receive: frames from bytes that a subverted peer chose. */
#include "fuzz.h"

#include "core/ipc.h"

#include <sys/socket.h>
#include <unistd.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_ipc *ipc = NULL;
    struct bh_ipc_msg msg;
    bool got = true;
    int fds[2];

    if (size > 32 * 1024 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return 0;
    must(write(fds[0], data, size) == (ssize_t)size);
    (void)close(fds[0]);
    must(bh_ipc_new(fds[1], true, &ipc) == BH_OK);
    while (got && bh_ipc_receive(ipc, &msg, &got) == BH_OK) {
        if (got)
            must(msg.fd == -1 && msg.payload.len <= size);
    }
    bh_ipc_free(ipc);
    return 0;
}
