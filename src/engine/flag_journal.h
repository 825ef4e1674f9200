/* flag_journal: writing the journal, and watching it for kills of other processes. */
#ifndef PHASEGATE_ENGINE_FLAG_JOURNAL_H
#define PHASEGATE_ENGINE_FLAG_JOURNAL_H

#include "phasegate/flag_ops.h"

const char *flag_journal_path(const struct flag_ops *ops, struct arena *a);
/* One line, one fsync, however many entries. */
bool flag_journal_intents(const struct flag_ops *ops, const struct flag_entry *entries, int n,
                          struct err *err);
bool flag_journal_answers(const struct flag_ops *ops, const struct flag_entry *entries, int n,
                          struct err *err);

/* A look at what was appended since the last one. */
struct flag_watch {
    const struct flag_ops *ops;
    const char *key, *own_op; /* own_op NULL: none yet */
    bool no_drills;           /* a drill isn't what is watched for: it puts the flag back */
    size_t seen;              /* bytes read so far, whole lines */
    bool killed;
    const char *kill_op, *kill_actor, *kill_host, *kill_reason; /* in arena */
    struct arena *arena;
};
/* From now on. What is in the journal already is not news. */
void flag_watch_begin(struct flag_watch *w, const struct flag_ops *ops, const char *key,
                      struct arena *a);
/* True: a kill or a drill of this flag by somebody else was journalled since. An unreadable
 * journal is no kill. */
bool flag_watch_look(struct flag_watch *w);

#endif
