/* SPDX-License-Identifier: Apache-2.0 */
#include "connections.h"

#include "core/x509.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SPARE 256           /* connections that were shut down and not yet closed */
#define OTHER_FDS 2048      /* the highest descriptor is at most this above the connections */
#define ADDRESSES_IDLE 8192 /* addresses remembered that have no connection */
#define STATE_BITS 3
#define CLOSING_MS 2000
#define PRESSED_MS 1000 /* what a request may take when memory for bodies runs short */
#define TOKEN 1000 /* a token in the bucket's unit: rate per second adds rate per millisecond */

struct pas_fe_address {
    uint8_t key[16];
    uint32_t connections;
    int64_t tokens;
    uint64_t filled_ms;
    struct pas_fe_address *next;          /* in its bucket, or in the free list */
    struct pas_fe_address *newer, *older; /* in the list of those without connections */
    bool listed;
};

struct pas_fe_connections {
    pthread_mutex_t lock;
    struct pas_fe_metrics *metrics;
    uint64_t idle_ms, request_ms;
    int64_t rate, burst;
    size_t limit, per_address;
    size_t max, len;
    struct pas_fe_connection *slots;
    struct pas_fe_connection *free_slots;
    struct pas_fe_connection **by_fd;
    size_t by_fd_len;
    struct pas_fe_address *addresses;
    struct pas_fe_address *free_addresses;
    struct pas_fe_address *newest, *oldest;
    struct pas_fe_address **buckets;
    size_t buckets_len; /* a power of two */
    uint64_t seed;
};

uint64_t
pas_fe_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static enum pas_fe_state
state_of(unsigned long long mark)
{
    return (enum pas_fe_state)(mark & ((1u << STATE_BITS) - 1));
}

void
pas_fe_connection_mark(struct pas_fe_connection *connection, enum pas_fe_state state)
{
    atomic_store(&connection->mark, (pas_fe_now_ms() << STATE_BITS) | (unsigned)state);
}

enum pas_fe_state
pas_fe_connection_state(const struct pas_fe_connection *connection)
{
    return state_of(atomic_load_explicit(&connection->mark, memory_order_relaxed));
}

size_t
pas_fe_connections_max(const struct pas_fe_connections *table)
{
    return table->max;
}

size_t
pas_fe_connections_len(struct pas_fe_connections *table)
{
    size_t len;

    (void)pthread_mutex_lock(&table->lock);
    len = table->len;
    (void)pthread_mutex_unlock(&table->lock);
    return len;
}

void
pas_fe_connections_free(struct pas_fe_connections *table)
{
    if (table == NULL)
        return;
    (void)pthread_mutex_destroy(&table->lock);
    free(table->slots);
    free(table->by_fd);
    free(table->addresses);
    free(table->buckets);
    free(table);
}

static bool
allocate(struct pas_fe_connections *table)
{
    const size_t addresses = table->max + ADDRESSES_IDLE;

    for (table->buckets_len = 1024; table->buckets_len < addresses;)
        table->buckets_len *= 2;
    table->slots = calloc(table->max, sizeof(*table->slots));
    table->by_fd_len = table->max + OTHER_FDS;
    table->by_fd = calloc(table->by_fd_len, sizeof(struct pas_fe_connection *));
    table->addresses = calloc(addresses, sizeof(*table->addresses));
    table->buckets = calloc(table->buckets_len, sizeof(struct pas_fe_address *));
    if (table->slots == NULL || table->by_fd == NULL || table->addresses == NULL ||
        table->buckets == NULL)
        return false;
    for (size_t i = table->max; i-- > 0;) {
        table->slots[i].fd = -1;
        table->slots[i].table = table;
        table->slots[i].next_free = table->free_slots;
        table->free_slots = &table->slots[i];
    }
    for (size_t i = addresses; i-- > 0;) {
        table->addresses[i].next = table->free_addresses;
        table->free_addresses = &table->addresses[i];
    }
    return true;
}

enum bh_err
pas_fe_connections_new(const struct pas_config *config, struct pas_fe_metrics *metrics,
    struct pas_fe_connections **ret_table, struct bh_diag *diag)
{
    struct pas_fe_connections *table = calloc(1, sizeof(*table));

    if (table == NULL)
        return bh_fail(diag, BH_ERR_NOMEM, "table of connections");
    (void)pthread_mutex_init(&table->lock, NULL);
    table->metrics = metrics;
    table->idle_ms = (uint64_t)config->idle_timeout * 1000;
    table->request_ms = (uint64_t)config->request_timeout * 1000;
    table->rate = config->rate_per_second;
    table->burst = config->rate_burst > 0 ? config->rate_burst : 1;
    table->limit = (size_t)config->connections;
    table->per_address = (size_t)config->connections_per_address;
    table->max = table->limit + SPARE;
    if (!allocate(table) || bh_random(&table->seed, sizeof(table->seed)) != BH_OK) {
        pas_fe_connections_free(table);
        return bh_fail(diag, BH_ERR_NOMEM, "table of %zu connections", (size_t)config->connections);
    }
    *ret_table = table;
    return BH_OK;
}

/* IPv4 as mapped IPv6; of IPv6 the first 64 bits, since the rest is its owner's to choose. */
static void
key_of(const struct sockaddr *address, uint8_t key[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    memset(key, 0, 16);
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        memcpy(key, mapped, sizeof(mapped));
        memcpy(key + sizeof(mapped), &in.sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        memcpy(key, &in6.sin6_addr, IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) ? 16 : 8);
    }
}

static void
peer_text(const struct sockaddr *address, char *out, size_t size)
{
    out[0] = '\0';
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, out, (socklen_t)size);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            (void)inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], out, (socklen_t)size);
        else
            (void)inet_ntop(AF_INET6, &in6.sin6_addr, out, (socklen_t)size);
    }
}

/* Seeded, so that nobody can choose addresses that share a bucket. */
static struct pas_fe_address **
bucket_of(struct pas_fe_connections *table, const uint8_t key[16])
{
    uint64_t parts[2], h = table->seed;

    memcpy(parts, key, sizeof(parts));
    for (size_t i = 0; i < BH_COUNT(parts); i++) {
        h = (h ^ parts[i]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
        h += table->seed;
    }
    h *= UINT64_C(0xd6e8feb86659fd93);
    return &table->buckets[(h >> 32) & (table->buckets_len - 1)];
}

static struct pas_fe_address *
find_address(struct pas_fe_connections *table, const uint8_t key[16])
{
    struct pas_fe_address *a = *bucket_of(table, key);

    while (a != NULL && memcmp(a->key, key, 16) != 0)
        a = a->next;
    return a;
}

static void
unlist(struct pas_fe_connections *table, struct pas_fe_address *a)
{
    if (!a->listed)
        return;
    *(a->newer != NULL ? &a->newer->older : &table->newest) = a->older;
    *(a->older != NULL ? &a->older->newer : &table->oldest) = a->newer;
    a->newer = a->older = NULL;
    a->listed = false;
}

static void
list(struct pas_fe_connections *table, struct pas_fe_address *a)
{
    a->older = table->newest;
    *(table->newest != NULL ? &table->newest->newer : &table->oldest) = a;
    table->newest = a;
    a->listed = true;
}

/* The address without connections that was used longest ago gives up its place. */
static void
forget_oldest(struct pas_fe_connections *table)
{
    struct pas_fe_address *a = table->oldest;
    struct pas_fe_address **at = bucket_of(table, a->key);

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    unlist(table, a);
    a->next = table->free_addresses;
    table->free_addresses = a;
}

static struct pas_fe_address *
enter_address(struct pas_fe_connections *table, const uint8_t key[16])
{
    struct pas_fe_address *a = find_address(table, key);
    struct pas_fe_address **bucket;

    if (a == NULL) {
        /* There are more places than connections: one of them is free or without connections. */
        if (table->free_addresses == NULL)
            forget_oldest(table);
        a = table->free_addresses;
        table->free_addresses = a->next;
        *a = (struct pas_fe_address){
            .tokens = table->burst * TOKEN,
            .filled_ms = pas_fe_now_ms(),
        };
        memcpy(a->key, key, 16);
        bucket = bucket_of(table, key);
        a->next = *bucket;
        *bucket = a;
    }
    unlist(table, a);
    a->connections++;
    return a;
}

/* Under the lock. An idle one ends politely: what it has already sent is still served. */
static void
shut(struct pas_fe_connections *table, struct pas_fe_connection *c, unsigned long long seen,
    enum pas_fe_end why)
{
    const unsigned long long closing = (pas_fe_now_ms() << STATE_BITS) | (unsigned)PAS_FE_CLOSING;

    if (!atomic_compare_exchange_strong(&c->mark, &seen, closing))
        return;
    (void)shutdown(c->fd, state_of(seen) == PAS_FE_IDLE ? SHUT_RD : SHUT_RDWR);
    if (state_of(seen) != PAS_FE_CLOSING)
        atomic_fetch_add_explicit(&table->metrics->ends[why], 1, memory_order_relaxed);
}

/* A request that is being read counts too, but is as a rule much younger than what idles. */
static void
make_room(struct pas_fe_connections *table)
{
    struct pas_fe_connection *oldest = NULL;
    unsigned long long oldest_mark = 0;

    for (size_t i = 0; i < table->max; i++) {
        struct pas_fe_connection *c = &table->slots[i];
        const unsigned long long mark = atomic_load(&c->mark);
        const enum pas_fe_state state = state_of(mark);

        if (c->fd < 0 ||
            (state != PAS_FE_HANDSHAKE && state != PAS_FE_IDLE && state != PAS_FE_READING))
            continue;
        if (oldest == NULL || mark < oldest_mark) {
            oldest = c;
            oldest_mark = mark;
        }
    }
    if (oldest != NULL)
        shut(table, oldest, oldest_mark, PAS_FE_END_EVICTED);
}

/* The mark holds the moment above the state: the smallest is the oldest. */
void
pas_fe_connections_press(struct pas_fe_connections *table)
{
    const uint64_t now = pas_fe_now_ms();
    struct pas_fe_connection *oldest = NULL;
    unsigned long long oldest_mark = 0;

    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->max; i++) {
        struct pas_fe_connection *c = &table->slots[i];
        const unsigned long long mark = atomic_load(&c->mark);

        if (c->fd < 0 || state_of(mark) != PAS_FE_READING ||
            now < (mark >> STATE_BITS) + PRESSED_MS)
            continue;
        if (oldest == NULL || mark < oldest_mark) {
            oldest = c;
            oldest_mark = mark;
        }
    }
    if (oldest != NULL)
        shut(table, oldest, oldest_mark, PAS_FE_END_SLOW);
    (void)pthread_mutex_unlock(&table->lock);
}

bool
pas_fe_connections_room(struct pas_fe_connections *table)
{
    bool room;

    (void)pthread_mutex_lock(&table->lock);
    if (!(room = table->free_slots != NULL))
        make_room(table);
    (void)pthread_mutex_unlock(&table->lock);
    return room;
}

bool
pas_fe_connections_admit(struct pas_fe_connections *table, const struct sockaddr *address)
{
    const struct pas_fe_address *a;
    uint8_t key[16];
    bool ok;

    key_of(address, key);
    (void)pthread_mutex_lock(&table->lock);
    a = find_address(table, key);
    ok = a == NULL || a->connections < table->per_address;
    if (!ok)
        atomic_fetch_add_explicit(
            &table->metrics->ends[PAS_FE_END_ADDRESS], 1, memory_order_relaxed);
    else if (table->len >= table->limit)
        make_room(table);
    (void)pthread_mutex_unlock(&table->lock);
    return ok;
}

/* Under the lock. */
static void
leave(struct pas_fe_connections *table, struct pas_fe_connection *c)
{
    if (--c->address->connections == 0)
        list(table, c->address);
    c->address = NULL;
    table->by_fd[c->fd] = NULL;
    c->fd = -1;
    c->next_free = table->free_slots;
    table->free_slots = c;
    table->len--;
    atomic_fetch_sub_explicit(&table->metrics->connections, 1, memory_order_relaxed);
}

bool
pas_fe_connections_open(struct pas_fe_connections *table, int fd, const struct sockaddr *address)
{
    struct pas_fe_connection *c;
    uint8_t key[16];

    if (fd < 0 || (size_t)fd >= table->by_fd_len)
        return false;
    key_of(address, key);
    (void)pthread_mutex_lock(&table->lock);
    /* The HTTP library says nothing of a connection that it could not begin for want of memory. */
    if (table->by_fd[fd] != NULL)
        leave(table, table->by_fd[fd]);
    if ((c = table->free_slots) != NULL) {
        table->free_slots = c->next_free;
        c->fd = fd;
        c->handle = NULL;
        c->parked = c->watched = false;
        c->address = enter_address(table, key);
        peer_text(address, c->peer, sizeof(c->peer));
        pas_fe_connection_mark(c, PAS_FE_ARRIVING);
        table->by_fd[fd] = c;
        table->len++;
        atomic_fetch_add_explicit(&table->metrics->connections, 1, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&table->lock);
    return c != NULL;
}

struct pas_fe_connection *
pas_fe_connections_find(struct pas_fe_connections *table, int fd)
{
    struct pas_fe_connection *c = NULL;

    (void)pthread_mutex_lock(&table->lock);
    if (fd >= 0 && (size_t)fd < table->by_fd_len)
        c = table->by_fd[fd];
    (void)pthread_mutex_unlock(&table->lock);
    return c;
}

void
pas_fe_connections_close(struct pas_fe_connection *c)
{
    struct pas_fe_connections *table = c->table;

    (void)pthread_mutex_lock(&table->lock);
    leave(table, c);
    (void)pthread_mutex_unlock(&table->lock);
}

bool
pas_fe_connection_token(struct pas_fe_connection *c, unsigned *ret_retry_after)
{
    struct pas_fe_connections *table = c->table;
    struct pas_fe_address *a = c->address;
    const uint64_t now = pas_fe_now_ms();
    int64_t elapsed;
    bool ok;

    if (table->rate == 0)
        return true;
    (void)pthread_mutex_lock(&table->lock);
    /* More than the time that fills the bucket adds nothing, and could overflow. */
    elapsed = (int64_t)(now - a->filled_ms);
    if (elapsed > table->burst * TOKEN / table->rate)
        a->tokens = table->burst * TOKEN;
    else
        a->tokens += elapsed * table->rate;
    if (a->tokens > table->burst * TOKEN)
        a->tokens = table->burst * TOKEN;
    a->filled_ms = now;
    ok = a->tokens >= TOKEN;
    if (ok)
        a->tokens -= TOKEN;
    else
        *ret_retry_after =
            (unsigned)((TOKEN - a->tokens + table->rate * 1000 - 1) / (table->rate * 1000));
    (void)pthread_mutex_unlock(&table->lock);
    return ok;
}

void
pas_fe_connections_each(
    struct pas_fe_connections *table, void (*visit)(struct pas_fe_connection *connection))
{
    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->max; i++)
        if (table->slots[i].fd >= 0 && pas_fe_connection_state(&table->slots[i]) != PAS_FE_ARRIVING)
            visit(&table->slots[i]);
    (void)pthread_mutex_unlock(&table->lock);
}

void
pas_fe_connections_reap(struct pas_fe_connections *table, bool drain)
{
    const uint64_t now = pas_fe_now_ms();

    (void)pthread_mutex_lock(&table->lock);
    for (size_t i = 0, seen = 0; i < table->max && seen < table->len; i++) {
        struct pas_fe_connection *c = &table->slots[i];
        const unsigned long long mark = atomic_load(&c->mark);
        const uint64_t since = mark >> STATE_BITS;
        const enum pas_fe_state state = state_of(mark);
        uint64_t limit = table->request_ms;

        if (c->fd < 0)
            continue;
        seen++;
        if (state == PAS_FE_WAITING || state == PAS_FE_ARRIVING)
            continue;
        if (state == PAS_FE_IDLE)
            limit = drain ? 0 : table->idle_ms;
        else if (state == PAS_FE_CLOSING)
            limit = CLOSING_MS;
        if (now >= since + limit)
            shut(table, c, mark, state == PAS_FE_IDLE ? PAS_FE_END_IDLE : PAS_FE_END_SLOW);
    }
    (void)pthread_mutex_unlock(&table->lock);
}
