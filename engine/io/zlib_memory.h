/* What zlib allocates comes from core/memory.h, as everything else does: a z_stream begins with MOTH_ZLIB_MEMORY. */
#ifndef MOTH_IO_ZLIB_MEMORY_H
#define MOTH_IO_ZLIB_MEMORY_H

#define ZLIB_CONST /* what zlib reads is const */
#include <zlib.h>

#include "core/memory.h"

static inline voidpf moth_zlib_alloc(voidpf user, uInt items, uInt size)
{
    (void)user;
    return moth_malloc((size_t)items * size);
}

static inline void moth_zlib_free(voidpf user, voidpf memory)
{
    (void)user;
    moth_free(memory);
}

#define MOTH_ZLIB_MEMORY .zalloc = moth_zlib_alloc, .zfree = moth_zlib_free

#endif
