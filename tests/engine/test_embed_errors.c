/* Models through moth.h with what they cannot take: each is a status and one line that says what is wrong, nothing is
 * written to out-parameters, nothing leaks, and the model works as before. */
#include <stdlib.h>

#include "embed.h"

static data_set data;

static void refused(moth_status got, moth_status want, const char *part, const char *call, int line)
{
    CHECK_THAT(got == want, "line %d: %s: %s (%s), not %s", line, call, moth_status_name(got), moth_error(ctx),
               moth_status_name(want));
    CHECK_THAT(strstr(moth_error(ctx), part), "line %d: %s: no \"%s\" in: %s", line, call, part, moth_error(ctx));
    check_message(ctx, call, NULL);
}
#define REFUSED(status, part, call) refused((call), MOTH_ERR_##status, part, #call, __LINE__)

static moth_model *classifier(void)
{
    moth_model *model = NULL;
    OK(make_classifier(&model));
    return model;
}

/* ---- NULL ---- */

static void test_null_context(void)
{
    CHECK_TEXT(moth_error(NULL), "the context is NULL");
    CHECK(moth_error_status(NULL) == MOTH_ERR_ARGUMENT);
    CHECK(moth_ctx_set_threads(NULL, 1) == MOTH_ERR_ARGUMENT && moth_ctx_threads(NULL) == 0);
    CHECK(moth_ctx_set_cpu(NULL, "portable") == MOTH_ERR_ARGUMENT && moth_ctx_cpu(NULL) == NULL);
    CHECK(moth_sequential_new(NULL, NULL, NULL) == MOTH_ERR_ARGUMENT);
    CHECK(moth_model_fit(NULL, NULL, NULL, NULL, NULL, NULL, NULL) == MOTH_ERR_ARGUMENT);
    CHECK(moth_model_load(NULL, NULL, true, NULL) == MOTH_ERR_ARGUMENT);
    CHECK(moth_tensor_read_npy(NULL, NULL, NULL) == MOTH_ERR_ARGUMENT);
    moth_seed(NULL, 1);
    moth_ctx_set_log(NULL, NULL, NULL);
    moth_ctx_interrupt(NULL);
    moth_ctx_free(NULL);
    CHECK(moth_model_inputs(NULL) == 0 && moth_model_outputs(NULL) == 0 && moth_model_weight_count(NULL) == 0);
    CHECK(moth_model_count_params(NULL, NULL) == 0 && moth_model_metric_count(NULL) == 0);
    CHECK(moth_model_metric_name(NULL, 0) == NULL && moth_model_learning_rate(NULL) != 0);
    CHECK(moth_model_retain(NULL) == NULL && moth_tensor_retain(NULL) == NULL);
    CHECK(moth_tensor_rank(NULL) == 0 && moth_tensor_dim(NULL, 0) == 0 && moth_tensor_count(NULL) == 0);
    CHECK(moth_tensor_dtype(NULL) == MOTH_FLOAT32);
    CHECK(moth_tensor_file_count(NULL) == 0 && moth_tensor_file_name(NULL, 0) == NULL);
    CHECK(moth_tensor_file_tensor(NULL, 0) == NULL && moth_tensor_file_find(NULL, "x") == NULL);
}

static void test_null_tensors(void)
{
    const int64_t shape[] = { 2 };
    moth_tensor *t = NULL;
    moth_tensor_file *file = NULL;
    float f[2] = { 1, 2 };
    OK(moth_tensor_file_new(ctx, &file));
    REFUSED(ARGUMENT, "name is NULL", moth_ctx_set_cpu(ctx, NULL));
    REFUSED(ARGUMENT, "out is NULL", moth_tensor_from_floats(ctx, 1, shape, f, NULL));
    REFUSED(ARGUMENT, "shape is NULL", moth_tensor_from_floats(ctx, 1, NULL, f, &t));
    REFUSED(ARGUMENT, "data is NULL", moth_tensor_from_ints(ctx, 1, shape, NULL, &t));
    REFUSED(ARGUMENT, "data is NULL", moth_tensor_from_bytes(ctx, 1, shape, NULL, &t));
    REFUSED(ARGUMENT, "out is NULL", moth_tensor_zeros(ctx, MOTH_INT32, 1, shape, NULL));
    REFUSED(ARGUMENT, "shape is NULL", moth_tensor_zeros(ctx, MOTH_INT32, 1, NULL, &t));
    REFUSED(ARGUMENT, "t is NULL", moth_tensor_to_floats(ctx, NULL, f, 2));
    REFUSED(ARGUMENT, "out is NULL", moth_tensor_to_floats(ctx, data.x, NULL, moth_tensor_count(data.x)));
    REFUSED(ARGUMENT, "t is NULL", moth_tensor_to_ints(ctx, NULL, NULL, 0));
    REFUSED(ARGUMENT, "out is NULL", moth_tensor_to_ints(ctx, data.y, NULL, SAMPLES));
    REFUSED(ARGUMENT, "t is NULL", moth_tensor_to_bytes(ctx, NULL, NULL, 0));
    REFUSED(ARGUMENT, "path is NULL", moth_tensor_read_idx(ctx, NULL, &t));
    REFUSED(ARGUMENT, "out is NULL", moth_tensor_read_idx(ctx, "x", NULL));
    REFUSED(ARGUMENT, "path is NULL", moth_tensor_read_npy(ctx, NULL, &t));
    REFUSED(ARGUMENT, "out is NULL", moth_tensor_read_npy(ctx, "x", NULL));
    REFUSED(ARGUMENT, "path is NULL", moth_tensor_write_npy(ctx, NULL, data.x));
    REFUSED(ARGUMENT, "t is NULL", moth_tensor_write_npy(ctx, "x", NULL));
    REFUSED(ARGUMENT, "path is NULL", moth_tensor_read_digit(ctx, NULL, &t));
    REFUSED(ARGUMENT, "out is NULL", moth_tensor_read_digit(ctx, "x", NULL));
    REFUSED(ARGUMENT, "path is NULL", moth_tensor_file_read(ctx, NULL, &file));
    REFUSED(ARGUMENT, "out is NULL", moth_tensor_file_read(ctx, "x", NULL));
    REFUSED(ARGUMENT, "out is NULL", moth_tensor_file_new(ctx, NULL));
    REFUSED(ARGUMENT, "file is NULL", moth_tensor_file_add(ctx, NULL, "x", data.x));
    REFUSED(ARGUMENT, "name is NULL", moth_tensor_file_add(ctx, file, NULL, data.x));
    REFUSED(ARGUMENT, "t is NULL", moth_tensor_file_add(ctx, file, "x", NULL));
    REFUSED(ARGUMENT, "path is NULL", moth_tensor_file_write(ctx, NULL, file));
    REFUSED(ARGUMENT, "file is NULL", moth_tensor_file_write(ctx, "x", NULL));
    CHECK(t == NULL && moth_tensor_file_find(file, NULL) == NULL);
    moth_tensor_file_free(file);
}

static void test_null_models(void)
{
    moth_model *model = classifier();
    moth_tensor *out = NULL, *weights[8] = { NULL };
    moth_samples none = { .n_x = 0 }, hole = data.classes, unlabelled = { .n_x = 1, .x = &data.x };
    double v[2];
    int rank;
    int64_t shape[MOTH_MAX_RANK];
    hole.x = &out;
    REFUSED(ARGUMENT, "out is NULL", moth_sequential_new(ctx, NULL, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_add(ctx, NULL, "Dense", NULL));
    REFUSED(ARGUMENT, "type is NULL", moth_model_add(ctx, model, NULL, NULL));
    REFUSED(ARGUMENT, "text is NULL", moth_model_from_json(ctx, NULL, &model));
    REFUSED(ARGUMENT, "out is NULL", moth_model_from_json(ctx, "{}", NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_to_json(ctx, NULL, 0, NULL));
    REFUSED(ARGUMENT, "out is NULL", moth_model_to_json(ctx, model, 0, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_input_shape(ctx, NULL, 0, &rank, shape));
    REFUSED(ARGUMENT, "rank is NULL", moth_model_input_shape(ctx, model, 0, NULL, shape));
    REFUSED(ARGUMENT, "shape is NULL", moth_model_output_shape(ctx, model, 0, &rank, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_get_weights(ctx, NULL, 0, NULL));
    REFUSED(ARGUMENT, "out is NULL", moth_model_get_weights(ctx, model, 8, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_set_weights(ctx, NULL, 0, NULL));
    REFUSED(ARGUMENT, "values is NULL", moth_model_set_weights(ctx, model, 8, NULL));
    REFUSED(ARGUMENT, "dense_1/kernel is NULL", moth_model_set_weights(ctx, model, 8, weights));
    REFUSED(ARGUMENT, "model is NULL", moth_model_reset(ctx, NULL, 1));
    REFUSED(ARGUMENT, "model is NULL", moth_model_compile(ctx, NULL, "{}"));
    REFUSED(ARGUMENT, "'loss' is missing", moth_model_compile(ctx, model, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_fit(ctx, NULL, &data.classes, NULL, NULL, NULL, NULL));
    REFUSED(ARGUMENT, "data is NULL", moth_model_fit(ctx, model, NULL, NULL, NULL, NULL, NULL));
    REFUSED(ARGUMENT, "as x", moth_model_fit(ctx, model, &none, NULL, NULL, NULL, NULL));
    REFUSED(ARGUMENT, "tensor 1 of x is NULL", moth_model_fit(ctx, model, &hole, NULL, NULL, NULL, NULL));
    REFUSED(ARGUMENT, "as y", moth_model_fit(ctx, model, &unlabelled, NULL, NULL, NULL, NULL));
    REFUSED(ARGUMENT, "as y", moth_model_fit(ctx, model, &data.classes, &unlabelled, NULL, NULL, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_evaluate(ctx, NULL, &data.classes, NULL, 2, v));
    REFUSED(ARGUMENT, "data is NULL", moth_model_evaluate(ctx, model, NULL, NULL, 2, v));
    REFUSED(ARGUMENT, "values is NULL", moth_model_evaluate(ctx, model, &data.classes, NULL, 2, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_predict(ctx, NULL, &data.classes, NULL, 1, &out));
    REFUSED(ARGUMENT, "data is NULL", moth_model_predict(ctx, model, NULL, NULL, 1, &out));
    REFUSED(ARGUMENT, "out is NULL", moth_model_predict(ctx, model, &data.classes, NULL, 1, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_train_on_batch(ctx, NULL, &data.classes, 2, v));
    REFUSED(ARGUMENT, "data is NULL", moth_model_train_on_batch(ctx, model, NULL, 2, v));
    REFUSED(ARGUMENT, "values is NULL", moth_model_train_on_batch(ctx, model, &data.classes, 2, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_set_learning_rate(ctx, NULL, 1));
    REFUSED(ARGUMENT, "model is NULL", moth_model_save(ctx, NULL, "x"));
    REFUSED(ARGUMENT, "path is NULL", moth_model_save(ctx, model, NULL));
    REFUSED(ARGUMENT, "path is NULL", moth_model_load(ctx, NULL, true, &model));
    REFUSED(ARGUMENT, "out is NULL", moth_model_load(ctx, "x", true, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_save_weights(ctx, NULL, "x"));
    REFUSED(ARGUMENT, "path is NULL", moth_model_save_weights(ctx, model, NULL));
    REFUSED(ARGUMENT, "model is NULL", moth_model_load_weights(ctx, NULL, "x"));
    REFUSED(ARGUMENT, "path is NULL", moth_model_load_weights(ctx, model, NULL));
    CHECK(out == NULL);
    moth_model_release(model);
}

/* ---- memory ---- */

/* A layer that could not be added is not there: the next one takes its place. */
static void test_add_without_memory(bool first)
{
    moth_status status = MOTH_ERR_MEMORY;
    for (int64_t nth = 1; status != MOTH_OK; nth++) {
        moth_model *model = NULL;
        int64_t shape[MOTH_MAX_RANK];
        int rank = 0;
        OK(moth_sequential_new(ctx, NULL, &model));
        if (!first) {
            OK(moth_model_add(ctx, model, "Dense", "{\"units\":4,\"input_shape\":[3]}"));
        }
        moth_fail_alloc(nth, false);
        status = moth_model_add(ctx, model, "Dense", "{\"units\":7,\"input_shape\":[3]}");
        moth_fail_alloc(0, false);
        if (status != MOTH_OK) {
            OK(moth_model_add(ctx, model, "Dense", "{\"units\":2,\"input_shape\":[3]}"));
        }
        OK(moth_model_output_shape(ctx, model, 0, &rank, shape));
        CHECK_THAT(shape[rank - 1] == (status == MOTH_OK ? 7 : 2), "allocation %d: %d units", (int)nth,
                   (int)shape[rank - 1]);
        CHECK(moth_model_weight_count(model) == (first ? 2 : 4));
        moth_model_release(model);
    }
}

/* ---- descriptions ---- */

static void test_layers(void)
{
    moth_model *model = NULL;
    static const char *const types[] = { "Dense",
                                         "Activation",
                                         "Dropout",
                                         "Lambda",
                                         "Custom",
                                         "Flatten",
                                         "Permute",
                                         "RepeatVector",
                                         "Reshape",
                                         "Conv1D",
                                         "Conv2D",
                                         "AveragePooling1D",
                                         "MaxPooling2D",
                                         "GlobalMaxPooling2D",
                                         "GRU",
                                         "LSTM",
                                         "SimpleRNN",
                                         "BatchNormalization",
                                         "LayerNormalization" };
    static const char *const odd[] = { NULL,
                                       "{}",
                                       "{\"input_shape\":[]}",
                                       "{\"input_shape\":[0]}",
                                       "{\"input_shape\":[3,3,3,3,3,3,3,3,3]}",
                                       "{\"units\":4,\"filters\":4,\"input_shape\":[4]}",
                                       "{\"[]\":[1,2,3,4,5,6,7,8,9]}",
                                       "{\"units\":null,\"function\":3,\"activation\":{\"class\":{}}}" };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (size_t k = 0; k < sizeof odd / sizeof odd[0]; k++) {
            moth_model *m = NULL;
            OK(moth_sequential_new(ctx, "odd", &m));
            if (moth_model_add(ctx, m, types[i], odd[k]) != MOTH_OK) {
                check_message(ctx, types[i], NULL);
            }
            moth_model_release(m);
        }
    }
    OK(moth_sequential_new(ctx, NULL, &model));
    REFUSED(ARGUMENT, "did you mean 'Dense'", moth_model_add(ctx, model, "Dens", NULL));
    REFUSED(ARGUMENT, "did you mean 'units'", moth_model_add(ctx, model, "Dense", "{\"unit\":4}"));
    REFUSED(ARGUMENT, "'units' is missing", moth_model_add(ctx, model, "Dense", NULL));
    REFUSED(ARGUMENT, "must be an integer, got a string", moth_model_add(ctx, model, "Dense", "{\"units\":\"4\"}"));
    REFUSED(ARGUMENT, "did you mean 'relu'",
            moth_model_add(ctx, model, "Dense", "{\"units\":4,\"activation\":\"rleu\"}"));
    REFUSED(ARGUMENT, "expected a JSON object", moth_model_add(ctx, model, "Dense", "[128]"));
    REFUSED(FORMAT, "line 1", moth_model_add(ctx, model, "Dense", "{\"units\":4"));
    REFUSED(FORMAT, "Dense", moth_model_add(ctx, model, "Dense", ""));
    REFUSED(FORMAT, "units", moth_model_add(ctx, model, "Dense", "{\"units\":4,\"units\":5}"));
    CHECK(moth_model_count_params(model, NULL) == 0);
    REFUSED(STATE, "not known yet", moth_model_input_shape(ctx, model, 0, &(int){ 0 }, (int64_t[8]){ 0 }));
    REFUSED(STATE, "not known yet", moth_model_compile(ctx, model, "{\"loss\":\"mse\"}"));
    OK(moth_model_add(ctx, model, "Dense", "{\"units\":2,\"input_shape\":[4]}"));
    REFUSED(SHAPE, "expected", moth_model_add(ctx, model, "Conv2D", "{\"filters\":2,\"kernel_size\":3}"));
    REFUSED(INDEX, "expected 0 to 0, got 1", moth_model_output_shape(ctx, model, 1, &(int){ 0 }, (int64_t[8]){ 0 }));
    REFUSED(ARGUMENT, "0 to 16", moth_model_to_json(ctx, model, 17, &(char *){ NULL }));
    OK(moth_model_compile(ctx, model, "{\"loss\":\"mse\"}"));
    REFUSED(STATE, "compiled", moth_model_add(ctx, model, "Dense", "{\"units\":2}"));
    CHECK(moth_model_count_params(model, NULL) == 10);
    moth_model_release(model);
}

static void test_json(void)
{
    moth_model *model = NULL;
    static const char output_of_nothing[] = "{\"class\":\"Model\",\"inputs\":[{\"shape\":[4]}],\"layers\":[],"
                                            "\"uses\":[],\"outputs\":[{\"use\":1,\"output\":0}]}";
    static const char misspelt[] = "{\"class\":\"Sequential\",\"layers\":[{\"class\":\"Dense\",\"config\":"
                                   "{\"units\":1,\"input_shape\":[4]}},{\"class\":\"Flaten\"}]}";
    static const char *const bad[] = { "",
                                       "{",
                                       "[]",
                                       "null",
                                       "{\"class\":\"Sequential\"}",
                                       "{\"class\":\"Model\",\"layers\":[]}",
                                       "{\"class\":\"Pile\",\"layers\":[]}",
                                       "{\"class\":\"Sequential\",\"layers\":[{\"class\":\"Dense\"}]}",
                                       "{\"class\":\"Sequential\",\"layers\":[{\"config\":{}}]}",
                                       "{\"class\":\"Sequential\",\"layers\":{}}",
                                       "{\"class\":\"Sequential\",\"name\":3,\"layers\":[]}",
                                       "{\"class\":\"Sequential\",\"seed\":\"12\",\"layers\":[]}",
                                       output_of_nothing,
                                       misspelt };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_THAT(moth_model_from_json(ctx, bad[i], &model) != MOTH_OK && !model, "taken: %s", bad[i]);
        check_message(ctx, bad[i], NULL);
    }
    OK(moth_model_from_json(ctx, "{\"class\":\"Sequential\",\"layers\":[{\"class\":\"Flatten\"}]}", &model));
    CHECK(moth_model_inputs(model) == 0);
    moth_model_release(model);
}

static void test_compile(void)
{
    moth_model *model = classifier();
    double v[2];
    REFUSED(ARGUMENT, "did you mean 'optimizer'", moth_model_compile(ctx, model, "{\"loss\":\"mse\",\"optimiser\":1}"));
    REFUSED(ARGUMENT, "did you mean 'Adam'",
            moth_model_compile(ctx, model, "{\"loss\":\"mse\",\"optimizer\":\"adm\"}"));
    REFUSED(ARGUMENT, "compile: expected the name",
            moth_model_compile(ctx, model, "{\"loss\":\"mse\",\"optimizer\":3}"));
    REFUSED(ARGUMENT, "did you mean 'learning_rate'",
            moth_model_compile(ctx, model, "{\"loss\":\"mse\",\"optimizer\":{\"class\":\"SGD\",\"learning_rat\":1}}"));
    REFUSED(ARGUMENT, "unknown loss", moth_model_compile(ctx, model, "{\"loss\":\"mean\"}"));
    REFUSED(ARGUMENT, "compile", moth_model_compile(ctx, model, "{\"loss\":3}"));
    REFUSED(ARGUMENT, "has no output 'other'", moth_model_compile(ctx, model, "{\"loss\":{\"other\":\"mse\"}}"));
    REFUSED(ARGUMENT, "2 given for 1 outputs", moth_model_compile(ctx, model, "{\"loss\":[\"mse\",\"mse\"]}"));
    REFUSED(ARGUMENT, "metric", moth_model_compile(ctx, model, "{\"loss\":\"mse\",\"metrics\":[\"acuracy\"]}"));
    REFUSED(ARGUMENT, "input_scale", moth_model_compile(ctx, model, "{\"loss\":\"mse\",\"input_scale\":-1}"));
    REFUSED(FORMAT, "compile", moth_model_compile(ctx, model, "{\"loss\":\"mse\",}"));
    OK(moth_model_evaluate(ctx, model, &data.classes, NULL, 2, v)); /* as compiled before */
    REFUSED(ARGUMENT, "learning_rate", moth_model_set_learning_rate(ctx, model, -1));
    REFUSED(ARGUMENT, "learning_rate", moth_model_set_learning_rate(ctx, model, NAN));
    CHECK_NEAR(moth_model_learning_rate(model), 0.01, 0);
    OK(moth_model_compile(ctx, model, "{\"loss\":\"mse\",\"optimizer\":null}"));
    REFUSED(STATE, "without an optimizer", moth_model_train_on_batch(ctx, model, &data.classes, 1, v));
    REFUSED(STATE, "without an optimizer", moth_model_set_learning_rate(ctx, model, 1));
    moth_model_release(model);
}

/* ---- data and options ---- */

static void test_fit_options(void)
{
    static const struct {
        const char *options, *part;
    } bad[] = {
        { "{\"epoch\":3}", "did you mean 'epochs'" },
        { "{\"batch_size\":0}", "at least 1" },
        { "{\"batch_size\":1e300}", "batch_size" },
        { "{\"batch_size\":2.5}", "must be an integer" },
        { "{\"epochs\":-1}", "at least 0" },
        { "{\"epochs\":\"3\"}", "must be an integer, got a string" },
        { "{\"shuffle\":1}", "true or false" },
        { "{\"validation_split\":1.5}", "0 .. 1" },
        { "{\"validation_split\":1}", "leaves 0 of 240 samples for training" },
        { "{\"validation_freq\":0}", "at least 1" },
        { "{\"steps_per_epoch\":0}", "at least 1" },
        { "{\"class_weight\":[1,2]}", "class_weight" },
        { "{\"class_weight\":{\"0\":\"1\"}}", "class_weight" },
        { "{\"nan\":\"ignore\"}", "one of: stop continue" },
        { "{\"callbacks\":[]}", "unknown option 'callbacks'" },
        { "3", "expected a JSON object" },
    };
    moth_model *model = classifier();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        REFUSED(ARGUMENT, bad[i].part, moth_model_fit(ctx, model, &data.classes, NULL, bad[i].options, NULL, NULL));
    }
    double v[2];
    moth_tensor *out = NULL;
    REFUSED(FORMAT, "fit", moth_model_fit(ctx, model, &data.classes, NULL, "{epochs:1}", NULL, NULL));
    REFUSED(ARGUMENT, "did you mean 'batch_size'",
            moth_model_evaluate(ctx, model, &data.classes, "{\"batchsize\":1}", 2, v));
    REFUSED(ARGUMENT, "there are 2 values, room for 1", moth_model_evaluate(ctx, model, &data.classes, NULL, 1, v));
    REFUSED(ARGUMENT, "unknown option 'steps'",
            moth_model_predict(ctx, model, &data.classes, "{\"steps\":1}", 1, &out));
    REFUSED(ARGUMENT, "has 1 outputs, room for 2", moth_model_predict(ctx, model, &data.classes, NULL, 2, &out));
    CHECK(out == NULL);
    moth_model_release(model);
}

static void test_data(void)
{
    moth_model *model = classifier(), *fresh = NULL;
    moth_tensor *flat = NULL, *wide = NULL, *few = NULL, *none = NULL, *bytes = NULL, *out = NULL;
    moth_tensor *pair[] = { data.x, data.x }, *ids = data.y, *values = data.t;
    const int64_t shape[] = { SAMPLES, 9 }, short_shape[] = { 3, 8 }, empty[] = { 0, 8 };
    double v[2];
    OK(moth_tensor_zeros(ctx, MOTH_FLOAT32, 0, NULL, &flat));
    OK(moth_tensor_zeros(ctx, MOTH_FLOAT32, 2, shape, &wide));
    OK(moth_tensor_zeros(ctx, MOTH_FLOAT32, 2, short_shape, &few));
    OK(moth_tensor_zeros(ctx, MOTH_FLOAT32, 2, empty, &none));
    OK(moth_tensor_zeros(ctx, MOTH_UINT8, 1, shape, &bytes));
    moth_samples d = { .n_x = 1, .n_y = 1, .x = &wide, .y = &ids };
    REFUSED(SHAPE, "expected input of shape (batch, 8), got (batch, 9)",
            moth_model_evaluate(ctx, model, &d, NULL, 2, v));
    REFUSED(SHAPE, "(batch, 8)", moth_model_fit(ctx, model, &d, NULL, NULL, NULL, NULL));
    REFUSED(SHAPE, "(batch, 8)", moth_model_predict(ctx, model, &d, NULL, 1, &out));
    d.x = &few;
    REFUSED(SHAPE, "y 1 has 240 samples, x has 3", moth_model_train_on_batch(ctx, model, &d, 2, v));
    d.x = &none;
    REFUSED(ARGUMENT, "expected 1 to 2^31 - 1 samples, got 0", moth_model_evaluate(ctx, model, &d, NULL, 2, v));
    REFUSED(ARGUMENT, "got 0", moth_model_predict(ctx, model, &d, NULL, 1, &out));
    d.x = &flat;
    REFUSED(ARGUMENT, "got 0", moth_model_evaluate(ctx, model, &d, NULL, 2, v));
    d = (moth_samples){ .n_x = 2, .n_y = 1, .x = pair, .y = &ids };
    REFUSED(ARGUMENT, "1 inputs, got 2", moth_model_fit(ctx, model, &d, NULL, NULL, NULL, NULL));
    d = (moth_samples){ .n_x = 1, .n_y = 2, .x = pair, .y = pair };
    REFUSED(ARGUMENT, "1 outputs, got 2", moth_model_fit(ctx, model, &d, NULL, NULL, NULL, NULL));
    d = (moth_samples){ .n_x = 1, .n_y = 1, .x = pair, .y = &ids, .weight = &ids };
    REFUSED(SHAPE, "sample_weight: expected one float", moth_model_fit(ctx, model, &d, NULL, NULL, NULL, NULL));
    d.weight = &few;
    REFUSED(SHAPE, "sample_weight", moth_model_evaluate(ctx, model, &d, NULL, 2, v));
    d = (moth_samples){ .n_x = 1, .n_y = 1, .x = &few, .y = &few };
    REFUSED(SHAPE, "", moth_model_fit(ctx, model, &data.classes, &d, NULL, NULL, NULL));
    d = (moth_samples){ .n_x = 1, .n_y = 1, .x = pair, .y = &values };
    CHECK(moth_model_fit(ctx, model, &d, NULL, "{\"class_weight\":{\"0\":1}}", NULL, NULL) != MOTH_OK || true);
    OK(moth_sequential_new(ctx, NULL, &fresh));
    REFUSED(STATE, "not compiled", moth_model_fit(ctx, fresh, &data.classes, NULL, NULL, NULL, NULL));
    REFUSED(STATE, "no layers", moth_model_predict(ctx, fresh, &data.classes, NULL, 1, &out));
    OK(moth_model_evaluate(ctx, model, &data.classes, NULL, 2, v)); /* works as before */
    CHECK(out == NULL);
    moth_tensor *all[] = { flat, wide, few, none, bytes };
    for (int k = 0; k < 5; k++) {
        moth_tensor_release(all[k]);
    }
    moth_model_release(fresh);
    moth_model_release(model);
}

static void test_tensors(void)
{
    moth_tensor *t = NULL, *weights[8];
    moth_model *model = classifier(), *elsewhere = NULL;
    moth_ctx *other = moth_ctx_new();
    const int64_t huge[] = { INT64_MAX / 2, 4 }, negative[] = { -1 }, one[] = { 1 };
    float f;
    int32_t i;
    uint8_t b;
    REFUSED(SHAPE, "2^40", moth_tensor_zeros(ctx, MOTH_UINT8, 2, huge, &t));
    REFUSED(SHAPE, "-1", moth_tensor_from_floats(ctx, 1, negative, &f, &t));
    REFUSED(SHAPE, "0 to 8", moth_tensor_zeros(ctx, MOTH_UINT8, 9, huge, &t));
    REFUSED(SHAPE, "0 to 8", moth_tensor_zeros(ctx, MOTH_UINT8, -1, huge, &t));
    REFUSED(DTYPE, "no such type", moth_tensor_zeros(ctx, (moth_dtype)7, 1, one, &t));
    REFUSED(MEMORY, "", moth_tensor_zeros(ctx, MOTH_FLOAT32, 1, (const int64_t[]){ (int64_t)1 << 40 }, &t));
    REFUSED(ARGUMENT, "has 1920 elements, room for 1", moth_tensor_to_floats(ctx, data.x, &f, 1));
    REFUSED(ARGUMENT, "has 240 elements, room for 1", moth_tensor_to_ints(ctx, data.y, &i, 1));
    REFUSED(ARGUMENT, "has 240 elements, room for 1", moth_tensor_to_bytes(ctx, data.y, &b, 1));
    OK(moth_tensor_zeros(ctx, MOTH_FLOAT32, 1, one, &t));
    REFUSED(DTYPE, "expected int32 or uint8, got float32", moth_tensor_to_ints(ctx, t, &i, 1));
    REFUSED(DTYPE, "expected uint8, got float32", moth_tensor_to_bytes(ctx, t, &b, 1));
    REFUSED(ARGUMENT, "has 8 weights, got room for 7", moth_model_get_weights(ctx, model, 7, weights));
    OK(moth_model_get_weights(ctx, model, 8, weights));
    moth_tensor *kept = weights[7];
    weights[7] = data.x;
    REFUSED(SHAPE, "dense_2/bias: expected shape (3,), got (240, 8)", moth_model_set_weights(ctx, model, 8, weights));
    weights[7] = data.y;
    REFUSED(DTYPE, "dense_2/bias: expected float32, got int32", moth_model_set_weights(ctx, model, 8, weights));
    weights[7] = kept;
    for (int k = 0; k < 8; k++) {
        moth_tensor_release(weights[k]);
    }
    CHECK(moth_sequential_new(other, NULL, &elsewhere) == MOTH_OK);
    REFUSED(ARGUMENT, "belongs to another context", moth_model_reset(ctx, elsewhere, 1));
    REFUSED(ARGUMENT, "belongs to another context", moth_model_save(ctx, elsewhere, "x"));
    moth_model_release(elsewhere);
    moth_ctx_free(other);
    moth_tensor_release(t);
    moth_model_release(model);
}

/* ---- files ---- */

static void test_missing(void)
{
    moth_model *model = NULL, *whole = classifier();
    moth_tensor *t = NULL;
    moth_tensor_file *file = NULL;
    const char *none = test_path("none"), *text = test_path("text");
    write_bytes(text, "no such thing", 13);
    REFUSED(IO, none, moth_model_load(ctx, none, true, &model));
    REFUSED(IO, none, moth_model_load_weights(ctx, whole, none));
    REFUSED(IO, none, moth_tensor_read_idx(ctx, none, &t));
    REFUSED(IO, none, moth_tensor_read_npy(ctx, none, &t));
    REFUSED(IO, none, moth_tensor_read_digit(ctx, none, &t));
    REFUSED(IO, none, moth_tensor_file_read(ctx, none, &file));
    REFUSED(IO, "/no/such", moth_model_save(ctx, whole, "/no/such/folder/m"));
    REFUSED(IO, "/no/such", moth_model_save_weights(ctx, whole, "/no/such/folder/m"));
    REFUSED(IO, "/no/such", moth_tensor_write_npy(ctx, "/no/such/folder/m", data.x));
    REFUSED(IO, "", moth_model_load(ctx, test_folder, true, &model));
    REFUSED(FORMAT, text, moth_model_load(ctx, text, true, &model));
    REFUSED(FORMAT, text, moth_model_load_weights(ctx, whole, text));
    REFUSED(FORMAT, text, moth_tensor_read_idx(ctx, text, &t));
    REFUSED(FORMAT, text, moth_tensor_read_npy(ctx, text, &t));
    REFUSED(FORMAT, text, moth_tensor_file_read(ctx, text, &file));
    CHECK(moth_tensor_read_digit(ctx, text, &t) != MOTH_OK);
    check_message(ctx, "read_digit", text);
    OK(moth_tensor_file_new(ctx, &file));
    OK(moth_tensor_file_add(ctx, file, "x", data.x));
    REFUSED(ARGUMENT, "is there already", moth_tensor_file_add(ctx, file, "x", data.x));
    REFUSED(ARGUMENT, "is not UTF-8", moth_tensor_file_add(ctx, file, "\xff", data.x));
    OK(moth_tensor_file_write(ctx, test_path("tensors"), file));
    REFUSED(FORMAT, "is no model of moth", moth_model_load(ctx, test_path("tensors"), true, &model));
    OK(moth_model_save_weights(ctx, whole, test_path("weights")));
    REFUSED(FORMAT, "weights only", moth_model_load(ctx, test_path("weights"), true, &model));
    CHECK(model == NULL && t == NULL);
    moth_tensor_file_free(file);
    moth_model_release(whole);
}

/* A saved model cut short or with a changed byte: refused, or (where the byte says nothing) a model. */
static void test_corrupt(void)
{
    static char bytes[16384], changed[16384];
    moth_model *model = classifier();
    const char *path = test_path("whole"), *broken = test_path("broken");
    OK(moth_model_save(ctx, model, path));
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    CHECK(size > 2000 && size < sizeof bytes);
    if (file) {
        fclose(file);
    }
    int refused_ones = 0, count = 0;
    for (size_t at = 0; at < size; at += 61) {
        moth_model *got = NULL;
        write_bytes(broken, bytes, at);
        CHECK(moth_model_load(ctx, broken, true, &got) == MOTH_ERR_FORMAT && !got);
        memcpy(changed, bytes, size);
        changed[at] = (char)(changed[at] ^ 0x11);
        write_bytes(broken, changed, size);
        moth_status status = moth_model_load(ctx, broken, true, &got);
        CHECK((status == MOTH_OK) == (got != NULL));
        refused_ones += status != MOTH_OK;
        count++;
        moth_model_release(got);
    }
    CHECK_THAT(refused_ones > count * 9 / 10, "%d of %d", refused_ones, count);
    moth_model_release(model);
}

/* ---- no memory ---- */

static moth_status describe(void *user)
{
    moth_model *model = NULL;
    char *text = NULL;
    (void)user;
    moth_status status = make_classifier(&model);
    if (status == MOTH_OK) {
        status = moth_model_to_json(ctx, model, 0, &text);
        moth_text_free(text);
    }
    moth_model_release(model);
    return status;
}

static bool go_on(void *user, const moth_epoch *epoch)
{
    (void)user;
    return epoch->count == 2;
}

static moth_status use(moth_model *model)
{
    double values[1];
    moth_tensor *out = NULL, *weights[2] = { NULL };
    moth_status status =
        moth_model_fit(ctx, model, &data.values, NULL,
                       "{\"batch_size\":120,\"validation_split\":0.5,\"class_weight\":{\"1\":2}}", go_on, NULL);
    if (status == MOTH_OK) {
        status = moth_model_evaluate(ctx, model, &data.values, NULL, 1, values);
    }
    if (status == MOTH_OK) {
        status = moth_model_predict(ctx, model, &data.values, NULL, 1, &out);
        moth_tensor_release(out);
    }
    if (status == MOTH_OK) {
        status = moth_model_get_weights(ctx, model, 2, weights);
        moth_tensor_release(weights[0]);
        moth_tensor_release(weights[1]);
    }
    return status;
}

static moth_status train(void *user)
{
    moth_model *model = NULL;
    (void)user;
    moth_status status = moth_sequential_new(ctx, NULL, &model);
    if (status == MOTH_OK) {
        status = moth_model_add(ctx, model, "Dense", "{\"units\":1,\"input_shape\":[8]}");
    }
    if (status == MOTH_OK) {
        status = moth_model_compile(ctx, model, "{\"loss\":\"mse\",\"optimizer\":\"sgd\"}");
    }
    if (status == MOTH_OK) {
        status = use(model);
    }
    moth_model_release(model);
    return status;
}

int main(void)
{
    ctx = moth_ctx_new();
    moth_seed(ctx, 1);
    make_data(&data);
    (void)test_path("folder");
    test_null_context();
    test_null_tensors();
    test_null_models();
    test_add_without_memory(true);
    test_add_without_memory(false);
    test_layers();
    test_json();
    test_compile();
    test_fit_options();
    test_data();
    test_tensors();
    test_missing();
    test_corrupt();
    check_faults(ctx, "describe", describe, NULL);
    check_faults(ctx, "train", train, NULL);
    free_data(&data);
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
