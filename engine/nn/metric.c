/* Metrics: a row of numbers for each sample, summed over an epoch, and what the sums mean. So values are exact over
 * batches of unequal size. Definitions: Keras 3 (metrics/). */
#include <math.h>
#include <string.h>

#include "nn/emit.h"
#include "nn/loss.h"

#define DO1(op, x) MOTH_DO(pass->scope, op, NULL, x)
#define DO2(op, a, b) MOTH_DO(pass->scope, op, NULL, a, b)

static const moth_attrs last_dim = { .i = { [MOTH_REDUCE_DIMS] = 1, [MOTH_REDUCE_DIMS + 1] = -1 } };

/* Of rows, or of what a second state counts (steps that a mask leaves). */
static double mean_value(const moth_value *config, const double *states, int64_t n_states, double rows)
{
    double n = n_states > 1 ? states[1] : rows;
    (void)config;
    return n > 0 ? states[0] / n : 0;
}

static double ratio(double a, double b)
{
    return a + b > 0 ? a / (a + b) : 0;
}

/* ---- helpers ---- */

static moth_tensor *as_float(moth_pass *pass, moth_tensor *x)
{
    return moth_emit_float(pass->scope, x);
}

static int64_t last_size(const moth_tensor *x)
{
    return x && x->meta.rank > 0 ? x->meta.shape[x->meta.rank - 1] : 1;
}

/* Targets as class ids of one dim less than p: from one-hot rows, (…, 1) or as they are. */
static moth_tensor *ids_of(moth_pass *pass, moth_tensor *t, const moth_tensor *p)
{
    if (!t || !p || t->meta.rank < p->meta.rank) {
        return t;
    }
    if (last_size(t) == 1) {
        return moth_emit_reshape(pass->scope, t, t->meta.rank - 1, t->meta.shape);
    }
    return MOTH_DO(pass->scope, argmax, &last_dim, t);
}

/* Targets as one-hot (or 0/1) floats of p's shape. */
static moth_tensor *cells_of(moth_pass *pass, moth_tensor *t, const moth_tensor *p)
{
    if (!t || !p) {
        return NULL;
    }
    int64_t classes = last_size(p);
    if (classes > 1 && (t->meta.rank < p->meta.rank || last_size(t) == 1)) {
        moth_tensor *ids = moth_emit_ids(pass->scope, ids_of(pass, t, p));
        return as_float(pass, MOTH_DO(pass->scope, one_hot, &(moth_attrs){ .i = { classes } }, ids));
    }
    if (t->meta.rank < p->meta.rank) {
        t = moth_emit_reshape(pass->scope, t, p->meta.rank, p->meta.shape);
    }
    return as_float(pass, t);
}

/* (B, …) -> (B, n) with n = product of the rest */
static moth_tensor *flat_rows(moth_pass *pass, moth_tensor *x)
{
    if (!x) {
        return NULL;
    }
    int64_t n = 1;
    for (int d = 1; d < x->meta.rank; d++) {
        n *= x->meta.shape[d];
    }
    return moth_emit_reshape(pass->scope, x, 2, (int64_t[]){ x->meta.rank ? x->meta.shape[0] : 1, n });
}

/* Columns (B) of counts side by side: (B, n). */
static moth_tensor *columns(moth_pass *pass, int n, moth_tensor *const *parts)
{
    moth_tensor *cells[4];
    for (int k = 0; k < n; k++) {
        moth_tensor *part = parts[k];
        cells[k] = part ? moth_emit_reshape(pass->scope, part, 2, (int64_t[]){ part->meta.shape[0], 1 }) : NULL;
    }
    return moth_emit_op(pass->scope, moth_op_of(pass->ctx, MOTH_OP_cat), &(moth_attrs){ .i = { 1 } }, n, cells);
}

static moth_tensor *above(moth_pass *pass, moth_tensor *p, double threshold)
{
    return as_float(pass, DO2(gt, p, moth_emit_constant(pass->scope, threshold)));
}

static moth_tensor *complement(moth_pass *pass, moth_tensor *x)
{
    return moth_emit_shifted(pass->scope, moth_emit_scaled(pass->scope, x, -1), 1);
}

/* ---- accuracies ---- */

static moth_tensor *emit_binary(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    moth_tensor *guess = above(pass, p, moth_config_number(config, "threshold"));
    return moth_mean_rows(pass, as_float(pass, DO2(eq, cells_of(pass, t, p), guess)));
}

static moth_tensor *emit_categorical(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    moth_tensor *hit = DO2(eq, ids_of(pass, t, p), MOTH_DO(pass->scope, argmax, &last_dim, p));
    return moth_mean_rows(pass, as_float(pass, hit));
}

/* Keras 3: one output -> binary; targets of lower rank or (…, 1) -> ids; else one-hot. Both latter are "same id". */
static moth_tensor *emit_accuracy(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    if (last_size(p) == 1) {
        return moth_mean_rows(pass, as_float(pass, DO2(eq, cells_of(pass, t, p), above(pass, p, 0.5))));
    }
    return emit_categorical(pass, config, t, p);
}

/* Is the right class among the k largest: fewer than k predictions are larger than its own. */
static moth_tensor *emit_top_k(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    moth_tensor *right = moth_emit_sum_last(pass->scope, DO2(mul, cells_of(pass, t, p), p), true);
    moth_tensor *larger = moth_emit_sum_last(pass->scope, as_float(pass, DO2(gt, p, right)), false);
    moth_tensor *k = moth_emit_constant(pass->scope, moth_config_number(config, "k"));
    return moth_mean_rows(pass, as_float(pass, DO2(lt, larger, k)));
}

/* ---- losses under another name or sign ---- */

static moth_tensor *emit_loss(moth_pass *pass, const char *name, moth_tensor *t, moth_tensor *p)
{
    moth_value *given = moth_value_string(name, strlen(name)), *spec = NULL;
    moth_tensor *loss = NULL;
    moth_status status = given ? moth_spec_normalize(pass->ctx, &moth_losses, given, &spec) : MOTH_ERR_MEMORY;
    if (status == MOTH_OK) {
        status = moth_loss_mean_rows(pass, spec, t, p, &loss);
    }
    moth_value_free(given);
    moth_value_free(spec);
    if (status != MOTH_OK) {
        moth_scope_fail(pass->scope, status);
        return NULL;
    }
    return loss;
}

/* The loss of this name is minus this. */
static moth_tensor *emit_cosine(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    return moth_emit_scaled(pass->scope, emit_loss(pass, "cosine_similarity", t, p), -1);
}

/* By shapes as accuracy. */
static moth_tensor *emit_crossentropy(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    bool ids = t && p && (t->meta.rank < p->meta.rank || last_size(t) == 1);
    return emit_loss(pass,
                     last_size(p) == 1 ? "binary_crossentropy"
                     : ids             ? "sparse_categorical_crossentropy"
                                       : "categorical_crossentropy",
                     t, p);
}

/* ---- precision and recall ---- */

/* (1, n, n): 1 where the column stands before the row. */
static moth_tensor *earlier_cells(moth_pass *pass, int64_t n)
{
    moth_tensor *t;
    if (pass->scope->status != MOTH_OK) {
        return NULL;
    }
    moth_status status = moth_tensor_zeros(pass->ctx, MOTH_FLOAT32, 3, (int64_t[]){ 1, n, n }, &t);
    if (status != MOTH_OK) {
        moth_scope_fail(pass->scope, status);
        return NULL;
    }
    for (int64_t i = 0; i < n * n; i++) {
        moth_tensor_reals(t)[i] = i % n < i / n;
    }
    return moth_scope_own(pass->scope, t);
}

/* 1 at the k largest values of a row; the first of equals count. */
static moth_tensor *among_best(moth_pass *pass, moth_tensor *p, double k)
{
    moth_tensor *rows = flat_rows(pass, p);
    if (!rows) {
        return NULL;
    }
    int64_t n = rows->meta.shape[0], width = rows->meta.shape[1];
    moth_tensor *own = moth_emit_reshape(pass->scope, rows, 3, (int64_t[]){ n, width, 1 });
    moth_tensor *others = moth_emit_reshape(pass->scope, rows, 3, (int64_t[]){ n, 1, width });
    moth_tensor *same = DO2(mul, as_float(pass, DO2(eq, others, own)), earlier_cells(pass, width));
    moth_tensor *ahead = DO2(add, as_float(pass, DO2(gt, others, own)), same);
    moth_tensor *larger = moth_emit_sum_last(pass->scope, ahead, false);
    moth_tensor *best = as_float(pass, DO2(lt, larger, moth_emit_constant(pass->scope, k)));
    return best ? moth_emit_reshape(pass->scope, best, p->meta.rank, p->meta.shape) : NULL;
}

/* Targets and guesses as 0/1 cells (B, n), of one class where class_id is given. */
static void select_cells(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p, moth_tensor **truth,
                         moth_tensor **guess)
{
    moth_tensor *cells = cells_of(pass, t, p);
    moth_tensor *hits = moth_config_has(config, "top_k") ? among_best(pass, p, moth_config_number(config, "top_k"))
                                                         : above(pass, p, moth_config_number(config, "thresholds"));
    if (moth_config_has(config, "class_id") && cells && hits) {
        int64_t id = moth_config_int(config, "class_id");
        moth_attrs attrs = { .i = { p->meta.rank - 1, id, id + 1 } };
        if (id >= last_size(p)) {
            moth_scope_fail(pass->scope,
                            moth_fail(pass->ctx, MOTH_ERR_ARGUMENT, "class_id %lld: there are %lld classes",
                                      (long long)id, (long long)last_size(p)));
        }
        cells = MOTH_DO(pass->scope, slice, &attrs, cells);
        hits = MOTH_DO(pass->scope, slice, &attrs, hits);
    }
    *truth = flat_rows(pass, cells);
    *guess = flat_rows(pass, hits);
}

static moth_tensor *emit_precision(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    moth_tensor *truth, *guess;
    select_cells(pass, config, t, p, &truth, &guess);
    moth_tensor *both = moth_emit_sum_last(pass->scope, DO2(mul, truth, guess), false);
    moth_tensor *wrong = moth_emit_sum_last(pass->scope, DO2(mul, complement(pass, truth), guess), false);
    return columns(pass, 2, (moth_tensor *[]){ both, wrong });
}

static moth_tensor *emit_recall(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    moth_tensor *truth, *guess;
    select_cells(pass, config, t, p, &truth, &guess);
    moth_tensor *both = moth_emit_sum_last(pass->scope, DO2(mul, truth, guess), false);
    moth_tensor *missed = moth_emit_sum_last(pass->scope, DO2(mul, truth, complement(pass, guess)), false);
    return columns(pass, 2, (moth_tensor *[]){ both, missed });
}

static double ratio_value(const moth_value *config, const double *states, int64_t n_states, double rows)
{
    (void)config;
    (void)n_states;
    (void)rows;
    return ratio(states[0], states[1]);
}

/* 1 at the largest values of a row (all of them where several are equal, as in Keras), unless they are 0. */
static moth_tensor *largest_cells(moth_pass *pass, moth_tensor *p)
{
    moth_attrs attrs = last_dim;
    attrs.i[MOTH_REDUCE_KEEPDIM] = 1;
    moth_tensor *largest = as_float(pass, DO2(ge, p, MOTH_DO(pass->scope, max, &attrs, p)));
    return DO2(mul, largest, above(pass, DO1(abs, p), 1e-9));
}

/* ---- F1: per class true positives, false positives, false negatives ---- */

static moth_tensor *emit_f1(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    moth_tensor *truth = cells_of(pass, t, p), *guess;
    int64_t classes = last_size(p);
    if (moth_config_has(config, "threshold")) {
        guess = above(pass, p, moth_config_number(config, "threshold"));
    } else if (classes == 1) {
        guess = above(pass, p, 0.5);
    } else {
        guess = largest_cells(pass, p);
    }
    moth_tensor *parts[3] = { DO2(mul, truth, guess), DO2(mul, complement(pass, truth), guess),
                              DO2(mul, truth, complement(pass, guess)) };
    return moth_emit_op(pass->scope, moth_op_of(pass->ctx, MOTH_OP_cat), &(moth_attrs){ .i = { 1 } }, 3, parts);
}

static double f1_value(const moth_value *config, const double *states, int64_t n_states, double rows)
{
    (void)rows;
    int64_t classes = n_states / 3;
    const double *tp = states, *fp = states + classes, *fn = states + 2 * classes;
    const char *average = moth_config_string(config, "average");
    double sum = 0, weight = 0, all[3] = { 0 };
    for (int64_t c = 0; c < classes; c++) {
        double f1 = 2 * tp[c] + fp[c] + fn[c] > 0 ? 2 * tp[c] / (2 * tp[c] + fp[c] + fn[c]) : 0;
        double w = strcmp(average, "weighted") == 0 ? tp[c] + fn[c] : 1;
        sum += w * f1;
        weight += w;
        all[0] += tp[c];
        all[1] += fp[c];
        all[2] += fn[c];
    }
    if (strcmp(average, "micro") == 0) {
        return 2 * all[0] + all[1] + all[2] > 0 ? 2 * all[0] / (2 * all[0] + all[1] + all[2]) : 0;
    }
    return weight > 0 ? sum / weight : 0;
}

/* ---- AUC of the ROC curve at 200 thresholds ---- */

enum { AUC_THRESHOLDS = 200 };

static moth_tensor *auc_thresholds(moth_pass *pass)
{
    moth_tensor *t;
    if (pass->scope->status != MOTH_OK) {
        return NULL;
    }
    moth_status status = moth_tensor_new(pass->ctx, MOTH_FLOAT32, 3, (int64_t[]){ 1, 1, AUC_THRESHOLDS }, &t);
    if (status != MOTH_OK) {
        moth_scope_fail(pass->scope, status);
        return NULL;
    }
    for (int k = 0; k < AUC_THRESHOLDS; k++) {
        double edge = k == 0 ? -1e-7 : 1 + 1e-7;
        bool inner = k > 0 && k < AUC_THRESHOLDS - 1;
        moth_tensor_set_element(t, k, inner ? (double)k / (AUC_THRESHOLDS - 1) : edge);
    }
    return moth_scope_own(pass->scope, t);
}

/* (B, 2 n + 2): true and false positives at each threshold, then positives and negatives. */
static moth_tensor *emit_auc(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    moth_tensor *truth = flat_rows(pass, cells_of(pass, t, p)), *guess = flat_rows(pass, p);
    if (!truth || !guess) {
        return NULL;
    }
    int64_t shape[3] = { guess->meta.shape[0], guess->meta.shape[1], 1 };
    moth_tensor *wide_t = moth_emit_reshape(pass->scope, truth, 3, shape);
    moth_tensor *hits = as_float(pass, DO2(gt, moth_emit_reshape(pass->scope, guess, 3, shape), auc_thresholds(pass)));
    moth_attrs middle = { .i = { [MOTH_REDUCE_DIMS] = 1, [MOTH_REDUCE_DIMS + 1] = 1 } };
    moth_attrs keep_last = { .i = { [MOTH_REDUCE_DIMS] = 1, [MOTH_REDUCE_DIMS + 1] = -1 } };
    keep_last.i[MOTH_REDUCE_KEEPDIM] = 1;
    moth_tensor *parts[4] = {
        MOTH_DO(pass->scope, sum, &middle, DO2(mul, hits, wide_t)),
        MOTH_DO(pass->scope, sum, &middle, DO2(mul, hits, complement(pass, wide_t))),
        MOTH_DO(pass->scope, sum, &keep_last, truth),
        MOTH_DO(pass->scope, sum, &keep_last, complement(pass, truth)),
    };
    return moth_emit_op(pass->scope, moth_op_of(pass->ctx, MOTH_OP_cat), &(moth_attrs){ .i = { 1 } }, 4, parts);
}

static double auc_value(const moth_value *config, const double *states, int64_t n_states, double rows)
{
    (void)config;
    (void)rows;
    int64_t n = (n_states - 2) / 2;
    const double *tp = states, *fp = states + n;
    double positives = states[2 * n], negatives = states[2 * n + 1], area = 0;
    for (int64_t k = 0; k + 1 < n; k++) { /* trapezoids; thresholds rise, so rates fall */
        double x0 = negatives > 0 ? fp[k] / negatives : 0, x1 = negatives > 0 ? fp[k + 1] / negatives : 0;
        double y0 = positives > 0 ? tp[k] / positives : 0, y1 = positives > 0 ? tp[k + 1] / positives : 0;
        area += (x0 - x1) * (y0 + y1) / 2;
    }
    return area;
}

/* ---- confusion matrix: rows are the truth, columns the prediction ---- */

static moth_tensor *emit_confusion(moth_pass *pass, const moth_value *config, moth_tensor *t, moth_tensor *p)
{
    (void)config;
    int64_t classes = last_size(p);
    moth_tensor *truth, *guess;
    if (classes == 1) {
        moth_tensor *yes = cells_of(pass, t, p), *said = above(pass, p, 0.5);
        moth_attrs attrs = { .i = { 1 } };
        truth = MOTH_DO(pass->scope, cat, &attrs, complement(pass, yes), yes);
        guess = MOTH_DO(pass->scope, cat, &attrs, complement(pass, said), said);
        classes = 2;
    } else {
        moth_tensor *ids = MOTH_DO(pass->scope, argmax, &last_dim, p);
        truth = cells_of(pass, t, p);
        guess = as_float(pass, MOTH_DO(pass->scope, one_hot, &(moth_attrs){ .i = { classes } }, ids));
    }
    if (!truth || !guess) {
        return NULL;
    }
    int64_t rows = guess->meta.shape[0];
    moth_tensor *cells = DO2(mul, moth_emit_reshape(pass->scope, truth, 3, (int64_t[]){ rows, classes, 1 }),
                             moth_emit_reshape(pass->scope, guess, 3, (int64_t[]){ rows, 1, classes }));
    return flat_rows(pass, cells);
}

/* ---- the table ---- */

static const moth_option threshold_options[] = {
    { .name = "threshold", .kind = MOTH_OPTION_NUMBER, .fallback = "0.5", .position = 1 },
    MOTH_OPTIONS_END,
};
static const moth_option top_k_options[] = {
    { .name = "k", .kind = MOTH_OPTION_INT, .fallback = "5", .position = 1, .low = 1, .high = MOTH_NO_LIMIT },
    MOTH_OPTIONS_END,
};
static const moth_option precision_options[] = {
    { .name = "thresholds", .kind = MOTH_OPTION_NUMBER, .fallback = "0.5", .position = 1 },
    { .name = "top_k",
      .kind = MOTH_OPTION_INT,
      .position = 2,
      .low = 1,
      .high = MOTH_NO_LIMIT,
      .doc = "the k largest outputs count as positive, whatever the threshold" },
    { .name = "class_id",
      .kind = MOTH_OPTION_INT,
      .position = 3,
      .low = 0,
      .high = MOTH_NO_LIMIT,
      .doc = "count this class only" },
    MOTH_OPTIONS_END,
};
static const moth_option f1_options[] = {
    { .name = "average",
      .kind = MOTH_OPTION_STRING,
      .fallback = "macro",
      .position = 1,
      .choices = "macro micro weighted" },
    { .name = "threshold", .kind = MOTH_OPTION_NUMBER, .position = 2, .doc = "nil: the largest output counts" },
    MOTH_OPTIONS_END,
};

#define METRIC(symbol, name_, doc_, options_, emit_, value_) \
    static const moth_metric_type symbol = { .entry = { name_, doc_, options_ }, .emit = emit_, .value = value_ };

METRIC(accuracy, "accuracy", "share of right predictions; binary, one-hot or ids by shapes", NULL, emit_accuracy,
       mean_value)
METRIC(binary_accuracy, "binary_accuracy", "share of outputs on the right side of the threshold", threshold_options,
       emit_binary, mean_value)
METRIC(categorical_accuracy, "categorical_accuracy", "share of right classes, targets one-hot", NULL, emit_categorical,
       mean_value)
METRIC(sparse_accuracy, "sparse_categorical_accuracy", "share of right classes, targets ids", NULL, emit_categorical,
       mean_value)
METRIC(top_k, "top_k", "share of samples whose class is among the k largest outputs", top_k_options, emit_top_k,
       mean_value)
METRIC(precision, "precision", "TP / (TP + FP) over all cells, output above the threshold", precision_options,
       emit_precision, ratio_value)
METRIC(recall, "recall", "TP / (TP + FN) over all cells, output above the threshold", precision_options, emit_recall,
       ratio_value)
METRIC(f1, "f1", "2 TP / (2 TP + FP + FN)", f1_options, emit_f1, f1_value)
METRIC(auc, "auc", "area under the ROC curve at 200 thresholds", NULL, emit_auc, auc_value)
METRIC(cosine, "cosine_similarity", "cosine of the angle; the loss of this name is minus that", NULL, emit_cosine,
       mean_value)
static const moth_metric_type crossentropy = {
    .entry = { "crossentropy", "cross-entropy; binary, one-hot or ids by shapes", NULL },
    .emit = emit_crossentropy,
    .value = mean_value,
    .lower_is_better = true,
};
static const moth_metric_type confusion = {
    .entry = { "confusion_matrix", "counts of (truth, prediction)", NULL },
    .emit = emit_confusion,
    .matrix = true,
};

static const moth_entry *const entries[] = {
    &accuracy.entry,
    &binary_accuracy.entry,
    &categorical_accuracy.entry,
    &sparse_accuracy.entry,
    &top_k.entry,
    &precision.entry,
    &recall.entry,
    &f1.entry,
    &auc.entry,
    &cosine.entry,
    &crossentropy.entry,
    &confusion.entry,
    NULL,
};
static const char *const aliases[] = { "acc",   "accuracy",     "top_k_categorical_accuracy",
                                       "top_k", "f1_score",     "f1",
                                       "ce",    "crossentropy", NULL };
const moth_kind moth_metrics = { "metric", "metrics", entries, aliases, false, NULL };

static const moth_value *class_of(const moth_value *given)
{
    return moth_value_kind_of(given) == MOTH_MAP ? moth_value_get(given, "class") : given;
}

/* A function under a name of its own: { class: "function", function, log_name }. */
static const moth_value *named_function(const moth_value *spec)
{
    const moth_value *f = moth_value_kind_of(spec) == MOTH_MAP ? moth_value_get(spec, "function") : NULL;
    return moth_value_kind_of(f) == MOTH_FUNCTION ? f : NULL;
}

moth_status moth_metric_normalize(moth_ctx *ctx, const moth_value *given, moth_value **spec)
{
    if (named_function(given)) {
        *spec = moth_value_clone(given);
        return *spec ? MOTH_OK : moth_fail_memory(ctx, 64);
    }
    const moth_value *name = class_of(given);
    if (moth_value_kind_of(name) == MOTH_STRING && !moth_entry_find(&moth_metrics, moth_value_as_string(name)) &&
        moth_entry_find(&moth_losses, moth_value_as_string(name))) {
        return moth_spec_normalize(ctx, &moth_losses, given, spec);
    }
    return moth_spec_normalize(ctx, &moth_metrics, given, spec);
}

/* Of losses and functions where the predictions have a mask. */
static const moth_metric_type masked_mean = { .value = mean_value };

moth_status moth_metric_rows(moth_pass *pass, const moth_value *spec, moth_tensor *y_true, moth_tensor *y_pred,
                             const moth_metric_type **type, moth_tensor **out)
{
    MOTH_TRY(pass->scope->status);
    const moth_metric_type *m = (const moth_metric_type *)(const void *)moth_spec_entry(&moth_metrics, spec);
    *type = m;
    if (!m) {
        const moth_value *f = named_function(spec);
        MOTH_TRY(moth_loss_mean_rows(pass, f ? f : spec, y_true, y_pred, out));
    } else {
        *out = m->emit(pass, spec, y_true, y_pred);
    }
    if (pass->mask && *out && (*out)->meta.rank == 1 && (!m || m->value == mean_value)) {
        moth_tensor *parts[2] = { *out, moth_emit_mean_last(pass->scope, as_float(pass, pass->mask)) };
        *out = columns(pass, 2, parts);
        *type = m ? m : &masked_mean;
    }
    return pass->scope->status == MOTH_OK || !m ? pass->scope->status
                                                : moth_fail_prefix(pass->ctx, "metric %s", m->entry.name);
}

bool moth_metric_lower_is_better(const moth_value *spec)
{
    const moth_metric_type *m = (const moth_metric_type *)(const void *)moth_spec_entry(&moth_metrics, spec);
    return !m || m->lower_is_better;
}
