/* SPDX-License-Identifier: Apache-2.0 */
/* What the parent reads for its children and never parses. */
#include "server.h"

#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define FILES_MAX 65536
#define HEAD_MAX 300

static enum bh_err
write_all(int fd, struct bh_span bytes, struct bh_diag *diag)
{
    while (bytes.len > 0) {
        const ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno != EINTR)
            return bh_fail(diag, BH_ERR_IO, "snapshot: %s", strerror(errno));
        if (n > 0)
            bytes = bh_span(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return BH_OK;
}

/* As pas_snapshot_put() writes it, without a copy of the file. */
static enum bh_err
put_record(int fd, enum pas_snapshot_kind kind, const char *name, struct bh_span bytes,
    struct bh_diag *diag)
{
    uint8_t head[HEAD_MAX];
    struct bh_span out;
    struct bh_writer w;
    enum bh_err e;

    bh_writer_init(&w, head, sizeof(head));
    bh_writer_u8(&w, (uint8_t)kind);
    bh_writer_vec16(&w, bh_span_str(name));
    bh_writer_u32be(&w, (uint32_t)bytes.len);
    if ((e = bh_writer_end(&w, &out)) != BH_OK)
        return bh_fail(diag, e, "snapshot: %s", name);
    if ((e = write_all(fd, out, diag)) != BH_OK)
        return e;
    return write_all(fd, bytes, diag);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
ends_in(const char *name, const char *suffix)
{
    const size_t n = strlen(name), s = strlen(suffix);

    return name[0] != '.' && n > s && strcmp(name + n - s, suffix) == 0;
}

static void
free_names(char **names, size_t len)
{
    for (size_t i = 0; i < len; i++)
        free(names[i]);
    free(names);
}

/* Collateral of every form (evidence/collateral.h); "" stands for these in list(). */
static bool
is_collateral(const char *name)
{
    return ends_in(name, ".der") || ends_in(name, ".json") || ends_in(name, ".pem");
}

/* The names in a folder that end in @p suffix, sorted; a folder that is not there is empty. */
static enum bh_err
list(const char *dir, const char *suffix, char ***ret_names, size_t *ret_len, struct bh_diag *diag)
{
    DIR *d = opendir(dir);
    char **names = NULL, **grown;
    size_t len = 0;
    struct dirent *entry;
    enum bh_err e = BH_OK;

    if (d == NULL && errno != ENOENT)
        return bh_fail(diag, BH_ERR_IO, "%s: %s", dir, strerror(errno));
    while (d != NULL && e == BH_OK && (entry = readdir(d)) != NULL) {
        if (suffix[0] != '\0' ? !ends_in(entry->d_name, suffix) : !is_collateral(entry->d_name))
            continue;
        if (len == FILES_MAX) {
            e = bh_fail(diag, BH_ERR_TOO_LARGE, "%s: more than %d files", dir, FILES_MAX);
        } else if ((grown = realloc(names, (len + 1) * sizeof(*names))) == NULL) {
            e = bh_fail(diag, BH_ERR_NOMEM, "%s", dir);
        } else {
            names = grown;
            if ((names[len] = strdup(entry->d_name)) == NULL)
                e = bh_fail(diag, BH_ERR_NOMEM, "%s", dir);
            else
                len++;
        }
    }
    if (d != NULL)
        (void)closedir(d);
    if (e != BH_OK) {
        free_names(names, len);
        return e;
    }
    if (len > 0)
        qsort(names, len, sizeof(*names), by_name);
    *ret_names = names;
    *ret_len = len;
    return BH_OK;
}

static size_t
file_max(enum pas_snapshot_kind kind)
{
    switch (kind) {
    case PAS_SNAPSHOT_ENDORSED:
        return PAS_SNAPSHOT_FILE_MAX;
    case PAS_SNAPSHOT_COLLATERAL:
        return BH_COLLATERAL_MAX;
    default:
        return BH_POLICY_MAX;
    }
}

/* Collateral is bounded as a whole, too, before it is in memory. */
static enum bh_err
check_total(enum pas_snapshot_kind kind, size_t files, size_t total, struct bh_diag *diag)
{
    enum bh_err e = BH_OK;

    if (kind != PAS_SNAPSHOT_COLLATERAL)
        return BH_OK;
    if (files > BH_COLLATERAL_FILES_MAX)
        e = bh_refuse(diag, BH_ERR_TOO_LARGE, "collateral.files", "at most 4096 files", NULL,
            "collateral/ holds %zu files", files);
    else if (total > BH_COLLATERAL_TOTAL_MAX)
        e = bh_refuse(diag, BH_ERR_TOO_LARGE, "collateral.total", "at most 64 MiB", "more",
            "collateral/ holds too much");
    if (e != BH_OK)
        bh_hint(diag, "remove what has expired and what is of machines that are gone");
    return e;
}

static enum bh_err
put_folder(int fd, const char *dir, const char *folder, const char *suffix,
    enum pas_snapshot_kind kind, struct bh_diag *diag)
{
    char path[PAS_DIR_MAX], file[PAS_DIR_MAX];
    char **names = NULL;
    size_t len = 0, total = 0, bytes_len;
    uint8_t *bytes;
    enum bh_err e;

    if ((e = bh_path_join(path, sizeof(path), dir, folder)) != BH_OK)
        return bh_fail(diag, e, "%s/%s: the name is too long", dir, folder);
    if ((e = list(path, suffix, &names, &len, diag)) != BH_OK)
        return e;
    e = check_total(kind, len, 0, diag);
    for (size_t i = 0; i < len && e == BH_OK; i++) {
        if ((e = bh_path_join(file, sizeof(file), path, names[i])) != BH_OK) {
            (void)bh_fail(diag, e, "%s/%s: the name is too long", path, names[i]);
            break;
        }
        bytes = NULL;
        if ((e = bh_file_read(file, file_max(kind), &bytes, &bytes_len, diag)) != BH_OK) {
            if (kind == PAS_SNAPSHOT_COLLATERAL && e == BH_ERR_TOO_LARGE)
                bh_name_check(diag, "collateral.size");
        } else if ((e = check_total(kind, len, total += bytes_len, diag)) == BH_OK) {
            e = put_record(fd, kind, names[i], bh_span(bytes, bytes_len), diag);
        }
        free(bytes);
    }
    free_names(names, len);
    return e;
}

enum bh_err
pas_snapshot_make(const struct pas_server *s, int *ret_fd, struct bh_diag *diag)
{
    const int fd = memfd_create("beachhead-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const struct bh_span config = bh_span(s->config_text, s->config_len);
    enum bh_err e;

    if (fd < 0)
        return bh_fail(diag, BH_ERR_IO, "memfd_create: %s", strerror(errno));
    if ((e = put_record(fd, PAS_SNAPSHOT_CONFIG, "server.json", config, diag)) != BH_OK ||
        (e = put_folder(fd, s->dir, "policy", ".json", PAS_SNAPSHOT_POLICY, diag)) != BH_OK ||
        (e = put_folder(fd, s->dir, "trust", ".pem", PAS_SNAPSHOT_ANCHOR, diag)) != BH_OK ||
        (e = put_folder(fd, s->dir, "trust/simulated", ".pem", PAS_SNAPSHOT_SIMULATED, diag)) !=
            BH_OK ||
        (e = put_folder(fd, s->dir, "endorsed", ".json", PAS_SNAPSHOT_ENDORSED, diag)) != BH_OK ||
        (e = put_folder(fd, s->dir, "collateral", "", PAS_SNAPSHOT_COLLATERAL, diag)) != BH_OK)
        goto out;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        e = bh_fail(diag, BH_ERR_IO, "seal the snapshot: %s", strerror(errno));
        goto out;
    }
    *ret_fd = fd;
    return BH_OK;
out:
    (void)close(fd);
    return e;
}

enum bh_err
pas_tls_read(struct pas_server *s, struct bh_diag *diag)
{
    char path[PAS_DIR_MAX];
    uint8_t *chain = NULL, *key = NULL;
    size_t chain_len = 0, key_len = 0;
    enum bh_err e;

    if ((e = bh_path_join(path, sizeof(path), s->dir, "tls/server.crt")) != BH_OK ||
        (e = bh_file_read(path, PAS_TLS_MAX, &chain, &chain_len, diag)) != BH_OK ||
        (e = bh_path_join(path, sizeof(path), s->dir, "tls/server.key")) != BH_OK ||
        (e = bh_file_read(path, PAS_TLS_MAX, &key, &key_len, diag)) != BH_OK) {
        free(chain);
        return bh_fail(diag, e, "%s/tls", s->dir);
    }
    if (s->tls_key != NULL)
        OPENSSL_cleanse(s->tls_key, s->tls_key_len);
    free(s->tls_key);
    free(s->tls_chain);
    s->tls_chain = chain;
    s->tls_chain_len = chain_len;
    s->tls_key = key;
    s->tls_key_len = key_len;
    return BH_OK;
}

enum bh_err
pas_tls_send(const struct pas_server *s, struct pas_proc *frontend, struct bh_diag *diag)
{
    const struct pas_tls tls = {
        .chain = bh_span(s->tls_chain, s->tls_chain_len),
        .key = bh_span(s->tls_key, s->tls_key_len),
    };
    const size_t cap = s->tls_chain_len + s->tls_key_len + 16;
    uint8_t *buf = malloc(cap);
    struct bh_span payload;
    struct bh_writer w;
    enum bh_err e;

    if (buf == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "TLS key");
    bh_writer_init(&w, buf, cap);
    pas_tls_encode(&w, &tls);
    if ((e = bh_writer_end(&w, &payload)) == BH_OK)
        e = bh_ipc_send(frontend->control, PAS_CTL_TLS, 0, payload, -1);
    OPENSSL_cleanse(buf, cap);
    free(buf);
    return e == BH_OK ? BH_OK : bh_fail(diag, e, "send the TLS key to the frontend");
}
