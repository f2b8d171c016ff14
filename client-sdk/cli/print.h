/* SPDX-License-Identifier: Apache-2.0 */
/* How the command shows facts to people: one claim a line, checks as a table. */
#ifndef BH_CLI_PRINT_H
#define BH_CLI_PRINT_H

#include <jansson.h>
#include <stdio.h>

/** Members of @p object by name, nested ones indented. Control characters are shown as \xNN. */
void bh_print_claims(FILE *out, json_t *object);
/** Checks as ev_report_json() gives them, failed ones last and in full. */
void bh_print_checks(FILE *out, const json_t *checks);

#endif
