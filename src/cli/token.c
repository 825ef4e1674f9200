/* What a person signs with: from a file, standard input or the environment, never from the command line. Only its SHA-256
 * is kept. */
#include "token.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From its SHA-256, which the project file shows, a short one could be found by trying. */
#define TOKEN_SHORTEST 32
#define TOKEN_LONGEST 4096

static bool read_input(struct context *c, const char **out, struct err *err)
{
    char text[TOKEN_LONGEST];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof text && (n = read(STDIN_FILENO, text + len, sizeof text - len)) > 0)
        len += (size_t) n;
    if (len == sizeof text || n < 0)
        return err_set(err, ERR_INPUT, "the token can't be read from standard input");
    *out = arena_strndup(&c->arena, text, len);
    explicit_bzero(text, sizeof text);
    *out = arena_strndup(&c->arena, *out, strcspn(*out, "\r\n"));
    return true;
}

bool context_token(struct context *c, struct err *err)
{
    const char *file = opt_text(c, OPT_SIGN_TOKEN), *token = getenv("PHASEGATE_TOKEN");
    const char *hint =
        "make one: (umask 077; openssl rand -hex 32 > FILE); its sum for policy.tokens: "
        "tr -d '\\n' < FILE | sha256sum";
    char hex[65];

    if (file && !(strcmp(file, "-") == 0 ? read_input(c, &token, err)
                                         : context_read_secret(c, file, &token, err)))
        return err_hint(err, "%s", hint);
    if (!token || (!file && !*token))
        return true;
    if (strlen(token) < TOKEN_SHORTEST) {
        err_set(err, ERR_INPUT, "the token of %s has too few characters: %d at least",
                file ? file : "PHASEGATE_TOKEN", TOKEN_SHORTEST);
        return err_hint(err, "%s", hint);
    }
    sha256_hex(token, strlen(token), hex);
    c->token_sha256 = arena_strdup(&c->arena, hex);
    return true;
}
