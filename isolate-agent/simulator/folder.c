/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulator's folder: simulator.json, and for each platform a folder with device.json (readable,
 * and read back: what a device measures can be changed there), its keys and its root.
 */
#include "simulator.h"

#include "core/file.h"
#include "core/json.h"
#include "core/x509.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#define PATH_MAX_LEN 4096
#define FACTS_MAX (64 * 1024)

static enum bh_err
join(char *out, const char *dir, const char *name, const char *suffix, struct bh_diag *diag)
{
    const int n = snprintf(out, PATH_MAX_LEN, "%s/%s%s", dir, name, suffix);

    if (n < 0 || n >= PATH_MAX_LEN)
        return bh_fail(diag, BH_ERR_USAGE, "the path %.80s... is too long", dir);
    return BH_OK;
}

static enum bh_err
check_empty(const char *dir, struct bh_diag *diag)
{
    const struct dirent *entry;
    bool empty = true;
    DIR *d = opendir(dir);

    if (d == NULL)
        return bh_fail(diag, BH_ERR_IO, "cannot open %s: %s", dir, strerror(errno));
    while (empty && (entry = readdir(d)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(d);
    if (empty)
        return BH_OK;
    (void)bh_refuse(diag, BH_ERR_USAGE, "simulator.dir", "a new or empty folder", dir,
        "the folder is not empty");
    bh_hint(diag, "name a folder that does not exist yet, or remove this one");
    return BH_ERR_USAGE;
}

static enum bh_err
make_folder(const char *dir, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    if (mkdir(dir, 0700) == 0)
        return BH_OK;
    if (errno != EEXIST)
        return bh_fail(diag, BH_ERR_IO, "cannot make %s: %s", dir, strerror(errno));
    if ((e = check_empty(dir, diag)) == BH_OK && chmod(dir, 0700) != 0)
        e = bh_fail(diag, BH_ERR_IO, "cannot close %s to others: %s", dir, strerror(errno));
    return e;
}

static enum bh_err
write_json(const char *dir, const char *name, const json_t *json, struct bh_diag *diag)
{
    char path[PATH_MAX_LEN];
    enum bh_err e;

    if ((e = join(path, dir, name, "", diag)) != BH_OK)
        return e;
    return agent_json_write(path, json, 0600, diag);
}

static enum bh_err
write_key(const char *dir, const struct agent_key_slot *slot, EVP_PKEY *key, struct bh_diag *diag)
{
    char path[PATH_MAX_LEN];
    char *pem = NULL;
    enum bh_err e;

    if ((e = join(path, dir, slot->name, ".key", diag)) != BH_OK ||
        (e = bh_key_to_pem(key, NULL, &pem, diag)) != BH_OK)
        return e;
    e = bh_file_write(path, bh_span_str(pem), 0600, diag);
    OPENSSL_cleanse(pem, strlen(pem));
    free(pem);
    if (e != BH_OK || !slot->endorsed)
        return e;
    if ((e = join(path, dir, slot->name, ".pub.pem", diag)) != BH_OK ||
        (e = agent_public_pem(key, &pem, diag)) != BH_OK)
        return e;
    e = bh_file_write(path, bh_span_str(pem), 0600, diag);
    free(pem);
    return e;
}

static enum bh_err
write_root(const char *dir, X509 *root, struct bh_diag *diag)
{
    char path[PATH_MAX_LEN];
    char *pem = NULL;
    enum bh_err e;

    if ((e = join(path, dir, "root.pem", "", diag)) != BH_OK ||
        (e = agent_cert_pem(root, &pem, diag)) != BH_OK)
        return e;
    e = bh_file_write(path, bh_span_str(pem), 0600, diag);
    free(pem);
    return e;
}

static enum bh_err
save(const struct agent_device *device, const char *parent, struct bh_diag *diag)
{
    const struct agent_key_slot *slots = device->platform->slots;
    char dir[PATH_MAX_LEN];
    enum bh_err e;

    if ((e = join(dir, parent, device->platform->name, "", diag)) != BH_OK ||
        (e = make_folder(dir, diag)) != BH_OK ||
        (e = write_json(dir, "device.json", device->facts, diag)) != BH_OK)
        return e;
    for (size_t i = 0; slots[i].name != NULL; i++)
        if ((e = write_key(dir, &slots[i], device->keys[i], diag)) != BH_OK)
            return e;
    return device->root != NULL ? write_root(dir, device->root, diag) : BH_OK;
}

enum bh_err
agent_simulator_init(const char *dir, struct bh_diag *diag)
{
    const char *const *names = agent_simulator_platforms();
    json_t *about = NULL, *list = json_array();
    const struct agent_platform *platform = NULL;
    struct agent_device *device = NULL;
    uint32_t instance = 0;
    enum bh_err e;

    if ((e = make_folder(dir, diag)) != BH_OK)
        goto out;
    if ((e = bh_random(&instance, sizeof(instance))) != BH_OK) {
        (void)bh_fail(diag, e, "no random bytes");
        goto out;
    }
    instance &= ~UINT32_C(1); /* of the newer make of CCA machine */
    for (size_t i = 0; names[i] != NULL; i++) {
        if ((e = agent_platform_find(names[i], &platform, diag)) != BH_OK ||
            (e = agent_device_build(platform, instance, true, &device, diag)) != BH_OK ||
            (e = save(device, dir, diag)) != BH_OK)
            goto out;
        agent_device_free(device);
        device = NULL;
        (void)json_array_append_new(list, json_string(names[i]));
    }
    about = json_pack("{s:s,s:b,s:O}", "purpose",
        "Software devices under simulated roots: they prove nothing about hardware.", "simulated",
        1, "platforms", list);
    e = about == NULL ? bh_fail(diag, BH_ERR_NOMEM, "simulator.json")
                      : write_json(dir, "simulator.json", about, diag);
out:
    agent_device_free(device);
    json_decref(about);
    json_decref(list);
    return e;
}

static enum bh_err
read_facts(const char *dir, const char *platform, json_t **ret_facts, struct bh_diag *diag)
{
    char path[PATH_MAX_LEN];
    const char *name = NULL;
    json_t *facts = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = join(path, dir, "device.json", "", diag)) != BH_OK)
        return e;
    if ((e = bh_file_read(path, FACTS_MAX, &bytes, &len, diag)) != BH_OK) {
        bh_hint(diag, "make the folder with: beachhead-simulator init --dir DIR");
        return e;
    }
    if ((e = bh_json_parse(bh_span(bytes, len), FACTS_MAX, &facts, diag)) == BH_OK)
        e = bh_json_string(facts, "platform", false, &name, diag);
    if (e == BH_OK && strcmp(name, platform) != 0)
        e = bh_refuse(diag, BH_ERR_MALFORMED, "device.platform", platform, name,
            "%s is the device of another platform", path);
    free(bytes);
    if (e == BH_OK)
        *ret_facts = facts;
    else
        json_decref(facts);
    return e;
}

static enum bh_err
read_key(
    const char *dir, const struct agent_key_slot *slot, EVP_PKEY **ret_key, struct bh_diag *diag)
{
    char path[PATH_MAX_LEN];
    EVP_PKEY *key = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = join(path, dir, slot->name, ".key", diag)) != BH_OK ||
        (e = bh_file_read(path, FACTS_MAX, &bytes, &len, diag)) != BH_OK)
        return e;
    e = bh_key_from_pem(bh_span(bytes, len), NULL, &key, diag);
    OPENSSL_cleanse(bytes, len);
    free(bytes);
    if (e != BH_OK)
        return e;
    if (strcmp(bh_key_name(key), slot->curve) != 0) {
        e = bh_refuse(diag, BH_ERR_MALFORMED, "device.key", slot->curve, bh_key_name(key),
            "%s is not a key of this device", path);
        EVP_PKEY_free(key);
        return e;
    }
    *ret_key = key;
    return BH_OK;
}

static enum bh_err
read_root(const char *dir, X509 **ret_root, struct bh_diag *diag)
{
    char path[PATH_MAX_LEN];
    uint8_t *bytes = NULL;
    size_t len = 0, count = 0;
    enum bh_err e;

    if ((e = join(path, dir, "root.pem", "", diag)) != BH_OK ||
        (e = bh_file_read(path, FACTS_MAX, &bytes, &len, diag)) != BH_OK)
        return e;
    e = bh_x509_pem(bh_span(bytes, len), ret_root, 1, &count, diag);
    free(bytes);
    return e;
}

enum bh_err
agent_device_load(
    const char *dir, const char *platform, struct agent_device **ret_device, struct bh_diag *diag)
{
    const struct agent_platform *p = NULL;
    struct agent_device *device = NULL;
    char path[PATH_MAX_LEN];
    enum bh_err e;

    if ((e = agent_platform_find(platform, &p, diag)) != BH_OK ||
        (e = join(path, dir, platform, "", diag)) != BH_OK)
        return e;
    if ((device = calloc(1, sizeof(*device))) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "simulated device");
    device->platform = p;
    if ((e = read_facts(path, platform, &device->facts, diag)) != BH_OK)
        goto out;
    for (size_t i = 0; p->slots[i].name != NULL; i++)
        if ((e = read_key(path, &p->slots[i], &device->keys[i], diag)) != BH_OK)
            goto out;
    if ((p->chain && (e = read_root(path, &device->root, diag)) != BH_OK) ||
        (e = p->open(device, diag)) != BH_OK)
        goto out;
    *ret_device = device;
    device = NULL;
out:
    agent_device_free(device);
    return e;
}
