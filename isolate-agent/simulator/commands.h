/* SPDX-License-Identifier: Apache-2.0 */
/* The sub-commands of beachhead-simulator that have a file of their own. */
#ifndef AGENT_COMMANDS_H
#define AGENT_COMMANDS_H

#include "device.h"

#define AGENT_TAMPER_HELP                                                                          \
    "break exactly one thing: signature, chain, measurement, debug, binding, expired,\n"           \
    "                               trailing, root, duplicate, nitrotpm, no-alg, profile, "        \
    "mixed,\n"                                                                                     \
    "                               missing-component, extra-component"

/** `beachhead-simulator enrol`. */
int agent_cmd_enrol(int argc, char **argv);

#endif
