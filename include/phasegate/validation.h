/* validation: a plan's checklist, measured and signed.
 *
 * Before the first phase the values of the items are recorded; `verify` measures them again, records the answer and
 * compares. Once the last phase is done (a contract may be in its hold), and every item holds, the plan is accepted:
 * that is a row of the journal, bound to the checklist as it reads. Going back voids readings and signatures, not the
 * values from before.
 */
#ifndef PHASEGATE_VALIDATION_H
#define PHASEGATE_VALIDATION_H

#include "phasegate/engine.h"

enum validation_verdict { VALIDATION_OPEN, VALIDATION_HOLDS, VALIDATION_FAILS };
const char *validation_verdict_word(enum validation_verdict v); /* "open", "holds", "fails" */

struct validation_item {
    const struct validation *v;
    const char *kind; /* sql, probe, gate, manual */
    enum validation_verdict verdict;
    const char *value, *before; /* NULL: none */
    const char *why;            /* a sentence when it doesn't hold; NULL */
    const char *next;           /* what to do about it, a command; NULL */
    const char *by;             /* who signed or refused; NULL: nobody */
    int64_t at_ms;              /* when; 0 */
};

struct validation_report {
    struct validation_item *items;
    int n, n_open, n_failed;
    const char *signed_by; /* whose signature was just recorded; NULL: none was asked for */
    bool is_due;           /* the last phase is done: from now on it may be accepted */
    bool accepted;         /* every item held, as the checklist reads now */
    const char *accepted_by;
    int64_t accepted_at_ms;
};

struct validation_options {
    const char
        *sign; /* id of a manual item, or of a manual go or no-go criterion; NULL: sign nothing */
    bool refuse;
    const char *because; /* NULL: none */
};

/* Signs first, then measures all of it and records what was found. A criterion of the runbook is signed for the phase
 * that comes next. *report is of the checklist either way. ERR_USAGE: no such item. ERR_REFUSED "validation": a manual
 * item before the last phase is done. */
bool engine_validate(struct engine *e, struct plan *p, const struct validation_options *o,
                     struct arena *a, struct validation_report *report, struct err *err);

#endif
