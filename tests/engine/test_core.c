/* The core: random numbers against published vectors, memory, sizes, messages, threads, settings of a context. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/cpu.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/threads.h"
#include "test.h"

/* ---- random numbers ---- */

/* The known answers for philox4x32-10 that come with Random123 (Salmon et al. 2011). */
static void test_philox(void)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } known[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        uint32_t got[4];
        moth_philox(known[k].counter, known[k].key, got);
        CHECK(memcmp(got, known[k].want, sizeof got) == 0);
    }
}

/* Seed is the key; block, step and stream are the counter. */
static void test_random_block(void)
{
    const uint32_t want[4] = { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 };
    uint32_t got[4];
    moth_random_block(0x299f31d0a4093822u, 0x0370734413198a2eu, 0x85a308d3u, 0x243f6a88u, got);
    CHECK(memcmp(got, want, sizeof got) == 0);
}

static void test_uniform_and_normal(void)
{
    CHECK_NEAR(moth_uniform(0), 0, 0);
    CHECK_NEAR(moth_uniform(0xffffffffu), 1 - 0x1p-24, 0); /* never 1 */
    CHECK_NEAR(moth_uniform(0x80000000u), 0.5, 0);
    double pair[2], sum = 0, squares = 0, fourth = 0;
    enum { BLOCKS = 50000 };
    for (int i = 0; i < BLOCKS; i++) {
        uint32_t words[4];
        moth_random_block(1671, 3, 0, (uint64_t)i, words);
        moth_normal_pair(words[0], words[1], pair);
        for (int k = 0; k < 2; k++) {
            sum += pair[k];
            squares += pair[k] * pair[k];
            fourth += pow(pair[k], 4);
        }
    }
    /* five standard errors of 100000 draws */
    CHECK_NEAR(sum / (2 * BLOCKS), 0, 0.016);
    CHECK_NEAR(squares / (2 * BLOCKS), 1, 0.023);
    CHECK_NEAR(fourth / (2 * BLOCKS), 3, 0.16);
    moth_normal_pair(0, 0, pair); /* the largest there is, and finite */
    CHECK(pair[0] > 6 && pair[0] < 7 && pair[1] == 0);
    moth_normal_pair(0xffffffffu, 0xffffffffu, pair);
    CHECK(fabs(pair[0]) < 1e-4 && fabs(pair[1]) < 1e-4);
}

/* FNV-1a over the 8 bytes of base, the text, the 8 bytes of index; computed with another program. */
static void test_stream(void)
{
    CHECK(moth_stream(0, "", 0) == 0x88201fb960ff6465u);
    CHECK(moth_stream(1, "dropout", 2) == 0x4c09622a5c8da2a9u);
    CHECK(moth_stream(0xcbf29ce484222325u, "init", 1000000000) == 0x1691db026b283fefu);
}

static void test_permutation(void)
{
    enum { N = 1000 };
    static int32_t order[N], again[N];
    char seen[N] = { 0 };
    int moved = 0;
    moth_random_permutation(1, 2, 3, order, N);
    moth_random_permutation(1, 2, 3, again, N);
    CHECK(memcmp(order, again, sizeof order) == 0);
    for (int i = 0; i < N; i++) {
        bool inside = order[i] >= 0 && order[i] < N;
        CHECK(inside && !seen[inside ? order[i] : 0]);
        seen[inside ? order[i] : 0] = 1;
        moved += order[i] != i;
    }
    CHECK(moved > N - 20);
    moth_random_permutation(1, 2, 4, again, N);
    CHECK(memcmp(order, again, sizeof order) != 0);
    /* each of the 6 orders of 3 about as often: five standard errors */
    int count[27] = { 0 };
    for (uint64_t step = 0; step < 6000; step++) {
        moth_random_permutation(1, 2, step, order, 3);
        count[9 * order[0] + 3 * order[1] + order[2]]++;
    }
    const int orders[] = { 5, 7, 11, 15, 19, 21 };
    for (int k = 0; k < 6; k++) {
        CHECK_NEAR(count[orders[k]], 1000, 145);
    }
    moth_random_permutation(1, 2, 3, order, 0);
    moth_random_permutation(1, 2, 3, order, 1);
    CHECK(order[0] == 0);
}

/* ---- memory and sizes ---- */

static void test_size_mul(void)
{
    int64_t n = 7;
    CHECK(moth_size_mul(0, INT64_MAX, &n) && n == 0);
    CHECK(moth_size_mul((int64_t)1 << 20, (int64_t)1 << 20, &n) && n == MOTH_MAX_ELEMENTS);
    CHECK(!moth_size_mul(MOTH_MAX_ELEMENTS, 2, &n));
    CHECK(!moth_size_mul((int64_t)1 << 32, (int64_t)1 << 32, &n)); /* wraps to 0 */
    CHECK(!moth_size_mul(INT64_MAX, INT64_MAX, &n));
    CHECK(!moth_size_mul(-1, 5, &n) && !moth_size_mul(5, -1, &n) && !moth_size_mul(-3, -3, &n));
    CHECK(n == MOTH_MAX_ELEMENTS); /* untouched by failures */
}

static void test_memory(void)
{
    int64_t bytes = moth_live_bytes(), blocks = moth_live_blocks();
    char *a = moth_malloc(100), *b = moth_calloc(1), *none = moth_malloc(0);
    CHECK(a && b && none && b[0] == 0);
    CHECK((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0 && (uintptr_t)none % 64 == 0);
    CHECK(moth_live_bytes() == bytes + 101 && moth_live_blocks() == blocks + 3);
    memset(a, 'x', 100);
    a = moth_realloc(a, 200);
    CHECK(a && a[0] == 'x' && a[99] == 'x' && moth_live_bytes() == bytes + 201);
    a = moth_realloc(a, 10);
    CHECK(a && a[9] == 'x' && moth_live_bytes() == bytes + 11);
    char *text = moth_strdup("moth");
    CHECK_TEXT(text, "moth");
    moth_free(text);
    moth_free(a);
    moth_free(b);
    moth_free(none);
    moth_free(NULL);
    CHECK(moth_live_bytes() == bytes && moth_live_blocks() == blocks);
    CHECK(moth_malloc(SIZE_MAX) == NULL && moth_malloc((size_t)INT64_MAX) == NULL);
}

static void test_failed_allocation(void)
{
    char *kept = moth_malloc(8);
    memcpy(kept, "1234567", 8);
    moth_fail_alloc(2, false); /* the second from now on, once */
    void *first = moth_malloc(8);
    CHECK(first && moth_realloc(kept, 1000) == NULL);
    CHECK_TEXT(kept, "1234567");
    void *third = moth_malloc(8);
    CHECK(third);
    moth_fail_alloc(1, true); /* all */
    CHECK(!moth_malloc(8) && !moth_calloc(8) && !moth_strdup("x"));
    CHECK(moth_ctx_new() == NULL);
    moth_fail_alloc(0, false);
    moth_free(first);
    moth_free(third);
    moth_free(kept);
}

/* ---- messages and settings ---- */

static int lines;
static void count_line(void *user, const char *line)
{
    lines += *(int *)user;
    CHECK_TEXT(line, "3 of 4");
}

static void test_context(void)
{
    moth_ctx *ctx = moth_ctx_new();
    CHECK(moth_fail(ctx, MOTH_ERR_SHAPE, "add: %s\n\x1b[31m, %d, \xc3\xa9", "a\tb", 5) == MOTH_ERR_SHAPE);
    CHECK_TEXT(moth_error(ctx), "add: a\\x09b\\x0a\\x1b[31m, 5, \xc3\xa9"); /* UTF-8 passes */
    CHECK(moth_error_status(ctx) == MOTH_ERR_SHAPE);
    CHECK(moth_fail_prefix(ctx, "dense_%d", 2) == MOTH_ERR_SHAPE);
    CHECK(strncmp(moth_error(ctx), "dense_2: add: ", 14) == 0);
    char *huge = moth_malloc(5000);
    memset(huge, '\n', 4999);
    huge[4999] = '\0';
    moth_fail(ctx, MOTH_ERR_IO, "%s", huge);
    CHECK(strlen(moth_error(ctx)) < MOTH_ERROR_SIZE);
    moth_fail_prefix(ctx, "%s", huge);
    CHECK(strlen(moth_error(ctx)) < MOTH_ERROR_SIZE);
    moth_free(huge);
    CHECK_TEXT(moth_status_name(MOTH_ERR_EXACT_BATCH), "exact batch");
    CHECK_TEXT(moth_status_name((moth_status)99), "unknown");
    int one = 1;
    moth_log(ctx, "%d of %d", 3, 4); /* nobody listens */
    moth_ctx_set_log(ctx, count_line, &one);
    moth_log(ctx, "%d of %d", 3, 4);
    CHECK(lines == 1);
    CHECK(moth_ctx_set_threads(ctx, 0) == MOTH_ERR_ARGUMENT && moth_ctx_set_threads(ctx, 65) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(ctx), "threads: expected 1 to 64, got 65");
    CHECK(moth_ctx_set_threads(ctx, 5) == MOTH_OK && moth_ctx_threads(ctx) == 5);
    CHECK(moth_ctx_set_cpu(ctx, "z80") == MOTH_ERR_ARGUMENT);
    for (int cpu = 0; cpu < MOTH_CPU_COUNT; cpu++) {
        const char *name = moth_cpu_name((moth_cpu)cpu);
        if (moth_cpu_runs((moth_cpu)cpu)) {
            CHECK(moth_ctx_set_cpu(ctx, name) == MOTH_OK);
            CHECK_TEXT(moth_ctx_cpu(ctx), name);
        } else {
            CHECK(moth_ctx_set_cpu(ctx, name) == MOTH_ERR_UNSUPPORTED);
        }
    }
    moth_seed(ctx, 5);
    CHECK(ctx->seed == 5 && ctx->seeded && ctx->eager_step == 0);
    moth_ctx_free(ctx);
    moth_ctx_free(NULL);
}

static void test_default_threads(void)
{
    setenv("MOTH_NUM_THREADS", "7", 1);
    CHECK(moth_default_threads() == 7);
    setenv("MOTH_NUM_THREADS", "1000", 1);
    CHECK(moth_default_threads() == MOTH_MAX_THREADS);
    unsetenv("MOTH_NUM_THREADS");
    int n = moth_default_threads();
    const char *const wrong[] = { "0", "-3", "many", "" };
    for (int k = 0; k < 4; k++) {
        setenv("MOTH_NUM_THREADS", wrong[k], 1);
        CHECK(moth_default_threads() == n);
    }
    unsetenv("MOTH_NUM_THREADS");
    CHECK(n >= 1 && n <= MOTH_MAX_THREADS);
}

/* ---- threads ---- */

enum { ITEMS = 5000 };

typedef struct work {
    moth_ctx *ctx;
    atomic_int runs[ITEMS], worst_worker, strangers;
    pthread_t owner;
    bool nested;
    int stop_at; /* item that sets the interrupt flag; -1: none */
} work;

static void run_nested(void *arg, int64_t item, int worker)
{
    work *w = arg;
    (void)item;
    (void)worker;
    atomic_fetch_add(&w->strangers, 1);
}

static void run_item(void *arg, int64_t item, int worker)
{
    work *w = arg;
    atomic_fetch_add(&w->runs[item], 1);
    int worst = atomic_load(&w->worst_worker);
    while (worker > worst && !atomic_compare_exchange_weak(&w->worst_worker, &worst, worker)) {
    }
    if (!pthread_equal(pthread_self(), w->owner)) {
        atomic_fetch_add(&w->strangers, 1);
    }
    if (item == w->stop_at) {
        moth_ctx_interrupt(w->ctx);
    }
    if (w->nested && item % 100 == 0) {
        moth_parallel(w->ctx, 3, run_nested, w); /* serial, and no deadlock */
    }
}

static void open_work(work *w, int threads)
{
    memset(w, 0, sizeof *w);
    w->ctx = moth_ctx_new();
    w->owner = pthread_self();
    w->stop_at = -1;
    moth_ctx_set_threads(w->ctx, threads);
}

static int count_runs(const work *w, int times)
{
    int n = 0;
    for (int i = 0; i < ITEMS; i++) {
        n += atomic_load(&w->runs[i]) == times;
    }
    return n;
}

static void test_each_item_once(void)
{
    static work w;
    for (int threads = 1; threads <= 5; threads++) {
        open_work(&w, threads);
        for (int k = 1; k <= 20; k++) {
            CHECK(moth_parallel(w.ctx, ITEMS, run_item, &w) == MOTH_OK);
            CHECK(count_runs(&w, k) == ITEMS);
        }
        CHECK(w.worst_worker < threads);
        CHECK(moth_parallel(w.ctx, 0, run_item, &w) == MOTH_OK && moth_parallel(w.ctx, 1, run_item, &w) == MOTH_OK);
        CHECK(atomic_load(&w.runs[0]) == 21);
        moth_ctx_free(w.ctx);
    }
}

static void test_alone_and_nested(void)
{
    static work w;
    open_work(&w, 4);
    CHECK(moth_parallel_with(w.ctx, ITEMS, run_item, &w, MOTH_WORK_ALONE) == MOTH_OK);
    CHECK(count_runs(&w, 1) == ITEMS && w.strangers == 0 && w.worst_worker == 0);
    moth_ctx_free(w.ctx);
    open_work(&w, 4);
    w.nested = true;
    w.owner = pthread_self();
    CHECK(moth_parallel(w.ctx, ITEMS, run_item, &w) == MOTH_OK);
    CHECK(count_runs(&w, 1) == ITEMS && w.strangers >= 3 * ITEMS / 100);
    moth_ctx_free(w.ctx);
}

static void test_interrupt(void)
{
    static work w;
    for (int threads = 1; threads <= 3; threads++) {
        open_work(&w, threads);
        w.stop_at = 50;
        CHECK(moth_parallel(w.ctx, ITEMS, run_item, &w) == MOTH_ERR_INTERRUPTED);
        CHECK_TEXT(moth_error(w.ctx), "interrupted");
        CHECK(count_runs(&w, 0) > 0 && count_runs(&w, 0) + count_runs(&w, 1) == ITEMS);
        moth_ctx_free(w.ctx);
        open_work(&w, threads); /* what must not be left half done */
        w.stop_at = 50;
        CHECK(moth_parallel_with(w.ctx, ITEMS, run_item, &w, MOTH_WORK_TO_END) == MOTH_OK);
        CHECK(count_runs(&w, 1) == ITEMS);
        moth_ctx_free(w.ctx);
    }
}

static void *many_jobs(void *arg)
{
    work *w = arg;
    w->owner = pthread_self();
    for (int k = 0; k < 50; k++) {
        if (moth_parallel(w->ctx, ITEMS, run_item, w) != MOTH_OK) {
            w->stop_at = -2;
        }
    }
    return NULL;
}

/* Contexts of several threads use the one pool at the same time. */
static void test_several_callers(void)
{
    static work w[3];
    pthread_t thread[3];
    for (int k = 0; k < 3; k++) {
        open_work(&w[k], 3);
        CHECK(pthread_create(&thread[k], NULL, many_jobs, &w[k]) == 0);
    }
    for (int k = 0; k < 3; k++) {
        pthread_join(thread[k], NULL);
        CHECK(count_runs(&w[k], 50) == ITEMS && w[k].stop_at == -1);
        moth_ctx_free(w[k].ctx);
    }
}

int main(void)
{
    test_philox();
    test_random_block();
    test_uniform_and_normal();
    test_stream();
    test_permutation();
    test_size_mul();
    test_memory();
    test_failed_allocation();
    test_context();
    test_default_threads();
    test_each_item_once();
    test_alone_and_nested();
    test_interrupt();
    test_several_callers();
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
