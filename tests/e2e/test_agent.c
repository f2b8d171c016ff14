/* SPDX-License-Identifier: Apache-2.0 */
/* Server, agents and clients as processes: who enrols, serves, renews, and what becomes of
 * connections when the server goes. */
#include "agents.h"

#include "client.h"
#include "core/text.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVES_MS 20000

Test(agent, three_platforms_one_root)
{
    static const char *const platforms[] = {"psa", "arm-cca", "aws-nitro"};
    struct agent agents[3];
    struct world w;
    char endpoint[64];

    world_open(&w, NULL);
    for (size_t i = 0; i < 3; i++)
        agent_start(&w, &agents[i], platforms[i], platforms[i], w.sim, "w", w.root);
    for (size_t i = 0; i < 3; i++) {
        struct visitor v;
        cr_assert(agent_wait(&agents[i], "state", "serving", SERVES_MS), "%s", platforms[i]);
        (void)agent_status_text(&agents[i], "endpoint", endpoint, sizeof(endpoint));
        cr_assert(visitor_open(&w, &v, endpoint, "w"), "%s", visitor_why(&v));
        cr_expect_str_eq(bh_peer_platform(visitor_peer(&v)), platforms[i]);
        cr_expect(bh_peer_simulated(visitor_peer(&v)));
        cr_expect_str_eq(bh_peer_spiffe_id(visitor_peer(&v)), "spiffe://" DOMAIN "/w");
        cr_expect_str_neq(bh_peer_measurement(visitor_peer(&v)), "");
        cr_expect(visitor_echo(&v));
        visitor_close(&v);
        /* Somebody else was expected: no byte passes. */
        cr_expect_not(visitor_open(&w, &v, endpoint, "other"));
        cr_expect_str_eq(visitor_why(&v), "workload");
        visitor_close(&v);
    }
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(agent_stop(&agents[i]), 0);
    world_close(&w);
}

/* What `run --print-context` shows is what the certificate says. */
Test(agent, context_is_the_configuration)
{
    struct agent a;
    struct visitor v;
    struct world w;
    char endpoint[64], *printed = NULL, hex[129];
    size_t len = 0;

    world_open(&w, NULL);
    agent_start(&w, &a, "a", "psa", w.sim, "w", w.root);
    cr_assert(agent_wait(&a, "state", "serving", SERVES_MS));
    cr_assert(
        visitor_open(&w, &v, agent_status_text(&a, "endpoint", endpoint, sizeof(endpoint)), "w"));
    const char *const argv[] = {"beachhead-agent", "run", "--server", w.server.url, "--root",
        w.root, "--workload", "w", "--listen", "127.0.0.1:1", "--upstream", w.upstream,
        "--print-context", NULL};
    cr_assert_eq(bh_test_server_run(&w.server, argv, &printed), 0);
    const unsigned char *context = bh_peer_context(visitor_peer(&v), &len);
    cr_expect_eq(len, 32);
    cr_expect_neq(strstr(printed, bh_hex(bh_span(context, len), hex, sizeof(hex))), NULL,
        "%s is not in %s", hex, printed);
    free(printed);
    visitor_close(&v);
    cr_expect_eq(agent_stop(&a), 0);
    world_close(&w);
}

Test(agent, dial_to_run)
{
    struct agent a, good, bad;
    struct world w;
    char endpoint[64], local[64], buf[32];

    world_open(&w, NULL);
    agent_start(&w, &a, "a", "aws-nitro", w.sim, "w", w.root);
    cr_assert(agent_wait(&a, "state", "serving", SERVES_MS));
    (void)agent_status_text(&a, "endpoint", endpoint, sizeof(endpoint));
    agent_dial(&w, &good, "good", endpoint, "w");
    agent_dial(&w, &bad, "bad", endpoint, "other");
    cr_assert(agent_logged(&good, "\"event\":\"ready\"", SERVES_MS));
    cr_assert(agent_logged(&bad, "\"event\":\"ready\"", SERVES_MS));
    int fd = connect_plain(agent_log_member(&good, "ready", "endpoint", local, sizeof(local)));
    cr_assert_geq(fd, 0);
    cr_assert_eq(send(fd, "hello", 5, MSG_NOSIGNAL), 5);
    cr_expect_eq(recv(fd, buf, sizeof(buf), 0), 5);
    close(fd);
    const unsigned before = atomic_load(&w.upstream_connections);
    fd = connect_plain(agent_log_member(&bad, "ready", "endpoint", local, sizeof(local)));
    cr_assert_geq(fd, 0);
    (void)send(fd, "hello", 5, MSG_NOSIGNAL);
    cr_expect_leq(recv(fd, buf, sizeof(buf), 0), 0);
    close(fd);
    cr_assert(agent_logged(&bad, "\"event\":\"peer-refused\"", 5000));
    cr_expect_str_eq(
        agent_log_member(&bad, "peer-refused", "check", local, sizeof(local)), "workload");
    cr_expect_eq(atomic_load(&w.upstream_connections), before);
    cr_expect_eq(agent_stop(&good), 0);
    cr_expect_eq(agent_stop(&bad), 0);
    cr_expect_eq(agent_stop(&a), 0);
    world_close(&w);
}

Test(agent, renews_under_open_connections)
{
    struct agent a;
    struct visitor old, v;
    struct world w;
    char endpoint[64], again[64], serial[80];

    world_open(&w, "6s");
    agent_start(&w, &a, "a", "psa", w.sim, "w", w.root);
    cr_assert(agent_wait(&a, "state", "serving", SERVES_MS));
    (void)agent_status_text(&a, "endpoint", endpoint, sizeof(endpoint));
    cr_assert(visitor_open(&w, &old, endpoint, "w"), "%s", visitor_why(&old));
    (void)snprintf(serial, sizeof(serial), "%s", bh_peer_serial(visitor_peer(&old)));
    cr_assert(agent_wait(&a, "certificates", "3", 20000));
    cr_expect(visitor_echo(&old), "an open connection does not end with its certificate");
    cr_assert(visitor_open(&w, &v, endpoint, "w"), "%s", visitor_why(&v));
    cr_expect_str_neq(bh_peer_serial(visitor_peer(&v)), serial);
    cr_expect_str_eq(agent_status_text(&a, "endpoint", again, sizeof(again)), endpoint);
    visitor_close(&v);
    visitor_close(&old);
    cr_expect_eq(agent_stop(&a), 0);
    world_close(&w);
}

/* Without its server an agent serves what it has, then nobody; and comes back by itself. */
Test(agent, survives_its_server)
{
    struct agent a;
    struct visitor old, v;
    struct world w;
    struct bh_diag diag = {0};
    char endpoint[64];

    world_open(&w, "8s");
    world_fix_port(&w);
    agent_start(&w, &a, "a", "psa", w.sim, "w", w.root);
    cr_assert(agent_wait(&a, "state", "serving", SERVES_MS));
    (void)agent_status_text(&a, "endpoint", endpoint, sizeof(endpoint));
    (void)bh_test_server_stop(&w.server);
    cr_assert(visitor_open(&w, &old, endpoint, "w"), "%s", visitor_why(&old));
    cr_assert(agent_logged(&a, "\"event\":\"renewal-failed\"", 15000));
    cr_assert(visitor_open(&w, &v, endpoint, "w"), "a valid certificate is served");
    cr_expect(visitor_echo(&v));
    visitor_close(&v);
    cr_assert(agent_logged(&a, "\"event\":\"expired\"", 15000));
    cr_expect_lt(connect_plain(endpoint), 0, "nobody is served with an expired certificate");
    cr_expect(visitor_echo(&old));
    cr_assert_eq(bh_test_server_start(&w.server, &diag), BH_OK, "%s", diag.detail);
    cr_assert(agent_logged(&a, "\"event\":\"serving-again\"", 40000));
    cr_assert(visitor_open(&w, &v, endpoint, "w"), "%s", visitor_why(&v));
    cr_expect(visitor_echo(&v));
    visitor_close(&v);
    visitor_close(&old);
    cr_expect_eq(agent_stop(&a), 0);
    world_close(&w);
}

/* A first enrolment that is refused ends with the check's name; each in its own way. */
Test(agent, refused_by_name)
{
    struct agent a;
    struct world w, other;
    char check[96];

    world_open(&w, NULL);
    agent_start(&w, &a, "workload", "psa", w.sim, "unknown", w.root);
    cr_expect_eq(agent_wait_end(&a), 1);
    cr_expect_str_eq(
        agent_log_member(&a, "enrolment-failed", "code", check, sizeof(check)), "workload-unknown");

    /* Another maker's devices, and a root that is not this server's. */
    world_open(&other, NULL);
    agent_start(&w, &a, "device", "psa", other.sim, "w", w.root);
    cr_expect_eq(agent_wait_end(&a), 1);
    (void)agent_log_member(&a, "enrolment-failed", "check", check, sizeof(check));
    cr_expect_eq(strncmp(check, "psa.", 4), 0, "check '%s'", check);
    agent_start(&w, &a, "chain", "aws-nitro", other.sim, "w", w.root);
    cr_expect_eq(agent_wait_end(&a), 1);
    cr_expect_str_eq(
        agent_log_member(&a, "enrolment-failed", "check", check, sizeof(check)), "aws-nitro.chain");
    agent_start(&w, &a, "root", "psa", w.sim, "w", other.root);
    cr_expect_eq(agent_wait_end(&a), 1);
    cr_expect_str_eq(
        agent_log_member(&a, "enrolment-failed", "check", check, sizeof(check)), "server.chain");
    world_close(&other);
    world_close(&w);
}

/* `evidence` of the agent is what the server would have been sent: a CMW of the platform. */
Test(agent, evidence)
{
    struct world w;
    char *out = NULL, key[400];

    world_open(&w, NULL);
    cr_assert_eq(bh_test_server_path(&w.server, "tls/server.key", key, sizeof(key)), BH_OK);
    const char *const argv[] = {"beachhead-agent", "evidence", "--challenge", "AAECAwQFBgc",
        "--key", key, "--context", "00ff", "--attester", "sim:psa", "--simulator", w.sim, "-o", "-",
        NULL};
    cr_assert_eq(bh_test_server_run(&w.server, argv, &out), 0);
    cr_expect_eq(out[0], '[');
    cr_expect(strstr(out, "psa") != NULL, "%s", out);
    free(out);
    world_close(&w);
}
