/* SPDX-License-Identifier: Apache-2.0 */
/* Software components: what a token measured, and what a policy expects of it. */
#include "arm.h"

#include "core/cbor.h"
#include "core/json.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_LEN_MAX 256

enum component_key { /* RFC 9783, 4.4.1; the other keys of older drafts are ignored */
    COMPONENT_TYPE = 1,
    COMPONENT_MEASUREMENT = 2,
    COMPONENT_VERSION = 4,
    COMPONENT_SIGNER = 5,
    COMPONENT_DESCRIPTION = 6,
};

/* ---- tokens ---- */

static struct bh_span
read_text(struct bh_cbor *c)
{
    struct bh_span text = bh_cbor_tstr(c);

    if (text.len > TEXT_LEN_MAX)
        bh_cbor_spoil(c, "a text of more than 256 bytes");
    return text;
}

static struct bh_span
read_hash(struct bh_cbor *c, const char *why)
{
    struct bh_span hash = bh_cbor_bstr(c);

    if (bh_cbor_ok(c) && hash.len != 32 && hash.len != 48 && hash.len != 64)
        bh_cbor_spoil(c, why);
    return hash;
}

static void
read_component(struct bh_cbor *c, struct ev_arm_component *component)
{
    bh_cbor_map(c);
    while (bh_cbor_more(c)) {
        int64_t key = 0;

        if (bh_cbor_peek(c) == BH_CBOR_TSTR)
            (void)bh_cbor_tstr(c);
        else
            key = bh_cbor_int(c);
        switch (key) {
        case COMPONENT_TYPE:
            component->type = read_text(c);
            break;
        case COMPONENT_MEASUREMENT:
            component->measurement =
                read_hash(c, "a measurement that is not 32, 48 or 64 bytes long");
            break;
        case COMPONENT_VERSION:
            component->version = read_text(c);
            break;
        case COMPONENT_SIGNER:
            component->signer = read_hash(c, "a signer id that is not 32, 48 or 64 bytes long");
            break;
        case COMPONENT_DESCRIPTION:
            /* Free text, and never a reason to refuse. */
            if (bh_cbor_peek(c) == BH_CBOR_TSTR)
                component->description = bh_cbor_tstr(c);
            else
                bh_cbor_skip(c);
            break;
        default:
            bh_cbor_skip(c);
        }
    }
    if (bh_cbor_ok(c) && component->measurement.ptr == NULL)
        bh_cbor_spoil(c, "a component without a measurement");
    if (bh_cbor_ok(c) && component->signer.ptr == NULL)
        bh_cbor_spoil(c, "a component without a signer id");
}

enum bh_err
ev_arm_components(struct bh_span array, const char *prefix, const char *name, const char *source,
    struct ev_report *report, struct ev_arm_components *ret_components)
{
    struct ev_arm_components components = {0};
    struct bh_cbor c;

    bh_cbor_init(&c, array);
    bh_cbor_array(&c);
    while (bh_cbor_more(&c)) {
        if (components.len == EV_ARM_COMPONENTS_MAX) {
            bh_cbor_spoil(&c, "more than 64 components");
            break;
        }
        read_component(&c, &components.items[components.len++]);
    }
    if (bh_cbor_end(&c) != BH_OK || components.len == 0)
        return ev_arm_malformed(report, source, prefix, name, "software components",
            bh_cbor_why(&c) != NULL ? bh_cbor_why(&c) : "an empty array");
    *ret_components = components;
    return BH_OK;
}

static void
set_text(json_t *object, const char *name, struct bh_span text)
{
    if (text.ptr != NULL)
        (void)json_object_set_new(object, name, json_stringn((const char *)text.ptr, text.len));
}

static void
set_hex(json_t *object, const char *name, struct bh_span bytes)
{
    char hex[2 * 64 + 1];

    (void)json_object_set_new(object, name, json_string(bh_hex(bytes, hex, sizeof(hex))));
}

json_t *
ev_arm_components_json(const struct ev_arm_components *components)
{
    json_t *list = json_array();

    for (size_t i = 0; i < components->len; i++) {
        const struct ev_arm_component *c = &components->items[i];
        json_t *o = json_object();

        set_text(o, "measurement-type", c->type);
        set_hex(o, "measurement-value", c->measurement);
        set_text(o, "version", c->version);
        set_hex(o, "signer-id", c->signer);
        set_text(o, "measurement-desc", c->description);
        (void)json_array_append_new(list, o);
    }
    return list;
}

/* A name that can stand in a claim's name: what a token calls its components is its own choice. */
static bool
is_plain(struct bh_span type)
{
    if (type.len == 0 || type.len > 32)
        return false;
    for (size_t i = 0; i < type.len; i++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
                type.ptr[i]) == NULL ||
            type.ptr[i] == '\0')
            return false;
    /* A number could be taken for an index. */
    return type.ptr[0] > '9';
}

void
ev_arm_components_claim(
    const struct ev_arm_components *components, const char *prefix, struct ev_verdict *verdict)
{
    char name[BH_EAR_CLAIM_NAME_MAX];

    for (size_t i = 0; i < components->len; i++) {
        const struct bh_span type = components->items[i].type;
        bool plain = is_plain(type);

        for (size_t k = 0; k < components->len && plain; k++)
            plain = k == i || !bh_span_equal(type, components->items[k].type);
        if (plain)
            (void)snprintf(
                name, sizeof(name), "%s.%.*s", prefix, (int)type.len, (const char *)type.ptr);
        else
            (void)snprintf(name, sizeof(name), "%s.%zu", prefix, i);
        ev_claim_bytes(verdict, name, components->items[i].measurement);
    }
}

/* ---- policies ---- */

enum bh_err
ev_arm_hashlist_read(const json_t *object, const char *name, bool optional,
    struct ev_hexlist *ret_list, struct bh_diag *diag)
{
    struct ev_hexlist list;
    enum bh_err e;

    if ((e = ev_hexlist_read(object, name, optional, 32, 64, &list, diag)) != BH_OK)
        return e;
    for (size_t i = 0; i < list.len; i++)
        if (list.items[i].len != 32 && list.items[i].len != 48 && list.items[i].len != 64) {
            e = bh_refuse(diag, BH_ERR_MALFORMED, name, "32, 48 or 64 bytes", NULL,
                "a value of %zu bytes could never be in a token", list.items[i].len);
            ev_hexlist_clear(&list);
            return e;
        }
    *ret_list = list;
    return BH_OK;
}

static enum bh_err
read_item(const json_t *object, struct ev_arm_item *item, struct bh_diag *diag)
{
    static const char *const members[] = {"type", "version", "measurement", "signer", NULL};
    const char *type, *version;
    enum bh_err e;

    if (!json_is_object(object))
        return bh_fail(diag, BH_ERR_MALFORMED, "a software item is a JSON object");
    if ((e = ev_members_only(object, members, diag)) != BH_OK ||
        (e = bh_json_string(object, "type", true, &type, diag)) != BH_OK ||
        (e = bh_json_string(object, "version", true, &version, diag)) != BH_OK ||
        (e = ev_arm_hashlist_read(object, "measurement", false, &item->measurement, diag)) !=
            BH_OK ||
        (e = ev_arm_hashlist_read(object, "signer", true, &item->signer, diag)) != BH_OK)
        return e;
    if ((type != NULL && (item->type = strdup(type)) == NULL) ||
        (version != NULL && (item->version = strdup(version)) == NULL))
        return bh_fail(diag, BH_ERR_NOMEM, "policy");
    return BH_OK;
}

static enum bh_err
read_items(const json_t *list, struct ev_arm_software *software, struct bh_diag *diag)
{
    const size_t count = json_array_size(list);
    enum bh_err e = BH_OK;

    if (count == 0 || count > EV_ARM_COMPONENTS_MAX)
        return bh_refuse(diag, BH_ERR_MALFORMED, "software", NULL, NULL,
            "%zu items; expected 1 to %d", count, EV_ARM_COMPONENTS_MAX);
    if ((software->items = calloc(count, sizeof(*software->items))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "policy");
    for (size_t i = 0; e == BH_OK && i < count; i++) {
        software->len = i + 1;
        if ((e = read_item(json_array_get(list, i), &software->items[i], diag)) != BH_OK) {
            ev_field_prefix(diag, "software[%zu].", i);
            bh_name_check(diag, "software[%zu]", i);
        }
    }
    return e;
}

enum bh_err
ev_arm_software_read(const json_t *object, bool optional, bool none_allowed,
    struct ev_arm_software *ret_software, struct bh_diag *diag)
{
    struct ev_arm_software software = {0};
    json_t *member = json_object_get(object, "software");
    enum bh_err e;

    if (member == NULL && optional) {
        *ret_software = software;
        return BH_OK;
    }
    software.given = true;
    if (none_allowed && json_is_string(member) && strcmp(json_string_value(member), "none") == 0) {
        software.none = true;
        *ret_software = software;
        return BH_OK;
    }
    if ((e = bh_json_member(object, "software", JSON_ARRAY, false, &member, diag)) != BH_OK)
        return e;
    if ((e = read_items(member, &software, diag)) != BH_OK) {
        ev_arm_software_clear(&software);
        return e;
    }
    *ret_software = software;
    return BH_OK;
}

void
ev_arm_software_clear(struct ev_arm_software *software)
{
    for (size_t i = 0; i < software->len; i++) {
        free(software->items[i].type);
        free(software->items[i].version);
        ev_hexlist_clear(&software->items[i].measurement);
        ev_hexlist_clear(&software->items[i].signer);
    }
    free(software->items);
    *software = (struct ev_arm_software){0};
}

static bool
matches(const struct ev_arm_item *item, const struct ev_arm_component *c)
{
    return (item->type == NULL || bh_span_is(c->type, item->type)) &&
           (item->version == NULL || bh_span_is(c->version, item->version)) &&
           ev_hexlist_has(&item->measurement, c->measurement) &&
           (item->signer.len == 0 || ev_hexlist_has(&item->signer, c->signer));
}

static void
describe_component(const struct ev_arm_component *c, size_t index, char *out, size_t size)
{
    char hex[2 * 64 + 1];
    char type[33];

    (void)snprintf(out, size, "component %zu (%s) %s", index,
        ev_arm_printable(c->type, type, sizeof(type)), bh_hex(c->measurement, hex, sizeof(hex)));
}

static void
describe_item(const struct ev_arm_item *item, size_t index, char *out, size_t size)
{
    const int n =
        snprintf(out, size, "item %zu (%.32s) ", index, item->type != NULL ? item->type : "");

    (void)ev_hexlist_text(&item->measurement, out + n, size - (size_t)n);
}

enum bh_err
ev_arm_software_match(const struct ev_arm_software *software,
    const struct ev_arm_components *components, const char *name, struct ev_report *report)
{
    static const char hint[] = "each component matches exactly one item of the policy's software "
                               "and each item is matched once";
    size_t used[EV_ARM_COMPONENTS_MAX] = {0};
    char expected[BH_VALUE_MAX];
    char found[BH_VALUE_MAX];

    for (size_t i = 0; i < components->len; i++) {
        size_t hits = 0;

        for (size_t k = 0; k < software->len; k++)
            if (matches(&software->items[k], &components->items[i])) {
                hits++;
                used[k]++;
            }
        if (hits != 1) {
            describe_component(&components->items[i], i, found, sizeof(found));
            return ev_refuse(report, BH_ERR_POLICY, "policy", name,
                hits == 0 ? "only components that the policy lists"
                          : "a component that matches one item",
                found, hint);
        }
    }
    for (size_t k = 0; k < software->len; k++)
        if (used[k] != 1) {
            describe_item(&software->items[k], k, expected, sizeof(expected));
            return ev_refuse(report, BH_ERR_POLICY, "policy", name, expected,
                used[k] == 0 ? "no such component" : "more than one component", hint);
        }
    if (report->detailed) {
        (void)snprintf(expected, sizeof(expected), "%zu components", software->len);
        (void)snprintf(found, sizeof(found), "%zu components", components->len);
    }
    ev_pass(report, "policy", name, expected, found);
    return BH_OK;
}
