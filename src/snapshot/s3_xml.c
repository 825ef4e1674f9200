/* What S3 answers in, as far as we ask. */
#include "s3.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct arena *a;
    const char *element;
    struct str text;
    bool is_in;
    const char **found;
    int n;
};

static void XMLCALL begins(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *r = ctx;

    (void) attributes;
    r->is_in = strcmp(name, r->element) == 0;
    str_clear(&r->text);
}

static void XMLCALL says(void *ctx, const XML_Char *text, int n)
{
    struct reading *r = ctx;

    if (r->is_in)
        str_addn(&r->text, text, (size_t) n);
}

static void XMLCALL ends(void *ctx, const XML_Char *name)
{
    struct reading *r = ctx;

    if (r->is_in && strcmp(name, r->element) == 0) {
        r->found = arena_grow(r->a, r->found, sizeof *r->found * (size_t) r->n,
                              sizeof *r->found * (size_t) (r->n + 1));
        r->found[r->n++] = arena_strdup(r->a, str_text(&r->text));
    }
    r->is_in = false;
}

int s3_xml(struct arena *a, const char *xml, size_t n, const char *element, const char ***out)
{
    struct reading r = {.a = a, .element = element};
    XML_Parser p = XML_ParserCreate(NULL);

    if (!p)
        abort(); /* out of memory */
    XML_SetUserData(p, &r);
    XML_SetElementHandler(p, begins, ends);
    XML_SetCharacterDataHandler(p, says);
    bool good = XML_Parse(p, xml, (int) n, 1) == XML_STATUS_OK;
    XML_ParserFree(p);
    str_free(&r.text);
    *out = r.found;
    return good ? r.n : 0;
}

const char *s3_xml_first(struct arena *a, const struct http_res *res, const char *element)
{
    const char **found;

    return res->body && s3_xml(a, res->body, res->body_len, element, &found) > 0 ? found[0] : "";
}
