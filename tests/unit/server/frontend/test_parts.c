/* SPDX-License-Identifier: Apache-2.0 */
/* What can be tested without a process: routes, bodies, addresses. */
#include "frontend/mints.h"
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

#define THREE "{\"challenge\":1}\n{\"challenge\":2}\n{\"challenge\":3}"

static void
is_mint(struct bh_span found, const char *expected)
{
    cr_assert(bh_span_equal(found, bh_span_str(expected)), "%.*s", (int)found.len,
        (const char *)found.ptr);
}

/* Wanted in a burst, and none is there. */
static void
burst(struct pas_fe_mints *mints, uint64_t now_ms)
{
    for (int i = 0; i <= PAS_MINTS_MAX; i++) {
        cr_assert_eq(pas_fe_mints_take(mints, now_ms).len, 0);
        cr_assert_eq(pas_fe_mints_ask(mints), i < PAS_MINTS_MAX ? 1 : PAS_MINTS_MAX, "%d", i);
    }
}

Test(parts, challenges_are_asked_for_ahead_under_load_only)
{
    struct pas_fe_mints mints;

    pas_fe_mints_init(&mints, 120);
    for (uint64_t t = 1000; t < 2000; t += PAS_FE_MINT_BUSY_MS + 1) {
        cr_assert_eq(pas_fe_mints_take(&mints, t).len, 0);
        cr_assert_eq(pas_fe_mints_ask(&mints), 1);
    }
    burst(&mints, 3000);
    cr_assert_eq(pas_fe_mints_take(&mints, 3000 + PAS_FE_MINT_BUSY_MS + 1).len, 0);
    cr_assert_eq(pas_fe_mints_ask(&mints), 1, "the burst is over");
}

Test(parts, challenges_asked_for_ahead_are_handed_out_once_and_fresh)
{
    struct pas_fe_mints mints;

    pas_fe_mints_init(&mints, 120);
    burst(&mints, 1000);
    is_mint(pas_fe_mints_keep(&mints, bh_span_str(THREE), 1001), "{\"challenge\":1}");
    is_mint(pas_fe_mints_take(&mints, 1002), "{\"challenge\":3}");
    is_mint(pas_fe_mints_take(&mints, 1002), "{\"challenge\":2}");
    cr_assert_eq(pas_fe_mints_take(&mints, 1002).len, 0);
    is_mint(pas_fe_mints_keep(&mints, bh_span_str(THREE), 1003), "{\"challenge\":1}");
    cr_assert_eq(pas_fe_mints_take(&mints, 1003 + 501).len, 0, "too old to hand out");
    is_mint(pas_fe_mints_keep(&mints, bh_span_str("{\"challenge\":4}"), 2000), "{\"challenge\":4}");
    cr_assert_eq(pas_fe_mints_take(&mints, 2000).len, 0, "one was asked for");
}

Test(parts, a_short_life_is_not_spent_waiting)
{
    struct pas_fe_mints mints;

    pas_fe_mints_init(&mints, 1);
    (void)pas_fe_mints_keep(&mints, bh_span_str(THREE), 1000);
    cr_assert_eq(pas_fe_mints_take(&mints, 1051).len, 0);
    (void)pas_fe_mints_keep(&mints, bh_span_str(THREE), 5000);
    pas_fe_mints_forget(&mints);
    cr_assert_eq(pas_fe_mints_take(&mints, 5001).len, 0, "another authority, another key");
}

/* An authority that answers something else costs no memory, whatever it says. */
Test(parts, lines_that_are_no_challenges_are_dropped)
{
    static char lines[PAS_FE_MINT_MAX * 40];
    struct pas_fe_mints mints;

    pas_fe_mints_init(&mints, 120);
    memset(lines, 'x', sizeof(lines));
    lines[10] = '\n';
    (void)pas_fe_mints_keep(&mints, bh_span(lines, sizeof(lines)), 1000);
    cr_assert_eq(pas_fe_mints_take(&mints, 1000).len, 0, "a line that is too long");
    for (size_t i = 0; i < sizeof(lines); i += 2)
        lines[i] = '\n';
    (void)pas_fe_mints_keep(&mints, bh_span(lines, sizeof(lines)), 1000);
    for (int i = 0; i < PAS_MINTS_MAX; i++)
        is_mint(pas_fe_mints_take(&mints, 1000), "x");
    cr_assert_eq(pas_fe_mints_take(&mints, 1000).len, 0, "more than were asked for");
    cr_assert_eq(pas_fe_mints_keep(&mints, bh_span_none(), 1000).len, 0);
}
