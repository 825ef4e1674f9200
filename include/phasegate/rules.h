/* rules: what `check` goes by, as one table. Pure.
 *
 * A row here, a page docs/rules/<id>.md whose bad and good plans are its tests, and the code that finds it.
 * Ids are kebab-case and never change their meaning once released.
 */
#ifndef PHASEGATE_RULES_H
#define PHASEGATE_RULES_H

#include "phasegate/model.h"

enum severity { SEVERITY_OFF, SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR };
const char *severity_word(enum severity s); /* "off", "note", "warning", "error" */
bool severity_from_word(const char *w, enum severity *out);

/* compat: a release breaks. order: phases and releases in the wrong order. flag: flags in the wrong order.
 * lock, rewrite: the server would block or rewrite. data: rows in danger. plan: the files themselves. */
enum rule_class {
    RULE_COMPAT,
    RULE_ORDER,
    RULE_FLAG,
    RULE_LOCK,
    RULE_REWRITE,
    RULE_DATA,
    RULE_PLAN
};
const char *rule_class_word(enum rule_class c);

enum rule_by { BY_STATIC = 1, BY_SHADOW = 2 }; /* bit set: who can find it */

struct rule {
    const char *id;
    enum rule_class class;
    enum severity severity; /* default */
    unsigned by;
    const char *title; /* what is wrong, one clause */
    /* The shadow's rule for the same cause: with a shadow only that one is told, and either id sets it aside.
     * NULL: none. */
    const char *same_as;
    bool
        is_unseen; /* the server says nothing as it does that work: a shadow that saw none refutes nothing */
};
extern const struct rule rules[];             /* ascending by id; ends with id NULL */
const struct rule *rule_find(const char *id); /* NULL: no such rule */

#endif
