/* SPDX-License-Identifier: Apache-2.0 */
/* The signer as the process it is: confined, over its channels, against an authority that may be
 * hostile. */
#include "fixture.h"

#include "ipc/child.h"
#include "support/profile.h"

#include "core/ear.h"
#include "core/file.h"
#include "core/x509.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fixture f;
static struct bh_ipc *control, *authority;
static pid_t pid;
static uint8_t payload[65536];

#define WAIT_S 20

static void
start(void)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    (void)fflush(NULL);
    cr_assert_geq(pid = fork(), 0);
    if (pid == 0) {
        /* Descriptor 3 as the parent leaves it; _exit, since what a test holds is not the signer's.
         */
        const int fd = fcntl(pair[1], F_DUPFD, 10);
        (void)close(pair[0]);
        (void)dup2(fd, PAS_CONTROL_FD);
        (void)close(fd);
        _exit(pas_signer_main());
    }
    (void)close(pair[1]);
    cr_assert_eq(bh_ipc_new(pair[0], false, &control), BH_OK);
}

static void
send_start(void)
{
    struct pas_start m = {.dir = bh_span_str(f.dir)};
    struct bh_writer w;
    struct bh_span all;
    char *config = NULL;

    cr_assert_eq(pas_config_text(&f.config, &config, NULL), BH_OK);
    m.config = bh_span_str(config);
    bh_writer_init(&w, payload, sizeof(payload));
    pas_start_encode(&w, &m);
    cr_assert_eq(bh_writer_end(&w, &all), BH_OK);
    cr_assert_eq(bh_ipc_send(control, PAS_CTL_START, 0, all, -1), BH_OK);
    free(config);
}

static void
link_authority(unsigned index, struct bh_ipc **ret)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(bh_ipc_send(control, PAS_CTL_LINK, PAS_LINK_ID(PAS_AUTHORITY, index),
                     bh_span_none(), pair[1]),
        BH_OK);
    (void)close(pair[1]);
    cr_assert_eq(bh_ipc_new(pair[0], false, ret), BH_OK);
}

static void
expect(struct bh_ipc *from, uint16_t type, struct bh_ipc_msg *ret_msg)
{
    bool got = false;

    (void)alarm(WAIT_S);
    cr_assert_eq(bh_ipc_receive(from, ret_msg, &got), BH_OK, "the channel ended");
    cr_assert(got);
    if (ret_msg->type == PAS_CTL_FAILED && type != PAS_CTL_FAILED) {
        struct bh_diag diag = {0};
        cr_assert_eq(pas_diag_decode(ret_msg->payload, &diag), BH_OK);
        cr_assert_fail("%s: %s", diag.check, diag.detail);
    }
    cr_assert_eq(ret_msg->type, type);
}

static void
confine(void)
{
    struct bh_ipc_msg msg;

    cr_assert_eq(bh_ipc_send(control, PAS_CTL_CONFINE, 0, bh_span_none(), -1), BH_OK);
    expect(control, PAS_CTL_READY, &msg);
}

static int
wait_for_exit(void)
{
    int status = 0;

    (void)alarm(WAIT_S);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
setup(void)
{
    fixture_init(&f, false);
    start();
}

static void
teardown(void)
{
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    bh_ipc_free(control);
    bh_ipc_free(authority);
    fixture_clear(&f);
}

TestSuite(process, .init = setup, .fini = teardown);

static void
send_request(uint64_t id)
{
    struct bh_writer w;
    struct bh_span all;

    bh_writer_init(&w, payload, sizeof(payload));
    pas_certificate_encode(&w, &f.request);
    cr_assert_eq(bh_writer_end(&w, &all), BH_OK);
    cr_assert_eq(bh_ipc_queue(authority, PAS_SIGN_CERTIFICATE, id, all), BH_OK);
    cr_assert_eq(bh_ipc_flush(authority, NULL), BH_OK);
}

static void
ready(void)
{
    send_start();
    link_authority(0, &authority);
    confine();
}

static void
check_signed(const struct bh_ipc_msg *msg)
{
    struct pas_signed answer;
    X509 *cert = NULL;

    cr_assert_eq(pas_signed_decode(msg->payload, &answer), BH_OK);
    cr_assert_eq(bh_x509_der(answer.certificate, &cert, NULL), BH_OK);
    cr_assert_eq(bh_profile_violations(cert, f.ca.issuing, "fleet.example", stderr), 0);
    X509_free(cert);
}

Test(process, signs_and_drains)
{
    struct bh_ipc_msg msg;

    ready();
    /* More than one batch, all waiting at once. */
    for (uint64_t i = 1; i <= 150; i++)
        send_request(i);
    for (uint64_t i = 1; i <= 150; i++) {
        expect(authority, PAS_SIGNED, &msg);
        cr_assert_eq(msg.id, i);
    }
    check_signed(&msg);
    cr_assert_eq(bh_ipc_send(control, PAS_CTL_DRAIN, 0, bh_span_none(), -1), BH_OK);
    cr_assert_eq(wait_for_exit(), 0);
}

static void
not_signed(const char *check)
{
    struct bh_diag diag = {0};
    struct bh_ipc_msg msg;

    send_request(7);
    expect(authority, PAS_NOT_SIGNED, &msg);
    cr_assert_eq(msg.id, 7);
    cr_assert_eq(pas_diag_decode(msg.payload, &diag), BH_OK);
    cr_assert_eq(diag.err, BH_ERR_FORBIDDEN);
    cr_assert_str_eq(diag.check, check);
}

Test(process, refuses_each_violated_rule_and_goes_on)
{
    const struct pas_certificate good = f.request;
    struct bh_ipc_msg msg;

    ready();
    f.request.workload = bh_span_str("beachhead");
    not_signed("certificate.workload");
    f.request = good;
    f.request.not_after = f.request.not_before + INT64_C(8) * 86400;
    not_signed("certificate.lifetime");
    f.request = good;
    f.request.dns[0] = bh_span_str("payments.elsewhere.example");
    not_signed("certificate.dns");
    f.request = good;
    f.ear.spki[f.ear.spki_len - 1] ^= 1;
    fixture_encode(&f);
    not_signed("ear.key");
    f.ear.spki[f.ear.spki_len - 1] ^= 1;
    fixture_encode(&f);
    send_request(8);
    expect(authority, PAS_SIGNED, &msg);
    check_signed(&msg);
}

/* The channel ends, the process goes on with another authority. */
static void
cut_off(void)
{
    struct bh_ipc_msg msg;
    bool got = false;

    (void)alarm(WAIT_S);
    cr_assert_neq(bh_ipc_receive(authority, &msg, &got), BH_OK);
    bh_ipc_free(authority);
    authority = NULL;
    link_authority(1, &authority);
    send_request(9);
    expect(authority, PAS_SIGNED, &msg);
    check_signed(&msg);
}

Test(process, cuts_off_a_peer_that_sends_something_else)
{
    ready();
    cr_assert_eq(bh_ipc_send(authority, PAS_ISSUE, 1, bh_span_str("x"), -1), BH_OK);
    cut_off();
}

Test(process, cuts_off_a_peer_whose_request_does_not_decode)
{
    ready();
    cr_assert_eq(bh_ipc_send(authority, PAS_SIGN_CERTIFICATE, 1, bh_span_str("x"), -1), BH_OK);
    cut_off();
}

Test(process, links_are_replaced)
{
    struct bh_ipc *second = NULL;
    struct bh_ipc_msg msg;
    bool got = false;

    ready();
    link_authority(0, &second);
    (void)alarm(WAIT_S);
    cr_assert_neq(bh_ipc_receive(authority, &msg, &got), BH_OK);
    bh_ipc_free(authority);
    authority = second;
    send_request(1);
    expect(authority, PAS_SIGNED, &msg);
    cr_assert_eq(
        bh_ipc_send(control, PAS_CTL_UNLINK, PAS_LINK_ID(PAS_AUTHORITY, 0), bh_span_none(), -1),
        BH_OK);
    cr_assert_neq(bh_ipc_receive(authority, &msg, &got), BH_OK);
}

/* The parent says nothing of an end: so it was the authority that closed the channel. */
Test(process, cut_off_by_the_authority_it_ends)
{
    send_start();
    link_authority(0, &authority);
    confine();
    bh_ipc_free(authority);
    authority = NULL;
    cr_assert_eq(wait_for_exit(), 1);
}

Test(process, an_authority_that_is_gone_is_waited_for)
{
    struct bh_ipc_msg msg;

    send_start();
    link_authority(0, &authority);
    confine();
    bh_ipc_free(authority);
    cr_assert_eq(
        bh_ipc_send(control, PAS_CTL_UNLINK, PAS_LINK_ID(PAS_AUTHORITY, 0), bh_span_none(), -1),
        BH_OK);
    (void)sleep(3);
    link_authority(0, &authority);
    send_request(7);
    expect(authority, PAS_SIGNED, &msg);
}

Test(process, ends_with_its_parent)
{
    ready();
    bh_ipc_free(control);
    control = NULL;
    cr_assert_eq(wait_for_exit(), 1);
}

static void
fails(const char *check)
{
    struct bh_diag diag = {0};
    struct bh_ipc_msg msg;

    send_start();
    expect(control, PAS_CTL_FAILED, &msg);
    cr_assert_eq(pas_diag_decode(msg.payload, &diag), BH_OK);
    cr_assert_str_eq(diag.check, check);
    cr_assert_eq(wait_for_exit(), 1);
}

static const char *
path_of(const char *name)
{
    static char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", f.dir, name);
    return path;
}

Test(process, a_key_that_others_can_read)
{
    cr_assert_eq(chmod(path_of("ca/issuing.key"), 0640), 0);
    fails("issuing.key.mode");
}

Test(process, a_key_of_another_certificate)
{
    char *pem = NULL;

    cr_assert_eq(bh_key_to_pem(f.ca.server_key, NULL, &pem, NULL), BH_OK);
    cr_assert_eq(bh_file_write(path_of("ca/issuing.key"), bh_span_str(pem), 0600, NULL), BH_OK);
    free(pem);
    fails("issuing.key");
}

Test(process, a_root_of_another_deployment)
{
    struct fixture other;
    char theirs[512];
    uint8_t *pem = NULL;
    size_t len = 0;

    fixture_init(&other, false);
    (void)snprintf(theirs, sizeof(theirs), "%s/ca/root.crt", other.dir);
    cr_assert_eq(bh_file_read(theirs, 65536, &pem, &len, NULL), BH_OK);
    cr_assert_eq(bh_file_write(path_of("ca/root.crt"), bh_span(pem, len), 0644, NULL), BH_OK);
    free(pem);
    fixture_clear(&other);
    fails("issuing.chain");
}

Test(process, a_deployment_that_claims_simulation_later)
{
    f.config.allow_simulated = true;
    fails("issuing.simulated");
}
