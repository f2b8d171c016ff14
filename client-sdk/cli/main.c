/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead: what clients and administrators run. */
#include "commands.h"

#include "core/cli.h"

#include <stdio.h>

/* Administration belongs to a later version: said by name, so that a script learns why. */
static int
cmd_later(int argc, char **argv)
{
    (void)argc;
    (void)fprintf(stderr,
        "beachhead %s: administration is not built yet in version %s.\n"
        "  do: edit policy/, trust/ and endorsed/ in the server's folder, run `beachhead-server "
        "check "
        "--dir DIR`, then send the server SIGHUP\n",
        argv[0], BH_VERSION);
    return 2;
}

int
main(int argc, char **argv)
{
    static const struct bh_cli_command commands[] = {
        {"inspect",
            "show, and with --verify check, evidence, certificates, requests, EARs, policies",
            bh_cmd_inspect},
        {"appraise", "judge evidence by a policy", bh_cmd_appraise},
        {"connect", "make an attested TLS connection and say who is there", bh_cmd_connect},
        {"get", "fetch a URL from an isolate", bh_cmd_get},
        {"verify", "verify a certificate chain of an isolate", bh_cmd_verify},
        {"measure", "compute reference values for a policy from images and logs", bh_cmd_measure},
        {"ca", "(not built yet)", cmd_later},
        {"policy", "(not built yet)", cmd_later},
        {"cert", "(not built yet)", cmd_later},
        {"device", "(not built yet)", cmd_later},
        {"collateral", "vendor collateral in a server's folder", bh_cmd_collateral},
        {"log", "(not built yet)", cmd_later},
        {"admin", "(not built yet)", cmd_later},
        {0},
    };

    return bh_cli_run("beachhead", "Verify isolates of any hardware by one root.",
        "beachhead connect --root root.crt --workload payments 10.0.0.7:8443", commands, argc,
        argv);
}
