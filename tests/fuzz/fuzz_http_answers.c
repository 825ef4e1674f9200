/* What gates make of the bodies of other people's servers. The first line is the JSON pointer. */
#include "phasegate/measure.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    const char *out = NULL, *text = (const char *) data;
    const char *end = size ? memchr(text, '\n', size) : NULL;
    size_t n = end ? (size_t) (end - text) : 0;
    const char *body = end ? end + 1 : text;
    int samples = -1;

    if (measure_json_pointer(body, size - (size_t) (body - text), arena_strndup(&a, text, n), &a,
                             &out, &err) &&
        out && strlen(out) > size + 32)
        __builtin_trap(); /* more than the answer held */
    err_clear(&err);
    if (measure_prometheus(body, size - (size_t) (body - text), &a, &out, &samples, &err) &&
        (samples < 0 || samples > 1 || (samples == 0 && out)))
        __builtin_trap();
    return 0;
}
