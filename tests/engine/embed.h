/* For tests of models through moth.h: the data and the network that test_embed.c and embed.lua share. */
#ifndef MOTH_TEST_EMBED_H
#define MOTH_TEST_EMBED_H

#include "files.h"
#include "moth.h"

enum { SAMPLES = 240, FEATURES = 8, CLASSES = 3 };

static moth_ctx *ctx;

#define OK(call) CHECK_THAT((call) == MOTH_OK, "%s: %s", #call, moth_error(ctx))

/* x float (samples, 8), y int32 class ids (samples), t float (samples, 1); sums of small integers, so exact. */
typedef struct data_set {
    moth_tensor *x, *y, *t;
    moth_samples classes, values;
} data_set;

static inline void make_data(data_set *d)
{
    static float x[SAMPLES][FEATURES], t[SAMPLES];
    static int32_t y[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        int sum = 0;
        for (int j = 0; j < FEATURES; j++) {
            int value = (i * (j + 3) + i / 7 * (2 * j + 1)) % 16 - 8;
            x[i][j] = (float)value / 8;
            sum += j < 4 ? value : 0;
        }
        y[i] = sum < -6 ? 0 : sum < 4 ? 1 : 2;
        t[i] = (float)sum / 16;
    }
    *d = (data_set){ .x = NULL };
    const int64_t shape[] = { SAMPLES, FEATURES }, column[] = { SAMPLES, 1 };
    OK(moth_tensor_from_floats(ctx, 2, shape, &x[0][0], &d->x));
    OK(moth_tensor_from_ints(ctx, 1, shape, y, &d->y));
    OK(moth_tensor_from_floats(ctx, 2, column, t, &d->t));
    d->classes = (moth_samples){ .n_x = 1, .n_y = 1, .x = &d->x, .y = &d->y };
    d->values = (moth_samples){ .n_x = 1, .n_y = 1, .x = &d->x, .y = &d->t };
}

static inline void free_data(data_set *d)
{
    moth_tensor_release(d->x);
    moth_tensor_release(d->y);
    moth_tensor_release(d->t);
}

#define COMPILE_CLASSIFIER                                                                          \
    "{\"optimizer\":{\"class\":\"Adam\",\"lr\":0.01},\"loss\":\"sparse_categorical_crossentropy\"," \
    "\"metrics\":[\"accuracy\"]}"

/* Dense, batch statistics, dropout, Dense: 144 + 64 + 51 weights. */
static inline moth_status make_classifier(moth_model **out)
{
    moth_model *m = NULL;
    moth_status s = moth_sequential_new(ctx, NULL, &m);
    if (s == MOTH_OK) {
        s = moth_model_add(ctx, m, "Dense",
                           "{\"units\":16,\"activation\":\"relu\",\"input_shape\":[8],"
                           "\"kernel_regularizer\":{\"class\":\"l2\",\"l2\":0.001}}");
    }
    if (s == MOTH_OK) {
        s = moth_model_add(ctx, m, "BatchNormalization", NULL);
    }
    if (s == MOTH_OK) {
        s = moth_model_add(ctx, m, "Dropout", "{\"rate\":0.25}");
    }
    if (s == MOTH_OK) {
        s = moth_model_add(ctx, m, "Dense", "{\"units\":3,\"activation\":\"softmax\"}");
    }
    if (s == MOTH_OK) {
        s = moth_model_compile(ctx, m, COMPILE_CLASSIFIER);
    }
    if (s != MOTH_OK) {
        moth_model_release(m);
        return s;
    }
    *out = m;
    return MOTH_OK;
}

#endif
