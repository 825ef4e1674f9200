/* utf8: is it a text? */
#ifndef PHASEGATE_LOAD_UTF8_H
#define PHASEGATE_LOAD_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 without NULs, overlong forms and surrogates. False: out_bad is the first byte of what isn't. */
bool utf8_is_good(const char *bytes, size_t n, size_t *out_bad);

#endif
