/* SPDX-License-Identifier: Apache-2.0 */
/* The sub-commands of `beachhead`: each one file, each returns the exit code. */
#ifndef BH_CLI_COMMANDS_H
#define BH_CLI_COMMANDS_H

int bh_cmd_inspect(int argc, char **argv);
int bh_cmd_appraise(int argc, char **argv);
int bh_cmd_connect(int argc, char **argv);
int bh_cmd_measure(int argc, char **argv);
int bh_cmd_get(int argc, char **argv);
int bh_cmd_verify(int argc, char **argv);
int bh_cmd_collateral(int argc, char **argv);

#endif
