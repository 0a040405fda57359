/* "did you mean": the known name that a misspelt one is nearest to, for messages. */
#ifndef MOTH_CORE_NEAREST_H
#define MOTH_CORE_NEAREST_H

#include <stddef.h>

enum { MOTH_KNOWN_TEXT = 512, MOTH_HINT_TEXT = 96 };

/* The known names as one text, and the one that is meant probably. */
typedef struct moth_known {
    const char *wanted; /* borrowed */
    char text[MOTH_KNOWN_TEXT];
    size_t used;
    const char *nearest; /* borrowed; NULL: none is near */
    int best;            /* its distance; of two as near the first in the alphabet, whatever the order of names */
} moth_known;

moth_known moth_known_for(const char *wanted);
void moth_known_add(moth_known *known, const char *name);

/* " (did you mean 'NAME'?)", or nothing. */
void moth_known_hint(const moth_known *known, char *hint, size_t size);

#endif
