/* SPDX-License-Identifier: Apache-2.0 */
/* Tell the service manager (sd_notify(3)); nothing happens where there is none. */
#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

/** Send @p state ("READY=1") to $NOTIFY_SOCKET. */
void agent_notify(const char *state);

#endif
