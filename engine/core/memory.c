#include "core/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Each block starts with a header of one cache line, so that what follows keeps the 64-byte alignment. */
enum { HEADER = 64 };

static atomic_int_fast64_t live_bytes;
static atomic_int_fast64_t live_blocks;
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

static size_t block_size(const void *memory)
{
    size_t size;
    memcpy(&size, (const char *)memory - HEADER, sizeof size);
    return size;
}

void *moth_malloc(size_t size)
{
    if (size > (size_t)INT64_MAX / 2 || fault_wanted()) {
        return NULL;
    }
    size_t total = (size + HEADER + 63) & ~(size_t)63;
    char *base = aligned_alloc(64, total);
    if (!base) {
        return NULL;
    }
    memcpy(base, &size, sizeof size);
    atomic_fetch_add_explicit(&live_bytes, (int_fast64_t)size, memory_order_relaxed);
    atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    return base + HEADER;
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
        size_t old = block_size(memory);
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
    atomic_fetch_sub_explicit(&live_bytes, (int_fast64_t)block_size(memory), memory_order_relaxed);
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    free((char *)memory - HEADER);
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
