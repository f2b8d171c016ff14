/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers to enrolments and appraisals. Every text in them is made here or of a checked
 * alphabet (workload, platform, trust domain, hex, base64), so that nothing needs escaping.
 */
#include "authority.h"

#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <openssl/evp.h>

static void
put_base64url(struct bh_writer *w, struct bh_span bytes)
{
    char text[(BH_EAR_MAX + 3) / 3 * 4 + 4];

    if (bytes.len > BH_EAR_MAX)
        bh_writer_spoil(w);
    else
        bh_writer_str(w, bh_base64url(bytes, text, sizeof(text)));
}

static void
put_certificate(const struct pas_authority *a, const struct pas_pending *p, struct bh_writer *w)
{
    char begins[BH_TIME_MAX], ends[BH_TIME_MAX], serial[2 * PAS_STORE_SERIAL_LEN + 1];

    bh_writer_str(w, "{\"certificate\":\"");
    pas_pem_put(w, bh_span(p->from_signer + p->ear_len, p->certificate_len), "\\n");
    bh_writer_str(w, a->issuing_json);
    bh_writer_printf(w,
        "\",\"serial\":\"%s\",\"not_before\":\"%s\",\"not_after\":\"%s\",\"workload\":\"%s\","
        "\"platform\":\"%s\",\"spiffe_id\":\"spiffe://%s/%s\",\"simulated\":%s,\"status\":\"%s\","
        "\"ear\":\"",
        bh_hex(bh_span(p->serial, sizeof(p->serial)), serial, sizeof(serial)),
        bh_time_text(p->not_before, begins), bh_time_text(p->not_after, ends), p->workload,
        p->platform, a->child.config.trust_domain, p->workload, p->simulated ? "true" : "false",
        bh_ear_status_name(p->status));
    put_base64url(w, bh_span(p->from_signer, p->ear_len));
    bh_writer_str(w, "\"}");
}

/* The checks as the verifier listed them, and the EAR: its signing input, a dot, its signature. */
static void
put_result(const struct pas_pending *p, struct bh_writer *w)
{
    bh_writer_printf(w,
        "{\"verdict\":\"accept\",\"workload\":\"%s\",\"platform\":\"%s\",\"authentic\":true,"
        "\"simulated\":%s,"
        "\"status\":\"%s\",\"checks\":",
        p->workload, p->platform, p->simulated ? "true" : "false", bh_ear_status_name(p->status));
    bh_writer_put(w, bh_span(p->record, p->record_len));
    bh_writer_str(w, ",\"ear\":\"");
    bh_writer_str(w, p->jwt_input);
    bh_writer_str(w, ".");
    put_base64url(w, bh_span(p->from_signer, p->ear_len));
    bh_writer_str(w, "\"}");
}

void
pas_reply_put(const struct pas_authority *a, const struct pas_pending *p, struct bh_writer *w)
{
    if (p->result)
        put_result(p, w);
    else
        put_certificate(a, p, w);
}
