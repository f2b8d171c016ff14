/* SPDX-License-Identifier: Apache-2.0 */
/* Where recorded evidence is, and a loud word where it is not. */
#ifndef BH_TEST_VECTORS_H
#define BH_TEST_VECTORS_H

#include "core/span.h"

#include <jansson.h>

/** The folder ($BEACHHEAD_VECTORS, else ../shared/vectors beside the source); NULL after saying
 * SKIP. */
const char *bh_vectors(void);

/** A file of the folder, malloc'ed; aborts the test program with a message when it cannot be read.
 */
uint8_t *bh_vector(const char *name, size_t *ret_len);
/** A JSON file of the folder. New reference. */
json_t *bh_vector_json(const char *name);

#endif
