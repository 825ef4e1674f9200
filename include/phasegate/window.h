/* window: which releases may run against a database, given how far its plans are. Pure.
 *
 * The floor rises when a contract hides what older releases use, and when writes went to the new shape
 * without a trigger that keeps the old one up. The ceiling is the first release whose expand isn't there.
 */
#ifndef PHASEGATE_WINDOW_H
#define PHASEGATE_WINDOW_H

#include "phasegate/phase.h"

struct window_plan {
    const struct plan *plan;
    enum stage stage;
    bool first_write_rung;
    bool write_is_up; /* the write flag was seen above 0 just now, whatever the stage */
};

struct window {
    const char *oldest, *oldest_why; /* releases before it are refused; NULL: no floor */
    const char *below, *below_why;   /* this release and later ones are refused; NULL: no ceiling */
};

void window_compute(struct arena *a, const struct project *prj, int64_t window,
                    const struct window_plan *plans, int n, struct window *out);
bool window_allows(const struct project *prj, const struct window *w, const char *version,
                   const char **reason, const char **why);

#endif
