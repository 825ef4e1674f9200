/* A server of the user's as the shadow: what of it is ours, and that nothing of it stays. */
#include "shadow/shadow_int.h"
#include "shadow/wire_int.h"

bool shadow_arrive(struct shadow *s, struct err *err)
{
    if (!s->is_super) {
        err_set(err, ERR_UNREACHABLE, "the user of --shadow is no superuser");
        return err_hint(err, "Name a throwaway server and its superuser.");
    }
    s->secret =
        arena_printf(&s->arena, "%08x%08x%08x%08x", clock_random(s->clock), clock_random(s->clock),
                     clock_random(s->clock), clock_random(s->clock));
    s->prefix = arena_printf(&s->arena, "phasegate_shadow_%08x_", clock_random(s->clock));
    s->owner = arena_printf(&s->arena, "%sowner", s->prefix);
    return true;
}

void shadow_leave(struct shadow *s)
{
    AUTO(err) ignored = {0};
    AUTO(str) sql = {0};

    for (int i = 0; i < s->databases.n; i++)
        if (s->databases.items[i] && !shadow_drop(s, s->databases.items[i], &ignored))
            err_clear(&ignored);
    for (int i = s->roles_made.n - 1; s->admin && i >= 0; i--) {
        str_clear(&sql);
        str_add(&sql, "DROP ROLE ");
        sql_ident(&sql, s->roles_made.items[i]);
        if (!shadow_admin(s, str_text(&sql), &ignored))
            err_clear(&ignored);
    }
}
