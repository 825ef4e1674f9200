/* json_out: a JSON writer.
 *
 * Adds one value to a str, always valid UTF-8 (bytes that are not become U+FFFD), keys in the
 * order given. Unbalanced calls abort: they are bugs, and so are a key outside an object, a
 * missing one inside, a second value and more than JSON_DEPTH levels. Reading JSON is jansson's
 * work, not ours; no function here may have the name of one of jansson's, whose library would
 * then call ours.
 */
#ifndef PHASEGATE_JSON_OUT_H
#define PHASEGATE_JSON_OUT_H

#include "phasegate/str.h"
#include <stdint.h>

#define JSON_DEPTH 32

struct json_out {
    struct str *to;
    bool pretty; /* two spaces a level and a newline at the end */
    int depth;
    bool first[JSON_DEPTH], is_object[JSON_DEPTH]; /* of each open container */
    bool is_done;                                  /* the one value is complete */
};

void json_begin(struct json_out *j, struct str *to, bool pretty);
void json_object_begin(struct json_out *j, const char *key_or_null); /* open { */
void json_object_end(struct json_out *j);
void json_array_begin(struct json_out *j, const char *key_or_null); /* open [ */
void json_array_end(struct json_out *j);
/* A NULL text, or a number that is not finite, is written as null. */
void json_str(struct json_out *j, const char *key_or_null, const char *text_or_null);
void json_strn(struct json_out *j, const char *key_or_null, const char *text, size_t n);
void json_int(struct json_out *j, const char *key_or_null, int64_t v);
void json_double(struct json_out *j, const char *key_or_null, double v);
void json_bool(struct json_out *j, const char *key_or_null, bool v);
void json_put_null(struct json_out *j, const char *key_or_null);
/* Trusted JSON text, added as it is. */
void json_raw(struct json_out *j, const char *key_or_null, const char *json);

#endif
