/* document: a text for people, as Markdown or as HTML from the same calls. Pure.
 *
 * What is handed over is plain text: it is escaped here and nowhere else, so that nothing of it can become markup,
 * and control characters become spaces. Code within a text stands between DOCUMENT_CODE and DOCUMENT_TEXT, which
 * document_code_of() puts around it. Lists and tables end with the next call of another kind.
 */
#ifndef PHASEGATE_DOCUMENT_H
#define PHASEGATE_DOCUMENT_H

#include "phasegate/str.h"

#define DOCUMENT_CODE '\x01'
#define DOCUMENT_TEXT '\x02'

enum document_format { DOCUMENT_MARKDOWN, DOCUMENT_HTML };
enum document_part { DOCUMENT_PLAIN, DOCUMENT_BULLETS, DOCUMENT_NUMBERS, DOCUMENT_ROWS };

struct document {
    struct str *to;
    enum document_format format;
    enum document_part part; /* that is open */
    int number;              /* of the newest item */
};

void document_begin(struct document *d, struct str *to, enum document_format format,
                    const char *title);
void document_end(struct document *d);
void document_heading(struct document *d, int level, const char *text); /* level 2 or 3 */
void document_paragraph(struct document *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void document_bullet(struct document *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void document_number(struct document *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A block to be copied as it is; lines end with \n. */
void document_block(struct document *d, const char *language, const char *text);
/* Cells end with NULL; the first call after something else is the heading. */
void document_row(struct document *d, const char *const *cells);
#define DOCUMENT_CELLS(...) ((const char *const[]) {__VA_ARGS__, NULL})

/* The text as code within a text, in arena a. */
const char *document_code_of(struct arena *a, const char *text);
/* One word for a POSIX shell: as it is where that is safe, else quoted. */
void shell_word(struct str *to, const char *word);

#endif
