/* SPDX-License-Identifier: Apache-2.0 */
#include "enroller.h"

#include "job.h"

#include "beachhead/enrol.h"

#include "core/log.h"
#include "core/reader.h"
#include "core/text.h"
#include "core/writer.h"
#include "core/x509.h"

#include <stdlib.h>

#define ANSWER_MAX (64 * 1024)
#define REQUEST_TIMEOUT_MS 15000
#define DEADLINE_MS 45000

struct agent_enroller {
    struct agent_loop *loop;
    struct agent_enroller_config config;
    agent_enrolled_fn done;
    void *arg;
    EVP_PKEY *key; /* of the enrolment that is under way */
    struct agent_job *job;
    struct bh_diag evidence; /* in the child: why the attester failed */
};

/* ---- in the child ---- */

static int
make_evidence(void *arg, const unsigned char binding[BH_ENROL_BINDING_LEN],
    const unsigned char *spki, size_t spki_len, char **ret_cmw)
{
    struct agent_enroller *e = arg;
    const struct agent_attester *a = e->config.attester;

    return a->evidence(a, &e->config.attester_config, binding, bh_span(spki, spki_len),
               bh_time_now(), ret_cmw, &e->evidence) == BH_OK
               ? 0
               : 1;
}

/* u32 error; then either the certificate, or what bh_diag says, each behind a length. */
static void
write_answer(int fd, const char *pem, const struct bh_diag *diag)
{
    static uint8_t buf[ANSWER_MAX];
    struct bh_writer w;
    struct bh_span out;

    bh_writer_init(&w, buf, sizeof(buf));
    bh_writer_u32be(&w, (uint32_t)diag->err);
    if (diag->err == BH_OK) {
        bh_writer_vec32(&w, bh_span_str(pem));
    } else {
        bh_writer_vec16(&w, bh_span_str(diag->check));
        bh_writer_vec16(&w, bh_span_str(diag->expected));
        bh_writer_vec16(&w, bh_span_str(diag->found));
        bh_writer_vec16(&w, bh_span_str(diag->detail));
        bh_writer_vec16(&w, bh_span_str(diag->hint));
    }
    if (bh_writer_end(&w, &out) == BH_OK)
        (void)agent_job_write(fd, out);
}

static void
enrol_in_child(void *arg, int fd)
{
    struct agent_enroller *e = arg;
    const struct bh_enrol_request request = {
        .server = e->config.server,
        .trust = e->config.trust,
        .workload = e->config.workload,
        .key = e->key,
        .context = e->config.context,
        .context_len = e->config.context_len,
        .timeout_ms = REQUEST_TIMEOUT_MS,
        .evidence = make_evidence,
        .evidence_arg = e,
    };
    bh_failure *failure = bh_failure_new();
    bh_enrolment *enrolment = NULL;
    struct bh_diag diag = {0};

    bh_diag_clear(&e->evidence);
    if (failure == NULL)
        (void)bh_fail(&diag, BH_ERR_NOMEM, "enrolment");
    else if (bh_enrol(&request, &enrolment, failure) != BH_RESULT_OK)
        (void)agent_diag_of(failure, &diag);
    write_answer(fd, enrolment == NULL ? "" : bh_enrolment_pem(enrolment),
        e->evidence.err != BH_OK ? &e->evidence : &diag);
}

/* ---- in the agent ---- */

/* Into a field of zeros that the reader has made sure is long enough. */
static void
put_text(char *to, struct bh_span text)
{
    if (text.len > 0)
        memcpy(to, text.ptr, text.len);
}

static enum bh_err
read_refusal(struct bh_reader *r, uint32_t err, struct bh_diag *diag)
{
    const struct bh_span check = bh_reader_vec16(r, 0, BH_CHECK_MAX - 1);
    const struct bh_span expected = bh_reader_vec16(r, 0, BH_VALUE_MAX - 1);
    const struct bh_span found = bh_reader_vec16(r, 0, BH_VALUE_MAX - 1);
    const struct bh_span detail = bh_reader_vec16(r, 0, BH_TEXT_MAX - 1);
    const struct bh_span hint = bh_reader_vec16(r, 0, BH_TEXT_MAX - 1);

    if (bh_reader_end(r) != BH_OK || err > 599)
        return bh_fail(diag, BH_ERR_INTERNAL, "enrolment: the child's answer is malformed");
    bh_diag_clear(diag);
    diag->err = (enum bh_err)err;
    put_text(diag->check, check);
    put_text(diag->expected, expected);
    put_text(diag->found, found);
    put_text(diag->detail, detail);
    put_text(diag->hint, hint);
    return diag->err;
}

static enum bh_err
read_answer(struct agent_enroller *e, struct bh_span output, struct agent_identity **ret_identity,
    struct bh_diag *diag)
{
    struct bh_reader r;
    char *pem;
    enum bh_err err;

    bh_reader_init(&r, output);
    const uint32_t code = bh_reader_u32be(&r);
    if (code != BH_OK)
        return read_refusal(&r, code, diag);
    const struct bh_span text = bh_reader_vec32(&r, 1, ANSWER_MAX);
    if (bh_reader_end(&r) != BH_OK)
        return bh_fail(diag, BH_ERR_INTERNAL, "enrolment: the child's answer is malformed");
    if ((pem = strndup((const char *)text.ptr, text.len)) == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "enrolment");
    err = agent_identity_make(
        e->config.trust, e->config.workload, e->key, pem, bh_time_now(), ret_identity, diag);
    free(pem);
    return err;
}

static void
on_answer(void *arg, struct bh_span output, bool ended)
{
    struct agent_enroller *e = arg;
    struct agent_identity *identity = NULL;
    struct bh_diag diag = {0};

    e->job = NULL;
    if (ended && output.len > 0)
        (void)read_answer(e, output, &identity, &diag);
    else
        (void)bh_fail(&diag, BH_ERR_NETWORK, "enrolment with %s did not come to an end in %d s",
            e->config.server, DEADLINE_MS / 1000);
    EVP_PKEY_free(e->key);
    e->key = NULL;
    e->done(e->arg, identity, &diag);
}

enum bh_err
agent_enroller_new(struct agent_loop *loop, const struct agent_enroller_config *config,
    agent_enrolled_fn done, void *arg, struct agent_enroller **ret_enroller, struct bh_diag *diag)
{
    struct agent_enroller *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "enrolment");
    e->loop = loop;
    e->config = *config;
    e->done = done;
    e->arg = arg;
    *ret_enroller = e;
    return BH_OK;
}

void
agent_enroller_free(struct agent_enroller *e)
{
    if (e == NULL)
        return;
    agent_job_cancel(e->job);
    EVP_PKEY_free(e->key);
    free(e);
}

void
agent_enroller_start(struct agent_enroller *e)
{
    struct bh_diag diag = {0};

    if (e->job != NULL)
        return;
    if (bh_key_generate("P-256", &e->key, &diag) == BH_OK &&
        agent_job_start(e->loop, enrol_in_child, e, ANSWER_MAX, DEADLINE_MS, on_answer, e, &e->job,
            &diag) == BH_OK)
        return;
    EVP_PKEY_free(e->key);
    e->key = NULL;
    e->done(e->arg, NULL, &diag);
}

bool
agent_enroller_busy(const struct agent_enroller *e)
{
    return e->job != NULL;
}
