/* scan: what its files share. */
#ifndef PHASEGATE_SHADOW_SCAN_INT_H
#define PHASEGATE_SHADOW_SCAN_INT_H

#include "shadow/scan.h"

enum token_kind { TOKEN_WORD, TOKEN_QUOTED, TOKEN_STRING, TOKEN_OTHER };

struct token {
    enum token_kind kind;
    const char *at; /* in the file; of a quoted one, with its quotes */
    int n;
    int depth; /* of parentheses */
};

enum { SCAN_MAX_TOKENS = 1 << 16 }; /* of one statement: what follows is data */

struct tokens {
    struct token *items;
    int n, cap;
};

/* What becomes of a statement. */
enum verdict { TAKE, TAKE_COPY, DROP, WRAP, REFUSE };

/* Tokens from..to (exclusive) become `text`; NULL: nothing. Of one statement they come in order and don't overlap. */
struct edit {
    int from, to;
    const char *text;
};

enum { SCAN_MAX_EDITS = 4 };

struct judgement {
    enum verdict verdict;
    struct edit edits[SCAN_MAX_EDITS]; /* of TAKE */
    int n_edits;
    const char *why, *hint; /* of REFUSE; hint may be NULL */
    bool standard_strings;  /* standard_conforming_strings from here on; comes as it was */
};

/* Adds the roles that the statement names to sc. */
void scan_judge(struct scan *sc, const struct tokens *t, struct judgement *j);

/* scan_limited.c: the same for a baseline that a role without a superuser's rights loads. What it can't do is left out,
 * or kept in sc for the superuser's session. Comes after scan_judge. */
void scan_limit(struct scan *sc, const struct tokens *t, struct judgement *j);

bool token_is(const struct token *t, const char *word);
/* In the arena: folded, or without its quotes. */
const char *token_name(struct arena *a, const struct token *t);
/* Of token i; false or "" where there's none. */
bool tokens_at(const struct tokens *t, int i, const char *word);
/* The first one outside of parentheses from `from` on, or n. */
int tokens_find(const struct tokens *t, int from, const char *word);
bool tokens_char(const struct tokens *t, int i, char c);
const char *tokens_name(struct arena *a, const struct tokens *t, int i);
void judgement_refuse(struct judgement *j, const char *why, const char *hint);

#endif
