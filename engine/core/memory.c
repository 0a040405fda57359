#include "core/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In front of each block lies what malloc gave and the size. The alignment is made here: aligned_alloc bypasses glibc's
 * cache of small blocks, which costs an eager op on small tensors more than half of its time. */
typedef struct header {
    void *base;
    size_t size;
} header;

enum { ALIGNMENT = 64 };

static atomic_int_fast64_t live_bytes;
static atomic_int_fast64_t live_blocks;
static atomic_int_fast64_t limit_bytes; /* 0: not known yet */
static atomic_int_fast64_t fail_countdown;
static atomic_bool fail_persistent;

static bool fault_wanted(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0) {
        return false;
    }
    int_fast64_t before = atomic_fetch_sub(&fail_countdown, 1);
    if (before == 1) {
        if (atomic_load(&fail_persistent)) {
            atomic_store(&fail_countdown, 1);
        }
        return true;
    }
    return false;
}

void moth_fail_alloc(int64_t nth, bool persistent)
{
    atomic_store(&fail_persistent, persistent);
    atomic_store(&fail_countdown, nth);
}

void moth_limit_memory(int64_t bytes)
{
    atomic_store(&limit_bytes, bytes);
}

static int64_t machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (int64_t)pages * page : INT64_MAX / 2;
}

static bool over_limit(size_t size)
{
    int64_t limit = atomic_load_explicit(&limit_bytes, memory_order_relaxed);
    if (limit == 0) {
        limit = machine_memory();
        atomic_store(&limit_bytes, limit);
    }
    return (int64_t)size > limit - (int64_t)atomic_load_explicit(&live_bytes, memory_order_relaxed);
}

static header *header_of(void *memory)
{
    return (header *)memory - 1;
}

void *moth_malloc(size_t size)
{
    if (size > (size_t)INT64_MAX / 2 || over_limit(size) || fault_wanted()) {
        return NULL;
    }
    char *base = malloc(size + sizeof(header) + ALIGNMENT - 1);
    if (!base) {
        return NULL;
    }
    uintptr_t first = (uintptr_t)base + sizeof(header);
    char *memory = base + sizeof(header) + (-first & (ALIGNMENT - 1));
    *header_of(memory) = (header){ base, size };
    atomic_fetch_add_explicit(&live_bytes, (int_fast64_t)size, memory_order_relaxed);
    atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    return memory;
}

void *moth_calloc(size_t size)
{
    void *memory = moth_malloc(size);
    if (memory) {
        memset(memory, 0, size);
    }
    return memory;
}

void *moth_realloc(void *memory, size_t size)
{
    void *bigger = moth_malloc(size);
    if (bigger && memory) {
        size_t old = header_of(memory)->size;
        memcpy(bigger, memory, old < size ? old : size);
        moth_free(memory);
    }
    return bigger;
}

void moth_free(void *memory)
{
    if (!memory) {
        return;
    }
    atomic_fetch_sub_explicit(&live_bytes, (int_fast64_t)header_of(memory)->size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    free(header_of(memory)->base);
}

char *moth_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = moth_malloc(size);
    if (copy) {
        memcpy(copy, text, size);
    }
    return copy;
}

int64_t moth_live_bytes(void)
{
    return atomic_load(&live_bytes);
}

int64_t moth_live_blocks(void)
{
    return atomic_load(&live_blocks);
}

bool moth_size_mul(int64_t a, int64_t b, int64_t *out)
{
    int64_t product;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) || product > MOTH_MAX_ELEMENTS) {
        return false;
    }
    *out = product;
    return true;
}

moth_status moth_fail_memory(moth_ctx *ctx, int64_t bytes)
{
    return moth_fail(ctx, MOTH_ERR_MEMORY, "not enough memory for %lld bytes", (long long)bytes);
}
