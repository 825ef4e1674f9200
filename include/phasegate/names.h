/* names: words that people mistype, ids, UTC timestamps, durations, sizes, quoting. Pure. */
#ifndef PHASEGATE_NAMES_H
#define PHASEGATE_NAMES_H

#include "phasegate/str.h"
#include <stdint.h>

/* The candidate nearest to word by edit distance (insert, delete, replace, swap of neighbours), or
 * NULL when none is within a third of its own length. The first of equals. words ends with NULL. */
const char *name_nearest(const char *word, const char *const *words);

/* One form of a path, as far as its text goes: "./a//b/" is "a/b", "./" is ".". climbs: "a/../b" is "b" too, which is
 * another file where a is a link. NULL stays NULL, "" stays "". */
const char *path_tidy(struct arena *a, const char *path, bool climbs);

bool is_plan_id(const char *s); /* [a-z0-9-]{1,63} */
bool is_word_id(const char *s); /* ids of steps, gates, checks: [a-z0-9][a-z0-9_-]{0,62} */

/* "YYYYMMDDHHmmss" <-> seconds since the epoch, UTC. A time that doesn't exist (month 19, 30
 * February, second 60) gives false. */
/* Years are 0001 to 9999; a time past either end is written as that end. */
bool time_from_stamp(const char *stamp, int64_t *out_seconds);
void time_to_stamp(int64_t seconds, char out[15]);
/* RFC 3339 with Z and milliseconds: 2026-11-14T09:30:00.000Z */
void time_to_rfc3339(int64_t epoch_ms, char out[25]);
bool time_from_rfc3339(const char *s, int64_t *out_epoch_ms); /* offset or Z required */

/* "500ms", "30s", "10m", "1h", "72h", "30d" -> ms: one number, one unit. A bare number is refused:
 * units are stated. */
bool duration_from_text(const char *s, int64_t *out_ms);
/* Exact, two units at most: "1h 30m", "45s", "250ms", "3d"; what needs three is "26h 3m". */
void duration_to_text(struct str *out, int64_t ms);
/* "2GiB", "500MB", "10kB", "123" or "123B" (bytes). kB to TB are powers of 1000, KiB to TiB of
 * 1024. */
bool size_from_text(const char *s, int64_t *out_bytes);
/* "12.5%" or "80%" -> 0..100, at most 9 decimals */
bool percent_from_text(const char *s, double *out);

/* The one place where identifiers and literals are quoted for SQL. Identifiers always get quotes.
 * A str that became full holds a cut statement: don't send it. */
void sql_ident(struct str *out, const char *name);
void sql_qualified(struct str *out, const char *schema_or_null, const char *name);
/* The E'' form when a backslash is in it; NULL gives the word NULL. */
void sql_literal(struct str *out, const char *text);
/* An element of an array's text, {"a","b"}, with its quotes. */
void sql_element(struct str *out, const char *text);
/* sql with text, which is quoted already, in place of every <<hole>>: for what can't be a parameter. In the arena. */
const char *sql_put(struct arena *a, const char *sql, const char *hole, const char *text);

#endif
