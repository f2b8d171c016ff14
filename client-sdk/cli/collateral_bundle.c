/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles: what `export` writes and `import` takes on the other side of an air gap. */
#include "collateral_files.h"

#include "core/json.h"
#include "core/text.h"

#include <stdlib.h>

#define MEMBER "beachhead_collateral"
#define VERSION 1
#define NAME_MAX_LEN 255
#define BUNDLE_MAX ((size_t)96 * 1024 * 1024) /* BH_COLLATERAL_TOTAL_MAX in base64, and names */

static json_t *
pack(const struct bh_collateral_file *f)
{
    const size_t size = bh_base64url_len(f->len) + 1;
    char *text = malloc(size);
    json_t *one = NULL;

    if (text != NULL)
        one = json_pack("{s:o, s:s}", "name", bh_json_lossy(f->name), "data",
            bh_base64url(bh_span(f->bytes, f->len), text, size));
    free(text);
    return one;
}

enum bh_err
bh_collateral_bundle_make(const struct bh_collateral_files *files, int64_t now, char **ret_text,
    size_t *ret_count, struct bh_diag *diag)
{
    json_t *list = json_array(), *json = NULL;
    bool good = list != NULL;
    char *text = NULL;

    for (size_t i = 0; i < files->len && good; i++)
        if (files->items[i].known && files->items[i].what.until >= now)
            good = json_array_append_new(list, pack(&files->items[i])) == 0;
    if (good && (json = json_pack("{s:i, s:O}", MEMBER, VERSION, "files", list)) != NULL)
        text = bh_json_text(json, false);
    *ret_count = json_array_size(list);
    json_decref(json);
    json_decref(list);
    if (text == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "bundle");
    *ret_text = text;
    return BH_OK;
}

bool
bh_is_collateral_bundle(struct bh_span text)
{
    static const char head[] = "{\"" MEMBER "\"";

    return text.len >= sizeof(head) - 1 && memcmp(text.ptr, head, sizeof(head) - 1) == 0;
}

static enum bh_err
unpack(const json_t *one, struct bh_collateral_files *files, struct bh_diag *diag)
{
    const char *name, *data;
    uint8_t *bytes;
    size_t len = 0;
    enum bh_err e;

    if ((e = bh_json_string(one, "name", false, &name, diag)) != BH_OK ||
        (e = bh_json_string(one, "data", false, &data, diag)) != BH_OK)
        return e;
    if (strlen(name) > NAME_MAX_LEN)
        return bh_fail(diag, BH_ERR_MALFORMED, "a name of more than 255 bytes");
    if ((bytes = malloc(BH_COLLATERAL_MAX)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "bundle");
    if ((e = bh_unbase64url(bh_span_str(data), bytes, BH_COLLATERAL_MAX, &len)) != BH_OK) {
        free(bytes);
        return bh_fail(diag, e, "\"data\" is not base64url of at most 64 KiB");
    }
    return bh_collateral_files_add(files, name, bytes, len, diag);
}

enum bh_err
bh_collateral_bundle_read(
    struct bh_span text, struct bh_collateral_files *files, struct bh_diag *diag)
{
    static const char *const members[] = {MEMBER, "files", NULL};
    json_t *json = NULL, *list = NULL;
    int64_t version = 0;
    enum bh_err e;

    if ((e = bh_json_parse(text, BUNDLE_MAX, &json, diag)) == BH_OK &&
        (e = bh_json_only(json, members, "bundle", diag)) == BH_OK &&
        (e = bh_json_int(json, MEMBER, false, VERSION, VERSION, &version, diag)) == BH_OK &&
        (e = bh_json_member(json, "files", JSON_ARRAY, false, &list, diag)) == BH_OK &&
        json_array_size(list) > BH_COLLATERAL_FILES_MAX)
        e = bh_fail(diag, BH_ERR_TOO_LARGE, "more than 4096 files");
    for (size_t i = 0; e == BH_OK && i < json_array_size(list); i++)
        e = unpack(json_array_get(list, i), files, diag);
    json_decref(json);
    if (e != BH_OK) {
        bh_name_check(diag, "bundle");
        bh_hint(diag, "carry the file over again as `beachhead collateral export` wrote it");
    }
    return e;
}
