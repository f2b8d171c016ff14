/* SPDX-License-Identifier: Apache-2.0 */
/* beachhead measure snp: the launch digest of an SEV-SNP guest, as a policy entry. */
#include "measure.h"
#include "measure_launch.h"

#include "core/cli.h"
#include "core/file.h"
#include "core/text.h"
#include "core/x509.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMAND "beachhead measure snp"
#define CMDLINE_MAX 4096
#define PIECE (64 * 1024)

/* Family, model and stepping of QEMU's models, as CPUID 1 has them in EAX. */
static const struct {
    const char *name;
    uint32_t signature;
} models[] = {
    {"EPYC", 0x800f12},
    {"EPYC-v1", 0x800f12},
    {"EPYC-v2", 0x800f12},
    {"EPYC-v3", 0x800f12},
    {"EPYC-v4", 0x800f12},
    {"EPYC-IBPB", 0x800f12},
    {"EPYC-Rome", 0x830f10},
    {"EPYC-Rome-v1", 0x830f10},
    {"EPYC-Rome-v2", 0x830f10},
    {"EPYC-Rome-v3", 0x830f10},
    {"EPYC-Milan", 0xa00f11},
    {"EPYC-Milan-v1", 0xa00f11},
    {"EPYC-Milan-v2", 0xa00f11},
    {"EPYC-Genoa", 0xa10f10},
    {"EPYC-Genoa-v1", 0xa10f10},
    {"EPYC-Turin", 0xb00f00},
};

static const char *const vmms[] = {
    [BH_VMM_QEMU] = "qemu", [BH_VMM_EC2] = "ec2", [BH_VMM_GCE] = "gce"};

struct options {
    const char *kernel, *initrd, *append, *vcpus, *vcpu_type, *features, *vmm;
};

/* Hex of at most @p digits, without a sign or a prefix other than 0x. */
static bool
read_hex(const char *text, size_t digits, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t len = 0;

    if (strncmp(text, "0x", 2) == 0)
        text += 2;
    for (; text[len] != '\0'; len++) {
        const char *hex = "0123456789abcdef", *at = strchr(hex, text[len] | 0x20);

        if (at == NULL || *at == '\0' || len == digits)
            return false;
        value = value << 4 | (uint64_t)(at - hex);
    }
    *ret_value = value;
    return len > 0;
}

static enum bh_err
read_vcpus(const char *text, unsigned *ret_vcpus, struct bh_diag *diag)
{
    unsigned value = 0;
    size_t len = 0;

    while (text[len] >= '0' && text[len] <= '9' && len < 4)
        value = value * 10 + (unsigned)(text[len++] - '0');
    if (text[len] != '\0' || value < 1 || value > BH_VCPUS_MAX)
        return bh_refuse(diag, BH_ERR_USAGE, "vcpus", "1 to 4096", text, "not a number of vCPUs");
    *ret_vcpus = value;
    return BH_OK;
}

static enum bh_err
read_vcpu_type(const char *text, uint32_t *ret_signature, struct bh_diag *diag)
{
    uint64_t value = 0;

    for (size_t i = 0; i < BH_COUNT(models); i++)
        if (strcmp(models[i].name, text) == 0) {
            *ret_signature = models[i].signature;
            return BH_OK;
        }
    if (strncmp(text, "0x", 2) != 0 || !read_hex(text, 8, &value))
        return bh_refuse(diag, BH_ERR_USAGE, "vcpu-type",
            "a model of QEMU's (EPYC-v4, EPYC-Milan, EPYC-Genoa, ...), or its CPUID signature "
            "(0x...)",
            text, "there is no such model here");
    *ret_signature = (uint32_t)value;
    return BH_OK;
}

static enum bh_err
read_vmm(const char *text, enum bh_vmm *ret_vmm, struct bh_diag *diag)
{
    for (size_t i = 0; i < BH_COUNT(vmms); i++)
        if (strcmp(vmms[i], text) == 0) {
            *ret_vmm = (enum bh_vmm)i;
            return BH_OK;
        }
    return bh_refuse(
        diag, BH_ERR_USAGE, "vmm", "qemu, ec2 or gce", text, "there is no such hypervisor here");
}

/* SHA-256 of a file of any size. */
static enum bh_err
hash_file(const char *path, uint8_t out[32], struct bh_diag *diag)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t piece[PIECE];
    FILE *in = fopen(path, "rbe");
    enum bh_err e = BH_OK;
    size_t len;

    if (in == NULL) {
        e = bh_refuse(diag, BH_ERR_USAGE, "input", "a file", path, "cannot open %s: %s", path,
            strerror(errno));
        goto out;
    }
    if (ctx == NULL || EVP_DigestInit_ex(ctx, bh_sha2_md(256), NULL) != 1)
        e = bh_fail(diag, BH_ERR_INTERNAL, "SHA-256");
    while (e == BH_OK && (len = fread(piece, 1, sizeof(piece), in)) > 0)
        if (EVP_DigestUpdate(ctx, piece, len) != 1)
            e = bh_fail(diag, BH_ERR_INTERNAL, "SHA-256");
    if (e == BH_OK && ferror(in) != 0)
        e = bh_fail(diag, BH_ERR_IO, "%s cannot be read", path);
    if (e == BH_OK && EVP_DigestFinal_ex(ctx, out, NULL) != 1)
        e = bh_fail(diag, BH_ERR_INTERNAL, "SHA-256");
out:
    if (in != NULL)
        (void)fclose(in);
    EVP_MD_CTX_free(ctx);
    return e;
}

/* What QEMU hashes: the kernel's file, the initrd's (or nothing), the command line with its NUL. */
static enum bh_err
hash_kernel(const struct options *o, struct bh_launch *l, struct bh_diag *diag)
{
    const char *append = o->append != NULL ? o->append : "";
    enum bh_err e;

    if (o->kernel == NULL && (o->initrd != NULL || o->append != NULL))
        return bh_refuse(diag, BH_ERR_USAGE, "kernel", "--kernel with --initrd and --append",
            "none", "without a kernel the firmware starts what it finds on the disk");
    if (o->kernel == NULL)
        return BH_OK;
    if (strlen(append) > CMDLINE_MAX)
        return bh_refuse(diag, BH_ERR_USAGE, "append", "at most 4096 characters", "more",
            "the command line is too long");
    l->direct = true;
    if ((e = hash_file(o->kernel, l->kernel, diag)) != BH_OK)
        return e;
    e = o->initrd != NULL ? hash_file(o->initrd, l->initrd, diag)
                          : bh_sha2(256, bh_span_none(), l->initrd);
    if (e != BH_OK)
        return e;
    return bh_sha2(256, bh_span(append, strlen(append) + 1), l->cmdline);
}

static enum bh_err
read_options(const struct options *o, struct bh_launch *l, struct bh_diag *diag)
{
    enum bh_err e;

    if ((e = read_vcpus(o->vcpus, &l->vcpus, diag)) != BH_OK ||
        (e = read_vcpu_type(o->vcpu_type, &l->vcpu_signature, diag)) != BH_OK ||
        (e = read_vmm(o->vmm, &l->vmm, diag)) != BH_OK)
        return e;
    if (!read_hex(o->features, 16, &l->guest_features))
        return bh_refuse(diag, BH_ERR_USAGE, "guest-features", "hex of SEV_FEATURES", o->features,
            "not a set of guest features");
    if ((l->guest_features & 1) == 0)
        return bh_refuse(diag, BH_ERR_USAGE, "guest-features", "bit 0, SNPActive", o->features,
            "a guest without it is none of SEV-SNP");
    return hash_kernel(o, l, diag);
}

static enum bh_err
measure(
    const char *path, const struct options *o, uint8_t digest[BH_LAUNCH_LEN], struct bh_diag *diag)
{
    struct bh_ovmf ovmf;
    struct bh_launch launch = {.ovmf = &ovmf};
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = read_options(o, &launch, diag)) != BH_OK)
        return e;
    if (bh_file_read(path, BH_OVMF_MAX, &bytes, &len, diag) != BH_OK) {
        diag->err = BH_ERR_USAGE;
        return BH_ERR_USAGE;
    }
    if ((e = bh_ovmf_read(bh_span(bytes, len), &ovmf, diag)) == BH_OK)
        e = bh_launch_measure(&launch, digest, diag);
    free(bytes);
    return e;
}

int
bh_measure_snp(int argc, char **argv)
{
    struct options o = {
        .vcpus = "1", .vcpu_type = "EPYC-v4", .features = "1", .vmm = vmms[BH_VMM_QEMU]};
    const struct bh_cli_option options[] = {
        {.name = "kernel", .value = "FILE", .help = "started directly", .text = &o.kernel},
        {.name = "initrd", .value = "FILE", .help = "its ramdisk", .text = &o.initrd},
        {.name = "append", .value = "TEXT", .help = "its command line", .text = &o.append},
        {.name = "vcpus", .value = "N", .help = "default 1", .text = &o.vcpus},
        {.name = "vcpu-type",
            .value = "MODEL",
            .help = "as QEMU's -cpu, or a CPUID signature; default EPYC-v4",
            .text = &o.vcpu_type},
        {.name = "guest-features",
            .value = "HEX",
            .help = "SEV_FEATURES; default 1, of older kernels 21",
            .text = &o.features},
        {.name = "vmm", .value = "NAME", .help = "qemu (default), ec2 or gce", .text = &o.vmm},
        {0},
    };
    const struct bh_cli_usage usage = {
        .command = COMMAND,
        .purpose = "Compute the launch digest of an SEV-SNP guest and print it as an entry of a "
                   "policy's\n\"accept\". Add product, tcb_min, vmpl and the owner.",
        .example = COMMAND " --kernel vmlinuz --initrd initrd.img --append console=ttyS0 --vcpus 4 "
                           "OVMF.fd",
        .options = options,
        .args = "OVMF",
        .args_min = 1,
        .args_max = 1,
    };
    char hex[2 * BH_LAUNCH_LEN + 1];
    uint8_t digest[BH_LAUNCH_LEN];
    struct bh_diag diag = {0};
    struct bh_cli_list args;
    json_t *entry;
    const int rc = bh_cli_parse(&usage, argc, argv, &args);

    if (rc >= 0)
        return rc;
    if (measure(args.items[0], &o, digest, &diag) != BH_OK)
        return bh_cli_failed(COMMAND, &diag);
    entry = json_pack("{s:s, s:[s]}", "platform", "amd-sev-snp", "measurement",
        bh_hex(bh_span(digest, sizeof(digest)), hex, sizeof(hex)));
    const bool written = bh_cli_print_json(entry);
    json_decref(entry);
    return written ? 0 : 2;
}
