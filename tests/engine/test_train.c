/* Models from description to trained weights: shapes and names, messages, a training step against the same step done by
 * hand, bits on any number of threads, no allocation between steps. */
#include "test.h"

#include <stdlib.h>

#include "core/random.h"
#include "train/trainer.h"

static moth_ctx *ctx;

/* A config from pairs of name and text: numbers are numbers, the rest strings. */
static moth_value *config(int n, const char *const *pairs)
{
    moth_value *map = moth_value_map();
    for (int i = 0; i + 1 < n; i += 2) {
        char *end;
        double d = strtod(pairs[i + 1], &end);
        moth_value_set(map, pairs[i],
                       *end == '\0' ? moth_value_number(d) : moth_value_string(pairs[i + 1], strlen(pairs[i + 1])));
    }
    return map;
}
#define CONFIG(...) \
    config((int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)), (const char *const[]){ __VA_ARGS__ })

static void add(moth_model *model, const char *type, moth_value *options)
{
    moth_layer *layer = NULL;
    CHECK_THAT(moth_layer_new(ctx, type, options, &layer) == MOTH_OK, "%s", moth_error(ctx));
    CHECK_THAT(layer && moth_model_add_layer(model, layer) == MOTH_OK, "%s", moth_error(ctx));
    moth_layer_release(layer);
    moth_value_free(options);
}

static moth_model *mlp(void)
{
    moth_model *model = NULL;
    CHECK(moth_model_sequential(ctx, NULL, &model) == MOTH_OK);
    add(model, "Dense", CONFIG("units", "16", "activation", "relu", "input_dim", "8"));
    add(model, "Dropout", CONFIG("rate", "0.25"));
    add(model, "Dense", CONFIG("units", "4", "activation", "softmax"));
    return model;
}

enum { SAMPLES = 300 };

static void data_set(moth_tensor **x, moth_tensor **y)
{
    moth_tensor_new(ctx, MOTH_FLOAT32, 2, (int64_t[]){ SAMPLES, 8 }, x);
    moth_tensor_new(ctx, MOTH_INT32, 1, (int64_t[]){ SAMPLES }, y);
    for (int64_t i = 0; i < SAMPLES * 8; i++) {
        uint32_t words[4];
        moth_random_block(7, 1, 0, (uint64_t)i, words);
        moth_tensor_set_element(*x, i, (double)moth_uniform(words[0]));
    }
    for (int64_t i = 0; i < SAMPLES; i++) {
        double a = moth_tensor_element(*x, 8 * i), b = moth_tensor_element(*x, 8 * i + 1);
        moth_tensor_set_element(*y, i, (a > 0.5) + 2 * (b > 0.5));
    }
}

static void compile(moth_model *model, const char *optimizer)
{
    moth_value *spec = moth_value_string(optimizer, strlen(optimizer)), *options = moth_value_map();
    moth_value *metrics = moth_value_list();
    moth_optimizer *o = NULL;
    moth_value_append(metrics, moth_value_string("accuracy", 8));
    moth_value_set(options, "loss", moth_value_string("sparse_categorical_crossentropy", 31));
    moth_value_set(options, "metrics", metrics);
    CHECK_THAT(moth_optimizer_new(ctx, spec, &o) == MOTH_OK, "%s", moth_error(ctx));
    CHECK_THAT(moth_trainer_compile(model, options, o) == MOTH_OK, "%s", moth_error(ctx));
    moth_optimizer_release(o);
    moth_value_free(spec);
    moth_value_free(options);
}

static void fit(moth_model *model, int epochs, moth_tensor *x, moth_tensor *y, double *loss, double *accuracy)
{
    moth_trainer *t;
    moth_data data = { .n_x = 1, .n_y = 1, .x = &x, .y = &y };
    CHECK(moth_model_compiled(model, true, &t) == MOTH_OK);
    for (int e = 0; e < epochs; e++) {
        moth_loop loop;
        moth_tensor *order = NULL;
        int64_t left;
        CHECK(moth_trainer_shuffle(t, SAMPLES, &order) == MOTH_OK);
        CHECK_THAT(moth_loop_open(&loop, t, MOTH_TRAIN, &data, 64, 0, SAMPLES, order) == MOTH_OK, "%s",
                   moth_error(ctx));
        CHECK_THAT(moth_loop_run(&loop, 1000, &left) == MOTH_OK, "%s", moth_error(ctx));
        CHECK(left == 0);
        moth_loop_close(&loop);
        moth_tensor_release(order);
    }
    *loss = moth_trainer_value(t, 0);
    *accuracy = moth_trainer_value(t, 1);
}

static void test_learns(void)
{
    moth_tensor *x, *y;
    double loss, accuracy, first = 0;
    moth_seed(ctx, 1671);
    data_set(&x, &y);
    for (int threads = 1; threads <= 3; threads++) {
        moth_seed(ctx, 3);
        moth_ctx_set_threads(ctx, threads);
        moth_model *model = mlp();
        compile(model, "adam");
        fit(model, 200, x, y, &loss, &accuracy);
        CHECK_THAT(accuracy > 0.8, "accuracy %g, loss %g", accuracy, loss);
        first = threads == 1 ? loss : first;
        CHECK_NEAR(loss, first, 0);
        moth_model_release(model);
    }
    moth_tensor_release(x);
    moth_tensor_release(y);
}

int main(void)
{
    ctx = moth_ctx_new();
    test_learns();
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
