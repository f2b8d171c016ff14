/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static void
put(json_t *object, const char *name, const char *text)
{
    if (text != NULL)
        (void)json_object_set_new(object, name, json_string(text));
}

static json_t *
to_json(const struct agent_status *s, int64_t now)
{
    json_t *json = json_object();
    char when[BH_TIME_MAX];

    put(json, "workload", s->workload);
    put(json, "state", s->serving ? "serving" : "not serving");
    put(json, "endpoint", s->endpoint);
    put(json, "updated", bh_time_text(now, when));
    (void)json_object_set_new(json, "certificates", json_integer((json_int_t)s->certificates));
    if (s->peer != NULL) {
        put(json, "serial", bh_peer_serial(s->peer));
        put(json, "platform", bh_peer_platform(s->peer));
        put(json, "status", bh_peer_status(s->peer));
        (void)json_object_set_new(json, "simulated", json_boolean(bh_peer_simulated(s->peer)));
        put(json, "not_before", bh_time_text(bh_peer_not_before(s->peer), when));
        put(json, "not_after", bh_time_text(bh_peer_not_after(s->peer), when));
    }
    if (s->failed_at != 0) {
        json_t *failure = json_object();
        put(failure, "time", bh_time_text(s->failed_at, when));
        put(failure, "code", bh_err_code(s->failure.err));
        put(failure, "check", s->failure.check);
        put(failure, "detail", s->failure.detail);
        (void)json_object_set_new(json, "last_failure", failure);
    }
    return json;
}

enum bh_err
agent_status_write(
    const struct agent_status *status, const char *dir, int64_t now, struct bh_diag *diag)
{
    char path[4096];
    json_t *json = NULL;
    char *text = NULL;
    enum bh_err e;

    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return bh_fail(diag, BH_ERR_IO, "cannot make %s: %s", dir, strerror(errno));
    if (bh_path_join(path, sizeof(path), dir, "status.json") != BH_OK)
        return bh_fail(diag, BH_ERR_IO, "the path %.80s... is too long", dir);
    json = to_json(status, now);
    text = bh_json_text(json, true);
    json_decref(json);
    e = text == NULL ? bh_fail(diag, BH_ERR_NOMEM, "status")
                     : bh_file_write(path, bh_span_str(text), 0644, diag);
    free(text);
    return e;
}
