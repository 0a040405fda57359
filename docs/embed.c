/* A model in a C program: trained on points in rings, measured, saved, loaded and asked.
 *
 *     cc embed.c $(pkg-config --cflags --libs moth) -lm -o embed && ./embed */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <moth.h>

enum { POINTS = 1500, RINGS = 3 };

static moth_ctx *ctx;

/* One way out for all that can go wrong: the message names the call, what it expected and what it got. */
static void check(moth_status status)
{
    if (status != MOTH_OK) {
        fprintf(stderr, "embed: %s\n", moth_error(ctx));
        exit(1);
    }
}

/* Points (x, y) with -1 <= x, y < 1; their class is the ring around the origin in which they are. */
static void make_points(moth_tensor **points, moth_tensor **rings)
{
    static float xy[POINTS][2];
    static int32_t ring[POINTS];
    for (int i = 0; i < POINTS; i++) {
        xy[i][0] = (float)rand() / ((float)RAND_MAX / 2) - 1;
        xy[i][1] = (float)rand() / ((float)RAND_MAX / 2) - 1;
        ring[i] = (int32_t)fminf(hypotf(xy[i][0], xy[i][1]) * 3, RINGS - 1);
    }
    const int64_t shape[] = { POINTS, 2 };
    check(moth_tensor_from_floats(ctx, 2, shape, &xy[0][0], points));
    check(moth_tensor_from_ints(ctx, 1, shape, ring, rings));
}

/* After each tenth epoch: names and values. */
static bool show(void *user, const moth_epoch *epoch)
{
    (void)user;
    if (epoch->epoch % 10 == 0) {
        printf("epoch %lld/%lld", (long long)epoch->epoch, (long long)epoch->epochs);
        for (int k = 0; k < epoch->count; k++) {
            printf("  %s %.3f", epoch->names[k], epoch->values[k]);
        }
        printf("\n");
    }
    return true; /* false would end the training */
}

/* Classes of a few points, by a model that comes from a file. */
static void ask(const char *path)
{
    const float points[][2] = { { 0.1F, 0.1F }, { 0.4F, -0.3F }, { -0.9F, 0.8F } };
    const int64_t shape[] = { 3, 2 };
    moth_model *model = NULL;
    moth_tensor *x = NULL, *answer = NULL;
    float p[3][RINGS];
    check(moth_model_load(ctx, path, false, &model));
    check(moth_tensor_from_floats(ctx, 2, shape, &points[0][0], &x));
    const moth_samples data = { 1, 0, &x, NULL, NULL };
    check(moth_model_predict(ctx, model, &data, NULL, 1, &answer));
    check(moth_tensor_to_floats(ctx, answer, &p[0][0], 3 * RINGS));
    for (int i = 0; i < 3; i++) {
        int best = 0;
        for (int k = 1; k < RINGS; k++) {
            best = p[i][k] > p[i][best] ? k : best;
        }
        printf("(%4.1f, %4.1f) is in ring %d: %.2f\n", points[i][0], points[i][1], best, p[i][best]);
    }
    moth_tensor_release(answer);
    moth_tensor_release(x);
    moth_model_release(model);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "rings.safetensors";
    moth_tensor *x = NULL, *y = NULL;
    moth_model *model = NULL;
    double score[2]; /* loss, accuracy */

    ctx = moth_ctx_new();
    if (!ctx) {
        return 1;
    }
    moth_seed(ctx, 1);
    make_points(&x, &y);
    const moth_samples data = { 1, 1, &x, &y, NULL }; /* one input, one output, no weights */

    check(moth_sequential_new(ctx, "rings", &model));
    check(moth_model_add(ctx, model, "Dense", "{\"units\":32,\"activation\":\"relu\",\"input_shape\":[2]}"));
    check(moth_model_add(ctx, model, "Dense", "{\"units\":3,\"activation\":\"softmax\"}"));
    check(moth_model_compile(ctx, model,
                             "{\"optimizer\":{\"class\":\"Adam\",\"learning_rate\":0.01},"
                             "\"loss\":\"sparse_categorical_crossentropy\",\"metrics\":[\"accuracy\"]}"));
    printf("%lld weights\n", (long long)moth_model_count_params(model, NULL));
    check(moth_model_fit(ctx, model, &data, NULL, "{\"epochs\":30,\"validation_split\":0.2}", show, NULL));
    check(moth_model_evaluate(ctx, model, &data, NULL, 2, score));
    printf("%s %.3f, %s %.3f\n", moth_model_metric_name(model, 0), score[0], moth_model_metric_name(model, 1),
           score[1]);
    check(moth_model_save(ctx, model, path));
    ask(path); /* moth.load_model(path) in Lua reads it too */
    if (argc == 1) {
        remove(path);
    }

    moth_model_release(model);
    moth_tensor_release(x);
    moth_tensor_release(y);
    moth_ctx_free(ctx);
    return score[1] > 0.9 ? 0 : 1;
}
