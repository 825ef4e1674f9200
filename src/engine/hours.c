/* policy.maintenance: the hours in which phases may begin, by the server's clock. */
#include "internal.h"

#include "phasegate/hours.h"
#include "sql_embedded.h"

#include <stdlib.h>

bool hours_look(struct work *w, struct fact *f, struct err *err)
{
    const char *text = w->e->policy.maintenance_window.s;
    struct hours hours;
    struct db_rows rows = {0};

    fact_yes(f);
    if (!text)
        return true;
    if (!hours_parse(text, &hours))
        return err_set(err, ERR_BUG, "policy.maintenance.window \"%s\" was not checked", text);
    if (!ask_own(w->e, w->a, sql_select_local_time, &DB_PARAMS(hours.zone), &rows, err))
        return err_note(err, "policy.maintenance.window: %s", text);
    int day = (int) strtol(db_cell(&rows, 0, 0), NULL, 10),
        minute = (int) strtol(db_cell(&rows, 0, 1), NULL, 10);
    if (!hours_contain(&hours, day, minute))
        fact_no(f,
                arena_printf(w->a, "phases begin %s only; by the server's clock it is %02d:%02d",
                             text, minute / 60, minute % 60),
                "the same command within these hours; kill, pause, rollback and restore have none");
    return true;
}
