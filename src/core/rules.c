/* The rules that the parse tree of a step decides. */
#include "phasegate/rules.h"

#include <stddef.h>

const struct rule rules[] = {
    {"expand-not-additive", "a step of expand changes or restricts what live releases use"},
    {"destructive-outside-contract", "a step destroys something before contract"},
    {"concurrently-in-transaction", "a statement that can't run in a transaction shares its step"},
    {"enum-value-used-in-same-transaction",
     "a new value of an enum is used in the transaction that adds it"},
    {"not-valid-and-validate-same-transaction",
     "a constraint is added NOT VALID and validated in one transaction"},
    {NULL, NULL},
};
