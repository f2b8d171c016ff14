/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of sd_notify(3): datagrams to the socket that NOTIFY_SOCKET names. */
#include "server.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un manager;
static socklen_t manager_len;

void
pas_notify_init(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    const size_t len = path != NULL ? strlen(path) : 0;

    if (len > 1 && len < sizeof(manager.sun_path) && (path[0] == '/' || path[0] == '@')) {
        manager.sun_family = AF_UNIX;
        memcpy(manager.sun_path, path, len);
        if (path[0] == '@')
            manager.sun_path[0] = '\0';
        manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    }
    (void)unsetenv("NOTIFY_SOCKET");
}

void
pas_notify(const char *state)
{
    const struct sockaddr *to = (const struct sockaddr *)&manager;
    int fd;

    if (manager_len == 0 || (fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, to, manager_len);
    (void)close(fd);
}
