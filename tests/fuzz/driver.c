/* driver: runs a fuzz target over files, for compilers without libFuzzer.
 *
 *     fuzz_plan FILE|FOLDER...
 *
 * Every file is fed whole, then cut at some places and with some bytes changed: a seed corpus alone
 * would only show that its own files are survived. An empty or missing corpus is a failure.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_files;

/* A copy of exactly n bytes, so that the sanitizer sees a read past the end. */
static void feed(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        abort();
    memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void feed_changed(uint8_t *bytes, size_t n)
{
    static const uint8_t others[] = {0x00, 0xff, '\n', ':', '"', '{', '-', '%'};

    for (size_t cut = 1; cut <= 16; cut++)
        feed(bytes, n * cut / 17);
    for (size_t i = 0; i < 32 && n > 0; i++) {
        size_t at = (i * 2654435761u) % n;
        uint8_t kept = bytes[at];

        bytes[at] = others[i % sizeof others];
        feed(bytes, n);
        bytes[at] = kept;
    }
}

static bool run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = NULL;
    size_t n = 0;

    if (!f) {
        perror(path);
        return false;
    }
    for (size_t got = 1; got > 0; n += got) {
        bytes = realloc(bytes, n + 65536);
        if (!bytes)
            abort();
        got = fread(bytes + n, 1, 65536, f);
    }
    fclose(f);
    feed(bytes, n);
    feed_changed(bytes, n);
    free(bytes);
    n_files++;
    return true;
}

static bool run_path(const char *path)
{
    struct stat st;
    DIR *dir;
    bool good = true;

    if (stat(path, &st) != 0) {
        perror(path);
        return false;
    }
    if (!S_ISDIR(st.st_mode))
        return run_file(path);
    dir = opendir(path);
    if (!dir) {
        perror(path);
        return false;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char *child = NULL;

        if (e->d_name[0] == '.')
            continue;
        if (asprintf(&child, "%s/%s", path, e->d_name) < 0)
            abort();
        good = run_path(child) && good;
        free(child);
    }
    closedir(dir);
    return good;
}

int main(int argc, char **argv)
{
    bool good = argc > 1;

    for (int i = 1; i < argc; i++)
        good = run_path(argv[i]) && good;
    printf("%zu files\n", n_files);
    return good && n_files > 0 ? 0 : 1;
}
