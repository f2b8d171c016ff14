/* SPDX-License-Identifier: Apache-2.0 */
/* Every field of a quote by its name in TPM 2.0 part 2, and what travels beside it. */
#include "tpm2.h"

#include "core/json.h"
#include "core/text.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <stdio.h>

static void
set(json_t *all, const char *name, json_t *value)
{
    (void)json_object_set_new(all, name, value);
}

static void
set_hex(json_t *all, const char *name, struct bh_span bytes)
{
    char text[2 * 144 + 1];

    set(all, name, json_string(bh_hex(bytes, text, sizeof(text))));
}

/* JSON numbers end at 2^53; these may not. */
static void
set_word(json_t *all, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
    set(all, name, json_string(text));
}

static json_t *
numbers(uint32_t pcrs)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < EV_TPM2_PCRS; i++)
        if ((pcrs >> i & 1) != 0)
            (void)json_array_append_new(list, json_integer(i));
    return list;
}

static void
set_attest(json_t *all, const struct ev_tpm2_attest *a)
{
    json_t *clock = json_object(), *selections = json_array();

    set(all, "type", json_string("TPM_ST_ATTEST_QUOTE"));
    set_hex(all, "qualifiedSigner", a->qualified_signer);
    set_hex(all, "extraData", a->extra_data);
    set(clock, "clock", json_integer((json_int_t)(a->clock & INT64_MAX)));
    set(clock, "resetCount", json_integer(a->reset_count));
    set(clock, "restartCount", json_integer(a->restart_count));
    set(clock, "safe", json_boolean(a->safe));
    set(all, "clockInfo", clock);
    set_word(all, "firmwareVersion", a->firmware_version);
    for (size_t i = 0; i < a->selections_len; i++) {
        json_t *one = json_object();

        set(one, "hash", json_string(ev_tpm2_bank_name(a->selections[i].bank)));
        set(one, "pcrs", numbers(a->selections[i].pcrs));
        (void)json_array_append_new(selections, one);
    }
    set(all, "pcrSelect", selections);
    set_hex(all, "pcrDigest", a->pcr_digest);
}

/* Only values of PCRs that the quote covers: the others are nobody's word. */
static void
set_pcrs(json_t *all, const struct ev_tpm2 *t)
{
    json_t *banks = json_object();

    for (enum ev_tpm2_bank b = EV_TPM2_SHA1; b < EV_TPM2_BANKS; b++) {
        const uint32_t selected = ev_tpm2_selected(&t->attest, b);
        json_t *bank;
        char name[8];

        if ((selected & t->pcrs.given[b]) == 0)
            continue;
        bank = json_object();
        for (unsigned i = 0; i < EV_TPM2_PCRS; i++) {
            (void)snprintf(name, sizeof(name), "%u", i);
            if ((selected & t->pcrs.given[b]) >> i & 1)
                set_hex(bank, name, ev_tpm2_pcr(&t->pcrs, b, i));
        }
        set(banks, ev_tpm2_bank_name(b), bank);
    }
    set(all, "pcrs", banks);
}

static const char *
scheme_name(uint16_t scheme)
{
    switch (scheme) {
    case EV_TPM2_RSASSA:
        return "RSASSA";
    case EV_TPM2_RSAPSS:
        return "RSAPSS";
    case EV_TPM2_ECDSA:
        return "ECDSA";
    case EV_TPM2_NULL:
        return "NULL";
    default:
        return "another";
    }
}

static void
set_signature(json_t *all, const struct ev_tpm2_signature *s)
{
    json_t *object = json_object();

    set(object, "sigAlg", json_string(scheme_name((uint16_t)s->scheme)));
    set(object, "hash", json_string(ev_tpm2_bank_name(s->hash)));
    if (s->bare)
        set(object, "form", json_string("PKCS#1, without a TPMT_SIGNATURE"));
    set(all, "signature", object);
}

static void
set_ak(json_t *all, const struct ev_tpm2_public *p)
{
    static const struct {
        const char *name;
        uint32_t mask;
    } bits[] = {{"fixedTPM", EV_TPM2_FIXED_TPM}, {"fixedParent", EV_TPM2_FIXED_PARENT},
        {"sensitiveDataOrigin", EV_TPM2_SENSITIVE_DATA_ORIGIN}, {"restricted", EV_TPM2_RESTRICTED},
        {"decrypt", EV_TPM2_DECRYPT}, {"sign", EV_TPM2_SIGN}};
    json_t *object = json_object(), *attributes = json_object();

    set_hex(object, "name", bh_span(p->name, p->name_len));
    set(object, "nameAlg", json_string(ev_tpm2_bank_name(p->name_alg)));
    set_word(attributes, "value", p->attributes);
    for (size_t i = 0; i < BH_COUNT(bits); i++)
        set(attributes, bits[i].name, json_boolean((p->attributes & bits[i].mask) != 0));
    set(object, "objectAttributes", attributes);
    set(object, "scheme", json_string(scheme_name(p->scheme)));
    set(all, "ak", object);
}

static void
set_name(json_t *all, const char *member, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    char copy[512];

    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        const long len = BIO_get_mem_data(bio, &text);

        (void)snprintf(copy, sizeof(copy), "%.*s", (int)len, text != NULL ? text : "");
        set(all, member, bh_json_lossy(copy));
    }
    BIO_free(bio);
}

static void
set_time(json_t *all, const char *member, const ASN1_TIME *time)
{
    char text[BH_TIME_MAX];
    struct tm tm = {0};

    if (ASN1_TIME_to_tm(time, &tm) == 1)
        set(all, member, json_string(bh_time_text((int64_t)timegm(&tm), text)));
}

static void
set_certs(json_t *all, const char *member, const struct ev_tpm2_certs *certs)
{
    json_t *list = json_array();

    for (size_t i = 0; i < certs->len; i++) {
        json_t *one = json_object();

        set_name(one, "subject", X509_get_subject_name(certs->certs[i]));
        set_name(one, "issuer", X509_get_issuer_name(certs->certs[i]));
        set_time(one, "not_before", X509_get0_notBefore(certs->certs[i]));
        set_time(one, "not_after", X509_get0_notAfter(certs->certs[i]));
        (void)json_array_append_new(list, one);
    }
    set(all, member, list);
}

static void
set_log(json_t *all, const struct ev_tpm2 *t)
{
    static const char *const words[] = {"off", "on"};
    json_t *object = json_object(), *banks = json_object();
    const int said = ev_tpm2_secure_boot(t, true);

    set(object, "form", json_string(t->log.agile ? "crypto-agile" : "legacy"));
    set(object, "events", json_integer((json_int_t)t->log.events));
    for (enum ev_tpm2_bank b = EV_TPM2_SHA1; b < EV_TPM2_BANKS; b++)
        if (t->replayed[b] != 0)
            set(banks, ev_tpm2_bank_name(b), numbers(t->replayed[b]));
    set(object, "replayed", banks);
    if (said >= 0)
        set(object, "secure_boot", json_string(words[said]));
    set(all, "event_log", object);
}

static void
set_hcl(json_t *all, const struct ev_tpm2_hcl *hcl)
{
    json_t *object = json_object(), *document = NULL;

    set(object, "hardware", json_string(hcl->hardware->name));
    set(object, "claims", hcl->hardware->claims(hcl->state));
    if (bh_json_parse(hcl->document, hcl->document.len, &document, NULL) == BH_OK)
        set(object, "document", document);
    set(all, "hcl_report", object);
}

static const char *
source_name(enum ev_tpm2_source source)
{
    switch (source) {
    case EV_TPM2_ENDORSED:
        return "endorsement";
    case EV_TPM2_CERTIFIED:
        return "certificate";
    case EV_TPM2_HARDWARE:
        return "hardware report";
    case EV_TPM2_NOBODY:
        break;
    }
    return "nobody";
}

json_t *
ev_tpm2_claims(const void *state)
{
    const struct ev_tpm2 *t = state;
    json_t *all = json_object();

    set_attest(all, &t->attest);
    if (t->has_signature)
        set_signature(all, &t->signature);
    if (t->has_pcrs)
        set_pcrs(all, t);
    if (t->has_ak)
        set_ak(all, &t->ak);
    if (t->ak_cert.len > 0)
        set_certs(all, "ak_cert", &t->ak_cert);
    if (t->ek_cert.len > 0)
        set_certs(all, "ek_cert", &t->ek_cert);
    if (t->has_log)
        set_log(all, t);
    if (t->hcl.hardware != NULL)
        set_hcl(all, &t->hcl);
    if (t->source != EV_TPM2_NOBODY)
        set(all, "ak_vouched_by", json_string(source_name(t->source)));
    if (t->has_ek)
        set_hex(all, "ek", bh_span(t->ek, sizeof(t->ek)));
    return all;
}
