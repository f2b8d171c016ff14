/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sub-commands of beachhead-server. Each gets its own arguments, argv[0] being the
 * sub-command's name, and returns the process's exit code: 0 done, 1 refused, 2 wrong usage
 * or an unreadable input file.
 */
#ifndef PAS_COMMANDS_H
#define PAS_COMMANDS_H

/** Make a server's folder: configuration, root, issuing CA, TLS certificate, store. */
int pas_init_command(int argc, char **argv);
/** Report every problem of a server's folder; changes nothing. */
int pas_check_command(int argc, char **argv);
/** Serve. */
int pas_run_command(int argc, char **argv);

#endif
