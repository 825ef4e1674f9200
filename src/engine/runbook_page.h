/* runbook_page: what the files that write a runbook share. Private to the engine. */
#ifndef PHASEGATE_ENGINE_RUNBOOK_PAGE_H
#define PHASEGATE_ENGINE_RUNBOOK_PAGE_H

#include "internal.h"

#include "phasegate/runbook.h"

struct page {
    const struct engine *e;
    const struct plan *p;
    const struct runbook_facts *f;
    struct arena *a;
    struct document d;
    const char *id;     /* of the plan */
    const char *prefix; /* "phasegate -e production" */
};

static inline const char *or_none(const char *text, const char *none) { return text ? text : none; }

/* "phasegate -e ENV ..." */
const char *page_say(struct page *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A command that says no environment, with this one. */
const char *page_here(struct page *g, const char *line);
void page_command(struct page *g, const char *line);
const char *page_code(struct page *g, const char *text);
const char *page_when(struct page *g, int64_t ms); /* "" for 0 */
const char *page_took(struct page *g, int64_t ms);

bool page_has_flags(const struct plan *p);
bool page_has_backfill(const struct plan *p);
bool page_has_contract(const struct plan *p);

/* runbook_do.c: what to type. */
void page_write_symptoms(struct page *g);
void page_write_commands(struct page *g);
void page_write_way_back(struct page *g);

#endif
