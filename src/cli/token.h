/* token: what a person signs with. */
#ifndef PHASEGATE_TOKEN_H
#define PHASEGATE_TOKEN_H

#include "cli.h"

/* Before context_engine(): its SHA-256 is c->token_sha256, NULL when none was given. */
bool context_token(struct context *c, struct err *err) MUST_CHECK;

#endif
