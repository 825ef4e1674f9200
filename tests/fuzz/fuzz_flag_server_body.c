/* Bodies of the admin API and of OFREP, then an evaluation, and the state file. What was accepted must
 * be within its limits. */
#include "serve/flag_server_int.h"

#include <stdlib.h>
#include <string.h>

static void admin_body(const char *bytes, size_t size)
{
    AUTO(arena) a = {0};
    struct flag_body body = {0};
    const char *why = NULL;

    if (!flag_body_parse(&a, bytes, size, &body, &why)) {
        if (!why)
            abort();
        return;
    }
    if (body.has_percent && (body.percent < 0 || body.percent > 100))
        abort();
    if (body.bucket_by && !flag_bucket_by_is_valid(body.bucket_by))
        abort();
}

static void context_body(const char *bytes, size_t size)
{
    AUTO(flag_context) context = {0};
    const char *why = NULL;

    if (flag_context_parse(bytes, size, &context, &why))
        return;
    for (int percent = 0; percent <= 100; percent += 50) {
        struct flag_item f = {.key = "k", .now = {.percent = percent, .bucket_by = "targetingKey"}};
        struct flag_verdict v;

        flag_evaluate(&f, &context, &v);
        if (percent != 50 && v.value != (percent == 100))
            abort();
        if (v.bucket_missing && v.value)
            abort();
    }
}

static void state_file(const char *bytes, size_t size)
{
    AUTO(str) why = {0};
    struct flag_set *s = flag_set_parse(bytes, size, &why);

    if (!s && why.len == 0)
        abort();
    flag_set_unref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > FLAG_SERVER_BODY_MAX)
        return 0;
    admin_body((const char *) data, size);
    context_body((const char *) data, size);
    state_file((const char *) data, size);
    return 0;
}
