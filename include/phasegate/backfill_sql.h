/* backfill_sql: the statements of a backfill, made once for a job. Pure; the texts live in the arena given.
 *
 * A walk goes along the key of one table, from a cursor that was done to a bound that comes next. Parameters are key
 * texts, in the order of walk.keys; their types are the columns' own. A statement "from the start" has no cursor.
 * Everything of ours is qualified; the author's expressions find their names by the session's search_path.
 */
#ifndef PHASEGATE_BACKFILL_SQL_H
#define PHASEGATE_BACKFILL_SQL_H

#include "phasegate/generate.h"

#define WALK_KEYS_MAX 8

struct walk {
    const struct backfill_spec *spec;
    const char *table; /* quoted and, where the author did, qualified */
    bool has_parts;    /* partitioned: its rows are in other tables; else only its own are meant */
    const char *const *keys; /* [n_keys] columns that together are unique and never NULL */
    int n_keys;              /* 1..WALK_KEYS_MAX */
    bool by_blocks;       /* the one key is ctid: where a row lies. It changes when the row does */
    double rows_per_page; /* by_blocks: about so many; > 0 */
    /* As SQL names them, of the keys and of the columns of spec->set. NULL: there is neither a program nor are old
     * values kept. */
    const char *const *key_types, *const *set_types;
    int64_t
        keeps_for; /* the job that old values are kept for, with the types above; 0: they aren't */
};
#define WALK_CTID "ctid"

/* How the parameters of a statement are numbered: $1.. cursor (none from the start), then bound, then these. */
struct walk_params {
    int cursor, bound; /* the first of n_keys each; cursor 0: from the start */
    int next;          /* the first that is free */
};
struct walk_params walk_params(const struct walk *w, bool from_start);

/* The key of the nth row further on, at most at the bound: $next is n - 1. No row: the bound comes first. By blocks: the
 * end of the block where about so many rows are behind us. */
const char *walk_next_sql(struct arena *a, const struct walk *w, bool from_start);
/* How many rows there are up to the bound. */
const char *walk_count_sql(struct arena *a, const struct walk *w, bool from_start);
/* One value of all that is filled up to the bound: the same for the same contents. */
const char *walk_digest_sql(struct arena *a, const struct walk *w, bool from_start);
/* One row: the newest key, or the end of the last block. None: the table is empty. */
const char *walk_end_sql(struct arena *a, const struct walk *w);

/* A batch: fills what is still to do up to the bound, moves the slice's cursor there and writes the journal, or does
 * nothing of it. $next.. slice, epoch, cursor before, cursor after (JSON, NULL: the start), rows asked for, rows
 * between (NULL: as many), ms of the rest before it, why it rested. One row: how many rows it changed. ERR_SQL
 * 22P02 whose message holds WALK_TAKEN: somebody else has the slice. */
const char *walk_batch_sql(struct arena *a, const struct walk *w, bool from_start);
#define WALK_TAKEN "this slice was taken over"

/* The same without the rows that others hold: those stay to do. The range is noted as residual. */
const char *walk_batch_free_sql(struct arena *a, const struct walk *w, bool from_start);
/* The cursor and the journal alone, once the range was filled piece by piece: as walk_batch_sql, and $next+8: how many
 * rows it changed. */
const char *walk_move_sql(struct arena *a, const struct walk *w, bool from_start);
/* The range alone, without cursor and journal: for halving it on the way to a row that can't be filled. One row: how
 * many rows it changed. */
const char *walk_fill_sql(struct arena *a, const struct walk *w, bool from_start);
/* Keys of rows still to do in the range, ascending; $next: how many at most. */
const char *walk_left_sql(struct arena *a, const struct walk *w, bool from_start);
/* A range that was left for later, filled and marked as done: $next.. job, lo and hi as JSON. One row: how many rows
 * it changed. */
const char *walk_residual_sql(struct arena *a, const struct walk *w, bool from_start);
/* A range of what is left anywhere, once all slices are done: $next.. as walk_residual_sql, whose row it makes where there
 * is none. One row: how many rows it changed. */
const char *walk_swept_sql(struct arena *a, const struct walk *w, bool from_start);
/* walk_fill_sql for an update, and how many of those rows are still to do afterwards: two columns. */
const char *walk_still_sql(struct arena *a, const struct walk *w, bool from_start);
/* The row of this key alone. One row: 1, or 0 when it isn't to do. */
const char *walk_row_sql(struct arena *a, const struct walk *w);
/* ---- through a program: rows are read, and written when it has said what becomes of them ---- */

/* Rows still to do: keys, the row as it is read (to be compared with later), and as a JSON object in one line. */
const char *walk_via_read_sql(struct arena *a, const struct walk *w, bool from_start);
const char *walk_via_read_row_sql(struct arena *a, const struct walk *w); /* of this key alone */

/* What the program said comes as one parameter: [{"phasegate_k1": key, ..., "phasegate_row": as it was read,
 * "phasegate_said": {column: value, ...}}, {"phasegate_k1": key, "phasegate_bad": true}, ...]. A row that isn't what
 * it was when it was read isn't touched, and stays to do. */
/* As walk_batch_free_sql, and $next+8: what it said. */
const char *walk_via_batch_sql(struct arena *a, const struct walk *w, bool from_start);
/* The rows alone, those that others hold left out: $next. One row: how many it changed. */
const char *walk_via_fill_sql(struct arena *a, const struct walk *w, bool from_start);
/* As walk_residual_sql, and $next+3: what it said. Marked as done only where nothing is left. One row: how many rows
 * it changed, how many are left. */
const char *walk_via_residual_sql(struct arena *a, const struct walk *w, bool from_start);
/* $ behind the key: what it said. One row: 1, or 0 when it isn't to do or has changed; 1 when it is still to do. */
const char *walk_via_row_sql(struct arena *a, const struct walk *w);

/* Old values that were kept, back into their rows, unless those have changed since; $1: how many at most. One row: how
 * many of them, how many came back. */
const char *walk_restore_sql(struct arena *a, const struct walk *w);

/* ---- verifying ---------------------------------------------------------------------------------------------- */

/* Boolean SQL: the row holds something else than the backfill would set. NULL: it sets nothing to compare. */
const char *walk_differs_sql(struct arena *a, const struct walk *w);
/* One value of what the backfill would set in the table's first rows, and a comparison with what they hold: two answers
 * that differ say that its expressions give another value each time. By blocks of the rows in $1, as walk_some_sql has
 * named them: its first rows would have to be sorted for. */
const char *walk_some_sql(struct arena *a, const struct walk *w);
const char *walk_values_sql(struct arena *a, const struct walk *w, const char *differs);
/* Looks at a range and moves the slice of a verification, or does nothing of it. $next.. slice, epoch, cursor before,
 * cursor after (JSON), job. differs NULL: nothing is compared. One row: how many rows there are. Fails as
 * walk_batch_sql does. */
enum walk_trust {
    WALK_EVALUATES,
    WALK_BLIND
}; /* blind: rows that can't be evaluated; they count as still to do */
const char *walk_verify_sql(struct arena *a, const struct walk *w, bool from_start,
                            const char *differs, enum walk_trust trust);
#define WALK_WRONG_KEPT 20 /* keys of wrong rows, for each slice */

#endif
