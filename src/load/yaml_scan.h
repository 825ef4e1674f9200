/* yaml_scan: a look at the bytes before libyaml gets them.
 *
 * libyaml names no line for bytes that aren't UTF-8 and accepts tabs in places where an editor's tab
 * width would then decide what belongs to what.
 */
#ifndef PHASEGATE_LOAD_YAML_SCAN_H
#define PHASEGATE_LOAD_YAML_SCAN_H

#include "phasegate/load.h"

struct tab_line {
    int line, col;
    bool allowed; /* inside a quoted or block text */
};

struct yaml_text {
    const char *bytes;
    size_t n;
    struct tab_line *tab_lines; /* ascending; at most YAML_TAB_LINES, more are a problem at once */
    int n_tab_lines;
    int at_line;     /* a place in the bytes that was found before, to go on from; 0: none yet */
    size_t at_start; /* where that line starts */
};
#define YAML_TAB_LINES 64

/* Skips a byte order mark. False: too big, not UTF-8, not text; a problem was added. */
bool yaml_text_scan(struct yaml_text *t, struct arena *scratch, const char *file,
                    struct problem_list *problems);
/* The block scalar whose | or > stands at *at: moves *at to the first character of its text. Asked in
 * ascending order. */
void yaml_text_block_start(struct yaml_text *t, struct pos *at);
/* Is there nothing at this place or after it? */
bool yaml_text_is_end(struct yaml_text *t, int line, int col);
/* Lines from first to last belong to a text: tabs may start them. */
void yaml_text_tabs_allowed(struct yaml_text *t, int first, int last);
/* Adds a problem for the first line that a tab indents, of all lines (line 0) or if it is this one. */
bool yaml_text_add_tab_problem(const struct yaml_text *t, const char *file, int line,
                               struct problem_list *problems);

#endif
