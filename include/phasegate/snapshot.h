/* snapshot: what a purge destroys, kept in files that were read back and compared.
 *
 * A snapshot is one file a table (<name>/<n>.copy.zst: PostgreSQL's text form of COPY, compressed as a
 * stream) in a store, what these tables are made of (<name>/definition.sql.zst: of pg_dump), and <name>/manifest.json, which
 * is written last: without it there is none. Rows are counted, summed and copied in one repeatable-read transaction, so
 * that nobody is kept from writing; pg_dump looks at the database as that transaction sees it.
 *
 * Errors beside those of the ports and of the store: ERR_NO "snapshot_damaged" where it isn't what was written, ERR_INTERRUPTED at the first signal.
 */
#ifndef PHASEGATE_SNAPSHOT_H
#define PHASEGATE_SNAPSHOT_H

#include "phasegate/model.h"
#include "phasegate/ports.h"
#include "phasegate/snapshot_sql.h"
#include "phasegate/store.h"

struct snapshot_file { /* file NULL: it isn't there */
    const char *file, *sha256;
    int64_t bytes;
};

struct snapshot {
    const char *name, *plan, *phase;
    const char *checksum; /* of the phase */
    const char *database, *server_version, *system_identifier, *lsn, *run_id;
    int64_t taken_at_ms; /* by the server's clock */
    struct snapshot_part *parts;
    int n_parts;
    struct snapshot_file
        definition; /* absent in those of older versions; where columns are saved, also without pg_dump */
    const char *manifest_sha256; /* of manifest.json */
};
int64_t snapshot_rows(const struct snapshot *s);
int64_t snapshot_bytes(const struct snapshot *s); /* of the files, compressed */

/* Columns and key of a part as the catalogue has them now. *found false: there is no such table, or none
 * of the columns that are wanted. A table without a key is taken whole. */
bool snapshot_describe(struct db *db, struct arena *a, struct snapshot_part *part, bool *found,
                       struct err *err);
/* What the part would hold if it were taken now: rows and digest. */
bool snapshot_measure(struct db *db, struct arena *a, struct snapshot_part *part, struct err *err);
/* Takes the described parts of s, whose name, plan, phase, checksum and run_id are set, into the
 * store and fills in the rest. On a session of url in no transaction. What a failure leaves is removed. lacks: why there is
 * no definition, where only columns are saved; of a whole table that is an error. */
bool snapshot_take(const struct store *store, struct db *db, const char *url, struct arena *a,
                   struct snapshot *s, struct err *lacks, struct err *err);

/* ERR_INPUT: there is no such snapshot, or its manifest can't be read. */
bool snapshot_read(const struct store *store, const char *name, struct arena *a,
                   struct snapshot *out, struct err *err);
bool snapshot_from_json(const char *text, size_t n, struct arena *a, struct snapshot *out,
                        struct err *err);
void snapshot_to_json(const struct snapshot *s, struct str *to);
/* Are its files there, each with the bytes that were written? */
bool snapshot_hashes_hold(const struct store *store, const struct snapshot *s, struct err *err);
/* Its tables as SQL, under the names that they had when it was taken; empty: it has none. */
bool snapshot_definition(const struct store *store, const struct snapshot *s, struct str *out,
                         struct err *err);
/* Reads it back, puts it into tables of a scratch schema, and compares count and digest. The
 * schema lives in a transaction that is rolled back. ERR_NO says what differs. */
bool snapshot_verify(const struct store *store, struct db *db, const struct snapshot *s,
                     struct err *err);

/* One part, copied into pg_temp.phasegate_snapshot, its rows numbered from 1 in phasegate_n. */
bool snapshot_unpack(const struct store *store, struct db *db, const struct snapshot *s,
                     const struct snapshot_part *part, struct err *err);

#endif
