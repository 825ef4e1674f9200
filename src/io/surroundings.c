/* The environment, as libpq reads it when a connection begins. */
#include "phasegate/io.h"

#include <pthread.h>
#include <stddef.h>

extern char **environ;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char **before;

void surroundings_begin(char **instead)
{
    pthread_mutex_lock(&lock);
    before = instead ? environ : NULL;
    if (instead)
        environ = instead;
}

void surroundings_end(void)
{
    if (before)
        environ = before;
    before = NULL;
    pthread_mutex_unlock(&lock);
}
