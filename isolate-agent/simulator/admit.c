/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an administrator would write into a server's folder for a device: its vendor's root or its
 * own endorsed key, and the workload's policy. Admitting again changes nothing; another device is
 * added.
 */
#include "simulator.h"

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "core/x509.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_LEN 4096
#define ANCHORS_MAX 32 /* of one file */

static enum bh_err
format_path(char out[PATH_MAX_LEN], struct bh_diag *diag, const char *dir, const char *folder,
    const char *file)
{
    const int n =
        snprintf(out, PATH_MAX_LEN, "%s/%s%s%s", dir, folder, file[0] != '\0' ? "/" : "", file);

    if (n < 0 || n >= PATH_MAX_LEN)
        return bh_fail(diag, BH_ERR_USAGE, "the path %.80s... is too long", dir);
    return BH_OK;
}

static enum bh_err
ensure_folder(const char *dir, const char *folder, struct bh_diag *diag)
{
    char path[PATH_MAX_LEN];
    enum bh_err e;

    if ((e = format_path(path, diag, dir, folder, "")) != BH_OK)
        return e;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return bh_fail(diag, BH_ERR_IO, "cannot make %s: %s", path, strerror(errno));
    return BH_OK;
}

/* The anchors that stand in @p path already hold this root. */
static enum bh_err
has_anchor(struct bh_span pem, X509 *root, bool *ret_has, struct bh_diag *diag)
{
    X509 *certs[ANCHORS_MAX] = {NULL};
    size_t count = 0;
    enum bh_err e;

    if ((e = bh_x509_pem(pem, certs, BH_COUNT(certs), &count, diag)) != BH_OK)
        return e;
    *ret_has = false;
    for (size_t i = 0; i < count; i++) {
        *ret_has = *ret_has || X509_cmp(certs[i], root) == 0;
        X509_free(certs[i]);
    }
    return BH_OK;
}

static enum bh_err
write_anchor(const struct agent_device *device, const char *dir, struct bh_diag *diag)
{
    char path[PATH_MAX_LEN], name[64];
    char *pem = NULL, *both = NULL;
    uint8_t *old = NULL;
    size_t len = 0;
    bool has = false;
    enum bh_err e;

    (void)snprintf(name, sizeof(name), "%s-simulated.pem", device->platform->name);
    if ((e = ensure_folder(dir, "trust", diag)) != BH_OK ||
        (e = ensure_folder(dir, "trust/simulated", diag)) != BH_OK ||
        (e = format_path(path, diag, dir, "trust/simulated", name)) != BH_OK ||
        (e = agent_cert_pem(device->root, &pem, diag)) != BH_OK)
        return e;
    if (access(path, F_OK) == 0 &&
        ((e = bh_file_read(path, BH_POLICY_MAX, &old, &len, diag)) != BH_OK ||
            (e = has_anchor(bh_span(old, len), device->root, &has, diag)) != BH_OK))
        goto out;
    if (has)
        goto out;
    if (asprintf(&both, "%s%s", old != NULL ? (const char *)old : "", pem) < 0) {
        both = NULL;
        e = bh_fail(diag, BH_ERR_NOMEM, "%s", name);
        goto out;
    }
    e = bh_file_write(path, bh_span_str(both), 0644, diag);
out:
    free(both);
    free(old);
    free(pem);
    return e;
}

/* The key by itself, for whom instance and implementation tell apart. */
static enum bh_err
endorse_key(
    const struct agent_device *device, EVP_PKEY *key, json_t **ret_json, struct bh_diag *diag)
{
    const char *instance = NULL, *implementation = NULL;
    char *pem = NULL;
    enum bh_err e;

    if ((e = bh_json_string(device->facts, "instance_id", false, &instance, diag)) != BH_OK ||
        (e = bh_json_string(device->facts, "implementation_id", false, &implementation, diag)) !=
            BH_OK ||
        (e = agent_public_pem(key, &pem, diag)) != BH_OK)
        return e;
    *ret_json = json_pack("{s:s,s:s,s:s,s:s,s:b,s:s}", "platform", device->platform->name,
        "instance_id", instance, "implementation_id", implementation, "class", "silicon",
        "simulated", 1, "key", pem);
    free(pem);
    return BH_OK;
}

static enum bh_err
write_endorsement(
    const struct agent_device *device, EVP_PKEY *key, const char *dir, struct bh_diag *diag)
{
    char path[PATH_MAX_LEN], name[96];
    json_t *json = NULL;
    const char *id;
    enum bh_err e;

    if ((e = ensure_folder(dir, "endorsed", diag)) != BH_OK)
        return e;
    if (device->platform->endorsement != NULL)
        json = device->platform->endorsement(device);
    else if ((e = endorse_key(device, key, &json, diag)) != BH_OK)
        return e;
    /* The first byte of an instance id only says what kind it is, those of a Name how it is made.
     */
    if ((id = json_string_value(json_object_get(json, "instance_id"))) != NULL)
        id += 2;
    else if ((id = json_string_value(json_object_get(json, "name"))) != NULL)
        id += 4;
    if (id == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "endorsement");
        goto out;
    }
    (void)snprintf(name, sizeof(name), "simulated-%s-%.16s.json", device->platform->name, id);
    if ((e = format_path(path, diag, dir, "endorsed", name)) == BH_OK)
        e = agent_json_write(path, json, 0644, diag);
out:
    json_decref(json);
    return e;
}

/* The member at a dotted path; NULL when there is none. */
static const json_t *
at_path(const json_t *json, const char *path)
{
    char part[64];

    while (json != NULL && *path != '\0') {
        const size_t len = strcspn(path, ".");

        (void)snprintf(part, sizeof(part), "%.*s", (int)len, path);
        json = json_object_get(json, part);
        path += len + (path[len] == '.' ? 1 : 0);
    }
    return json;
}

/* Put @p entry in the place of the same device's, or behind the others. */
static enum bh_err
put_entry(
    json_t *accept, json_t *entry, const struct agent_platform *platform, struct bh_diag *diag)
{
    for (size_t i = 0; i < json_array_size(accept); i++) {
        const json_t *old = json_array_get(accept, i);
        const char *name = json_string_value(json_object_get(old, "platform"));

        if (!json_is_true(json_object_get(old, "simulated"))) {
            (void)bh_refuse(diag, BH_ERR_POLICY, "policy.accept", "simulated entries only",
                "an entry for real hardware",
                "a workload with simulated entries has no other kind");
            bh_hint(diag, "admit the simulated device to a workload of its own");
            return BH_ERR_POLICY;
        }
        if (name != NULL && strcmp(name, platform->name) == 0 &&
            json_equal(at_path(old, platform->identity), at_path(entry, platform->identity)))
            return json_array_set(accept, i, entry) == 0 ? BH_OK
                                                         : bh_fail(diag, BH_ERR_NOMEM, "policy");
    }
    return json_array_append(accept, entry) == 0 ? BH_OK : bh_fail(diag, BH_ERR_NOMEM, "policy");
}

static enum bh_err
read_policy(const char *path, json_t **ret_policy, struct bh_diag *diag)
{
    uint8_t *bytes = NULL;
    json_t *accept = NULL;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_file_read(path, BH_POLICY_MAX, &bytes, &len, diag)) != BH_OK)
        return e;
    e = bh_json_parse(bh_span(bytes, len), BH_POLICY_MAX, ret_policy, diag);
    free(bytes);
    if (e == BH_OK)
        e = bh_json_member(*ret_policy, "accept", JSON_ARRAY, false, &accept, diag);
    if (e != BH_OK) {
        bh_name_check(diag, "policy");
        bh_hint(diag, "mend or remove %s", path);
    }
    return e;
}

static enum bh_err
write_policy(const struct agent_device *device, const char *dir, const char *workload,
    const char *trust_domain, struct bh_diag *diag)
{
    json_t *policy = NULL, *entry = device->platform->entry(device);
    char path[PATH_MAX_LEN], name[80], dns[340];
    enum bh_err e;

    (void)snprintf(name, sizeof(name), "%s.json", workload);
    (void)snprintf(dns, sizeof(dns), "%s.%s", workload, trust_domain);
    if (entry == NULL) {
        e = bh_fail(diag, BH_ERR_NOMEM, "policy");
        goto out;
    }
    if ((e = ensure_folder(dir, "policy", diag)) != BH_OK ||
        (e = format_path(path, diag, dir, "policy", name)) != BH_OK)
        goto out;
    if (access(path, F_OK) == 0)
        e = read_policy(path, &policy, diag);
    else if ((policy = json_pack("{s:s,s:{s:[s]},s:[]}", "workload", workload, "certificate", "dns",
                  dns, "accept")) == NULL)
        e = bh_fail(diag, BH_ERR_NOMEM, "policy");
    if (e != BH_OK ||
        (e = put_entry(json_object_get(policy, "accept"), entry, device->platform, diag)) != BH_OK)
        goto out;
    e = agent_json_write(path, policy, 0644, diag);
out:
    json_decref(policy);
    json_decref(entry);
    return e;
}

enum bh_err
agent_device_admit(const struct agent_device *device, const char *server_dir, const char *workload,
    const char *trust_domain, struct bh_diag *diag)
{
    const struct agent_key_slot *slots = device->platform->slots;
    enum bh_err e = BH_OK;

    if (!bh_is_workload(bh_span_str(workload)))
        return bh_refuse(diag, BH_ERR_USAGE, "workload", "[a-z0-9][a-z0-9._-]{0,62}", workload,
            "not the name of a workload");
    if (!bh_is_dns_name(bh_span_str(trust_domain)))
        return bh_refuse(
            diag, BH_ERR_USAGE, "trust_domain", "a DNS name", trust_domain, "not a trust domain");
    if (device->root != NULL)
        e = write_anchor(device, server_dir, diag);
    for (size_t i = 0; slots[i].name != NULL && e == BH_OK; i++)
        if (slots[i].endorsed)
            e = write_endorsement(device, device->keys[i], server_dir, diag);
    return e == BH_OK ? write_policy(device, server_dir, workload, trust_domain, diag) : e;
}
