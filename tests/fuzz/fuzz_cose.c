/* SPDX-License-Identifier: Apache-2.0 */
/* bh_cose_decode, bh_cose_verify, bh_cose_verify_mac, bh_cose_key_decode. */
#include "fuzz.h"

#include "core/cose.h"
#include "core/x509.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t mac_key[32] = "not a key that anybody has used";
    static EVP_PKEY *key;
    struct bh_diag diag = {0};
    EVP_PKEY *decoded = NULL;
    struct bh_cose m;
    enum bh_err e;

    if (key == NULL)
        must(bh_key_generate("P-256", &key, NULL) == BH_OK);
    e = bh_cose_decode(bh_span(data, size), 15, &m, &diag);
    must_explain(e, &diag);
    if (e == BH_OK) {
        must(bh_cose_verify(&m, key, &diag) != BH_OK);
        bh_diag_clear(&diag);
        must(bh_cose_verify_mac(&m, bh_span(mac_key, sizeof(mac_key)), &diag) != BH_OK);
    }
    bh_diag_clear(&diag);
    e = bh_cose_key_decode(bh_span(data, size), &decoded, &diag);
    must_explain(e, &diag);
    must((e == BH_OK) == (decoded != NULL));
    EVP_PKEY_free(decoded);
    return 0;
}
