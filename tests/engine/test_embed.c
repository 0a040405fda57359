/* Models through moth.h: what they compute, that Lua computes the same bits and reads the same files, that threads do
 * not matter, and that a signal handler can stop them. */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "embed.h"

static data_set data;

/* ---- histories ---- */

typedef struct history {
    int count, stop_after;
    struct {
        int epoch;
        char name[48];
        double value;
    } entry[64];
} history;

static bool record(void *user, const moth_epoch *epoch)
{
    history *h = user;
    for (int k = 0; k < epoch->count && h->count < 64; k++) {
        h->entry[h->count].epoch = (int)epoch->epoch;
        snprintf(h->entry[h->count].name, sizeof h->entry[0].name, "%s", epoch->names[k]);
        h->entry[h->count++].value = epoch->values[k];
    }
    return epoch->epoch != h->stop_after;
}

static double value_of(const history *h, int epoch, const char *name)
{
    for (int i = 0; i < h->count; i++) {
        if (h->entry[i].epoch == epoch && strcmp(h->entry[i].name, name) == 0) {
            return h->entry[i].value;
        }
    }
    return NAN;
}

static bool same_history(const history *a, const history *b)
{
    bool same = a->count == b->count && a->count > 0;
    for (int i = 0; same && i < a->count; i++) {
        same = a->entry[i].value == b->entry[i].value;
    }
    return same;
}

/* ---- what a model is ---- */

static void test_description(void)
{
    moth_model *model = NULL, *copy = NULL;
    int64_t trainable = 0, shape[MOTH_MAX_RANK];
    int rank = 0;
    char *text = NULL, *again = NULL;
    OK(make_classifier(&model));
    CHECK(moth_model_count_params(model, &trainable) == 8 * 16 + 16 + 4 * 16 + 16 * 3 + 3);
    CHECK(trainable == 8 * 16 + 16 + 2 * 16 + 16 * 3 + 3);
    CHECK(moth_model_inputs(model) == 1 && moth_model_outputs(model) == 1);
    OK(moth_model_input_shape(ctx, model, 0, &rank, shape));
    CHECK(rank == 1 && shape[0] == FEATURES);
    OK(moth_model_output_shape(ctx, model, 0, &rank, shape));
    CHECK(rank == 1 && shape[0] == CLASSES);
    CHECK(moth_model_metric_count(model) == 2);
    CHECK_TEXT(moth_model_metric_name(model, 0), "loss");
    CHECK_TEXT(moth_model_metric_name(model, 1), "accuracy");
    CHECK(moth_model_metric_name(model, 2) == NULL && moth_model_metric_name(model, -1) == NULL);
    CHECK_NEAR(moth_model_learning_rate(model), 0.01, 0);
    OK(moth_model_set_learning_rate(ctx, model, 0.5));
    CHECK_NEAR(moth_model_learning_rate(model), 0.5, 0);
    OK(moth_model_to_json(ctx, model, 2, &text));
    OK(moth_model_from_json(ctx, text, &copy));
    OK(moth_model_to_json(ctx, copy, 2, &again));
    CHECK(moth_model_count_params(copy, NULL) == moth_model_count_params(model, NULL));
    CHECK(text && again && strlen(text) == strlen(again)); /* the same but for where it draws */
    CHECK(moth_model_metric_count(copy) == 0);
    moth_text_free(text);
    moth_text_free(again);
    moth_text_free(NULL);
    CHECK(moth_model_retain(copy) == copy);
    moth_model_release(copy);
    moth_model_release(copy);
    moth_model_release(model);
    moth_model_release(NULL);
}

/* ---- what it computes ---- */

#define LINEAR "{\"units\":1,\"input_dim\":2,\"kernel_initializer\":\"zeros\"}"

/* y = w x + b with a mean of squares, by hand: dL/dw = mean(2 (y - t) x). */
static void test_step_by_hand(void)
{
    moth_model *model = NULL;
    moth_tensor *x = NULL, *y = NULL, *w[2] = { NULL, NULL }, *p = NULL;
    const int64_t shape[] = { 2, 2 }, column[] = { 2, 1 };
    double values[2];
    float kernel[2], bias, predicted[2];
    OK(moth_tensor_from_floats(ctx, 2, shape, (const float[]){ 1, 2, 3, -1 }, &x));
    OK(moth_tensor_from_floats(ctx, 2, column, (const float[]){ 4, -2 }, &y));
    moth_samples d = { .n_x = 1, .n_y = 1, .x = &x, .y = &y };
    OK(moth_sequential_new(ctx, "line", &model));
    OK(moth_model_add(ctx, model, "Dense", LINEAR));
    OK(moth_model_compile(
        ctx, model, "{\"optimizer\":{\"class\":\"SGD\",\"learning_rate\":0.25},\"loss\":\"mse\",\"metrics\":\"mae\"}"));
    OK(moth_model_train_on_batch(ctx, model, &d, 2, values));
    CHECK_NEAR(values[0], (16.0 + 4) / 2, 1e-6); /* before the update */
    CHECK_NEAR(values[1], (4.0 + 2) / 2, 1e-6);
    CHECK(moth_model_weight_count(model) == 2);
    OK(moth_model_get_weights(ctx, model, 2, w));
    OK(moth_tensor_to_floats(ctx, w[0], kernel, 2));
    OK(moth_tensor_to_floats(ctx, w[1], &bias, 1));
    CHECK_NEAR(kernel[0], -0.25 * (-4.0 * 1 + 2.0 * 3), 1e-6);
    CHECK_NEAR(kernel[1], -0.25 * (-4.0 * 2 + 2.0 * -1), 1e-6);
    CHECK_NEAR(bias, -0.25 * (-4.0 + 2.0), 1e-6);
    moth_tensor_release(w[0]);
    OK(moth_tensor_from_floats(ctx, 2, column, (const float[]){ 10, 100 }, &w[0]));
    OK(moth_model_set_weights(ctx, model, 2, w));
    OK(moth_model_predict(ctx, model, &d, NULL, 1, &p));
    OK(moth_tensor_to_floats(ctx, p, predicted, 2));
    CHECK_NEAR(predicted[0], 10 + 200 + 0.5, 1e-5);
    CHECK_NEAR(predicted[1], 30 - 100 + 0.5, 1e-5);
    for (int k = 0; k < 2; k++) {
        moth_tensor_release(w[k]);
    }
    moth_tensor_release(p);
    moth_tensor_release(x);
    moth_tensor_release(y);
    moth_model_release(model);
}

/* Evaluation and prediction agree; weights of samples and steps count as they should. */
static void test_measures(void)
{
    moth_model *model = NULL;
    moth_tensor *p = NULL, *w = NULL;
    double all[2], half[2], heavy[2];
    static float probability[SAMPLES][CLASSES], weight[SAMPLES];
    static int32_t y[SAMPLES];
    const int64_t shape[] = { SAMPLES };
    OK(make_classifier(&model));
    OK(moth_model_fit(ctx, model, &data.classes, NULL, "{\"epochs\":5}", NULL, NULL));
    OK(moth_model_evaluate(ctx, model, &data.classes, "{\"batch_size\":50}", 2, all));
    OK(moth_model_predict(ctx, model, &data.classes, "{\"batch_size\":7}", 1, &p));
    OK(moth_tensor_to_floats(ctx, p, &probability[0][0], SAMPLES * CLASSES));
    OK(moth_tensor_to_ints(ctx, data.y, y, SAMPLES));
    int right = 0;
    double loss = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const float *row = probability[i];
        int best = row[1] > row[0] ? 1 : 0;
        best = row[2] > row[best] ? 2 : best;
        right += best == y[i];
        loss -= log((double)row[y[i]]) / SAMPLES;
        weight[i] = i < 120 ? 2 : 0;
        CHECK_NEAR((double)row[0] + (double)row[1] + (double)row[2], 1, 1e-5);
    }
    CHECK_NEAR(all[1], right / (double)SAMPLES, 1e-9);
    CHECK_THAT(all[1] > 0.5 && all[0] > loss && all[0] < loss + 0.2, "%g, %g", all[0], loss); /* + l2 */
    OK(moth_tensor_from_floats(ctx, 1, shape, weight, &w));
    moth_samples weighted = data.classes;
    weighted.weight = &w;
    OK(moth_model_evaluate(ctx, model, &data.classes, "{\"batch_size\":60,\"steps\":2}", 2, half));
    OK(moth_model_evaluate(ctx, model, &weighted, "{\"batch_size\":60,\"steps\":2}", 2, heavy));
    double penalty = all[0] - loss;
    CHECK_NEAR(heavy[0] - penalty, 2 * (half[0] - penalty), 1e-4);
    moth_tensor_release(p);
    moth_tensor_release(w);
    moth_model_release(model);
}

static void test_fit(void)
{
    moth_model *model = NULL;
    history h = { .count = 0 }, plain = { .count = 0 };
    moth_seed(ctx, 3);
    OK(make_classifier(&model));
    OK(moth_model_fit(ctx, model, &data.classes, &data.classes,
                      "{\"epochs\":40,\"validation_freq\":20,\"batch_size\":16}", record, &h));
    CHECK(h.count == 64); /* all that it holds */
    CHECK(value_of(&h, 1, "val_loss") != value_of(&h, 1, "val_loss"));
    CHECK_THAT(value_of(&h, 20, "val_accuracy") > 0.8, "%g", value_of(&h, 20, "val_accuracy"));
    CHECK(value_of(&h, 20, "loss") < value_of(&h, 1, "loss"));
    plain.stop_after = 4;
    OK(moth_model_fit(ctx, model, &data.classes, NULL, "{\"epochs\":9,\"initial_epoch\":2}", record, &plain));
    CHECK(plain.count == 4 && plain.entry[0].epoch == 3 && plain.entry[3].epoch == 4);
    OK(moth_model_fit(ctx, model, &data.classes, NULL, "{\"epochs\":0}", record, &plain));
    CHECK(plain.count == 4);
    moth_model_release(model);
}

/* Pictures as bytes: value x input_scale, once told; class ids as bytes. */
static void count_line(void *user, const char *line)
{
    ++*(int *)user;
    CHECK(strstr(line, "1/255") || strstr(line, "seed"));
}

static void test_bytes(void)
{
    moth_model *model = NULL;
    moth_tensor *x = NULL, *p = NULL;
    const int64_t shape[] = { 1, 2, 2, 1 };
    float out;
    int lines = 0;
    OK(moth_tensor_from_bytes(ctx, 4, shape, (const uint8_t[]){ 0, 51, 102, 255 }, &x));
    OK(moth_sequential_new(ctx, NULL, &model));
    OK(moth_model_add(ctx, model, "Flatten", "{\"input_shape\":[2,2,1]}"));
    OK(moth_model_add(ctx, model, "Dense", "{\"units\":1,\"kernel_initializer\":\"ones\"}"));
    moth_samples d = { .n_x = 1, .x = &x };
    moth_ctx_set_log(ctx, count_line, &lines);
    OK(moth_model_predict(ctx, model, &d, NULL, 1, &p));
    OK(moth_tensor_to_floats(ctx, p, &out, 1));
    CHECK_NEAR(out, (51 + 102 + 255) / 255.0, 1e-6);
    CHECK(lines == 1);
    moth_ctx_set_log(ctx, NULL, NULL);
    moth_tensor_release(p);
    OK(moth_model_compile(ctx, model, "{\"loss\":\"mse\",\"optimizer\":null,\"input_scale\":1}"));
    OK(moth_model_predict(ctx, model, &d, NULL, 1, &p));
    OK(moth_tensor_to_floats(ctx, p, &out, 1));
    CHECK_NEAR(out, 51 + 102 + 255, 0);
    moth_tensor_release(p);
    moth_tensor_release(x);
    moth_model_release(model);
}

/* ---- the same bits ---- */

static void run_threads(int threads, history *h, char *path)
{
    moth_model *model = NULL;
    moth_seed(ctx, 11);
    OK(moth_ctx_set_threads(ctx, threads));
    OK(make_classifier(&model));
    OK(moth_model_fit(ctx, model, &data.classes, NULL, "{\"epochs\":3,\"batch_size\":64,\"validation_split\":0.3}",
                      record, h));
    OK(moth_model_save(ctx, model, path));
    moth_model_release(model);
}

static bool same_files(const char *a, const char *b)
{
    FILE *fa = fopen(a, "rb"), *fb = fopen(b, "rb");
    int ca = 0, cb = 0;
    long size = 0;
    while (fa && fb && ca == cb && ca != EOF) {
        ca = getc(fa);
        cb = getc(fb);
        size++;
    }
    bool same = fa && fb && ca == cb && size > 100;
    if (fa) {
        fclose(fa);
    }
    if (fb) {
        fclose(fb);
    }
    return same;
}

static void test_threads(void)
{
    history h[3] = { { .count = 0 } };
    char path[3][256];
    for (int k = 0; k < 3; k++) {
        char name[24];
        snprintf(name, sizeof name, "threads%d", k + 1);
        snprintf(path[k], sizeof path[k], "%s", test_path(name));
        run_threads(k + 1, &h[k], path[k]);
    }
    CHECK(same_history(&h[0], &h[1]) && same_history(&h[0], &h[2]));
    CHECK(same_files(path[0], path[1]) && same_files(path[0], path[2]));
}

/* Saved and loaded in the middle: as if nothing had happened. */
static void test_resume(void)
{
    moth_model *whole = NULL, *part = NULL, *loaded = NULL;
    history h = { .count = 0 }, parts = { .count = 0 };
    const char *path = test_path("part.safetensors");
    moth_seed(ctx, 5);
    OK(make_classifier(&whole));
    OK(moth_model_fit(ctx, whole, &data.classes, NULL, "{\"epochs\":4}", record, &h));
    moth_seed(ctx, 5);
    OK(make_classifier(&part));
    OK(moth_model_fit(ctx, part, &data.classes, NULL, "{\"epochs\":2}", record, &parts));
    OK(moth_model_save(ctx, part, path));
    OK(moth_model_load(ctx, path, true, &loaded));
    OK(moth_model_fit(ctx, loaded, &data.classes, NULL, "{\"epochs\":4,\"initial_epoch\":2}", record, &parts));
    CHECK(same_history(&h, &parts));
    moth_model_release(loaded);

    const char *weights = test_path("weights.safetensors");
    double a[2], b[2];
    OK(moth_model_save_weights(ctx, whole, weights));
    OK(moth_model_load_weights(ctx, part, weights));
    OK(moth_model_evaluate(ctx, whole, &data.classes, NULL, 2, a));
    OK(moth_model_evaluate(ctx, part, &data.classes, NULL, 2, b));
    CHECK(a[0] == b[0] && a[1] == b[1]);
    OK(moth_model_reset(ctx, part, 99));
    OK(moth_model_evaluate(ctx, part, &data.classes, NULL, 2, b));
    CHECK(a[0] != b[0]);
    moth_model_release(part);
    moth_model_release(whole);
}

/* ---- beside Lua ---- */

#define GRAPH                                                                                                      \
    "{\"class\":\"Model\",\"inputs\":[{\"shape\":[8]}],"                                                           \
    "\"layers\":[{\"class\":\"Dense\",\"config\":{\"units\":12,\"activation\":\"tanh\"}},{\"class\":\"Flatten\"}," \
    "{\"class\":\"Dense\",\"config\":{\"units\":3,\"activation\":\"softmax\"}},"                                   \
    "{\"class\":\"Dense\",\"config\":{\"units\":1}}],"                                                             \
    "\"uses\":[{\"layer\":0,\"from\":[[0,0]]},{\"layer\":1,\"from\":[[1,0]]},{\"layer\":2,\"from\":[[2,0]]},"      \
    "{\"layer\":3,\"from\":[[2,0]]}],"                                                                             \
    "\"outputs\":[{\"use\":3,\"output\":0,\"name\":\"kind\"},{\"use\":4,\"output\":0,\"name\":\"value\"}]}"

/* Reads what Lua tells of a run and compares it with what C saw. Returns the number of values. */
static int compare_lines(FILE *lua, const char *run, const history *h)
{
    char line[160];
    int count = 0;
    rewind(lua);
    while (fgets(line, sizeof line, lua)) {
        char *rest = NULL;
        const char *of = strtok_r(line, " ", &rest), *epoch = strtok_r(NULL, " ", &rest);
        const char *name = strtok_r(NULL, " ", &rest), *value = strtok_r(NULL, " \n", &rest);
        if (value && strcmp(of, run) == 0) {
            double want = strtod(value, NULL), got = value_of(h, (int)strtol(epoch, NULL, 10), name);
            CHECK_THAT(want == got, "%s, epoch %s, %s: %a in Lua, %a in C", run, epoch, name, want, got);
            count++;
        }
    }
    return count;
}

/* The script's output in a file that is the caller's; NULL where there is no program to run it. */
static FILE *run_lua(const char *program)
{
    char command[1024], build[512];
    const char *slash = strrchr(program, '/');
    snprintf(build, sizeof build, "%.*s/../moth", slash ? (int)(slash - program) : 1, slash ? program : ".");
    if (access(build, X_OK) != 0) {
        fprintf(stderr, "no %s: not compared with Lua\n", build);
        return NULL;
    }
    snprintf(command, sizeof command, "%s tests/engine/embed.lua %s > %s", build, test_folder, test_path("lua.txt"));
    CHECK(system(command) == 0); /* NOLINT(cert-env33-c): paths of this test */
    FILE *lua = fopen(test_path("lua.txt"), "r");
    CHECK(lua != NULL);
    return lua;
}

static void train_first(history *h)
{
    moth_model *model = NULL;
    moth_seed(ctx, 7);
    OK(make_classifier(&model));
    OK(moth_model_fit(ctx, model, &data.classes, NULL,
                      "{\"batch_size\":32,\"epochs\":3,\"validation_split\":0.25,\"class_weight\":{\"0\":1,\"1\":2.5}}",
                      record, h));
    OK(moth_model_save(ctx, model, test_path("first_c.safetensors")));
    moth_model_release(model);
}

/* Goes on from what Lua saved. */
static void train_again(history *h)
{
    moth_model *model = NULL;
    OK(moth_model_load(ctx, test_path("first_lua.safetensors"), true, &model));
    OK(moth_model_fit(ctx, model, &data.classes, &data.classes,
                      "{\"batch_size\":32,\"epochs\":5,\"initial_epoch\":3,\"steps_per_epoch\":4}", record, h));
    OK(moth_model_save(ctx, model, test_path("again_c.safetensors")));
    moth_model_release(model);
}

static void train_graph(history *h)
{
    moth_model *model = NULL, *first = NULL;
    moth_tensor *y[] = { data.y, data.t }, *p[2] = { NULL, NULL };
    moth_samples both = { .n_x = 1, .n_y = 2, .x = &data.x, .y = y };
    double values[3];
    moth_seed(ctx, 7);
    OK(make_classifier(&first)); /* as in Lua, where the graph is the second model */
    OK(moth_model_from_json(ctx, GRAPH, &model));
    OK(moth_model_compile(
        ctx, model,
        "{\"optimizer\":\"sgd\",\"loss\":{\"kind\":\"sparse_categorical_crossentropy\",\"value\":\"mse\"}}"));
    OK(moth_model_fit(
        ctx, model, &both, NULL,
        "{\"batch_size\":50,\"epochs\":2,\"validation_split\":0.5,\"validation_freq\":2,\"shuffle\":false}", record,
        h));
    OK(moth_model_evaluate(ctx, model, &both, NULL, 3, values));
    CHECK_NEAR(values[0], values[1] + values[2], 1e-6);
    CHECK_TEXT(moth_model_metric_name(model, 1), "kind_loss");
    OK(moth_model_predict(ctx, model, &both, NULL, 2, p));
    CHECK(moth_tensor_dim(p[0], 1) == 3 && moth_tensor_dim(p[1], 1) == 1 && moth_tensor_dim(p[1], 0) == SAMPLES);
    OK(moth_model_save(ctx, model, test_path("graph_c.safetensors")));
    moth_tensor_release(p[0]);
    moth_tensor_release(p[1]);
    moth_model_release(first);
    moth_model_release(model);
}

static void test_beside_lua(const char *program)
{
    history first = { .count = 0 }, again = { .count = 0 }, graph = { .count = 0 };
    OK(moth_tensor_write_npy(ctx, test_path("x.npy"), data.x));
    OK(moth_tensor_write_npy(ctx, test_path("y.npy"), data.y));
    OK(moth_tensor_write_npy(ctx, test_path("t.npy"), data.t));
    write_bytes(test_path("graph.json"), GRAPH, strlen(GRAPH));
    train_first(&first);
    FILE *lua = run_lua(program);
    if (!lua) {
        return;
    }
    train_again(&again);
    train_graph(&graph);
    CHECK(compare_lines(lua, "first", &first) == 3 * 4 && first.count == 3 * 4);
    CHECK(compare_lines(lua, "again", &again) == 2 * 4 && again.count == 2 * 4);
    CHECK(compare_lines(lua, "graph", &graph) == 3 + 6 && graph.count == 3 + 6);
    fclose(lua);
    CHECK(same_files(test_path("first_c.safetensors"), test_path("first_lua.safetensors")));
    CHECK(same_files(test_path("again_c.safetensors"), test_path("again_lua.safetensors")));
    CHECK(same_files(test_path("graph_c.safetensors"), test_path("graph_lua.safetensors")));
}

/* ---- stopping ---- */

static void on_signal(int number)
{
    (void)number;
    moth_ctx_interrupt(ctx);
}

static bool raise_once(void *user, const moth_epoch *epoch)
{
    ++*(int *)user;
    return epoch->epoch != 1 || raise(SIGUSR1) == 0;
}

/* A signal at any moment, once an epoch is done. */
static bool arm(void *user, const moth_epoch *epoch)
{
    struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
    (void)user;
    return epoch->epoch != 1 || setitimer(ITIMER_REAL, &soon, NULL) == 0;
}

static void test_interrupt(void)
{
    moth_model *model = NULL;
    int epochs = 0;
    double before[2], after[2];
    struct sigaction ours = { .sa_handler = on_signal };
    sigemptyset(&ours.sa_mask);
    sigaction(SIGUSR1, &ours, NULL);
    sigaction(SIGALRM, &ours, NULL);
    OK(make_classifier(&model));
    CHECK(moth_model_fit(ctx, model, &data.classes, NULL, "{\"epochs\":5}", raise_once, &epochs) ==
          MOTH_ERR_INTERRUPTED);
    CHECK(epochs == 1 && moth_error_status(ctx) == MOTH_ERR_INTERRUPTED);
    OK(moth_model_evaluate(ctx, model, &data.classes, NULL, 2, before)); /* the request is answered */
    CHECK(moth_model_fit(ctx, model, &data.classes, NULL, "{\"epochs\":1000000000000}", arm, NULL) ==
          MOTH_ERR_INTERRUPTED);
    OK(moth_model_evaluate(ctx, model, &data.classes, NULL, 2, after));
    CHECK(after[0] == after[0] && before[0] != after[0]); /* it learned until then */
    moth_ctx_interrupt(ctx);
    CHECK(moth_model_evaluate(ctx, model, &data.classes, NULL, 2, after) == MOTH_ERR_INTERRUPTED);
    moth_model_release(model);
}

/* A loss that is not finite stops before the update. */
static void test_nonfinite(void)
{
    moth_model *model = NULL;
    moth_tensor *x = NULL, *y = NULL, *w[2] = { NULL, NULL };
    const int64_t shape[] = { 1, 2 }, one[] = { 1, 1 };
    float kernel[2];
    OK(moth_tensor_from_floats(ctx, 2, shape, (const float[]){ 1, NAN }, &x));
    OK(moth_tensor_from_floats(ctx, 2, one, (const float[]){ 1 }, &y));
    moth_samples d = { .n_x = 1, .n_y = 1, .x = &x, .y = &y };
    OK(moth_sequential_new(ctx, NULL, &model));
    OK(moth_model_add(ctx, model, "Dense", LINEAR));
    OK(moth_model_compile(ctx, model, "{\"loss\":\"mse\"}"));
    CHECK(moth_model_fit(ctx, model, &d, NULL, NULL, NULL, NULL) == MOTH_ERR_NONFINITE);
    OK(moth_model_get_weights(ctx, model, 2, w));
    OK(moth_tensor_to_floats(ctx, w[0], kernel, 2));
    CHECK(kernel[0] == 0 && kernel[1] == 0);
    OK(moth_model_fit(ctx, model, &d, NULL, "{\"nan\":\"continue\"}", NULL, NULL));
    moth_tensor_release(w[0]);
    moth_tensor_release(w[1]);
    moth_tensor_release(x);
    moth_tensor_release(y);
    moth_model_release(model);
}

/* ---- files of tensors ---- */

static void test_files(void)
{
    static const uint8_t idx[] = { 0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 255 };
    uint8_t bytes[3];
    int32_t ids[3], all[SAMPLES];
    moth_tensor *t = NULL, *zeros = NULL, *digit = NULL;
    moth_tensor_file *file = NULL, *read = NULL;
    write_bytes(test_path("labels.idx"), idx, sizeof idx);
    OK(moth_tensor_read_idx(ctx, test_path("labels.idx"), &t));
    OK(moth_tensor_to_bytes(ctx, t, bytes, 3));
    OK(moth_tensor_to_ints(ctx, t, ids, 3));
    CHECK(memcmp(bytes, idx + 8, 3) == 0 && ids[2] == 255 && moth_tensor_dtype(t) == MOTH_UINT8);
    OK(moth_tensor_zeros(ctx, MOTH_INT32, 1, (const int64_t[]){ 3 }, &zeros));
    OK(moth_tensor_to_ints(ctx, zeros, ids, 3));
    CHECK(ids[0] == 0 && ids[1] == 0 && ids[2] == 0);
    OK(moth_tensor_file_new(ctx, &file));
    OK(moth_tensor_file_add(ctx, file, "labels", t));
    OK(moth_tensor_file_add(ctx, file, "a/x", data.x));
    moth_tensor_release(t);
    OK(moth_tensor_file_write(ctx, test_path("t.safetensors"), file));
    OK(moth_tensor_file_read(ctx, test_path("t.safetensors"), &read));
    CHECK(moth_tensor_file_count(read) == 2);
    CHECK_TEXT(moth_tensor_file_name(read, 0), "a/x");
    CHECK(moth_tensor_file_tensor(read, 1) == moth_tensor_file_find(read, "labels"));
    CHECK(moth_tensor_file_find(read, "x") == NULL && moth_tensor_file_name(read, 2) == NULL);
    CHECK(moth_tensor_dim(moth_tensor_file_find(read, "a/x"), 0) == SAMPLES);
    moth_tensor_file_free(file);
    moth_tensor_file_free(read);
    moth_tensor_file_free(NULL);
    OK(moth_tensor_write_npy(ctx, test_path("y2.npy"), data.y));
    OK(moth_tensor_read_npy(ctx, test_path("y2.npy"), &t));
    OK(moth_tensor_to_ints(ctx, t, all, SAMPLES));
    CHECK(moth_tensor_rank(t) == 1 && moth_tensor_count(t) == SAMPLES);
    OK(moth_tensor_read_digit(ctx, "data/digits/7.png", &digit));
    CHECK(moth_tensor_rank(digit) == 2 && moth_tensor_dim(digit, 0) == 28 && moth_tensor_dim(digit, 1) == 28);
    moth_tensor_release(digit);
    moth_tensor_release(zeros);
    moth_tensor_release(t);
}

int main(int argc, char **argv)
{
    ctx = moth_ctx_new();
    (void)test_path("folder"); /* which is made now */
    make_data(&data);
    test_description();
    test_step_by_hand();
    test_measures();
    test_fit();
    test_bytes();
    test_threads();
    test_resume();
    test_beside_lua(argc > 0 ? argv[0] : "");
    test_interrupt();
    test_nonfinite();
    test_files();
    free_data(&data);
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
