/* fleet: several databases that take every step of a plan. Which of them are one, who goes when, and what their answers
 * are together. Pure; everything is borrowed.
 *
 * Each database of a fleet is a database of its own in all of phasegate, with its own ledger and lease: members are
 * database_decl like any other, called NAME/1, NAME/2, ... in the order of urls:. A plan has done a phase when all
 * of them have.
 */
#ifndef PHASEGATE_FLEET_H
#define PHASEGATE_FLEET_H

#include "phasegate/model.h"
#include "phasegate/phase.h"

#define FLEET_PARALLEL 4 /* where parallel: says nothing */

static inline bool database_is_fleet(const struct database_decl *d) { return d->urls.n > 0; }
/* e with each fleet replaced by its members, in arena a. */
const struct environment *fleet_members(struct arena *a, const struct environment *e);

/* How many of n databases are through after this wave, counted from 0; n after the last one. */
int fleet_through(const struct database_decl *fleet, int wave, int n);
int fleet_parallel(const struct database_decl *fleet);

/* How far a plan is in each of n ledgers: who has to go on first, so that all are equally far? An advance goes on
 * with those furthest behind, what goes back (back) with those whose newest phase is the newest of all. False: they are more than one phase
 * apart, which no command over all of them leaves behind. */
bool fleet_whose_turn(const struct plan *p, const enum stage *stages, int n, bool back, bool *out);

/* The graver of two exit codes: what an answer for all of them ends with. */
int fleet_graver(int a, int b);

#endif
