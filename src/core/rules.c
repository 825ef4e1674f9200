/* Every rule of `check`, a row each. */
#include "phasegate/rules.h"

#include <string.h>

#define BOTH (BY_STATIC | BY_SHADOW)

const struct rule rules[] = {
    {"concurrently-in-transaction", RULE_ORDER, SEVERITY_ERROR, BY_STATIC,
     "a statement that can't run in a transaction shares its step"},
    {"destructive-outside-contract", RULE_ORDER, SEVERITY_ERROR, BY_STATIC,
     "a step destroys something before contract"},
    {"enum-value-used-in-same-transaction", RULE_ORDER, SEVERITY_ERROR, BOTH,
     "a new value of an enum is used in the transaction that adds it"},
    {"expand-not-additive", RULE_ORDER, SEVERITY_ERROR, BY_STATIC,
     "a step of expand changes or restricts what live releases use"},
    {"not-valid-and-validate-same-transaction", RULE_ORDER, SEVERITY_ERROR, BY_STATIC,
     "a constraint is added NOT VALID and validated in one transaction"},
    {NULL, RULE_PLAN, SEVERITY_OFF, 0, NULL},
};

const struct rule *rule_find(const char *id)
{
    for (const struct rule *r = rules; r->id; r++)
        if (strcmp(r->id, id) == 0)
            return r;
    return NULL;
}

static const char *const severity_words[] = {
    [SEVERITY_OFF] = "off",
    [SEVERITY_NOTE] = "note",
    [SEVERITY_WARNING] = "warning",
    [SEVERITY_ERROR] = "error",
};

const char *severity_word(enum severity s) { return severity_words[s]; }

bool severity_from_word(const char *w, enum severity *out)
{
    for (int i = SEVERITY_OFF; i <= SEVERITY_ERROR; i++)
        if (strcmp(w, severity_words[i]) == 0) {
            *out = (enum severity) i;
            return true;
        }
    return false;
}

const char *rule_class_word(enum rule_class c)
{
    static const char *const words[] = {
        [RULE_COMPAT] = "compat", [RULE_ORDER] = "order",     [RULE_FLAG] = "flag",
        [RULE_LOCK] = "lock",     [RULE_REWRITE] = "rewrite", [RULE_DATA] = "data",
        [RULE_PLAN] = "plan",
    };

    return words[c];
}
