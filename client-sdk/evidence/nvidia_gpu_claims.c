/* SPDX-License-Identifier: Apache-2.0 */
/* Every measurement and every field of opaque data, by the names that NVIDIA gives them. */
#include "nvidia_gpu.h"

#include "core/text.h"

#include <ctype.h>
#include <stdio.h>

#define NVDEC0_ENABLED 0xaa
#define NVDEC0_DISABLED 0x55
#define GPU_VBIOS_LEN 8
#define HEX_MAX 1024 /* of opaque data; longer values are cut visibly */

static void
set(json_t *all, const char *name, json_t *value)
{
    (void)json_object_set_new(all, name, value);
}

static json_t *
hex(struct bh_span bytes)
{
    char text[2 * HEX_MAX + 1];

    return json_string(bh_hex(bytes, text, sizeof(text)));
}

/* Text padded with NULs; NULL when it is none. */
static json_t *
text(struct bh_span value)
{
    size_t len = 0;

    while (len < value.len && value.ptr[len] != 0) {
        if (!isprint(value.ptr[len]))
            return NULL;
        len++;
    }
    for (size_t i = len; i < value.len; i++)
        if (value.ptr[i] != 0)
            return NULL;
    return json_stringn((const char *)value.ptr, len);
}

/* A GPU's is a number, little-endian, and a byte; a switch's is text. */
static json_t *
vbios(struct bh_span value)
{
    char out[32];

    if (value.len != GPU_VBIOS_LEN)
        return text(value);
    (void)snprintf(out, sizeof(out), "%02X.%02X.%02X.%02X.%02X", value.ptr[3], value.ptr[2],
        value.ptr[1], value.ptr[0], value.ptr[4]);
    return json_string(out);
}

static json_t *
nvdec0(struct bh_span value)
{
    if (value.len == 1 && value.ptr[0] == NVDEC0_ENABLED)
        return json_string("ENABLED");
    if (value.len == 1 && value.ptr[0] == NVDEC0_DISABLED)
        return json_string("DISABLED");
    return NULL;
}

static const struct {
    uint16_t type;
    const char *name;
    json_t *(*show)(struct bh_span value); /* NULL, or where it answers NULL: hex */
} fields[] = {
    {1, "CERT_ISSUER_NAME", NULL},
    {2, "CERT_AUTHORITY_KEY_IDENTIFIER", NULL},
    {EV_NVGPU_DRIVER_VERSION, "DRIVER_VERSION", text},
    {4, "GPU_INFO", NULL},
    {5, "SKU", NULL},
    {EV_NVGPU_VBIOS_VERSION, "VBIOS_VERSION", vbios},
    {7, "MANUFACTURER_ID", NULL},
    {8, "TAMPER_DETECTION", NULL},
    {9, "SMC", NULL},
    {10, "VPR", NULL},
    {EV_NVGPU_NVDEC0_STATUS, "NVDEC0_STATUS", nvdec0},
    {12, "MSRSCNT", NULL},
    {13, "CPRINFO", NULL},
    {14, "BOARD_ID", NULL},
    {EV_NVGPU_CHIP_SKU, "CHIP_SKU", text},
    {16, "CHIP_SKU_MOD", text},
    {EV_NVGPU_PROJECT, "PROJECT", text},
    {EV_NVGPU_PROJECT_SKU, "PROJECT_SKU", text},
    {19, "PROJECT_SKU_MOD", text},
    {EV_NVGPU_FWID, "FWID", NULL},
    {21, "PROTECTED_PCIE_STATUS", NULL},
    {22, "SWITCH_PDI", NULL},
    {23, "FLOORSWEPT_PORTS", NULL},
    {24, "POSITION_ID", NULL},
    {25, "LOCK_SWITCH_STATUS", NULL},
    {32, "GPU_LINK_CONN", NULL},
};

static void
set_field(json_t *all, const struct ev_nvgpu_field *field)
{
    char name[16];
    json_t *value = NULL;

    for (size_t i = 0; i < BH_COUNT(fields); i++) {
        if (fields[i].type != field->type)
            continue;
        if (fields[i].show != NULL)
            value = fields[i].show(field->value);
        set(all, fields[i].name, value != NULL ? value : hex(field->value));
        return;
    }
    (void)snprintf(name, sizeof(name), "%u", field->type);
    set(all, name, hex(field->value));
}

json_t *
ev_nvgpu_claims(const void *state)
{
    const struct ev_nvgpu *g = state;
    const struct ev_nvgpu_report *r = &g->report;
    json_t *all = json_object(), *measurements = json_object(), *opaque = json_object();
    char index[8];

    set(all, "spdm", json_string("1.1"));
    set(all, "slot", json_integer(r->slot));
    set(all, "request_nonce", hex(r->request_nonce));
    set(all, "response_nonce", hex(r->response_nonce));
    for (size_t i = 0; i < r->blocks_len; i++) {
        (void)snprintf(index, sizeof(index), "%u", r->blocks[i].index);
        set(measurements, index, hex(r->blocks[i].digest));
    }
    set(all, "measurements", measurements);
    for (size_t i = 0; i < r->fields_len; i++)
        set_field(opaque, &r->fields[i]);
    set(all, "opaque_data", opaque);
    /* Of a chain that came along; who signed it is for authentication to say. */
    if (g->chain.len > 0) {
        const struct bh_span cn = g->chain.certs[0].common_name;

        set(all, "device", cn.len > 0 ? text(cn) : NULL);
    }
    return all;
}
