/* Server logs, in pieces. What was captured must make a file that reads back. */
#include "phasegate/capture.h"

#include <stdlib.h>
#include <string.h>

static void capture(const char *bytes, size_t n, size_t piece, enum param_style style)
{
    AUTO(arena) a = {0};
    AUTO(problem_list) problems = {0};
    AUTO(str) file = {0};
    struct statements back = {0};
    struct capture c;
    int expected = 0;

    capture_begin(&c, &a, style, "log", true);
    struct capture_log *log = capture_log_begin(&c, &(struct capture_log_options) {0});
    for (size_t at = 0; at < n; at += piece)
        capture_log_feed(log, bytes + at, n - at < piece ? n - at : piece);
    capture_log_end(log);
    capture_end(&c);
    capture_render(&c, "1", NULL, &file);
    if (!statements_parse(&a, "f.sql", str_text(&file), file.len, style, &back, &problems) ||
        !statements_validate(&back, &problems))
        abort();
    for (int i = 0; i < c.n; i++)
        expected += captured_is_new(&c.items[i]);
    if (back.n != expected)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int style = PARAMS_DOLLAR; style <= PARAMS_PERCENT; style++)
        capture((const char *) data, size, 1 + (size_t) style * 37, (enum param_style) style);
    return 0;
}
