/* A server that doesn't start: what is to be done about it goes by what the system and the server said. */
#include "shadow/pg_local_int.h"

#include <string.h>

#define MEMORY "There isn't enough memory for a server, or ulimit -v is too low: it needs 500 MB."
#define FILES "ulimit -n is too low for a server: ulimit -n 1024."
#define SIZE "ulimit -f is too low for a server: ulimit -f unlimited."

void pg_why(const char *parent, struct err *err)
{
    static const struct {
        const char *said, *way, *rest; /* rest: what follows the folder; NULL: it isn't named */
    } causes[] = {
        {"No space left on device", "The disk is full: make room in ", ", or TMPDIR=DIR."},
        {"Disk quota exceeded", "The quota is used up: make room in ", ", or TMPDIR=DIR."},
        {"Read-only file system", "TMPDIR=DIR: a folder that may be written to; ", " isn't one."},
        {"File too large", SIZE, NULL},
        {"File size limit exceeded", SIZE, NULL},
        {"Resource temporarily unavailable",
         "This user may have no more processes (ulimit -u, or the limit of a container): a server "
         "needs ten.",
         NULL},
        {"Too many open files", FILES, NULL},
        {"insufficient file descriptors", FILES, NULL},
        {"Cannot allocate memory", MEMORY, NULL},
        {"out of memory", MEMORY, NULL},
        {"failed to map segment", MEMORY, NULL},
        {"error while loading shared libraries",
         "The programs of PostgreSQL lack a library: install them anew, or PHASEGATE_PG_BIN=DIR "
         "for others.",
         NULL},
        {"Permission denied",
         "TMPDIR=DIR: a folder that the server's user may enter and write to; ",
         " may not be one."},
    };
    const char *message = str_text(&err->message), *detail = str_text(&err->detail);

    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (strstr(message, causes[i].said) || strstr(detail, causes[i].said)) {
            const char *rest = causes[i].rest;

            err_hint(err, "%s%s%s", causes[i].way, rest ? parent : "", rest ? rest : "");
            return;
        }
}
