/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, and every statement that is ever run on them. */
#include "sqlite.h"

/*
 * spent: the key begins with the expiry, which the challenge's MAC covers, so a hash cannot come
 * back under another one. That keeps inserts at the table's end, whatever its size, and makes
 * clean-up a range.
 *
 * certificate: rows lie in order of issuance; only the index on the random serial is written in
 * random places, and there is no other: each costs every issuance a page.
 */
const char pas_sql_schema[] =
    "CREATE TABLE certificate(id INTEGER PRIMARY KEY, serial BLOB NOT NULL UNIQUE, workload TEXT "
    "NOT NULL,"
    " platform TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,"
    " issued_at INTEGER NOT NULL, simulated INTEGER NOT NULL, der BLOB NOT NULL,"
    " ear_digest BLOB NOT NULL, evidence BLOB NOT NULL, hardware_id BLOB NOT NULL,"
    " policy_digest BLOB NOT NULL, peer TEXT NOT NULL) STRICT;"
    "CREATE TABLE spent(expires_at INTEGER NOT NULL, hash BLOB NOT NULL,"
    " PRIMARY KEY(expires_at, hash)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE refusal(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, code TEXT NOT NULL,"
    " name TEXT NOT NULL, expected TEXT NOT NULL, found TEXT NOT NULL, detail TEXT NOT NULL,"
    " workload TEXT NOT NULL, platform TEXT NOT NULL, peer TEXT NOT NULL,"
    " request_id TEXT NOT NULL) STRICT;"
    "CREATE TABLE endorsed(key BLOB PRIMARY KEY, value BLOB NOT NULL, import INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE policy(digest BLOB PRIMARY KEY, workload TEXT NOT NULL, canonical TEXT NOT NULL,"
    " recorded_at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE secret(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL, number INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;";

const char *const pas_sql[ST_STATEMENTS] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_PUT_CERTIFICATE] =
        "INSERT INTO certificate(serial, workload, platform, not_before, not_after,"
        " issued_at, simulated, der, ear_digest, evidence, hardware_id,"
        " policy_digest, peer) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [ST_GET_CERTIFICATE] = "SELECT workload, platform, not_before, not_after, issued_at, simulated,"
                           " der, ear_digest, evidence, hardware_id, policy_digest, peer"
                           " FROM certificate WHERE serial = ?",
    [ST_SPEND] = "INSERT INTO spent(expires_at, hash) VALUES(?,?) ON CONFLICT DO NOTHING",
    [ST_PUT_REFUSAL] =
        "INSERT INTO refusal(at, code, name, expected, found, detail, workload, platform,"
        " peer, request_id) VALUES(?,?,?,?,?,?,?,?,?,?)",
    [ST_GET_ENDORSED] = "SELECT value FROM endorsed WHERE key = ?",
    [ST_PUT_ENDORSED] = "INSERT INTO endorsed(key, value, import) VALUES(?,?,?) ON CONFLICT(key) DO"
                        " UPDATE SET value = excluded.value, import = excluded.import"
                        " WHERE import <> excluded.import OR value = excluded.value",
    [ST_DROP_ENDORSED] = "DELETE FROM endorsed WHERE import <> ?",
    [ST_COUNT_ENDORSED] = "SELECT count(*) FROM endorsed",
    [ST_GET_META] = "SELECT value, number FROM meta WHERE name = ?",
    [ST_PUT_META] = "INSERT INTO meta(name, value, number) VALUES(?,?,?) ON CONFLICT(name) DO"
                    " UPDATE SET value = excluded.value, number = excluded.number",
    [ST_PUT_POLICY] = "INSERT INTO policy(digest, workload, canonical, recorded_at) VALUES(?,?,?,?)"
                      " ON CONFLICT DO NOTHING",
    [ST_GET_POLICY] = "SELECT canonical FROM policy WHERE digest = ?",
    [ST_GET_SECRET] = "SELECT value FROM secret WHERE name = ?",
    [ST_PUT_SECRET] = "INSERT INTO secret(name, value) VALUES(?,?) ON CONFLICT DO NOTHING",
    [ST_RENEW_SECRET] = "INSERT INTO secret(name, value) VALUES(?,?) ON CONFLICT(name) DO UPDATE"
                        " SET value = excluded.value",
    [ST_STATS] =
        "SELECT coalesce((SELECT max(id) FROM certificate) - (SELECT min(id) FROM certificate)"
        " + 1, 0), coalesce((SELECT max(id) FROM refusal) - (SELECT min(id) FROM refusal)"
        " + 1, 0), coalesce((SELECT number FROM meta WHERE name = 'endorsed'), 0)",
    /* Only the oldest rows are looked at: what ended long ago was issued long ago. A row that lives
     * longer than those around it is passed over; so many of them that nothing else is in sight
     * hold the others up until they end, too. */
    [ST_CLEAN_CERTIFICATES] =
        "DELETE FROM certificate WHERE id IN (SELECT id FROM (SELECT id, not_after"
        " FROM certificate ORDER BY id LIMIT ?2) WHERE not_after < ?1)",
    [ST_SPENT_BOUND] = "SELECT expires_at, hash FROM spent WHERE expires_at < ?1"
                       " ORDER BY expires_at, hash LIMIT 1 OFFSET ?2",
    [ST_SPENT_LAST] =
        "SELECT coalesce(max(expires_at), 0) FROM spent WHERE (expires_at, hash) < (?1, ?2)",
    [ST_CLEAN_SPENT] = "DELETE FROM spent WHERE (expires_at, hash) < (?1, ?2)",
    /* Only the oldest rows are looked at: ids grow with time. */
    [ST_CLEAN_REFUSALS] =
        "DELETE FROM refusal WHERE id IN (SELECT id FROM (SELECT id, at FROM refusal"
        " ORDER BY id LIMIT ?2) WHERE at < ?1"
        " OR id <= (SELECT max(id) FROM refusal) - ?3)",
};
