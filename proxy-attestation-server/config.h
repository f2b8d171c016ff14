/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.json: what `beachhead-server init` writes and every process reads. Strict: unknown and
 * duplicate keys, and values out of range, are errors that name the field.
 *
 *     { "trust_domain": "fleet.example", "listen": "127.0.0.1:8443", "dns":
 * ["attest.fleet.example"], "allow_simulated": false, "store": "sqlite", "rate": {"per_second":
 * 100, "burst": 500}, "connections": 12000, "connections_per_address": 11000, "idle_timeout":
 * "30s", "request_timeout": "20s", "challenge_life": "120s", "clock_skew": "60s",
 * "evidence_max_age": "5m", "certificate_lifetime": "24h", "certificate_lifetime_max": "7d",
 * "retention": "90d", "verifiers": 0, "tls12": false }
 */
#ifndef PAS_CONFIG_H
#define PAS_CONFIG_H

#include "core/err.h"

#define PAS_CONFIG_DNS_MAX 16

struct pas_config {
    char trust_domain[254];
    char listen[128]; /* ADDR:PORT, [ADDR]:PORT */
    size_t dns_len;
    char dns[PAS_CONFIG_DNS_MAX][254];
    bool allow_simulated;
    char store[256];         /* "sqlite" */
    int64_t rate_per_second; /* requests per address; 0: no limit */
    int64_t rate_burst;
    int64_t connections;
    int64_t connections_per_address;
    int64_t idle_timeout;    /* all durations in seconds */
    int64_t request_timeout; /* a request must be whole within this */
    int64_t challenge_life;
    int64_t clock_skew; /* backdating of certificates, and how far a timestamp may lie ahead */
    int64_t evidence_max_age;
    int64_t certificate_lifetime;
    int64_t certificate_lifetime_max;
    int64_t retention; /* how long expired certificates and refusals are kept */
    int64_t verifiers; /* 0: one per core */
    bool tls12;
};

/** The defaults of every field that has one. */
void pas_config_defaults(struct pas_config *config);
/**
 * Read server.json over the defaults. What belongs to later versions ("public_url",
 * "proxy_protocol_from", "on_event", a store other than sqlite, a PKCS#11 key) is refused by name
 * as not built yet. Failures name the field in diag->check as "server.json.rate.burst".
 */
BH_MUST_USE enum bh_err pas_config_parse(
    struct bh_span json, struct pas_config *ret_config, struct bh_diag *diag);
/**
 * The same for `check`: calls @p problem (may be NULL) for every field that is wrong, not only for
 * the first, and returns the first one's error. @p ret_config is written on success only.
 */
BH_MUST_USE enum bh_err pas_config_examine(struct bh_span json, struct pas_config *ret_config,
    void (*problem)(void *arg, const struct bh_diag *diag), void *arg);
/**
 * Take "ADDR:PORT" or "[ADDR]:PORT" apart: a numeric address (names are refused, ports 0 to 65535).
 * @p host holds PAS_CONFIG_HOST_MAX bytes and gets the address without brackets.
 */
#define PAS_CONFIG_HOST_MAX 48
BH_MUST_USE enum bh_err pas_config_listen(
    const char *listen, char *host, uint16_t *ret_port, struct bh_diag *diag);
/** The text that init writes: every field, indented. malloc'ed. */
BH_MUST_USE enum bh_err pas_config_text(
    const struct pas_config *config, char **ret_text, struct bh_diag *diag);

#endif
