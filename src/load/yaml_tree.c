#include "load/yaml_tree.h"

#include "load/yaml_scan.h"

#include <string.h>
#include <yaml.h>

struct anchor {
    const char *name;
    struct node *node;
    bool open; /* its collection isn't finished: an alias now would never end */
};

struct frame {
    struct node *node, *last;
    struct anchor *anchor;
};

struct builder {
    struct arena *arena;
    const char *file;
    struct problem_list *problems;
    const struct yaml_text *text;
    struct frame frames[YAML_DEPTH];
    int depth;
    struct anchor *anchors;
    int n_anchors;
    uint32_t alias_nodes;
    struct node *root;
};

static struct pos at_mark(const struct builder *b, yaml_mark_t mark)
{
    return (struct pos) {b->file, (int) mark.line + 1, (int) mark.column + 1};
}

static void parser_auto(yaml_parser_t *p) { yaml_parser_delete(p); }
static void event_auto(yaml_event_t *e) { yaml_event_delete(e); }

/* ---- what libyaml says, for people ---------------------------------------------------------------- */

static const struct {
    const char *theirs, *ours, *hint;
} parser_words[] = {
    {"mapping values are not allowed in this context", "a colon where no key can stand",
     "a text that holds \": \" needs quotes; keys of one mapping start in the same column"},
    {"found character that cannot start any token", "a text can't start with this character",
     "put the text in quotes"},
    {"could not find expected ':'", "a key without its colon",
     "write `key: value`, with a space after the colon"},
    {"did not find expected key", "neither a key nor the end of the mapping",
     "keys of one mapping start in the same column; a quoted text ends with its quote"},
    {"did not find expected '-' indicator", "neither an item nor the end of the list",
     "items of one list start with `- ` in the same column"},
    {"did not find expected ',' or '}'", "a { that isn't closed",
     "entries in { } are separated by commas"},
    {"did not find expected ',' or ']'", "a [ that isn't closed",
     "items in [ ] are separated by commas"},
    {"found unexpected end of stream", "the file ends inside a quoted text", "close the quotes"},
    {"found undefined tag handle", "a tag (!) isn't read", "put the text in quotes"},
    {"block sequence entries are not allowed in this context", "a list item where none can stand",
     "start the list on a line of its own below the key"},
    {"did not find expected node content", "a value is missing", NULL},
    {"found unknown escape character", "an unknown escape after \\",
     "use single quotes: they know no escapes"},
};

static void add_parser_problem(const struct builder *b, struct yaml_text *text,
                               const yaml_parser_t *p)
{
    struct pos at = at_mark(b, p->problem_mark);
    const char *theirs = p->problem ? p->problem : "not valid YAML";

    if (p->error == YAML_READER_ERROR)
        at.line = at.col = 0;
    for (size_t i = 0; i < sizeof parser_words / sizeof *parser_words; i++) {
        if (strcmp(theirs, parser_words[i].theirs) != 0)
            continue;
        const char *hint = parser_words[i].hint;
        if (!hint && at.line > 0 && yaml_text_is_end(text, at.line, at.col))
            hint = "the file ends here";
        if (p->context && p->context_mark.line < p->problem_mark.line)
            problem_add(b->problems, at, NULL, hint, "%s (%s that starts at line %d)",
                        parser_words[i].ours, p->context, (int) p->context_mark.line + 1);
        else
            problem_add(b->problems, at, NULL, hint, "%s", parser_words[i].ours);
        return;
    }
    problem_add(b->problems, at, "YAML", NULL, "%s%s%s", theirs, p->context ? " " : "",
                p->context ? p->context : "");
}

/* ---- the tree ------------------------------------------------------------------------------------- */

/* Hangs a finished or starting node into the open collection. */
static bool attach(struct builder *b, struct node *node)
{
    if (b->depth == 0) {
        b->root = node;
        return true;
    }
    struct frame *f = &b->frames[b->depth - 1];
    if (f->node->kind == NODE_MAP && f->node->n % 2 == 0 && node->kind != NODE_SCALAR) {
        problem_add(b->problems, (struct pos) {b->file, node->line, node->col}, "a text", NULL,
                    "a key that is a %s", node->kind == NODE_MAP ? "mapping" : "list");
        return false;
    }
    if (f->last)
        f->last->next = node;
    else
        f->node->first = node;
    f->last = node;
    f->node->n++; /* of a map: keys and values, halved when it closes */
    return true;
}

static struct anchor *anchor_add(struct builder *b, const yaml_char_t *name, struct node *node,
                                 struct pos at)
{
    if (b->n_anchors == YAML_ANCHORS) {
        problem_add(b->problems, at, NULL, NULL, "more than %d anchors", YAML_ANCHORS);
        return NULL;
    }
    if (!b->anchors)
        b->anchors = arena_array(b->arena, struct anchor, YAML_ANCHORS);
    struct anchor *a = &b->anchors[b->n_anchors++];
    *a = (struct anchor) {arena_strdup(b->arena, (const char *) name), node,
                          node->kind != NODE_SCALAR};
    return a;
}

/* The limit counts nodes with aliases of aliases expanded: a file of a few lines can name millions. */
static bool add_alias(struct builder *b, const yaml_event_t *e)
{
    const char *name = (const char *) e->data.alias.anchor;
    const struct anchor *found = NULL;
    struct pos at = at_mark(b, e->start_mark);

    for (int i = b->n_anchors - 1; i >= 0 && !found; i--)
        if (strcmp(b->anchors[i].name, name) == 0)
            found = &b->anchors[i];
    if (!found) {
        problem_add(b->problems, at, NULL, "a text that starts with * needs quotes",
                    "no anchor \"%s\" before this alias", name);
        return false;
    }
    if (found->open) {
        problem_add(b->problems, at, NULL, NULL, "the alias \"%s\" stands inside its own anchor",
                    name);
        return false;
    }
    b->alias_nodes += found->node->weight;
    if (b->alias_nodes > YAML_ALIAS_NODES) {
        problem_add(b->problems, at, NULL, "write it out", "aliases expand to more than %d nodes",
                    YAML_ALIAS_NODES);
        return false;
    }
    struct node *copy = arena_new(b->arena, struct node);
    *copy = *found->node;
    copy->next = NULL;
    copy->line = at.line;
    copy->col = at.col;
    return attach(b, copy);
}

static bool is_printable(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char) s[i] < 0x20 && s[i] != '\n' && s[i] != '\t' && s[i] != '\r') ||
            s[i] == 0x7f)
            return false;
    return true;
}

static bool tag_is_read(const struct builder *b, const yaml_char_t *tag, struct pos at)
{
    if (!tag || strcmp((const char *) tag, "!") == 0)
        return true;
    problem_add(b->problems, at, NULL, "a text that starts with ! needs quotes",
                "a tag (!) isn't read");
    return false;
}

static bool add_scalar(struct builder *b, const yaml_event_t *e, struct yaml_text *text)
{
    const char *s = (const char *) e->data.scalar.value;
    size_t n = e->data.scalar.length;
    yaml_scalar_style_t style = e->data.scalar.style;
    struct pos at = at_mark(b, e->start_mark);

    if (!tag_is_read(b, e->data.scalar.tag, at))
        return false;
    if (style == YAML_DOUBLE_QUOTED_SCALAR_STYLE && !is_printable(s, n)) {
        problem_add(b->problems, at, "printable text", NULL,
                    "a control character, written as an escape");
        return false;
    }
    bool is_block = style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
    if (is_block)
        yaml_text_block_start(text, &at);
    if (text->n_tab_lines > 0 && (is_block || style != YAML_PLAIN_SCALAR_STYLE))
        yaml_text_tabs_allowed(text, (int) e->start_mark.line + 2, (int) e->end_mark.line + 1);

    struct node *node = arena_new(b->arena, struct node);
    *node = (struct node) {
        .kind = NODE_SCALAR,
        .plain = style == YAML_PLAIN_SCALAR_STYLE,
        .line = at.line,
        .col = at.col,
        .n = (uint32_t) n,
        .weight = 1 + (uint32_t) (n / YAML_NODE_BYTES),
        .s = arena_strndup(b->arena, s, n),
    };
    if (e->data.scalar.anchor && !anchor_add(b, e->data.scalar.anchor, node, at))
        return false;
    return attach(b, node);
}

static bool open_collection(struct builder *b, const yaml_event_t *e)
{
    bool is_map = e->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *name = is_map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
    struct pos at = at_mark(b, e->start_mark);

    if (!tag_is_read(b, is_map ? e->data.mapping_start.tag : e->data.sequence_start.tag, at))
        return false;
    if (b->depth == YAML_DEPTH) {
        problem_add(b->problems, at, NULL, NULL, "nested deeper than %d levels", YAML_DEPTH);
        return false;
    }
    struct node *node = arena_new(b->arena, struct node);
    *node = (struct node) {
        .kind = is_map ? NODE_MAP : NODE_LIST, .line = at.line, .col = at.col, .weight = 1};

    struct anchor *anchor = NULL;
    if (name && !(anchor = anchor_add(b, name, node, at)))
        return false;
    if (!attach(b, node))
        return false;
    b->frames[b->depth++] = (struct frame) {.node = node, .anchor = anchor};
    return true;
}

static void close_collection(struct builder *b)
{
    struct frame *f = &b->frames[--b->depth];

    for (const struct node *child = f->node->first; child; child = child->next)
        f->node->weight += child->weight;
    if (f->node->kind == NODE_MAP)
        f->node->n /= 2;
    if (f->anchor)
        f->anchor->open = false;
}

/* False: a problem was added and there is nothing more to read. */
static bool take_event(struct builder *b, const yaml_event_t *e, struct yaml_text *text)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (!b->root)
            return true;
        problem_add(b->problems, at_mark(b, e->start_mark), "one document", "a file holds one plan",
                    "a second YAML document");
        return false;
    case YAML_ALIAS_EVENT: return add_alias(b, e);
    case YAML_SCALAR_EVENT: return add_scalar(b, e, text);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: return open_collection(b, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: close_collection(b); return true;
    default: return true;
    }
}

static bool build(struct builder *b, struct yaml_text *text)
{
    __attribute__((cleanup(parser_auto))) yaml_parser_t parser;

    if (!yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *) text->bytes, text->n);

    for (bool more = true; more;) {
        __attribute__((cleanup(event_auto))) yaml_event_t event = {0};

        if (!yaml_parser_parse(&parser, &event)) {
            /* libyaml stumbles over a tab as indentation too, but calls it something else. */
            if (!yaml_text_add_tab_problem(text, b->file, (int) parser.problem_mark.line + 1,
                                           b->problems))
                add_parser_problem(b, text, &parser);
            return false;
        }
        if (!take_event(b, &event, text))
            return false;
        more = event.type != YAML_STREAM_END_EVENT;
    }
    return true;
}

struct node *yaml_tree_parse(struct arena *scratch, const char *file, const char *bytes, size_t n,
                             struct problem_list *problems)
{
    struct yaml_text text = {.bytes = bytes, .n = n};

    if (!yaml_text_scan(&text, scratch, file, problems))
        return NULL;

    struct builder b = {.arena = scratch, .file = file, .problems = problems, .text = &text};
    if (!build(&b, &text) || yaml_text_add_tab_problem(&text, file, 0, problems))
        return NULL;
    if (!b.root || (b.root->kind == NODE_SCALAR && b.root->n == 0)) {
        problem_add(problems, (struct pos) {file, 0, 0}, "a mapping of keys", NULL,
                    "the file is empty");
        return NULL;
    }
    return b.root;
}
