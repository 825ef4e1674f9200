/* s3: one bucket of an S3-compatible service, request by request, over the HTTP port.
 *
 * What is asked for may be asked for twice with no harm: every request is tried again, a few times, where it wasn't
 * answered or the service says that it is busy.
 */
#ifndef PHASEGATE_S3_H
#define PHASEGATE_S3_H

#include "phasegate/store.h"

struct s3 {
    const struct ports *ports;
    const char *base;   /* https://host[:port]/BUCKET/ */
    const char *prefix; /* "" or "a/b/" */
    const char *region, *key, *secret, *token, *ca_file;
    const char *location; /* for people */
};

struct s3_call {
    const char *method;
    const char *object; /* without the prefix; NULL: the bucket itself */
    const char *query;  /* as it is signed: sorted, escaped; NULL: none */
    const char *body;
    size_t n;
    const char *range, *if_match; /* header values; NULL: none */
    const char *doing;            /* "write", for people */
    bool even_stopped; /* clears up after a signal: tried once, and not waited for long */
};

/* Status 2xx, 404 and 416 are answers, anything else an error that says what to do. res is in arena a. */
bool s3_ask(const struct s3 *s, struct arena *a, const struct s3_call *c, struct http_res *res,
            struct err *err);
bool s3_error(const struct s3 *s, const struct s3_call *c, const struct http_res *res,
              struct err *err);

/* s3_xml.c: the texts of all elements of that name, in order; none of what can't be read. Entities are resolved. */
int s3_xml(struct arena *a, const char *xml, size_t n, const char *element, const char ***out);
/* The first one; "": none. */
const char *s3_xml_first(struct arena *a, const struct http_res *res, const char *element);

#endif
