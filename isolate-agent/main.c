/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead-agent: proves what its isolate is, and serves with the certificate that it gets. */
#include "commands.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/log.h"

#include "isolate-agent/proxy/identity.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define ROOTS_MAX_BYTES (1024 * 1024)

enum bh_err
agent_load_roots(const char *path, bh_trust **ret_trust, char **ret_pem, struct bh_diag *diag)
{
    bh_failure *failure = bh_failure_new();
    uint8_t *pem = NULL;
    size_t len = 0;
    enum bh_err e = bh_file_read(path, ROOTS_MAX_BYTES, &pem, &len, diag);

    if (e == BH_OK && failure == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "root");
    if (e == BH_OK && bh_trust_new((const char *)pem, len, ret_trust, failure) != BH_RESULT_OK)
        e = agent_diag_of(failure, diag);
    if (e == BH_OK)
        *ret_pem = (char *)pem;
    else
        free(pem);
    bh_failure_free(failure);
    return e;
}

void
agent_harden(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef BH_SANITIZED
    /* The leak checker reads its own process. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int
main(int argc, char **argv)
{
    static const struct bh_cli_command commands[] = {
        {"detect", "say what on this machine produces evidence", agent_cmd_detect},
        {"evidence", "produce evidence for a challenge and a key", agent_cmd_evidence},
        {"run", "enrol, serve attested TLS, renew", agent_cmd_run},
        {"dial", "connect plain programs to an attested endpoint", agent_cmd_dial},
        {0},
    };

    bh_log_init("agent", BH_LOG_INFO);
    return bh_cli_run("beachhead-agent",
        "Proves to a Beachhead server what its isolate is, and serves TLS with the certificate.",
        "beachhead-agent run --server https://attest.example:8443 --root root.crt --workload "
        "payments --listen 0.0.0.0:443 --upstream 127.0.0.1:8080",
        commands, argc, argv);
}
