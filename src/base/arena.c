#include "phasegate/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sizes include the block's header, so that a block fills whole pages. */
#define BLOCK_FIRST ((size_t) 8 << 10)
#define BLOCK_LARGEST ((size_t) 256 << 10)
#define BLOCK_KEPT ((size_t) 64 << 10) /* by a reset */
#define ALIGNMENT (alignof(max_align_t))

struct arena_block {
    struct arena_block *older;
    size_t cap, end; /* bytes of data; bytes of it handed out, padding included */
    alignas(max_align_t) char data[];
};

static struct arena_block *block_new(size_t cap, struct arena_block *older)
{
    if (cap > PTRDIFF_MAX - sizeof(struct arena_block))
        abort();

    /* calloc gives large blocks as untouched zero pages: cheaper than clearing each allocation. */
    struct arena_block *block = calloc(1, sizeof *block + cap);
    if (!block)
        abort();
    block->cap = cap;
    block->older = older;
    return block;
}

/* Zeroed room from the block, or NULL when it is too small. */
static void *block_take(struct arena_block *block, size_t bytes, size_t alignment)
{
    size_t start = (block->end + alignment - 1) & ~(alignment - 1);
    if (start > block->cap || bytes > block->cap - start)
        return NULL;
    block->end = start + bytes;
    return block->data + start;
}

/* A fresh block with room for bytes. Something large gets a block of its own behind the head, so
 * that the head's remaining room isn't thrown away for it. */
static struct arena_block *arena_extend(struct arena *a, size_t bytes)
{
    size_t size = BLOCK_FIRST;
    if (a->head && a->head->cap + sizeof(struct arena_block) >= BLOCK_LARGEST / 2)
        size = BLOCK_LARGEST;
    else if (a->head)
        size = (a->head->cap + sizeof(struct arena_block)) * 2;
    size_t cap = size - sizeof(struct arena_block);

    /* The head is always an ordinary block, so a reset always finds a first one to keep. */
    if (!a->head || bytes <= cap / 4) {
        a->head = block_new(cap, a->head);
        if (bytes <= cap)
            return a->head;
    }
    a->head->older = block_new(bytes, a->head->older);
    return a->head->older;
}

static void *arena_take(struct arena *a, size_t bytes, size_t alignment)
{
    /* Two allocations never share an address, else arena_grow could mistake one for the other. */
    if (bytes == 0)
        bytes = 1;

    void *p = a->head ? block_take(a->head, bytes, alignment) : NULL;
    if (!p)
        p = block_take(arena_extend(a, bytes), bytes, alignment);
    a->used += bytes;
    return p;
}

void *arena_alloc(struct arena *a, size_t bytes) { return arena_take(a, bytes, ALIGNMENT); }

/* The block whose newest allocation is p, or NULL. What grows was mostly allocated lately, so the
 * walk from the newest block on is short. */
static struct arena_block *block_ending_with(struct arena *a, const char *p, size_t bytes)
{
    for (struct arena_block *block = a->head; block; block = block->older) {
        uintptr_t at = (uintptr_t) p, data = (uintptr_t) block->data;
        if (at >= data && at < data + block->cap)
            return at + bytes == data + block->end ? block : NULL;
    }
    return NULL;
}

void *arena_grow(struct arena *a, void *p, size_t old_bytes, size_t new_bytes)
{
    if (!p || old_bytes == 0)
        return arena_alloc(a, new_bytes);
    if (new_bytes <= old_bytes)
        return p;

    struct arena_block *block = block_ending_with(a, p, old_bytes);
    if (block && new_bytes - old_bytes <= block->cap - block->end) {
        block->end += new_bytes - old_bytes;
        a->used += new_bytes - old_bytes;
        return p;
    }

    void *grown = arena_alloc(a, new_bytes);
    memcpy(grown, p, old_bytes);
    return grown;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    if (!s)
        return NULL;

    /* Texts need no alignment: packed, they are most of what a loaded plan takes. */
    const char *nul = memchr(s, '\0', n); /* strnlen may be that of a library that brings its own */
    size_t len = nul ? (size_t) (nul - s) : n;
    char *copy = arena_take(a, len + 1, 1);
    memcpy(copy, s, len);
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return text;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    char *formatted;
    int len = vasprintf(&formatted, fmt, ap);
    if (len < 0)
        abort();

    char *text = arena_take(a, (size_t) len + 1, 1);
    memcpy(text, formatted, (size_t) len);
    free(formatted);
    return text;
}

/* Who works on one thing after the other needs about as much for the next: of the ordinary blocks, the
 * largest that isn't too large to lie idle. */
void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    for (struct arena_block *block = a->head, *older; block; block = older) {
        older = block->older;
        size_t size = block->cap + sizeof *block;
        bool is_ordinary = size >= BLOCK_FIRST && (size & (size - 1)) == 0;
        if (ARENA_KEEPS_BLOCKS && !keep && is_ordinary && size <= BLOCK_KEPT)
            keep = block;
        else
            free(block);
    }

    if (keep) {
        memset(keep->data, 0, keep->end);
        keep->end = 0;
        keep->older = NULL;
    }
    a->head = keep;
    a->used = 0;
}

void *arena_more(struct arena *a, void *items, size_t size, int n)
{
    size_t have = (size_t) n;

    return (n & (n - 1)) != 0 ? items
                              : arena_grow(a, items, size * have, size * (n ? 2 * have : 1));
}

/* Behind a's head, which goes on taking what is asked for. */
void arena_adopt(struct arena *a, struct arena *from)
{
    struct arena_block *last = from->head;

    while (last && last->older)
        last = last->older;
    if (last && a->head) {
        last->older = a->head->older;
        a->head->older = from->head;
    } else if (last) {
        a->head = from->head;
    }
    a->used += from->used;
    *from = (struct arena) {0};
}

void arena_free(struct arena *a)
{
    for (struct arena_block *block = a->head, *older; block; block = older) {
        older = block->older;
        free(block);
    }
    *a = (struct arena) {0};
}
