/* SPDX-License-Identifier: Apache-2.0 */
/* A part of json.c, and of nobody else. */
#ifndef BH_JSON_PLAIN_H
#define BH_JSON_PLAIN_H

#include "span.h"

#include <jansson.h>

/**
 * The value of @p text when it is wholly made of plain JSON, the same as jansson's with
 * JSON_REJECT_DUPLICATES and no deeper than BH_JSON_DEPTH_MAX. NULL says nothing: jansson must be
 * asked. New reference.
 */
json_t *bh_json_plain(struct bh_span text);

#endif
