/* hours: times of the week in which something may go on, as plans write them. Pure. */
#ifndef PHASEGATE_HOURS_H
#define PHASEGATE_HOURS_H

#include <stdbool.h>

#define HOURS_EXPECTED                                                                             \
    "hours like 22:00-06:00, or with days and a time zone: Mon-Fri 22:00-06:00 Europe/Berlin"

/* Past midnight (to below from) they belong to the day on which they begin. */
struct hours {
    unsigned days;    /* bit 0: Monday ... bit 6: Sunday */
    int from, to;     /* minutes since midnight; from 0..1439, to 0..1440, from included, to not */
    const char *zone; /* points into the text that was read; "UTC" when it names none */
};

bool hours_parse(const char *text, struct hours *out);
/* weekday: 1 (Monday) .. 7, minute: of that day, both in the zone. */
bool hours_contain(const struct hours *h, int weekday, int minute);

#endif
