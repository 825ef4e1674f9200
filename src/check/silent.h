/* silent: what its rooms share, which look at one statement in one state. Not for others. */
#ifndef PHASEGATE_CHECK_SILENT_H
#define PHASEGATE_CHECK_SILENT_H

#include "check/work.h"

struct look {
    struct proof *p;
    int state;
    const struct app_statement *a;
    const struct timeline_world *w; /* in which its release is live */
    const char *path;               /* its session's search_path; NULL: the server's */
};

/* defaults.c: columns that the write leaves to their defaults. */
void defaults_look(struct look *l, const struct fact_write *f);
/* silent_actions.c: what goes along with rows that it deletes, or stays. */
void silent_actions(struct look *l, const struct fact_write *f);
/* labels.c: labels of an enum that it doesn't know. */
void labels_look(struct look *l);

#endif
