/* SPDX-License-Identifier: Apache-2.0 */
/* What can be tested without a process: routes, bodies, addresses. */
#include "harness.h"

#include "frontend/connections.h"
#include "frontend/route.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

int
child_end(int code)
{
    return code;
}

Test(parts, empty_bodies)
{
    static const char *const yes[] = {"", "{}", " { } ", "\t\r\n", "{\n}"};
    static const char *const no[] = {"{", "}", "}{", "{}}", "[]", "{\"\":1}", "null", "\v{}"};

    for (size_t i = 0; i < BH_COUNT(yes); i++)
        cr_assert(pas_fe_body_is_empty(bh_span_str(yes[i])), "%s", yes[i]);
    for (size_t i = 0; i < BH_COUNT(no); i++)
        cr_assert(!pas_fe_body_is_empty(bh_span_str(no[i])), "%s", no[i]);
}

static struct sockaddr_in
v4(uint32_t host)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
}

static struct sockaddr_in6
v6(const char *text)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    cr_assert_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return in6;
}

/* The descriptors are never touched here: they only have to differ. */
static struct pas_fe_connection *
enter(struct pas_fe_connections *table, int fd, const void *address)
{
    if (!pas_fe_connections_open(table, fd, address))
        return NULL;
    return pas_fe_connections_find(table, fd);
}

static struct pas_fe_connections *
table_of(int64_t connections, int64_t per_address, int64_t rate, struct pas_fe_metrics *metrics)
{
    const struct pas_config config = {.connections = connections,
        .connections_per_address = per_address,
        .rate_per_second = rate,
        .rate_burst = 2,
        .idle_timeout = 1,
        .request_timeout = 1};
    struct pas_fe_connections *table = NULL;

    cr_assert_eq(pas_fe_connections_new(&config, metrics, &table, NULL), BH_OK);
    return table;
}

Test(parts, an_ipv6_network_is_one_address)
{
    static struct pas_fe_metrics metrics;
    struct pas_fe_connections *table = table_of(10, 2, 0, &metrics);
    struct sockaddr_in6 a = v6("2001:db8::1"), b = v6("2001:db8::2"), c = v6("2001:db8:0:1::1");
    struct sockaddr_in6 mapped = v6("::ffff:192.0.2.1");
    struct sockaddr_in plain = v4(0xc0000201);
    struct pas_fe_connection *conn[4];

    conn[0] = enter(table, 1000, &a);
    conn[1] = enter(table, 1001, &b);
    cr_assert_str_eq(conn[1]->peer, "2001:db8::2");
    cr_assert(!pas_fe_connections_admit(table, (struct sockaddr *)&a));
    cr_assert(pas_fe_connections_admit(table, (struct sockaddr *)&c));
    cr_assert_eq(atomic_load(&metrics.ends[PAS_FE_END_ADDRESS]), 1);
    conn[2] = enter(table, 1002, &mapped);
    conn[3] = enter(table, 1003, &plain);
    cr_assert_str_eq(conn[2]->peer, "192.0.2.1");
    cr_assert(!pas_fe_connections_admit(table, (struct sockaddr *)&plain));
    for (size_t i = 0; i < 4; i++)
        pas_fe_connections_close(conn[i]);
    cr_assert_eq(pas_fe_connections_len(table), 0);
    cr_assert(pas_fe_connections_admit(table, (struct sockaddr *)&plain));
    pas_fe_connections_free(table);
}

/* Tokens outlive a connection, and more addresses than places push out the oldest only. */
Test(parts, addresses_are_remembered_and_forgotten)
{
    static struct pas_fe_metrics metrics;
    struct pas_fe_connections *table = table_of(10, 10, 1, &metrics);
    struct sockaddr_in greedy = v4(1);
    struct pas_fe_connection *c;
    unsigned after = 0;

    c = enter(table, 1000, &greedy);
    cr_assert(pas_fe_connection_token(c, &after));
    cr_assert(pas_fe_connection_token(c, &after));
    cr_assert(!pas_fe_connection_token(c, &after));
    cr_assert_eq(after, 1);
    pas_fe_connections_close(c);
    for (uint32_t i = 0; i < 8000; i++) {
        struct sockaddr_in other = v4(100 + i);
        pas_fe_connections_close(enter(table, 1001, &other));
    }
    c = enter(table, 1000, &greedy);
    cr_assert(!pas_fe_connection_token(c, &after));
    pas_fe_connections_close(c);
    for (uint32_t i = 0; i < 20000; i++) {
        struct sockaddr_in other = v4(100000 + i);
        pas_fe_connections_close(enter(table, 1001, &other));
    }
    c = enter(table, 1000, &greedy);
    cr_assert(pas_fe_connection_token(c, &after));
    pas_fe_connections_close(c);
    pas_fe_connections_free(table);
}

Test(parts, a_full_table_takes_no_more)
{
    static struct pas_fe_metrics metrics;
    struct pas_fe_connections *table = table_of(1, 100000, 0, &metrics);
    static struct pas_fe_connection *held[1024];
    struct sockaddr_in a = v4(1);
    size_t n = 0;

    while (n < BH_COUNT(held) && pas_fe_connections_room(table)) {
        cr_assert(pas_fe_connections_admit(table, (struct sockaddr *)&a));
        held[n] = enter(table, (int)n, &a);
        cr_assert_not_null(held[n]);
        pas_fe_connection_mark(held[n++], PAS_FE_WAITING);
    }
    cr_assert_eq(n, pas_fe_connections_max(table));
    cr_assert_null(enter(table, 2000, &a));
    cr_assert_eq(atomic_load(&metrics.ends[PAS_FE_END_EVICTED]), 0);
    while (n > 0)
        pas_fe_connections_close(held[--n]);
    pas_fe_connections_free(table);
}

/* A descriptor that comes again was closed in between, whoever forgot to say so. */
Test(parts, a_descriptor_is_entered_once)
{
    static struct pas_fe_metrics metrics;
    struct pas_fe_connections *table = table_of(10, 10, 0, &metrics);
    struct sockaddr_in a = v4(1), b = v4(2);

    cr_assert_not_null(enter(table, 7, &a));
    cr_assert_str_eq(enter(table, 7, &b)->peer, "0.0.0.2");
    cr_assert_eq(pas_fe_connections_len(table), 1);
    pas_fe_connections_close(pas_fe_connections_find(table, 7));
    cr_assert_null(pas_fe_connections_find(table, 7));
    cr_assert_null(pas_fe_connections_find(table, -1));
    cr_assert_null(pas_fe_connections_find(table, 1 << 30));
    cr_assert(!pas_fe_connections_open(table, 1 << 30, (struct sockaddr *)&a));
    cr_assert_eq(pas_fe_connections_len(table), 0);
    pas_fe_connections_free(table);
}
