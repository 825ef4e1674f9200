/* arena: memory that is released all at once.
 *
 * Two arenas live in a run: one per loaded plan set, one per step. What is allocated in an arena is
 * never freed by itself; the owner of the arena frees it whole. A zeroed struct is an empty arena.
 * Out of memory aborts: a run must survive kill -9 at any instant anyway.
 */
#ifndef PHASEGATE_ARENA_H
#define PHASEGATE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#define AUTO(type) __attribute__((cleanup(type##_auto))) struct type
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t used; /* bytes handed out since the last reset */
};

/* A sanitizer sees who goes on using what was freed; in a block that is used again it can't. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_KEEPS_BLOCKS false
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_KEEPS_BLOCKS false
#endif
#ifndef ARENA_KEEPS_BLOCKS
#define ARENA_KEEPS_BLOCKS true
#endif

/* Zeroed memory, aligned for any type. Never NULL. */
void *arena_alloc(struct arena *a, size_t bytes) __attribute__((malloc, returns_nonnull));
/* Grow an array from old_bytes to new_bytes: in place where it is the newest allocation of its
 * block and there is room, else copied. What is added is zeroed. A NULL p allocates. */
void *arena_grow(struct arena *a, void *p, size_t old_bytes, size_t new_bytes);
/* Room for one more than the n items that there are: twice as large each time that n is 0 or a power of two, for what
 * lies behind an array makes it move. Only for arrays that grow by one. */
void *arena_more(struct arena *a, void *items, size_t size, int n);
/* Texts are packed without alignment. */
char *arena_strdup(struct arena *a, const char *s); /* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void arena_reset(struct arena *a); /* keeps one block for reuse, of 64 KiB at most */
/* All that `from` holds is a's from now on, and goes with it; `from` is empty. */
void arena_adopt(struct arena *a, struct arena *from);
void arena_free(struct arena *a);
static inline void arena_auto(struct arena *a) { arena_free(a); }

#define arena_new(a, type) ((type *) arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *) arena_alloc((a), sizeof(type) * (size_t) (n)))

#endif
