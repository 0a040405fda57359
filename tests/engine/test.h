/* Checks that count. A test program returns test_report(). */
#ifndef MOTH_TEST_H
#define MOTH_TEST_H

#include <math.h>
#include <stdio.h>
#include <string.h>

static int tests_passed, tests_failed;

#define CHECK_THAT(condition, ...)                          \
    do {                                                    \
        if (condition) {                                    \
            tests_passed++;                                 \
        } else {                                            \
            tests_failed++;                                 \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
            fprintf(stderr, __VA_ARGS__);                   \
            fputc('\n', stderr);                            \
        }                                                   \
    } while (0)

#define CHECK(condition) CHECK_THAT(condition, "%s", #condition)

/* got within tolerance of want, or both NaN, or the same infinity */
#define CHECK_NEAR(got, want, tolerance)                                                                   \
    do {                                                                                                   \
        double got_ = (got), want_ = (want);                                                               \
        CHECK_THAT(fabs(got_ - want_) <= (tolerance) || got_ == want_ || (got_ != got_ && want_ != want_), \
                   "%s is %.17g, not %.17g", #got, got_, want_);                                           \
    } while (0)

#define CHECK_TEXT(got, want)                                                                \
    do {                                                                                     \
        const char *got_ = (got), *want_ = (want);                                           \
        CHECK_THAT(strcmp(got_, want_) == 0, "%s is \"%s\", not \"%s\"", #got, got_, want_); \
    } while (0)

static inline int test_report(void)
{
    printf("%d passed, %d failed\n", tests_passed, tests_failed);
    return tests_failed > 0;
}

#endif
