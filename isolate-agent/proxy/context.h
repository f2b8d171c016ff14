/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plain agent commits to (architecture.md, Key binding): the SHA-256 of its effective
 * configuration, as this canonical text, each line closed by LF:
 *
 *     beachhead-agent.config.v1
 *     workload=payments
 *     upstream=127.0.0.1:8080        or unix:PATH as given; "none" without an endpoint
 *     key-file=no                    "yes" with --out: the key leaves the agent's memory
 *     root-sha256=<hex>              of each trusted root's DER, sorted, one line each
 *
 * The listening address is not part of it: it says nothing about who gets the plain stream. A
 * policy pins the context by this digest ("context": ["<hex>"]); `beachhead-agent run
 * --print-context` shows text and digest.
 */
#ifndef AGENT_CONTEXT_H
#define AGENT_CONTEXT_H

#include "core/err.h"

#define AGENT_CONTEXT_LEN 32
#define AGENT_CONTEXT_TEXT_MAX 4096

/**
 * Compute text and digest. @p upstream NULL: none. @p text holds AGENT_CONTEXT_TEXT_MAX bytes and
 * gets a NUL. BH_ERR_MALFORMED for @p roots_pem.
 */
BH_MUST_USE enum bh_err agent_context(const char *workload, const char *upstream, bool key_file,
    struct bh_span roots_pem, char *text, uint8_t digest[AGENT_CONTEXT_LEN], struct bh_diag *diag);

#endif
