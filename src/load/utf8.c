#include "load/utf8.h"

static size_t length_of(unsigned char c)
{
    return c > 0 && c < 0x80       ? 1
           : c >= 0xc2 && c < 0xe0 ? 2
           : c >= 0xe0 && c < 0xf0 ? 3
           : c >= 0xf0 && c < 0xf5 ? 4
                                   : 0;
}

bool utf8_is_good(const char *bytes, size_t n, size_t *out_bad)
{
    const unsigned char *s = (const unsigned char *) bytes;

    for (size_t i = 0, len; i < n; i += len) {
        bool good;

        len = length_of(s[i]);
        good = len > 0 && len <= n - i;
        for (size_t k = 1; good && k < len; k++)
            good = (s[i + k] & 0xc0) == 0x80;
        /* overlong, a surrogate, past the last code point */
        if (!good || (s[i] == 0xe0 && s[i + 1] < 0xa0) || (s[i] == 0xed && s[i + 1] > 0x9f) ||
            (s[i] == 0xf0 && s[i + 1] < 0x90) || (s[i] == 0xf4 && s[i + 1] > 0x8f)) {
            *out_bad = i;
            return false;
        }
    }
    return true;
}
