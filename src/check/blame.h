/* blame: who in the baseline or in a branch's migrations is at fault when a statement fails at the baseline. For before.c,
 * suspect.c, taken.c, texts.c and those that report. */
#ifndef PHASEGATE_CHECK_BLAME_H
#define PHASEGATE_CHECK_BLAME_H

#include "check/work.h"

/* before.c: what fails on the baseline, put to the baseline as it was before the branch. Ends p's sessions. */
bool before_ask(struct proof *p, struct err *err);
/* It worked then: true, and there is a finding on the migration that broke it. */
bool before_report(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                   const struct outcome *o);

/* suspect.c: which statement of the branch's migrations breaks something. */
void suspects_read(struct proof *p, const struct before_files *files);
/* Where it stands; NULL: nobody. kind: "ALTER TABLE DROP COLUMN", NULL: only the file is known. */
const struct suspect *suspect_of(struct proof *p, const struct query *q, const struct outcome *o,
                                 struct pos *at, const char **kind);

/* taken.c: what in the baseline's own files took away what the server misses; NULL: nobody is known. */
const struct taken *taken_of(struct proof *p, const struct query *q, const struct outcome *o);
/* A statement that fails at the baseline: did a migration take away what it misses? An error where that is
 * sure to be live. */
void taken_tell(struct proof *p, const struct app_statement *a, const struct outcome *o,
                struct finding *f, struct absent *known);

/* texts.c: the files of the baseline, read once, parsed where something is looked for. */
void texts_read(struct proof *p);
void text_parse(struct proof *p, struct baseline_text *t);
struct made_by { /* a view or routine */
    struct pos at;
    const char *text; /* from its name on */
};
/* Who made it last, up to the state. call: of a routine, "f(integer)"; of overloads the one with as many arguments.
 * False: not known. */
bool texts_find(struct proof *p, const char *name, const char *call, int state,
                struct made_by *out);
/* "v was v AS SELECT ... (file:line), and is ...", of what the step of the state makes anew or drops; NULL: not known */
const char *texts_change(struct proof *p, int state);

#endif
