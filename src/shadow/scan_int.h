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

struct judgement {
    enum verdict verdict;
    const char *why, *hint; /* of REFUSE; hint may be NULL */
    bool standard_strings;  /* standard_conforming_strings from here on; comes as it was */
};

/* Adds the roles that the statement names to sc. */
void scan_judge(struct scan *sc, const struct tokens *t, struct judgement *j);

bool token_is(const struct token *t, const char *word);
/* In the arena: folded, or without its quotes. */
const char *token_name(struct arena *a, const struct token *t);

#endif
