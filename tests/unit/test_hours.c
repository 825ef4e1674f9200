/* Times of the week: what is read, and every minute of a week against their definition. */
#include "phasegate/hours.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { WEEK = 7, DAY = 24 * 60 };

static void texts_are_read(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        bool good;
        unsigned days;
        int from, to;
        const char *zone;
    } rows[] = {
        {"22:00-06:00", true, 0x7f, 1320, 360, "UTC"},
        {" 22:00-06:00", true, 0x7f, 1320, 360, "UTC"},
        {"00:00-24:00", true, 0x7f, 0, 1440, "UTC"},
        {"Mon-Fri 08:00-16:30 Europe/Berlin", true, 0x1f, 480, 990, "Europe/Berlin"},
        {"sat,SUN 01:00-02:00", true, 0x60, 60, 120, "UTC"},
        {"Sat-Mon,Wed  00:00-00:01  UTC", true, 0x65, 0, 1, "UTC"},
        {"Sun 23:59-24:00", true, 0x40, 1439, 1440, "UTC"},
        {"", false, 0, 0, 0, NULL},
        {"night", false, 0, 0, 0, NULL},
        {"22:00", false, 0, 0, 0, NULL},
        {"22:00-22:00", false, 0, 0, 0, NULL},
        {"24:00-06:00", false, 0, 0, 0, NULL},
        {"22:60-23:00", false, 0, 0, 0, NULL},
        {"22:00-24:01", false, 0, 0, 0, NULL},
        {"9:00-17:00", false, 0, 0, 0, NULL},
        {"Mon22:00-23:00", false, 0, 0, 0, NULL},
        {"Mon- 22:00-23:00", false, 0, 0, 0, NULL},
        {"Mon, 22:00-23:00", false, 0, 0, 0, NULL},
        {"Fun 22:00-23:00", false, 0, 0, 0, NULL},
        {"22:00-23:00Europe/Berlin", false, 0, 0, 0, NULL},
        {"22:00-23:00 Europe/Berlin please", false, 0, 0, 0, NULL},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct hours h;
        bool good = hours_parse(rows[i].text, &h);

        CHECK(good == rows[i].good, "'%s'", rows[i].text);
        if (!good)
            continue;
        CHECK(h.days == rows[i].days && h.from == rows[i].from && h.to == rows[i].to &&
                  strcmp(h.zone, rows[i].zone) == 0,
              "'%s': days %x, %d to %d, %s", rows[i].text, h.days, h.from, h.to, h.zone);
    }
}

/* They begin on each of their days and last as long as it is from `from` to `to`, going forward. */
static void every_minute_of_a_week(void **state)
{
    (void) state;
    static const struct hours all[] = {
        {0x7f, 1320, 360, "UTC"}, {0x1f, 480, 990, "UTC"}, {0x40, 1439, 1440, "UTC"},
        {0x40, 1380, 60, "UTC"},  {0x01, 0, 1440, "UTC"},  {0x20, 720, 719, "UTC"},
    };

    for (size_t i = 0; i < ROWS(all); i++) {
        bool is_in[WEEK * DAY] = {false};
        int length =
            all[i].to > all[i].from ? all[i].to - all[i].from : all[i].to + DAY - all[i].from;

        for (int d = 0; d < WEEK; d++)
            for (int m = 0; (all[i].days & 1u << d) && m < length; m++)
                is_in[(d * DAY + all[i].from + m) % (WEEK * DAY)] = true;
        for (int m = 0; m < WEEK * DAY; m++)
            CHECK(hours_contain(&all[i], m / DAY + 1, m % DAY) == is_in[m],
                  "row %zu, day %d, %02d:%02d", i, m / DAY + 1, m % DAY / 60, m % 60);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read),
        cmocka_unit_test(every_minute_of_a_week),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
