/* The Lua side of moth, carried inside the program and the module (made by embed.c while building). */
#ifndef MOTH_EMBED_H
#define MOTH_EMBED_H

#include <stddef.h>

typedef struct {
    const char *name;          /* as `require` knows it: "moth" or "moth.<file>" */
    const unsigned char *data; /* compressed by zlib */
    size_t packed, size;       /* bytes of data, and of the text */
} moth_embedded;

/* Sorted by name; an entry with a NULL name ends it. */
extern const moth_embedded moth_embedded_sources[];

#endif
