/* Layers that make images larger without weights: ZeroPadding2D and UpSampling2D. */
#include <math.h>
#include <string.h>

#include "nn/layer_conv.h"

/* ---- ZeroPadding2D ---- */

/* Reads one side of the option, n or {n, m}. */
static bool read_sides(const moth_value *v, int64_t sides[2])
{
    bool list = moth_value_kind_of(v) == MOTH_LIST && moth_value_count(v) == 2;
    for (int k = 0; k < 2; k++) {
        const moth_value *item = list ? moth_value_at(v, k) : v;
        sides[k] = moth_value_as_int(item);
        if (moth_value_kind_of(item) != MOTH_INT || sides[k] < 0 || sides[k] > INT32_MAX) {
            return false;
        }
    }
    return true;
}

/* Top, bottom, left, right from n, {rows, columns} or {{top, bottom}, {left, right}}. */
static bool read_padding(const moth_layer *layer, int64_t sides[4])
{
    const moth_value *v = moth_value_get(layer->config, "padding");
    if (moth_value_kind_of(v) == MOTH_NIL) {
        sides[0] = sides[1] = sides[2] = sides[3] = 1;
        return true;
    }
    bool list = moth_value_kind_of(v) == MOTH_LIST && moth_value_count(v) == 2;
    return read_sides(list ? moth_value_at(v, 0) : v, sides) && read_sides(list ? moth_value_at(v, 1) : v, sides + 2);
}

static moth_status padding_setup(moth_layer *layer, moth_ctx *ctx)
{
    int64_t sides[4];
    return read_padding(layer, sides) ? MOTH_OK
                                      : moth_fail(ctx, MOTH_ERR_ARGUMENT,
                                                  "ZeroPadding2D: option 'padding' must be a number from 0, {rows, "
                                                  "columns} or {{top, bottom}, {left, right}}");
}

static moth_status padding_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    int64_t sides[4];
    moth_tensor *x = moth_channels_last(layer, pass, moth_emit_float(pass->scope, io->in[0]));
    read_padding(layer, sides);
    for (int d = 1; d <= 2 && x; d++) {
        moth_attrs attrs = { .i = { d, sides[2 * (d - 1)], 4 } };
        memcpy(attrs.i + 3, x->meta.shape, 4 * sizeof x->meta.shape[0]);
        attrs.i[3 + d] += sides[2 * (d - 1)] + sides[2 * (d - 1) + 1];
        x = MOTH_DO(pass->scope, pad_slice, &attrs, x);
    }
    io->out[0] = moth_channels_back(layer, pass, x);
    io->out_mask = NULL;
    return pass->scope->status;
}

static const moth_option padding_options[] = {
    { .name = "padding",
      .kind = MOTH_OPTION_ANY,
      .position = 1,
      .doc = "zeros around: a number (nil: 1), {rows, columns} or {{top, bottom}, {left, right}}" },
    MOTH_OPTION_DATA_FORMAT,
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_ZeroPadding2D = {
    .entry = { "ZeroPadding2D", "zeros around images", padding_options },
    .min_rank = 4,
    .max_rank = 4,
    .setup = padding_setup,
    .call = padding_call,
};

/* ---- UpSampling2D ---- */

/* Each row and column so many times. */
static moth_tensor *repeated(moth_pass *pass, moth_tensor *x, const int64_t size[2])
{
    const int64_t *s = x->meta.shape;
    int64_t apart[6] = { s[0], s[1], 1, s[2], 1, s[3] }, joined[4] = { s[0], s[1] * size[0], s[2] * size[1], s[3] };
    moth_attrs wide = { .i = { 6, s[0], s[1], size[0], s[2], size[1], s[3] } };
    x = MOTH_DO(pass->scope, expand, &wide, moth_emit_reshape(pass->scope, x, 6, apart));
    return moth_emit_reshape(pass->scope, x, 4, joined);
}

/* Weight of a pixel at distance t: a triangle, or Keys's cubic (1981). */
static double weight_at(bool cubic, double t)
{
    if (!cubic) {
        return t < 1 ? 1 - t : 0;
    }
    if (t >= 2) {
        return 0;
    }
    return t < 1 ? (1.5 * t - 2.5) * t * t + 1 : ((-0.5 * t + 2.5) * t - 4) * t + 2;
}

/* (n times, n): what each old pixel counts in each new one. Pixels are areas with their value in the middle; at the
 * edge, what is outside does not count. */
static moth_tensor *interpolation(moth_pass *pass, bool cubic, int64_t n, int64_t times)
{
    moth_tensor *t;
    if (pass->scope->status != MOTH_OK) {
        return NULL;
    }
    moth_status status = moth_tensor_new(pass->ctx, MOTH_FLOAT32, 2, (int64_t[]){ n * times, n }, &t);
    if (status != MOTH_OK) {
        moth_scope_fail(pass->scope, status);
        return NULL;
    }
    for (int64_t i = 0; i < n * times; i++) {
        double at = ((double)i + 0.5) / (double)times - 0.5, sum = 0;
        for (int64_t j = 0; j < n; j++) {
            sum += weight_at(cubic, fabs(at - (double)j));
        }
        for (int64_t j = 0; j < n; j++) {
            moth_tensor_set_element(t, i * n + j, weight_at(cubic, fabs(at - (double)j)) / sum);
        }
    }
    return moth_scope_own(pass->scope, t);
}

/* Along rows, then along columns: products with the matrices of weights. */
static moth_tensor *interpolated(moth_pass *pass, moth_tensor *x, const int64_t size[2], bool cubic)
{
    int64_t b = x->meta.shape[0], h = x->meta.shape[1], w = x->meta.shape[2], c = x->meta.shape[3];
    int64_t rows[3] = { b, h, w * c }, columns[3] = { b * h * size[0], w, c },
            image[4] = { b, h * size[0], w * size[1], c };
    x = moth_emit_reshape(pass->scope, x, 3, rows);
    x = MOTH_DO(pass->scope, matmul, NULL, interpolation(pass, cubic, h, size[0]), x);
    x = moth_emit_reshape(pass->scope, x, 3, columns);
    x = MOTH_DO(pass->scope, matmul, NULL, interpolation(pass, cubic, w, size[1]), x);
    return moth_emit_reshape(pass->scope, x, 4, image);
}

static moth_status sampling_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)
{
    int64_t size[2];
    const char *how = moth_config_string(layer->config, "interpolation");
    moth_config_ints(layer->config, "size", size, 2);
    moth_tensor *x = moth_channels_last(layer, pass, moth_emit_float(pass->scope, io->in[0]));
    MOTH_TRY(pass->scope->status);
    x = strcmp(how, "nearest") == 0 ? repeated(pass, x, size)
                                    : interpolated(pass, x, size, strcmp(how, "bicubic") == 0);
    io->out[0] = moth_channels_back(layer, pass, x);
    io->out_mask = NULL;
    return pass->scope->status;
}

static const moth_option sampling_options[] = {
    MOTH_OPTION_SIZES("size", "2 2", 1, 2, "how many times as many rows and columns"),
    MOTH_OPTION_DATA_FORMAT,
    { .name = "interpolation",
      .kind = MOTH_OPTION_STRING,
      .fallback = "nearest",
      .choices = "nearest bilinear bicubic",
      .doc = "what stands between pixels" },
    MOTH_OPTIONS_END,
};

const moth_layer_type moth_layer_UpSampling2D = {
    .entry = { "UpSampling2D", "images with more rows and columns", sampling_options },
    .min_rank = 4,
    .max_rank = 4,
    .call = sampling_call,
};
