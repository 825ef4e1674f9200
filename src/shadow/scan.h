/* scan: reading a baseline's SQL as psql reads it, before psql may.
 *
 * A dump is handed to psql as it is, but a baseline may not run programs or leave its database: backslash commands
 * are refused (but \restrict and \unrestrict, which are dropped), and so are COPY from or to files and programs,
 * databases, tablespaces and ALTER SYSTEM. What comes out has as many lines as what went in, so that psql's line
 * numbers can be traced back.
 *
 * Texts are as PostgreSQL with standard_conforming_strings has them, or without where the dump says so. Where psql's
 * versions read a text in different ways it is refused.
 */
#ifndef PHASEGATE_SHADOW_SCAN_H
#define PHASEGATE_SHADOW_SCAN_H

#include "shadow/shadow_int.h"

#include <stdio.h>

struct scan_statement {
    int first, last; /* lines of the output, 1-based */
};

struct scan_file {
    const char *shown; /* as shown to the user */
    int first;         /* its first line in the output */
};

/* A statement that isn't run, though steps or releases could notice. */
struct scan_left_out {
    const char *what;
    int line; /* of the output */
};

struct scan_extension {
    const char *name, *schema, *version; /* schema, version: NULL where none is named */
    bool cascades;
    int line; /* of the output */
};

struct scan {
    struct arena *a;
    FILE *out;
    int line;               /* of the output, the next one */
    int version;            /* of the server */
    struct names foreign;   /* roles of the user's server: never altered or dropped */
    struct names mentioned; /* roles */
    struct names created;
    /* A role without a superuser's rights loads it: what it can't do itself is here, for the superuser's session. */
    bool is_limited;
    struct names strong; /* roles of the server that may more than it: nothing becomes theirs */
    struct names member, member_of; /* parallel: GRANT role TO role */
    struct names not_owners;        /* foreign ones that were to own something */
    struct names own_only;          /* NOINHERIT */
    struct names sees_rows;         /* BYPASSRLS */
    struct scan_extension *extensions;
    int n_extensions, cap_extensions;
    struct names dropped_extensions;
    struct scan_left_out *left_out;
    int n_left_out, cap_left_out;
    struct scan_statement *statements;
    int n_statements, cap_statements;
    struct scan_file *files;
    int n_files, cap_files;
    int statement_line; /* of the output, of the statement that is judged */
};

/* One file. False: ERR_INPUT with file:line. Several files follow one another, each in a session that is as new. */
bool scan_file(struct scan *sc, const char *shown, const char *bytes, size_t n,
               struct err *err) MUST_CHECK;
/* Where a line of the output comes from. */
const char *scan_place(const struct scan *sc, int line, int *out_line);
/* The statement that psql was at when it read `line`; NULL: none. */
const struct scan_statement *scan_statement_at(const struct scan *sc, int line);

#endif
