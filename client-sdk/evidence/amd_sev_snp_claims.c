/* SPDX-License-Identifier: Apache-2.0 */
/* Every field of a report by its name in AMD 56860, and what its certificate says. */
#include "amd_sev_snp_policy.h"

#include "core/json.h"
#include "core/text.h"

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

static void
set_number(json_t *all, const char *name, uint64_t value)
{
    set(all, name, json_integer((json_int_t)value));
}

/* A set of bits whose upper half may not be a number in JSON. */
static void
set_word(json_t *all, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
    set(all, name, json_string(text));
}

static json_t *
tcb_json(const struct ev_snp_tcb *tcb, enum ev_snp_product product)
{
    json_t *all = json_object();

    for (size_t i = 0; i < EV_SNP_SPL_COUNT; i++)
        if (ev_snp_has_spl(product, i))
            set_number(all, ev_snp_spl_name(i), tcb->spl[i]);
    return all;
}

static void
set_tcb(json_t *all, const char *name, struct bh_span raw, enum ev_snp_product product)
{
    const struct ev_snp_tcb tcb = ev_snp_tcb_read(raw, product);
    json_t *object = tcb_json(&tcb, product);

    set_hex(object, "raw", raw);
    set(all, name, object);
}

static void
set_bits(json_t *all, const struct ev_snp_bit *bits, uint64_t value)
{
    for (; bits->name != NULL; bits++)
        set(all, bits->name, json_boolean((value & bits->mask) != 0));
}

static json_t *
policy_json(uint64_t policy)
{
    json_t *all = json_object();

    set_word(all, "value", policy);
    set_number(all, "abi_major", policy >> 8 & 0xff);
    set_number(all, "abi_minor", policy & 0xff);
    set_bits(all, ev_snp_permissions, policy);
    set(all, "debug", json_boolean((policy & EV_SNP_POLICY_DEBUG) != 0));
    set_bits(all, ev_snp_demands, policy);
    return all;
}

static json_t *
platform_json(uint64_t info)
{
    json_t *all = json_object();

    set_word(all, "value", info);
    set_bits(all, ev_snp_platform_bits, info);
    return all;
}

static void
set_version(json_t *all, const char *name, const struct ev_snp_version *v)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u.%u.%u", v->major, v->minor, v->build);
    set(all, name, json_string(text));
}

static void
set_endorser(json_t *all, const char *name, const struct ev_snp_endorser *k)
{
    char from[BH_TIME_MAX], to[BH_TIME_MAX];
    json_t *object = json_object();

    set(object, "product_name", json_string(ev_snp_product_name(k->product)));
    set(object, "tcb", tcb_json(&k->tcb, k->product));
    if (k->vlek)
        set(object, "csp_id", json_stringn((const char *)k->csp_id.ptr, k->csp_id.len));
    else
        set_hex(object, "hwid", k->hwid);
    set(object, "not_before", json_string(bh_time_text(k->cert.not_before, from)));
    set(object, "not_after", json_string(bh_time_text(k->cert.not_after, to)));
    set(all, name, object);
}

static const char *
signing_key_name(enum ev_snp_signing_key key)
{
    return key == EV_SNP_KEY_VCEK ? "VCEK" : key == EV_SNP_KEY_VLEK ? "VLEK" : "NONE";
}

static void
set_first_half(json_t *all, const struct ev_snp_report *r, enum ev_snp_product product)
{
    set_number(all, "version", r->version);
    set_number(all, "guest_svn", r->guest_svn);
    set(all, "policy", policy_json(r->policy));
    set_hex(all, "family_id", r->family_id);
    set_hex(all, "image_id", r->image_id);
    set_number(all, "vmpl", r->vmpl);
    set_number(all, "signature_algo", r->signature_algo);
    set_tcb(all, "current_tcb", r->current_tcb, product);
    set(all, "platform_info", platform_json(r->platform_info));
    set(all, "signing_key", json_string(signing_key_name(r->signing_key)));
    set(all, "mask_chip_key", json_boolean(r->mask_chip_key));
    set(all, "author_key_en", json_boolean(r->author_key_en));
    set_hex(all, "report_data", r->report_data);
    set_hex(all, "measurement", r->measurement);
    set_hex(all, "host_data", r->host_data);
    set_hex(all, "id_key_digest", r->id_key_digest);
    set_hex(all, "author_key_digest", r->author_key_digest);
    set_hex(all, "report_id", r->report_id);
    set_hex(all, "report_id_ma", r->report_id_ma);
    set_tcb(all, "reported_tcb", r->reported_tcb, product);
}

static void
set_second_half(json_t *all, const struct ev_snp_report *r, enum ev_snp_product product)
{
    if (r->version >= 3) {
        set_number(all, "cpuid_fam_id", r->cpu_family);
        set_number(all, "cpuid_mod_id", r->cpu_model);
        set_number(all, "cpuid_step", r->cpu_stepping);
    }
    set_hex(all, "chip_id", r->chip_id);
    set_tcb(all, "committed_tcb", r->committed_tcb, product);
    set_version(all, "current_version", &r->current);
    set_version(all, "committed_version", &r->committed);
    set_tcb(all, "launch_tcb", r->launch_tcb, product);
    if (r->version >= 5) {
        set_word(all, "launch_mit_vector", r->launch_mit_vector);
        set_word(all, "current_mit_vector", r->current_mit_vector);
    }
    set_hex(all, "signature_r", r->r);
    set_hex(all, "signature_s", r->s);
}

json_t *
ev_snp_claims(const void *state)
{
    const struct ev_snp *n = state;
    enum ev_snp_product product = n->report.product;
    json_t *all = json_object();

    if (product == EV_SNP_NO_PRODUCT)
        product = n->product != EV_SNP_NO_PRODUCT ? n->product
                  : n->has_vcek                   ? n->vcek.product
                                                  : n->vlek.product;
    set_first_half(all, &n->report, product);
    set_second_half(all, &n->report, product);
    /* Not fields of a report, but what they and its certificate say. */
    if (product != EV_SNP_NO_PRODUCT)
        set(all, "product", json_string(ev_snp_product_name(product)));
    set(all, "debug", json_boolean((n->report.policy & EV_SNP_POLICY_DEBUG) != 0));
    if (n->has_vcek)
        set_endorser(all, "vcek", &n->vcek);
    if (n->has_vlek)
        set_endorser(all, "vlek", &n->vlek);
    /* One from the collateral shows once it counted. */
    if (n->product != EV_SNP_NO_PRODUCT)
        set_endorser(all, n->endorser.vlek ? "vlek" : "vcek", &n->endorser);
    return all;
}
