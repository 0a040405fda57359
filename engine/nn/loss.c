/* Losses: per-sample values as Keras 3 defines them (losses.py): the last dim is averaged for element-wise losses and
 * summed for cross-entropies; what dims remain besides the batch are averaged. Where the predictions have a mask, the
 * mean is one over the steps of the whole batch that count.
 *
 * A cross-entropy of softmax or sigmoid outputs is fused with them: the gradient p - t needs no division by p. The
 * value is that of Keras, with p clipped to [1e-7, 1 - 1e-7]. */
#include "nn/loss.h"

#include <string.h>

#include "nn/emit.h"

typedef struct moth_loss {
    moth_entry entry;
    moth_tensor *(*emit)(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p);
    bool ids;   /* targets are class ids: one dim less than the predictions */
    bool signs; /* targets are -1 and 1; 0 and 1 are converted */
} moth_loss;

static const double EPSILON = 1e-7;

#define DO1(op, x) MOTH_DO(pass->scope, op, NULL, x)
#define DO2(op, a, b) MOTH_DO(pass->scope, op, NULL, a, b)

/* ---- element-wise losses ---- */

static moth_tensor *emit_mse(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    return moth_emit_mean_last(pass->scope, DO1(square, DO2(sub, p, t)));
}

static moth_tensor *emit_mae(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    return moth_emit_mean_last(pass->scope, DO1(abs, DO2(sub, p, t)));
}

static moth_tensor *emit_mape(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    moth_tensor *size = DO2(maximum, DO1(abs, t), moth_emit_constant(pass->scope, EPSILON));
    moth_tensor *relative = DO1(abs, DO2(div, DO2(sub, t, p), size));
    return moth_emit_scaled(pass->scope, moth_emit_mean_last(pass->scope, relative), 100);
}

static moth_tensor *log_plus_1(moth_pass *pass, moth_tensor *x)
{
    return DO1(log, moth_emit_shifted(pass->scope, DO2(maximum, x, moth_emit_constant(pass->scope, EPSILON)), 1));
}

static moth_tensor *emit_msle(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    return moth_emit_mean_last(pass->scope, DO1(square, DO2(sub, log_plus_1(pass, p), log_plus_1(pass, t))));
}

/* 0.5 e^2 within delta, else delta |e| - 0.5 delta^2 (Huber 1964) */
static moth_tensor *emit_huber(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    double delta = moth_config_number(config, "delta");
    moth_tensor *e = DO1(abs, DO2(sub, p, t)), *limit = moth_emit_constant(pass->scope, delta);
    moth_tensor *inside = moth_emit_scaled(pass->scope, DO1(square, e), 0.5);
    moth_tensor *outside =
        moth_emit_shifted(pass->scope, moth_emit_scaled(pass->scope, e, delta), -0.5 * delta * delta);
    return moth_emit_mean_last(pass->scope, MOTH_DO(pass->scope, where, NULL, DO2(le, e, limit), inside, outside));
}

/* log cosh e = e + softplus(-2e) - log 2 */
static moth_tensor *emit_log_cosh(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    moth_tensor *e = DO2(sub, p, t), *tail = DO1(softplus, moth_emit_scaled(pass->scope, e, -2));
    return moth_emit_mean_last(pass->scope, moth_emit_shifted(pass->scope, DO2(add, e, tail), -0.6931471805599453));
}

static moth_tensor *emit_poisson(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    moth_tensor *logs = DO1(log, moth_emit_shifted(pass->scope, p, EPSILON));
    return moth_emit_mean_last(pass->scope, DO2(sub, p, DO2(mul, t, logs)));
}

/* ---- hinges: targets -1 and 1 ---- */

static moth_tensor *emit_hinge(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    moth_tensor *margin = moth_emit_shifted(pass->scope, moth_emit_scaled(pass->scope, DO2(mul, t, p), -1), 1);
    return moth_emit_mean_last(pass->scope, DO1(relu, margin));
}

/* max(0, max over wrong classes - value of the right class + 1) */
static moth_tensor *emit_categorical_hinge(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    moth_tensor *right = moth_emit_sum_last(pass->scope, DO2(mul, t, p), false);
    moth_tensor *others = DO2(mul, moth_emit_shifted(pass->scope, moth_emit_scaled(pass->scope, t, -1), 1), p);
    moth_attrs last = { .i = { [MOTH_REDUCE_DIMS] = 1, [MOTH_REDUCE_DIMS + 1] = -1 } };
    moth_tensor *wrong = MOTH_DO(pass->scope, max, &last, others);
    return DO1(relu, moth_emit_shifted(pass->scope, DO2(sub, wrong, right), 1));
}

/* ---- distributions ---- */

static moth_tensor *clip_probabilities(moth_pass *pass, moth_tensor *p)
{
    return moth_emit_clamped(pass->scope, p, EPSILON, 1 - EPSILON);
}

static moth_tensor *emit_kl_divergence(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    t = moth_emit_clamped(pass->scope, t, EPSILON, 1);
    p = moth_emit_clamped(pass->scope, p, EPSILON, 1);
    return moth_emit_sum_last(pass->scope, DO2(mul, t, DO1(log, DO2(div, t, p))), false);
}

static moth_tensor *normalized(moth_pass *pass, moth_tensor *x)
{
    moth_tensor *norm = moth_emit_sum_last(pass->scope, DO1(square, x), true);
    return DO2(div, x, DO1(sqrt, DO2(maximum, norm, moth_emit_constant(pass->scope, 1e-12))));
}

static moth_tensor *emit_cosine(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    moth_tensor *dot = moth_emit_sum_last(pass->scope, DO2(mul, normalized(pass, t), normalized(pass, p)), false);
    return moth_emit_scaled(pass->scope, dot, -1);
}

/* What went into p if p is the result of this op (and, for softmax, over its last dim), else NULL. */
static moth_tensor *fused_input(moth_pass *pass, moth_tensor *p, moth_op_id id)
{
    if (!p || !p->node || p->node->op != moth_op_of(pass->ctx, id)) {
        return NULL;
    }
    moth_tensor *x = p->node->in[0];
    bool last = id != MOTH_OP_softmax || p->node->attrs.i[0] == p->meta.rank - 1;
    bool there = moth_tensor_is_symbolic(p) || (x && x->storage);
    return last && there ? x : NULL;
}

/* t (1 - s) + s / share */
static moth_tensor *smoothed(moth_pass *pass, const moth_value *config, moth_tensor *t, double share)
{
    double s = moth_config_number(config, "label_smoothing");
    return s == 0 ? t : moth_emit_shifted(pass->scope, moth_emit_scaled(pass->scope, t, 1 - s), s / share);
}

static moth_tensor *emit_binary(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    bool logits = moth_config_bool(config, "from_logits");
    moth_tensor *x = logits ? p : fused_input(pass, p, MOTH_OP_sigmoid);
    t = smoothed(pass, config, t, 2);
    if (x) {
        moth_attrs attrs = { .i = { logits } };
        return moth_emit_mean_last(pass->scope, MOTH_DO(pass->scope, sigmoid_cross_entropy, &attrs, x, t));
    }
    p = clip_probabilities(pass, p);
    moth_tensor *not_t = moth_emit_shifted(pass->scope, moth_emit_scaled(pass->scope, t, -1), 1);
    moth_tensor *not_p = moth_emit_shifted(pass->scope, moth_emit_scaled(pass->scope, p, -1), 1);
    moth_tensor *sum = DO2(add, DO2(mul, t, DO1(log, p)), DO2(mul, not_t, DO1(log, not_p)));
    return moth_emit_scaled(pass->scope, moth_emit_mean_last(pass->scope, sum), -1);
}

/* -sum t log p with p / sum p clipped; t: probabilities, or class ids */
static moth_tensor *cross_entropy(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    bool logits = moth_config_bool(config, "from_logits");
    moth_tensor *x = logits ? p : fused_input(pass, p, MOTH_OP_softmax);
    if (x) {
        return MOTH_DO(pass->scope, softmax_cross_entropy, &(moth_attrs){ .i = { logits } }, x, t);
    }
    if (p && t && t->meta.rank < p->meta.rank) {
        int64_t classes = p->meta.shape[p->meta.rank - 1];
        t = moth_emit_float(pass->scope, MOTH_DO(pass->scope, one_hot, &(moth_attrs){ .i = { classes } }, t));
    }
    p = clip_probabilities(pass, DO2(div, p, moth_emit_sum_last(pass->scope, p, true)));
    return moth_emit_scaled(pass->scope, moth_emit_sum_last(pass->scope, DO2(mul, t, DO1(log, p)), false), -1);
}

static moth_tensor *emit_categorical(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    double classes = p ? (double)p->meta.shape[p->meta.rank - 1] : 1;
    return cross_entropy(pass, config, smoothed(pass, config, t, classes), p);
}

/* ---- the table ---- */

static const moth_option huber_options[] = {
    { .name = "delta", .kind = MOTH_OPTION_NUMBER, .fallback = "1", .position = 1, .high = MOTH_NO_LIMIT },
    MOTH_OPTIONS_END,
};
#define FROM_LOGITS                                                                         \
    {                                                                                       \
        .name = "from_logits", .kind = MOTH_OPTION_BOOL, .fallback = "false", .position = 1 \
    }
static const moth_option entropy_options[] = {
    FROM_LOGITS,
    { .name = "label_smoothing", .kind = MOTH_OPTION_NUMBER, .fallback = "0", .position = 2, .low = 0, .high = 1 },
    MOTH_OPTIONS_END,
};
static const moth_option sparse_options[] = { FROM_LOGITS, MOTH_OPTIONS_END };

#define LOSS(symbol, name_, doc_, options_, emit_, ...) \
    static const moth_loss symbol = { .entry = { name_, doc_, options_ }, .emit = emit_, __VA_ARGS__ };

LOSS(mse, "mse", "mean of (p - t)^2", NULL, emit_mse, .ids = false)
LOSS(mae, "mae", "mean of |p - t|", NULL, emit_mae, .ids = false)
LOSS(mape, "mape", "100 mean of |p - t| / |t|", NULL, emit_mape, .ids = false)
LOSS(msle, "msle", "mean of (log(p + 1) - log(t + 1))^2", NULL, emit_msle, .ids = false)
LOSS(huber, "huber", "square near 0, linear beyond delta", huber_options, emit_huber, .ids = false)
LOSS(log_cosh, "log_cosh", "mean of log cosh(p - t)", NULL, emit_log_cosh, .ids = false)
LOSS(binary, "binary_crossentropy", "-t log p - (1 - t) log(1 - p)", entropy_options, emit_binary, .ids = false)
LOSS(categorical, "categorical_crossentropy", "-sum t log p, t one-hot", entropy_options, emit_categorical,
     .ids = false)
LOSS(sparse, "sparse_categorical_crossentropy", "-log p of the class that t names", sparse_options, cross_entropy,
     .ids = true)
LOSS(kl, "kl_divergence", "sum of t log(t / p)", NULL, emit_kl_divergence, .ids = false)
LOSS(hinge, "hinge", "mean of max(0, 1 - t p)", NULL, emit_hinge, .signs = true)
LOSS(categorical_hinge, "categorical_hinge", "max(0, best wrong - right + 1)", NULL, emit_categorical_hinge,
     .ids = false)
LOSS(poisson, "poisson", "mean of p - t log p", NULL, emit_poisson, .ids = false)
LOSS(cosine, "cosine_similarity", "minus the cosine of the angle", NULL, emit_cosine, .ids = false)

static const moth_entry *const entries[] = {
    &mse.entry,     &mae.entry,         &mape.entry,   &msle.entry, &huber.entry, &log_cosh.entry,
    &binary.entry,  &categorical.entry, &sparse.entry, &kl.entry,   &hinge.entry, &categorical_hinge.entry,
    &poisson.entry, &cosine.entry,      NULL,
};
static const char *const aliases[] = {
    "mean_squared_error",
    "mse",
    "mean_absolute_error",
    "mae",
    "mean_absolute_percentage_error",
    "mape",
    "mean_squared_logarithmic_error",
    "msle",
    "bce",
    "binary_crossentropy",
    "kld",
    "kl_divergence",
    NULL,
};
const moth_kind moth_losses = { "loss", "losses", entries, aliases, false, NULL };

/* ---- shapes ---- */

static moth_tensor *without_last(moth_pass *pass, moth_tensor *x)
{
    return moth_emit_reshape(pass->scope, x, x->meta.rank - 1, x->meta.shape);
}

static bool shapes_agree(const moth_tensor *a, const moth_tensor *b, int dims)
{
    for (int d = 1; d < dims; d++) {
        if (a->meta.shape[d] != b->meta.shape[d]) {
            return false;
        }
    }
    return true;
}

static moth_status fail_shapes(moth_pass *pass, const char *name, const moth_tensor *t, const moth_tensor *p,
                               const char *hint)
{
    char a[128], b[128];
    return moth_fail(pass->ctx, MOTH_ERR_SHAPE, "%s: targets %s do not fit predictions %s%s", name,
                     moth_meta_text(&t->meta, a, sizeof a), moth_meta_text(&p->meta, b, sizeof b), hint);
}

/* Keras's rank rule: where ranks differ by one and the longer one's last dim is 1, that dim goes. */
static moth_status fit_targets(moth_pass *pass, const moth_loss *loss, moth_tensor **t, moth_tensor **p)
{
    int rank = (*p)->meta.rank, want = loss->ids ? rank - 1 : rank;
    if (*t && (*t)->meta.rank == want + 1 && (*t)->meta.shape[want] == 1) {
        *t = without_last(pass, *t);
    } else if (!loss->ids && (*t)->meta.rank == rank - 1 && rank > 0 && (*p)->meta.shape[rank - 1] == 1) {
        int64_t shape[MOTH_MAX_RANK];
        memcpy(shape, (*p)->meta.shape, sizeof shape);
        *t = moth_emit_reshape(pass->scope, *t, rank, shape);
    }
    MOTH_TRY(pass->scope->status);
    if ((*t)->meta.rank != want || !shapes_agree(*t, *p, want)) {
        bool classes = rank > 1 && (*p)->meta.shape[rank - 1] > 1;
        const char *hint = "";
        if (loss->ids) {
            hint = "; expected one class id for each prediction (one-hot targets go with categorical_crossentropy)";
        } else if (classes && (*t)->meta.rank == rank - 1) {
            hint = "; class ids go with sparse_categorical_crossentropy, or through moth.one_hot";
        }
        return fail_shapes(pass, loss->entry.name, *t, *p, hint);
    }
    return MOTH_OK;
}

/* {0, 1} become {-1, 1}; {-1, 1} stay: 2 t - 1 where no target is negative. Decided for each element, as a whole batch
 * of ones says nothing: 0 becomes -1, everything else keeps its value. */
static moth_tensor *to_signs(moth_pass *pass, moth_tensor *t)
{
    moth_tensor *zero = moth_emit_constant(pass->scope, 0), *minus = moth_emit_constant(pass->scope, -1);
    return MOTH_DO(pass->scope, where, NULL, DO2(eq, t, zero), minus, t);
}

static moth_status call_user(moth_pass *pass, const moth_value *spec, moth_tensor *t, moth_tensor *p, moth_tensor **out)
{
    int n = 0;
    moth_tensor *in[2] = { t, p }, *y = NULL;
    MOTH_TRY(moth_call_function(pass, moth_value_as_function(spec), 2, in, 1, &y, &n));
    if (n != 1 || !y || y->meta.dtype != MOTH_FLOAT32) {
        return moth_fail(pass->ctx, MOTH_ERR_ARGUMENT, "a loss function must return one float tensor");
    }
    if (y->meta.rank > 0 && y->meta.shape[0] != p->meta.shape[0]) {
        return fail_shapes(pass, "loss function", y, p, "; it must give a value for each sample, or one number");
    }
    *out = moth_mean_rows(pass, y);
    return pass->scope->status;
}

/* ---- masks ---- */

/* Does the mask have a place for each step of these values, (batch, time, …)? */
static bool mask_fits(const moth_pass *pass, const moth_tensor *values)
{
    const moth_tensor *mask = pass->mask;
    return mask && values && values->meta.rank >= 2 && values->meta.shape[0] == mask->meta.shape[0] &&
           values->meta.shape[1] == mask->meta.shape[1];
}

moth_tensor *moth_mean_rows(moth_pass *pass, moth_tensor *values)
{
    if (!mask_fits(pass, values)) {
        return moth_emit_mean_rows(pass->scope, values);
    }
    moth_attrs rest = { .i = { [MOTH_REDUCE_DIMS] = values->meta.rank - 2 } };
    for (int d = 2; d < values->meta.rank; d++) {
        rest.i[MOTH_REDUCE_DIMS + d - 1] = d;
    }
    values = values->meta.rank > 2 ? MOTH_DO(pass->scope, mean, &rest, values) : values;
    values = MOTH_DO(pass->scope, where, NULL, pass->mask, values, moth_emit_constant(pass->scope, 0));
    return moth_emit_mean_last(pass->scope, values);
}

moth_status moth_loss_rows(moth_pass *pass, const moth_value *spec, moth_tensor *y_true, moth_tensor *y_pred,
                           moth_tensor **out)
{
    moth_scope *scope = pass->scope;
    MOTH_TRY(moth_loss_mean_rows(pass, spec, y_true, y_pred, out));
    if (pass->mask && *out && (*out)->meta.rank == 1) {
        moth_tensor *valid = DO2(maximum, moth_emit_sum(scope, moth_emit_float(scope, pass->mask)),
                                 moth_emit_constant(scope, 1)); /* none: 0 of 1 */
        moth_tensor *steps = moth_emit_scaled(scope, MOTH_DO(scope, size, &(moth_attrs){ .i = { 0 } }, pass->mask),
                                              (double)pass->mask->meta.shape[1]);
        *out = DO2(mul, *out, DO2(div, steps, valid));
    }
    return scope->status;
}

moth_status moth_loss_mean_rows(moth_pass *pass, const moth_value *spec, moth_tensor *y_true, moth_tensor *y_pred,
                                moth_tensor **out)
{
    MOTH_TRY(pass->scope->status);
    if (moth_value_kind_of(spec) == MOTH_FUNCTION) {
        return call_user(pass, spec, y_true, y_pred, out);
    }
    const moth_loss *loss = (const moth_loss *)(const void *)moth_spec_entry(&moth_losses, spec);
    moth_tensor *t = y_true, *p = y_pred;
    MOTH_TRY(fit_targets(pass, loss, &t, &p));
    t = loss->ids ? moth_emit_ids(pass->scope, t) : moth_emit_float(pass->scope, t);
    if (loss->signs) {
        t = to_signs(pass, t);
    }
    *out = moth_mean_rows(pass, loss->emit(pass, spec, t, p));
    return pass->scope->status;
}
