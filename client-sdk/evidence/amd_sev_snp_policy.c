/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy says of SEV-SNP guests: members of one entry, compiled. */
#include "amd_sev_snp_policy.h"

#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>

#define VMPL_MAX 3

const struct ev_snp_bit ev_snp_permissions[] = {
    {"smt", EV_SNP_POLICY_SMT},
    {"migrate_ma", EV_SNP_POLICY_MIGRATE_MA},
    {"cxl", EV_SNP_POLICY_CXL_ALLOW},
    {NULL, 0},
};
const struct ev_snp_bit ev_snp_demands[] = {
    {"single_socket", EV_SNP_POLICY_SINGLE_SOCKET},
    {"aes_256_xts", EV_SNP_POLICY_AES_256_XTS},
    {"rapl_dis", EV_SNP_POLICY_RAPL_DIS},
    {"ciphertext_hiding", EV_SNP_POLICY_CIPHERTEXT_HIDING},
    {"page_swap_disable", EV_SNP_POLICY_PAGE_SWAP_DISABLE},
    {NULL, 0},
};
const struct ev_snp_bit ev_snp_platform_bits[] = {
    {"smt", 1U << 0},
    {"tsme", 1U << 1},
    {"ecc", 1U << 2},
    {"rapl_dis", 1U << 3},
    {"ciphertext_hiding", 1U << 4},
    {"alias_check_complete", 1U << 5},
    {"tio", 1U << 7},
    {NULL, 0},
};

void
ev_snp_entry_free(void *state)
{
    struct ev_snp_refs *refs = state;

    if (refs == NULL)
        return;
    ev_hexlist_clear(&refs->measurement);
    ev_hexlist_clear(&refs->id_key_digest);
    ev_hexlist_clear(&refs->author_key_digest);
    ev_hexlist_clear(&refs->host_data);
    ev_hexlist_clear(&refs->family_id);
    ev_hexlist_clear(&refs->image_id);
    ev_hexlist_clear(&refs->chip_id);
    free(refs->csp_ids);
    free(refs);
}

/* ---- products and their TCB versions ---- */

static enum bh_err
read_products(const json_t *entry, struct ev_snp_refs *refs, struct bh_diag *diag)
{
    const char *words[EV_SNP_PRODUCTS - 1];
    uint32_t mask = 0;
    enum bh_err e;

    for (size_t i = 0; i < BH_COUNT(words); i++)
        words[i] = ev_snp_product_name((enum ev_snp_product)(EV_SNP_MILAN + i));
    if ((e = ev_words_read(entry, "product", false, words, BH_COUNT(words), &mask, diag)) != BH_OK)
        return e;
    refs->products = mask << EV_SNP_MILAN;
    return BH_OK;
}

static enum bh_err
read_spls(
    const json_t *object, enum ev_snp_product product, struct ev_snp_tcb *tcb, struct bh_diag *diag)
{
    const char *members[EV_SNP_SPL_COUNT + 1] = {NULL};
    bool any = false;
    enum bh_err e;

    for (size_t i = 0; i < EV_SNP_SPL_COUNT && ev_snp_has_spl(product, i); i++)
        members[i] = ev_snp_spl_name(i);
    if ((e = ev_members_only(object, members, diag)) != BH_OK)
        return e;
    for (size_t i = 0; members[i] != NULL; i++) {
        int64_t value = 0;

        if ((e = bh_json_int(object, members[i], false, 0, UINT8_MAX, &value, diag)) != BH_OK)
            return e;
        tcb->spl[i] = (uint8_t)value;
        any = any || value != 0;
    }
    if (!any)
        return bh_refuse(diag, BH_ERR_MALFORMED, "bootloader",
            "a minimum above 0 in some component", "0 in all",
            "the entry does not pin the platform's state: any firmware would match");
    return BH_OK;
}

/* {product: {component: number}} for products of the entry. */
static enum bh_err
read_tcb_min(const json_t *entry, const char *name, bool mandatory, uint32_t products,
    struct ev_snp_tcb_min *min, struct bh_diag *diag)
{
    const char *members[EV_SNP_PRODUCTS] = {NULL};
    json_t *object, *spls;
    size_t count = 0;
    enum bh_err e;

    if ((e = bh_json_member(entry, name, JSON_OBJECT, !mandatory, &object, diag)) != BH_OK ||
        object == NULL)
        return e;
    for (enum ev_snp_product p = EV_SNP_MILAN; p < EV_SNP_PRODUCTS; p++)
        if ((products >> p & 1) != 0)
            members[count++] = ev_snp_product_name(p);
    if ((e = ev_members_only(object, members, diag)) != BH_OK)
        return e;
    for (enum ev_snp_product p = EV_SNP_MILAN; p < EV_SNP_PRODUCTS; p++) {
        const char *product = ev_snp_product_name(p);

        if ((products >> p & 1) == 0)
            continue;
        if ((e = bh_json_member(object, product, JSON_OBJECT, !mandatory, &spls, diag)) != BH_OK)
            return e;
        if (spls == NULL)
            continue;
        if ((e = read_spls(spls, p, &min->min[p], diag)) != BH_OK) {
            ev_field_prefix(diag, "%s.", product);
            return e;
        }
        min->given[p] = true;
    }
    return BH_OK;
}

static enum bh_err
read_tcbs(const json_t *entry, struct ev_snp_refs *refs, struct bh_diag *diag)
{
    const struct {
        const char *name;
        bool mandatory;
        struct ev_snp_tcb_min *min;
    } all[] = {
        {"tcb_min", true, &refs->tcb},
        {"tcb_current_min", false, &refs->current_tcb},
        {"launch_tcb_min", false, &refs->launch_tcb},
    };

    if (json_object_get(entry, "tcb_min") == NULL) {
        bh_refuse(diag, BH_ERR_MALFORMED, "tcb_min",
            "a minimum for each product that the entry allows", "none",
            "the entry does not pin the platform's state: any firmware would match");
        bh_hint(diag, "add \"tcb_min\" with bootloader, tee, snp and microcode of each product");
        return BH_ERR_MALFORMED;
    }
    for (size_t i = 0; i < BH_COUNT(all); i++) {
        struct bh_diag own = {0};
        const enum bh_err e =
            read_tcb_min(entry, all[i].name, all[i].mandatory, refs->products, all[i].min, &own);

        if (e == BH_OK)
            continue;
        if (strcmp(own.check, all[i].name) != 0)
            ev_field_prefix(&own, "%s.", all[i].name);
        if (diag != NULL && diag->err == BH_OK)
            *diag = own;
        return e;
    }
    return BH_OK;
}

/* ---- lists and bits ---- */

static enum bh_err
read_vmpls(const json_t *entry, struct ev_snp_refs *refs, struct bh_diag *diag)
{
    json_t *list, *item;
    size_t i;
    enum bh_err e;

    if ((e = bh_json_member(entry, "vmpl", JSON_ARRAY, true, &list, diag)) != BH_OK)
        return e;
    if (json_array_size(list) == 0) {
        bh_refuse(diag, BH_ERR_MALFORMED, "vmpl", "at least one of 0 to 3",
            list == NULL ? "none" : "[]",
            "the entry does not say at which privilege level the code runs");
        bh_hint(diag, "0 unless a paravisor or SVSM runs below the guest; AWS gives 1");
        return BH_ERR_MALFORMED;
    }
    json_array_foreach(list, i, item)
    {
        const json_int_t level = json_integer_value(item);

        if (!json_is_integer(item) || level < 0 || level > VMPL_MAX)
            return bh_refuse(diag, BH_ERR_MALFORMED, "vmpl", "numbers from 0 to 3", "another value",
                "there is no such privilege level");
        if ((refs->vmpls >> level & 1) != 0)
            return bh_refuse(diag, BH_ERR_MALFORMED, "vmpl", "each level once", "one twice",
                "the same alternative stands twice in this list");
        refs->vmpls |= UINT32_C(1) << level;
    }
    return BH_OK;
}

static enum bh_err
read_csp_ids(const json_t *entry, struct ev_snp_refs *refs, struct bh_diag *diag)
{
    json_t *list;
    enum bh_err e;

    if ((e = bh_json_member(entry, "csp_id", JSON_ARRAY, true, &list, diag)) != BH_OK ||
        list == NULL)
        return e;
    const size_t count = json_array_size(list);
    if (count == 0 || count > EV_SNP_CSP_IDS_MAX)
        return bh_refuse(diag, BH_ERR_MALFORMED, "csp_id", "1 to 64 alternatives", "another number",
            "%zu alternatives", count);
    if ((refs->csp_ids = calloc(count, sizeof(*refs->csp_ids))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy entry");
    refs->csp_ids_len = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = json_string_value(item);

        if (text == NULL || text[0] == '\0' || strlen(text) > EV_SNP_CSP_ID_MAX ||
            strlen(text) != json_string_length(item))
            return bh_refuse(diag, BH_ERR_MALFORMED, "csp_id", "texts of 1 to 128 bytes",
                text != NULL ? text : "another type", "this is no name of a provider");
        (void)snprintf(refs->csp_ids[i].text, sizeof(refs->csp_ids[i].text), "%s", text);
    }
    return BH_OK;
}

static enum bh_err
read_chip_ids(const json_t *entry, struct ev_snp_refs *refs, struct bh_diag *diag)
{
    struct ev_hexlist *list = &refs->chip_id;
    enum bh_err e;

    if ((e = ev_hexlist_read(entry, "chip_id", true, EV_SNP_TURIN_HWID_LEN, EV_SNP_CHIP_ID_LEN,
             list, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < list->len; i++)
        if (list->items[i].len != EV_SNP_TURIN_HWID_LEN && list->items[i].len != EV_SNP_CHIP_ID_LEN)
            return bh_refuse(diag, BH_ERR_MALFORMED, "chip_id", "64 bytes, or 8 of a Turin",
                "another length", "this is no chip id");
    return BH_OK;
}

/* Booleans of @p object that are named in @p bits: into a mask of the true and one of the false. */
static enum bh_err
read_bits(const json_t *object, const struct ev_snp_bit *bits, uint64_t *set, uint64_t *clear,
    struct bh_diag *diag)
{
    for (; bits->name != NULL; bits++) {
        bool value = false;
        const enum bh_err e = bh_json_bool(object, bits->name, true, &value, diag);

        if (e != BH_OK)
            return e;
        if (value)
            *set |= bits->mask;
        else if (json_object_get(object, bits->name) != NULL)
            *clear |= bits->mask;
    }
    return BH_OK;
}

static enum bh_err
read_guest_policy(const json_t *entry, struct ev_snp_refs *refs, struct bh_diag *diag)
{
    static const char *const members[] = {"smt", "migrate_ma", "cxl", "single_socket",
        "aes_256_xts", "rapl_dis", "ciphertext_hiding", "page_swap_disable", NULL};
    uint64_t forbidden = 0, not_demanded = 0;
    json_t *object;
    enum bh_err e;

    if ((e = bh_json_member(entry, "guest_policy", JSON_OBJECT, true, &object, diag)) != BH_OK ||
        object == NULL)
        return e;
    if ((e = ev_members_only(object, members, diag)) != BH_OK ||
        (e = read_bits(object, ev_snp_permissions, &refs->policy_permitted, &forbidden, diag)) !=
            BH_OK ||
        (e = read_bits(object, ev_snp_demands, &refs->policy_demanded, &not_demanded, diag)) !=
            BH_OK)
        ev_field_prefix(diag, "guest_policy.");
    return e;
}

static enum bh_err
read_platform_info(const json_t *entry, struct ev_snp_refs *refs, struct bh_diag *diag)
{
    static const char *const members[] = {
        "smt", "tsme", "ecc", "rapl_dis", "ciphertext_hiding", "alias_check_complete", "tio", NULL};
    json_t *object;
    enum bh_err e;

    if ((e = bh_json_member(entry, "platform_info", JSON_OBJECT, true, &object, diag)) != BH_OK ||
        object == NULL)
        return e;
    if ((e = ev_members_only(object, members, diag)) != BH_OK ||
        (e = read_bits(object, ev_snp_platform_bits, &refs->platform_set, &refs->platform_clear,
             diag)) != BH_OK)
        ev_field_prefix(diag, "platform_info.");
    return e;
}

static enum bh_err
read_lists(const json_t *entry, struct ev_snp_refs *refs, struct bh_diag *diag)
{
    const struct {
        const char *name;
        size_t len;
        struct ev_hexlist *list;
    } lists[] = {
        {"measurement", 48, &refs->measurement},
        {"id_key_digest", 48, &refs->id_key_digest},
        {"author_key_digest", 48, &refs->author_key_digest},
        {"host_data", 32, &refs->host_data},
        {"family_id", 16, &refs->family_id},
        {"image_id", 16, &refs->image_id},
    };
    enum bh_err e;

    for (size_t i = 0; i < BH_COUNT(lists); i++)
        if ((e = ev_hexlist_read(entry, lists[i].name, true, lists[i].len, lists[i].len,
                 lists[i].list, diag)) != BH_OK)
            return e;
    if (json_object_get(entry, "guest_svn_min") == NULL)
        return BH_OK;
    refs->has_guest_svn = true;
    return bh_json_int(entry, "guest_svn_min", false, 0, UINT32_MAX, &refs->guest_svn_min, diag);
}

static enum bh_err
check_pins(
    const struct ev_snp_refs *refs, bool owner_any, bool *ret_owner_pinned, struct bh_diag *diag)
{
    const bool owner = refs->chip_id.len > 0 || refs->csp_ids_len > 0;

    if (refs->measurement.len == 0 && refs->id_key_digest.len == 0)
        return bh_refuse(diag, BH_ERR_MALFORMED, "measurement",
            "measurement, or id_key_digest with guest_svn_min", "neither",
            "the entry does not pin the code: any guest would match");
    if (refs->measurement.len == 0 && !refs->has_guest_svn)
        return bh_refuse(diag, BH_ERR_MALFORMED, "guest_svn_min",
            "guest_svn_min beside id_key_digest", "none",
            "the entry does not pin the code: any version that was ever signed would match");
    if (!owner && !owner_any)
        return bh_refuse(diag, BH_ERR_MALFORMED, "owner",
            "chip_id or csp_id, or \"owner\": \"any\"", "neither",
            "the entry does not say whose machine it is");
    *ret_owner_pinned = owner;
    return BH_OK;
}

enum bh_err
ev_snp_entry_parse(const json_t *entry, bool owner_any, void **ret_refs, bool *ret_owner_pinned,
    struct bh_diag *diag)
{
    static const char *const members[] = {"platform", "simulated", "debug", "owner", "context",
        "product", "tcb_min", "tcb_current_min", "launch_tcb_min", "vmpl", "measurement",
        "id_key_digest", "author_key_digest", "host_data", "family_id", "image_id", "guest_svn_min",
        "chip_id", "csp_id", "guest_policy", "platform_info", NULL};
    struct ev_snp_refs *refs;
    enum bh_err e;

    if ((e = ev_members_only(entry, members, diag)) != BH_OK)
        return e;
    if ((refs = calloc(1, sizeof(*refs))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy entry");
    if ((e = read_lists(entry, refs, diag)) != BH_OK ||
        (e = read_chip_ids(entry, refs, diag)) != BH_OK ||
        (e = read_csp_ids(entry, refs, diag)) != BH_OK ||
        (e = check_pins(refs, owner_any, ret_owner_pinned, diag)) != BH_OK ||
        (e = read_vmpls(entry, refs, diag)) != BH_OK ||
        (e = read_products(entry, refs, diag)) != BH_OK ||
        (e = read_tcbs(entry, refs, diag)) != BH_OK ||
        (e = read_guest_policy(entry, refs, diag)) != BH_OK ||
        (e = read_platform_info(entry, refs, diag)) != BH_OK)
        goto out;
    *ret_refs = refs;
    refs = NULL;
out:
    ev_snp_entry_free(refs);
    return e;
}
