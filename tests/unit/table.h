/* table: comparisons for tests that walk a table; a failure names its row. */
#ifndef PHASEGATE_TEST_TABLE_H
#define PHASEGATE_TEST_TABLE_H

#define ROWS(table) (sizeof(table) / sizeof *(table))

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg(__VA_ARGS__);                                                                 \
    } while (0)

#endif
