/* image: folders kept between runs, so that a server needn't be made anew each time.
 *
 * An image is one file of a cache folder, `images/<key>.image`, with a whole data folder in it. It only ever saves
 * time: nothing here is an error to anybody. What can't be read, isn't whole or isn't ours is as good as absent.
 *
 * The file: one line of IMAGE_HEAD bytes with the place and SHA-256 of the index; contents, each without the zeros
 * that it ends with, and those that are alike (the catalogues of copied databases) once; the index, JSON:
 * {"key": ..., "about": ..., "folders": [path], "files": [[path, size, kept, sum, at]]}.
 * Written under another name by whoever has the lock, and then renamed.
 */
#ifndef PHASEGATE_SHADOW_IMAGE_H
#define PHASEGATE_SHADOW_IMAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    IMAGE_FORMAT = 3,
    IMAGE_HEAD = 128,
    IMAGE_BLOCK = 256 << 10,
    IMAGE_MAX_BYTES = 256 << 20, /* of a folder that is kept */
    IMAGE_MAX_INDEX = 64 << 20,
    IMAGE_MAX_KEPT = 4
};

struct image {
    int fd;
    json_t *index;
};

/* False: there's none. Whoever opens it uses it: it counts as the newest. */
bool image_open(const char *cache, const char *key, struct image *out);
/* What image_keep was given; NULL: nothing. The image's. */
const json_t *image_about(const struct image *im);
/* Into the folder `to`, which is made, by nobody else reachable meanwhile. As root all of it is given to uid and gid.
 * False: it isn't whole; remove what is there. */
bool image_restore(const struct image *im, const char *to, uid_t uid, gid_t gid);
void image_close(struct image *im);
/* It is no good. */
void image_forget(const char *cache, const char *key);
/* Keeps the folder `from`, whose files belong to `owner` and which nobody writes to meanwhile; without what a running
 * server has there for itself. Takes about, which may be NULL. False: not kept, nothing is left of it. */
bool image_keep(const char *cache, const char *key, const char *from, uid_t owner, json_t *about);

/* ---- between image.c and image_keep.c */
/* The folder of images; -1: none that is ours alone. */
int image_folder(const char *cache, bool make);
void image_name(const char *key, char out[96]);
uint64_t image_sum(uint64_t sum, const unsigned char *block, size_t n);
bool image_is_zero(const unsigned char *block, size_t n);

#endif
