/* SPDX-License-Identifier: Apache-2.0 */
/* A server's folder as the authority reads it: a store and two CA certificates. */
#ifndef TEST_AUTHORITY_FOLDER_H
#define TEST_AUTHORITY_FOLDER_H

#include "core/err.h"

/** Make it under the temporary folder. @p issuer_days: validity of the issuing CA. */
void folder_make(char out[256], int issuer_days);
void folder_remove(const char *dir);

#endif
