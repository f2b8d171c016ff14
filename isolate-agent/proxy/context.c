/* SPDX-License-Identifier: Apache-2.0 */
#include "context.h"

#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <stdlib.h>

#define ROOTS_MAX 16

static int
compare(const void *a, const void *b)
{
    return memcmp(a, b, AGENT_CONTEXT_LEN);
}

static enum bh_err
put_roots(struct bh_writer *w, struct bh_span pem, struct bh_diag *diag)
{
    uint8_t digests[ROOTS_MAX][AGENT_CONTEXT_LEN];
    char hex[2 * AGENT_CONTEXT_LEN + 1];
    X509 *certs[ROOTS_MAX] = {NULL};
    size_t count = 0;
    enum bh_err e;

    if ((e = bh_x509_pem(pem, certs, ROOTS_MAX, &count, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < count && e == BH_OK; i++) {
        uint8_t *der = NULL;
        size_t len = 0;
        if ((e = bh_x509_to_der(certs[i], &der, &len)) == BH_OK)
            e = bh_sha2(256, bh_span(der, len), digests[i]);
        OPENSSL_free(der);
    }
    for (size_t i = 0; i < count; i++)
        X509_free(certs[i]);
    if (e != BH_OK)
        return bh_fail(diag, e, "context: root");
    qsort(digests, count, sizeof(digests[0]), compare);
    for (size_t i = 0; i < count; i++)
        bh_writer_printf(w, "root-sha256=%s\n",
            bh_hex(bh_span(digests[i], AGENT_CONTEXT_LEN), hex, sizeof(hex)));
    return BH_OK;
}

enum bh_err
agent_context(const char *workload, const char *upstream, bool key_file, struct bh_span roots_pem,
    char *text, uint8_t digest[AGENT_CONTEXT_LEN], struct bh_diag *diag)
{
    struct bh_span out;
    struct bh_writer w;
    enum bh_err e;

    bh_writer_init(&w, text, AGENT_CONTEXT_TEXT_MAX - 1);
    bh_writer_printf(&w, "beachhead-agent.config.v1\nworkload=%s\nupstream=%s\nkey-file=%s\n",
        workload, upstream != NULL ? upstream : "none", key_file ? "yes" : "no");
    if ((e = put_roots(&w, roots_pem, diag)) != BH_OK)
        return e;
    if ((e = bh_writer_end(&w, &out)) != BH_OK || (e = bh_sha2(256, out, digest)) != BH_OK)
        return bh_fail(diag, e, "context");
    text[out.len] = '\0';
    return BH_OK;
}
