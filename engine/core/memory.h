/* All memory of the engine comes from here: counted, checked for overflow, and failing on request in tests. */
#ifndef MOTH_CORE_MEMORY_H
#define MOTH_CORE_MEMORY_H

#include "core/status.h"

/* Elements of one tensor; keeps every byte count inside int64_t. */
#define MOTH_MAX_ELEMENTS ((int64_t)1 << 40)

/* Zeroed / uninitialized memory, aligned to 64 bytes; NULL when the system has none (never for size 0). Freed by
 * moth_free. The size is remembered and counted in moth_live_bytes. */
void *moth_calloc(size_t size);
void *moth_malloc(size_t size);
void *moth_realloc(void *memory, size_t size); /* contents kept up to the smaller size; old block stays valid on NULL */
void moth_free(void *memory);                  /* NULL is allowed */
char *moth_strdup(const char *text);

/* Bytes now alive in the whole process (an atomic counter), and blocks. */
int64_t moth_live_bytes(void);
int64_t moth_live_blocks(void);

/* Most bytes that may be alive; an allocation beyond fails. Without a call it is the machine's memory: systems that
 * promise more than they have end the process instead when the promise is called in. */
void moth_limit_memory(int64_t bytes);

/* Test hook: from now on the nth allocation (1 = the next) fails, and all later ones too when persistent. 0 = off. */
void moth_fail_alloc(int64_t nth, bool persistent);

/* *out = a * b, or false on overflow or a result above MOTH_MAX_ELEMENTS. Negative operands are refused. */
bool moth_size_mul(int64_t a, int64_t b, int64_t *out);

/* Fails with MOTH_ERR_MEMORY and a text that names what was wanted. */
moth_status moth_fail_memory(moth_ctx *ctx, int64_t bytes);

#endif
