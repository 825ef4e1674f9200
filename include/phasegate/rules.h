/* rules: what `check` goes by besides the form of the files. A table: id and title, a row each. */
#ifndef PHASEGATE_RULES_H
#define PHASEGATE_RULES_H

struct rule {
    const char *id, *title;
};
extern const struct rule rules[]; /* ends with id NULL */

#endif
