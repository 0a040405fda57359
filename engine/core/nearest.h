/* "did you mean": the known name that a misspelt one is nearest to, for messages. */
#ifndef MOTH_CORE_NEAREST_H
#define MOTH_CORE_NEAREST_H

#include <stddef.h>

enum { MOTH_KNOWN_TEXT = 512, MOTH_HINT_TEXT = 96 };

/* Levenshtein distance of two names: how many letters must be changed, added or removed. Capital and small letters are
 * the same, and what comes after 64 characters does not count. */
int moth_edit_distance(const char *a, const char *b);

/* The known names as one text, and the one that is meant probably. */
typedef struct moth_known {
    const char *wanted; /* borrowed */
    char text[MOTH_KNOWN_TEXT];
    size_t used;
    const char *nearest; /* borrowed; NULL: none is near */
    int best;
} moth_known;

moth_known moth_known_for(const char *wanted);
void moth_known_add(moth_known *known, const char *name);

/* " (did you mean 'NAME'?)", or nothing. */
void moth_known_hint(const moth_known *known, char *hint, size_t size);

#endif
