/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCR values beside a quote, and their digest. A value counts only where the quote covers its PCR:
 * whoever sends the values also chose what was quoted.
 */
#include "tpm2.h"

#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <stdio.h>

#define JSON_MAX (64 * 1024)

int
ev_tpm2_pcr_index(const char *text)
{
    int index = text[0] - '0';

    if (index < 0 || index > 9)
        return -1;
    if (text[1] == '\0')
        return index;
    if (index == 0 || text[1] < '0' || text[1] > '9' || text[2] != '\0')
        return -1;
    index = index * 10 + text[1] - '0';
    return index < EV_TPM2_PCRS ? index : -1;
}

static enum bh_err
read_bank(
    const json_t *object, enum ev_tpm2_bank bank, struct ev_tpm2_pcrs *pcrs, struct bh_diag *diag)
{
    const size_t size = ev_tpm2_bank_size(bank);
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const char *text = json_string_value(value);
        const int index = ev_tpm2_pcr_index(name);
        size_t len = 0;

        if (index < 0)
            return bh_fail(diag, BH_ERR_MALFORMED, "%s: \"%.16s\" is the number of no PCR",
                ev_tpm2_bank_name(bank), name);
        if (text == NULL || strlen(text) != json_string_length(value) ||
            bh_unhex(bh_span_str(text), pcrs->values[bank][index], size, &len) != BH_OK ||
            len != size)
            return bh_fail(diag, BH_ERR_MALFORMED, "%s: PCR %d is not %zu bytes in hex",
                ev_tpm2_bank_name(bank), index, size);
        pcrs->given[bank] |= UINT32_C(1) << index;
    }
    return BH_OK;
}

enum bh_err
ev_tpm2_pcrs_read(struct bh_span json, struct ev_tpm2_pcrs *ret_pcrs, struct bh_diag *diag)
{
    static const char *const members[] = {"sha1", "sha256", "sha384", "sha512", NULL};
    struct ev_tpm2_pcrs pcrs = {0};
    json_t *root = NULL, *object;
    enum bh_err e;

    if ((e = bh_json_parse(json, JSON_MAX, &root, diag)) != BH_OK)
        return e;
    if (!json_is_object(root))
        e = bh_fail(diag, BH_ERR_MALFORMED, "no object of banks");
    else
        e = bh_json_only(root, members, "the PCR values", diag);
    for (enum ev_tpm2_bank b = EV_TPM2_SHA1; e == BH_OK && b < EV_TPM2_BANKS; b++) {
        e = bh_json_member(root, ev_tpm2_bank_name(b), JSON_OBJECT, true, &object, diag);
        if (e == BH_OK && object != NULL)
            e = read_bank(object, b, &pcrs, diag);
    }
    if (e == BH_OK)
        *ret_pcrs = pcrs;
    json_decref(root);
    return e;
}

struct bh_span
ev_tpm2_pcr(const struct ev_tpm2_pcrs *pcrs, enum ev_tpm2_bank bank, unsigned index)
{
    if (bank >= EV_TPM2_BANKS || index >= EV_TPM2_PCRS || (pcrs->given[bank] >> index & 1) == 0)
        return bh_span_none();
    return bh_span(pcrs->values[bank][index], ev_tpm2_bank_size(bank));
}

static enum bh_err
missing(enum ev_tpm2_bank bank, unsigned index, struct ev_report *report)
{
    char found[BH_VALUE_MAX];

    (void)snprintf(found, sizeof(found), "none of PCR %u of %s", index, ev_tpm2_bank_name(bank));
    return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "TPM 2.0 part 2", EV_TPM2_NAME ".pcrs",
        "a value of each PCR that the quote covers", found,
        "send the values of all PCRs that are quoted, read at the same time");
}

enum bh_err
ev_tpm2_check_pcrs(const struct ev_tpm2 *t, struct ev_report *report)
{
    const size_t digest_len = ev_tpm2_bank_size(t->signature.hash);
    uint8_t all[EV_TPM2_BANKS * EV_TPM2_PCRS * EV_TCG_DIGEST_MAX], digest[EV_TCG_DIGEST_MAX];
    char expected[BH_VALUE_MAX], found[BH_VALUE_MAX];
    size_t len = 0;

    /* In the order of the selections, ascending in each (part 3, TPM2_Quote). */
    for (size_t i = 0; i < t->attest.selections_len; i++)
        for (unsigned k = 0; k < EV_TPM2_PCRS; k++) {
            const enum ev_tpm2_bank bank = t->attest.selections[i].bank;
            const struct bh_span value = ev_tpm2_pcr(&t->pcrs, bank, k);

            if ((t->attest.selections[i].pcrs >> k & 1) == 0)
                continue;
            if (value.len == 0)
                return missing(bank, k, report);
            memcpy(all + len, value.ptr, value.len);
            len += value.len;
        }
    /* The hash is that of the signature, whatever the banks. */
    if (bh_sha2((unsigned)digest_len * 8, bh_span(all, len), digest) != BH_OK)
        return ev_refuse(report, BH_ERR_INTERNAL, "TPM 2.0 part 2", EV_TPM2_NAME ".pcr_digest",
            NULL, NULL, NULL);
    (void)bh_hex(t->attest.pcr_digest, expected, sizeof(expected));
    (void)bh_hex(bh_span(digest, digest_len), found, sizeof(found));
    if (!bh_span_equal(t->attest.pcr_digest, bh_span(digest, digest_len)))
        return ev_refuse(report, BH_ERR_NOT_AUTHENTIC, "signature", EV_TPM2_NAME ".pcr_digest",
            expected, found, "the PCR values are not those that were quoted: read them again");
    ev_pass(report, "signature", EV_TPM2_NAME ".pcr_digest", expected, found);
    return BH_OK;
}
