/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM 2.0: ev_decode_raw of a quote, ev_decode of a collection that the input divides, ev_bind,
 * ev_authenticate, ev_claims of what decodes; the readers of quote, signature, public area, PCR
 * values and certificates alone. Nothing is authentic before the first vendor's certificate began.
 */
#include "judge.h"

#include "evidence/tpm2.h"

#define NOW 1000000000

static void
read_readers(struct bh_span in)
{
    static struct ev_tpm2_pcrs pcrs;
    struct ev_tpm2_signature signature;
    struct ev_tpm2_attest attest;
    struct ev_tpm2_public public;
    struct ev_tpm2_certs certs;
    struct bh_diag diag = {0};

    must_explain(ev_tpm2_attest_read(in, &attest, &diag), &diag);
    diag = (struct bh_diag){0};
    must_explain(ev_tpm2_signature_read(in, &signature, &diag), &diag);
    diag = (struct bh_diag){0};
    must_explain(ev_tpm2_public_read(in, &public, &diag), &diag);
    diag = (struct bh_diag){0};
    must_explain(ev_tpm2_pcrs_read(in, &pcrs, &diag), &diag);
    diag = (struct bh_diag){0};
    const enum bh_err e = ev_tpm2_certs_read(in, &certs, &diag);
    must_explain(e, &diag);
    if (e == BH_OK)
        ev_tpm2_certs_clear(&certs);
}

/* Azure's report beside the SNP form of its evidence. */
static void
read_hcl(struct bh_span in)
{
    static struct ev_tpm2_hcl hcl;
    static struct ev_report report;
    static const struct bh_cmw none = {.collection = true};

    ev_report_init(&report, false);
    if (ev_tpm2_hcl_read(in, &none, &hcl, &report) == BH_OK)
        ev_tpm2_hcl_clear(&hcl);
    else
        must(report.diag.check[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const labels[] = {"quote", "signature", "pcrs", "ak", "ak_cert", "ek_cert",
        "event_log", "hcl_report", "vcek", "td_quote"};
    const struct bh_span in = bh_span(data, size);

    fuzz_judge_raw(in, EV_TPM2_NAME, NOW);
    fuzz_judge_divided("tag:beachhead,2026:tpm2", labels, BH_COUNT(labels), in, NOW);
    read_readers(in);
    read_hcl(in);
    return 0;
}
