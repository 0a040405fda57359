/* Recurrent layers: the input side of all steps is one product, the steps themselves are one op. Gate order, biases and
 * defaults are Keras 3's (layers/rnn). */
#include <string.h>

#include "core/random.h"
#include "nn/layer_options.h"
#include "ops/recurrent_codes.h"

/* Activations that the ops compute inside, by name. */
static const struct {
    const char *name;
    int code;
} codes[] = {
    { "tanh", MOTH_RECURRENT_TANH },
    { "sigmoid", MOTH_RECURRENT_SIGMOID },
    { "relu", MOTH_RECURRENT_RELU },
    { "hard_sigmoid", MOTH_RECURRENT_HARD_SIGMOID },
    { "linear", MOTH_RECURRENT_LINEAR },
    { "softsign", MOTH_RECURRENT_SOFTSIGN },
    { "elu", MOTH_RECURRENT_ELU },
    { "selu", MOTH_RECURRENT_SELU },
    { "exponential", MOTH_RECURRENT_EXPONENTIAL },
};

static int code_of(const moth_layer *layer, const char *option)
{
    const char *name = moth_spec_name(moth_value_get(layer->config, option));
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(codes[i].name, name) == 0) {
            return codes[i].code;
        }
    }
    return -1;
}

static moth_status check_activation(const moth_layer *layer, moth_ctx *ctx, const char *option)
{
    if (code_of(layer, option) >= 0) {
        return MOTH_OK;
    }
    return moth_fail(ctx, MOTH_ERR_ARGUMENT,
                     "%s: option '%s' must be one of tanh, sigmoid, relu, hard_sigmoid, linear, "
                     "softsign, elu, selu and exponential; got %s",
                     layer->type->entry.name, option, moth_spec_name(moth_value_get(layer->config, option)));
}

/* What distinguishes the kinds of cells. */
typedef struct cell {
    moth_op_id op;
    int gates, states;
    bool recurrent_activation;
    bool second_bias; /* the recurrent side has a bias of its own */
} cell;

static const cell rnn_cell = { MOTH_OP_simple_rnn, 1, 1, false, false };
static const cell lstm_cell = { MOTH_OP_lstm, 4, 2, true, false };
static const cell gru_cells[2] = { { MOTH_OP_gru_before, 3, 1, true, false }, { MOTH_OP_gru, 3, 1, true, true } };

/* Options of Keras's that change what is computed, and that the ops do not know. */
static moth_status check_unsupported(const moth_layer *layer, moth_ctx *ctx)
{
    const char *type = layer->type->entry.name;
    if (moth_config_bool(layer->config, "stateful")) {
        return moth_fail(ctx, MOTH_ERR_UNSUPPORTED,
                         "%s: option 'stateful' must be false: states do not outlive a batch; return_state gives them, "
                         "and layer { x, state } starts from them",
                         type);
    }
    return MOTH_OK;
}

static moth_status cell_setup(moth_layer *layer, moth_ctx *ctx, const cell *c)
{
    MOTH_TRY(check_unsupported(layer, ctx));
    MOTH_TRY(check_activation(layer, ctx, "activation"));
    return c->recurrent_activation ? check_activation(layer, ctx, "recurrent_activation") : MOTH_OK;
}

static moth_status add_bias(moth_layer *layer, moth_ctx *ctx, const cell *c, const moth_value *initializer)
{
    int64_t width = c->gates * moth_config_int(layer->config, "units");
    moth_variable_spec spec = {
        .name = "bias",
        .rank = c->second_bias ? 2 : 1,
        .shape = { c->second_bias ? 2 : width, width },
        .initializer = initializer ? initializer : moth_value_get(layer->config, "bias_initializer"),
        .regularizer = moth_value_get(layer->config, "bias_regularizer"),
        .constraint = moth_value_get(layer->config, "bias_constraint"),
    };
    return moth_config_bool(layer->config, "use_bias") ? moth_layer_add_variable(layer, ctx, &spec, NULL) : MOTH_OK;
}

static moth_status cell_build(moth_layer *layer, moth_ctx *ctx, const moth_meta *x, const cell *c)
{
    int64_t units = moth_config_int(layer->config, "units"), width = c->gates * units;
    moth_variable_spec recurrent = {
        .name = "recurrent_kernel",
        .rank = 2,
        .shape = { units, width },
        .initializer = moth_value_get(layer->config, "recurrent_initializer"),
        .regularizer = moth_value_get(layer->config, "recurrent_regularizer"),
        .constraint = moth_value_get(layer->config, "recurrent_constraint"),
    };
    MOTH_TRY(moth_layer_expect(ctx, x, 3, (int64_t[]){ -1, -1, -1 }));
    MOTH_TRY(moth_layer_add_weight(layer, ctx, "kernel", 2, (int64_t[]){ x->shape[2], width }));
    return moth_layer_add_variable(layer, ctx, &recurrent, NULL);
}

/* x with values of features set to 0, the same ones at every step (Gal and Ghahramani 2016). */
static moth_tensor *drop_features(moth_layer *layer, moth_pass *pass, uint64_t stream, moth_tensor *x)
{
    double rate = moth_config_number(layer->config, "dropout");
    if (!pass->training || rate == 0 || !x) {
        return x;
    }
    moth_attrs first = { .i = { 1, 0, 1 } }; /* slice: dim, from, to */
    moth_tensor *one =
        MOTH_DO(pass->scope, ge, NULL, MOTH_DO(pass->scope, slice, &first, x), MOTH_DO(pass->scope, slice, &first, x));
    moth_attrs attrs = { .i = { (int64_t)stream }, .f = { rate } };
    return MOTH_DO(pass->scope, mul, NULL, x, MOTH_DO(pass->scope, dropout, &attrs, moth_emit_float(pass->scope, one)));
}

static moth_tensor *times_kernel(moth_pass *pass, moth_tensor *x, moth_tensor *kernel, moth_tensor *bias)
{
    return bias ? MOTH_DO(pass->scope, linear, NULL, x, kernel, bias) : MOTH_DO(pass->scope, linear, NULL, x, kernel);
}

/* What the input adds to all gates, at all steps. Where states are dropped too, each gate drops features of its own:
 * that is how Keras computes then. */
static moth_tensor *input_side(moth_layer *layer, moth_pass *pass, const moth_layer_io *io, const cell *c,
                               moth_tensor *kernel, moth_tensor *bias)
{
    moth_tensor *x = moth_emit_float(pass->scope, io->in[0]), *part[4];
    uint64_t stream = moth_stream(layer->stream, "dropout", (uint64_t)io->use);
    bool one_for_all = !pass->training || moth_config_number(layer->config, "dropout") == 0 ||
                       moth_config_number(layer->config, "recurrent_dropout") == 0 || c->gates == 1;
    if (one_for_all) {
        return times_kernel(pass, drop_features(layer, pass, stream, x), kernel, bias);
    }
    int64_t units = moth_config_int(layer->config, "units");
    for (int k = 0; k < c->gates; k++) {
        moth_attrs block = { .i = { 1, k * units, (k + 1) * units } }, of_bias = { .i = { 0, block.i[1], block.i[2] } };
        moth_tensor *dropped = drop_features(layer, pass, moth_stream(stream, "gate", (uint64_t)k), x);
        part[k] = times_kernel(pass, dropped, MOTH_DO(pass->scope, slice, &block, kernel),
                               bias ? MOTH_DO(pass->scope, slice, &of_bias, bias) : NULL);
    }
    return moth_emit_op(pass->scope, moth_op_of(pass->ctx, MOTH_OP_cat), &(moth_attrs){ .i = { 2 } }, c->gates, part);
}

static moth_tensor *step_of(moth_pass *pass, moth_tensor *sequence, int64_t t)
{
    if (!sequence) {
        return NULL;
    }
    moth_attrs attrs = { .i = { 1, t, t + 1 } };
    moth_tensor *one = MOTH_DO(pass->scope, slice, &attrs, sequence);
    int64_t shape[2] = { sequence->meta.shape[0], sequence->meta.shape[2] };
    return moth_emit_reshape(pass->scope, one, 2, shape);
}

/* Which states go into the product of which gate, the same ones at every step: bytes (rows, gates units). z gives the
 * shape only. NULL: all of them. */
static moth_tensor *kept_states(moth_layer *layer, moth_pass *pass, const moth_layer_io *io, moth_tensor *z)
{
    double rate = moth_config_number(layer->config, "recurrent_dropout");
    moth_tensor *like = pass->training && rate > 0 ? step_of(pass, z, 0) : NULL, *out[2];
    if (!like) {
        return NULL;
    }
    uint64_t stream = moth_stream(layer->stream, "recurrent_dropout", (uint64_t)io->use);
    moth_attrs attrs = { .i = { (int64_t)stream }, .f = { rate } };
    bool made = pass->scope->emit(pass->scope, moth_op_of(pass->ctx, MOTH_OP_dropout), &attrs, 1, &like, out);
    return made ? out[1] : NULL;
}

/* Runs the op; out[0] is y of all steps where they stand in time, out[1] of an LSTM its second state. */
static moth_status run_op(moth_layer *layer, moth_pass *pass, const moth_layer_io *io, const cell *c, moth_tensor *z,
                          moth_tensor *bias, moth_tensor **out)
{
    moth_tensor *in[8] = { z, moth_layer_find(layer, "recurrent_kernel") };
    int n = 2;
    for (int k = 0; k < c->states; k++) {
        in[n++] = io->n_in > 1 + k ? io->in[1 + k] : NULL;
    }
    in[n++] = io->mask[0];
    if (c->second_bias) {
        in[n++] = bias;
    }
    in[n++] = kept_states(layer, pass, io, z);
    while (n > 2 && !in[n - 1]) {
        n--;
    }
    moth_attrs attrs = { .f = { [MOTH_CELL_RATE] = moth_config_number(layer->config, "recurrent_dropout") } };
    attrs.i[MOTH_CELL_ACTIVATION] = code_of(layer, "activation");
    attrs.i[MOTH_CELL_RECURRENT_ACTIVATION] = c->recurrent_activation ? code_of(layer, "recurrent_activation") : 0;
    attrs.i[MOTH_CELL_REVERSE] = moth_config_bool(layer->config, "go_backwards");
    if (pass->scope->status == MOTH_OK) {
        pass->scope->emit(pass->scope, moth_op_of(pass->ctx, c->op), &attrs, n, in, out);
    }
    return pass->scope->status;
}

/* Row k of a bias of two rows. */
static moth_tensor *bias_row(moth_pass *pass, moth_tensor *bias, int64_t k)
{
    moth_attrs attrs = { .i = { 0, k, k + 1 } };
    return moth_emit_reshape(pass->scope, MOTH_DO(pass->scope, slice, &attrs, bias), 1, &bias->meta.shape[1]);
}

static moth_status check_states(moth_layer *layer, moth_pass *pass, const moth_layer_io *io, const cell *c)
{
    int64_t shape[2] = { -1, moth_config_int(layer->config, "units") };
    MOTH_TRY(moth_layer_expect(pass->ctx, &io->in[0]->meta, 3, (int64_t[]){ -1, -1, layer->built_for.shape[2] }));
    if (io->n_in != 1 && io->n_in != 1 + c->states) {
        return moth_fail(pass->ctx, MOTH_ERR_ARGUMENT, "takes x, or x and %d initial state%s, got %d tensors",
                         c->states, c->states == 1 ? "" : "s", io->n_in);
    }
    for (int k = 1; k < io->n_in; k++) {
        MOTH_TRY(moth_layer_expect(pass->ctx, &io->in[k]->meta, 2, shape));
    }
    return MOTH_OK;
}

static moth_status give(moth_layer *layer, moth_pass *pass, moth_layer_io *io, const cell *c, moth_tensor **y)
{
    bool backwards = moth_config_bool(layer->config, "go_backwards");
    int64_t last = backwards ? 0 : y[0]->meta.shape[1] - 1;
    moth_tensor *end = step_of(pass, y[0], last);
    bool sequences = moth_config_bool(layer->config, "return_sequences");
    io->out[0] = end;
    if (sequences) { /* in the order in which the steps were made, as Keras gives them */
        io->out[0] = backwards ? MOTH_DO(pass->scope, flip, &(moth_attrs){ .i = { 1 } }, y[0]) : y[0];
    }
    io->out_mask = sequences ? io->mask[0] : NULL;
    if (moth_config_bool(layer->config, "return_state")) {
        io->out[1] = end;
        io->out[2] = c->states > 1 ? step_of(pass, y[1], last) : NULL;
        io->n_out = 1 + c->states;
    }
    moth_layer_penalize(layer, pass, io->out[0]);
    return pass->scope->status;
}

static moth_status cell_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io, const cell *c)
{
    MOTH_TRY(check_states(layer, pass, io, c));
    moth_tensor *kernel = moth_layer_find(layer, "kernel"), *bias = moth_layer_find(layer, "bias");
    moth_tensor *inner = bias && c->second_bias ? bias_row(pass, bias, 1) : NULL;
    bias = inner ? bias_row(pass, bias, 0) : bias;
    moth_tensor *z = input_side(layer, pass, io, c, kernel, bias);
    moth_tensor *out[MOTH_MAX_LAYER_OUTPUTS] = { NULL };
    MOTH_TRY(run_op(layer, pass, io, c, z, inner, out));
    return give(layer, pass, io, c, out);
}

/* ---- options ---- */

#define FLAG(name_, doc_)                                                         \
    {                                                                             \
        .name = name_, .kind = MOTH_OPTION_BOOL, .fallback = "false", .doc = doc_ \
    }
#define RECURRENT_OPTIONS                                                                                            \
    MOTH_OPTION_USE_BIAS, MOTH_OPTION_INITIALIZER("kernel_initializer", "glorot_uniform"),                           \
        MOTH_OPTION_INITIALIZER("recurrent_initializer", "orthogonal"),                                              \
        MOTH_OPTION_INITIALIZER("bias_initializer", "zeros"), MOTH_OPTION_REGULARIZER("kernel_regularizer"),         \
        MOTH_OPTION_REGULARIZER("recurrent_regularizer"), MOTH_OPTION_REGULARIZER("bias_regularizer"),               \
        MOTH_OPTION_REGULARIZER("activity_regularizer"), MOTH_OPTION_CONSTRAINT("kernel_constraint"),                \
        MOTH_OPTION_CONSTRAINT("recurrent_constraint"), MOTH_OPTION_CONSTRAINT("bias_constraint"),                   \
        { .name = "dropout",                                                                                         \
          .kind = MOTH_OPTION_NUMBER,                                                                                \
          .fallback = "0",                                                                                           \
          .low = 0,                                                                                                  \
          .high = 1,                                                                                                 \
          .doc = "share of input features that are dropped, the same at every step" },                               \
        { .name = "recurrent_dropout",                                                                               \
          .kind = MOTH_OPTION_NUMBER,                                                                                \
          .fallback = "0",                                                                                           \
          .low = 0,                                                                                                  \
          .high = 1,                                                                                                 \
          .doc = "share of states that are dropped before the recurrent product, the same at every step" },          \
        FLAG("return_sequences", "give the output of every step"), FLAG("return_state", "give the last states too"), \
        FLAG("go_backwards", "from the last step to the first"), FLAG("stateful", "not supported: false"),           \
        FLAG("unroll", "changes nothing here"), MOTH_OPTIONS_END
#define UNITS                                                                                         \
    {                                                                                                 \
        .name = "units", .kind = MOTH_OPTION_INT, .fallback = MOTH_REQUIRED, .position = 1, .low = 1, \
        .high = MOTH_NO_LIMIT, .doc = "size of the state"                                             \
    }
#define INNER(name_, fallback_, place)                                                                               \
    {                                                                                                                \
        .name = name_, .kind = MOTH_OPTION_SPEC, .spec = &moth_activations, .fallback = fallback_, .position = place \
    }

/* ---- the kinds ---- */

/* Jozefowicz et al. 2015: a forget gate that starts open learns long spans sooner. */
static moth_status lstm_bias(moth_layer *layer, moth_ctx *ctx)
{
    moth_value *forget = moth_value_map();
    if (!moth_value_set(forget, "class", moth_value_string("unit_forget", 11))) {
        moth_value_free(forget);
        return moth_fail_memory(ctx, 64);
    }
    bool open = moth_config_bool(layer->config, "unit_forget_bias");
    moth_status status = add_bias(layer, ctx, &lstm_cell, open ? forget : NULL);
    moth_value_free(forget);
    return status;
}

static const cell *rnn_of(const moth_layer *layer)
{
    (void)layer;
    return &rnn_cell;
}

static const cell *lstm_of(const moth_layer *layer)
{
    (void)layer;
    return &lstm_cell;
}

static const cell *gru_of(const moth_layer *layer)
{
    return &gru_cells[moth_config_bool(layer->config, "reset_after")];
}

#define CELL(name, cell_of, ...)                                                                            \
    static moth_status name##_setup(moth_layer *layer, moth_ctx *ctx)                                       \
    {                                                                                                       \
        return cell_setup(layer, ctx, cell_of(layer));                                                      \
    }                                                                                                       \
    static moth_status name##_build(moth_layer *layer, moth_ctx *ctx, int n_in, const moth_meta *const *in) \
    {                                                                                                       \
        (void)n_in;                                                                                         \
        MOTH_TRY(cell_build(layer, ctx, in[0], cell_of(layer)));                                            \
        return __VA_ARGS__;                                                                                 \
    }                                                                                                       \
    static moth_status name##_call(moth_layer *layer, moth_pass *pass, moth_layer_io *io)                   \
    {                                                                                                       \
        return cell_call(layer, pass, io, cell_of(layer));                                                  \
    }

CELL(rnn, rnn_of, add_bias(layer, ctx, &rnn_cell, NULL))
CELL(lstm, lstm_of, lstm_bias(layer, ctx))
CELL(gru, gru_of, add_bias(layer, ctx, gru_of(layer), NULL))

static const moth_option rnn_options[] = { UNITS, INNER("activation", "tanh", 2), RECURRENT_OPTIONS };
static const moth_option lstm_options[] = {
    UNITS,
    INNER("activation", "tanh", 2),
    INNER("recurrent_activation", "sigmoid", 3),
    { .name = "unit_forget_bias", .kind = MOTH_OPTION_BOOL, .fallback = "true", .doc = "bias of the forget gate is 1" },
    RECURRENT_OPTIONS,
};
static const moth_option gru_options[] = {
    UNITS,
    INNER("activation", "tanh", 2),
    INNER("recurrent_activation", "sigmoid", 3),
    { .name = "reset_after",
      .kind = MOTH_OPTION_BOOL,
      .fallback = "true",
      .doc = "the reset gate acts after the product, as in cuDNN" },
    RECURRENT_OPTIONS,
};

const moth_layer_type moth_layer_SimpleRNN = {
    .entry = { "SimpleRNN", "y = activation(x kernel + y recurrent_kernel + bias), step by step", rnn_options },
    .min_in = 1,
    .max_in = 2,
    .setup = rnn_setup,
    .build = rnn_build,
    .call = rnn_call,
};
const moth_layer_type moth_layer_LSTM = {
    .entry = { "LSTM", "long short-term memory (Hochreiter, Schmidhuber 1997)", lstm_options },
    .min_in = 1,
    .max_in = 3,
    .setup = lstm_setup,
    .build = lstm_build,
    .call = lstm_call,
};
const moth_layer_type moth_layer_GRU = {
    .entry = { "GRU", "gated recurrent unit (Cho et al. 2014)", gru_options },
    .min_in = 1,
    .max_in = 2,
    .setup = gru_setup,
    .build = gru_build,
    .call = gru_call,
};
