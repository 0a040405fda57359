/* Regularizers: penalties on weights and activations. Constraints: what weights must satisfy after an update.
 * Definitions: Keras 3 (no factor 1/2, no mean). */
#include "nn/emit.h"
#include "nn/functions.h"

typedef struct moth_regularizer {
    moth_entry entry;
    double (*l1)(const moth_value *config), (*l2)(const moth_value *config);
} moth_regularizer;

static double read_l1(const moth_value *config)
{
    return moth_config_number(config, "l1");
}

static double read_l2(const moth_value *config)
{
    return moth_config_number(config, "l2");
}

static double zero(const moth_value *config)
{
    (void)config;
    return 0;
}

#define FACTOR(name_, place)                                                                                    \
    {                                                                                                           \
        .name = name_, .kind = MOTH_OPTION_NUMBER, .fallback = "0.01", .position = place, .high = MOTH_NO_LIMIT \
    }
static const moth_option l1_options[] = { FACTOR("l1", 1), MOTH_OPTIONS_END };
static const moth_option l2_options[] = { FACTOR("l2", 1), MOTH_OPTIONS_END };
static const moth_option l1_l2_options[] = { FACTOR("l1", 1), FACTOR("l2", 2), MOTH_OPTIONS_END };

static const moth_regularizer l1 = { { "l1", "l1 sum |w|", l1_options }, read_l1, zero };
static const moth_regularizer l2 = { { "l2", "l2 sum w^2", l2_options }, zero, read_l2 };
static const moth_regularizer l1_l2 = { { "l1_l2", "l1 sum |w| + l2 sum w^2", l1_l2_options }, read_l1, read_l2 };

static const moth_entry *const regularizer_entries[] = { &l1.entry, &l2.entry, &l1_l2.entry, NULL };
static const char *const regularizer_aliases[] = { "l1l2", "l1_l2", NULL };
const moth_kind moth_regularizers = { "regularizer",       "regularizers", regularizer_entries,
                                      regularizer_aliases, false,          NULL };

moth_tensor *moth_regularize(moth_pass *pass, const moth_value *spec, moth_tensor *w)
{
    moth_scope *scope = pass->scope;
    if (moth_value_kind_of(spec) == MOTH_FUNCTION) {
        moth_tensor *y = NULL;
        int n = 0;
        moth_call_function(pass, moth_value_as_function(spec), 1, &w, 1, &y, &n);
        return y;
    }
    const moth_regularizer *r = (const moth_regularizer *)(const void *)moth_spec_entry(&moth_regularizers, spec);
    if (!r) {
        return NULL;
    }
    double a = r->l1(spec), b = r->l2(spec);
    moth_tensor *sum = a != 0 ? moth_emit_scaled(scope, moth_emit_sum(scope, MOTH_DO(scope, abs, NULL, w)), a) : NULL;
    if (b != 0 || !sum) {
        moth_tensor *squares = moth_emit_scaled(scope, moth_emit_sum(scope, MOTH_DO(scope, square, NULL, w)), b);
        sum = sum ? MOTH_DO(scope, add, NULL, sum, squares) : squares;
    }
    return sum;
}

/* ---- constraints ---- */

typedef struct moth_constraint {
    moth_entry entry;
    moth_tensor *(*emit)(moth_pass *pass, const moth_value *config, moth_tensor *w);
} moth_constraint;

static const double EPSILON = 1e-7;

/* Over one dim of the weight or several, counted from 1 or from the end. */
static moth_tensor *norms(moth_pass *pass, const moth_value *config, moth_tensor *w)
{
    moth_scope *scope = pass->scope;
    int64_t axes[MOTH_MAX_RANK];
    int n = moth_config_ints(config, "axis", axes, MOTH_MAX_RANK);
    moth_attrs attrs = { .i = { [MOTH_REDUCE_DIMS] = n } };
    bool good = n >= 1 && n <= MOTH_MAX_RANK;
    for (int i = 0; good && i < n; i++) {
        good = axes[i] != 0;
        attrs.i[MOTH_REDUCE_DIMS + 1 + i] = axes[i] > 0 ? axes[i] - 1 : axes[i];
    }
    if (!good) {
        moth_scope_fail(scope, moth_fail(pass->ctx, MOTH_ERR_ARGUMENT,
                                         "%s: option 'axis' must name dimensions of the weight, counted from 1 or "
                                         "with negative numbers from the end",
                                         moth_spec_name(config)));
        return NULL;
    }
    attrs.i[MOTH_REDUCE_KEEPDIM] = 1;
    return MOTH_DO(scope, sqrt, NULL, MOTH_DO(scope, sum, &attrs, MOTH_DO(scope, square, NULL, w)));
}

/* w * clip(norm, 0, most) / (epsilon + norm) */
static moth_tensor *emit_max_norm(moth_pass *pass, const moth_value *config, moth_tensor *w)
{
    moth_scope *scope = pass->scope;
    moth_tensor *norm = norms(pass, config, w);
    moth_tensor *wanted = moth_emit_clamped(scope, norm, 0, moth_config_number(config, "max_value"));
    moth_tensor *scaled = MOTH_DO(scope, mul, NULL, w, wanted);
    return MOTH_DO(scope, div, NULL, scaled, moth_emit_shifted(scope, norm, EPSILON));
}

static moth_tensor *emit_unit_norm(moth_pass *pass, const moth_value *config, moth_tensor *w)
{
    moth_tensor *norm = norms(pass, config, w);
    return MOTH_DO(pass->scope, div, NULL, w, moth_emit_shifted(pass->scope, norm, EPSILON));
}

static moth_tensor *emit_non_neg(moth_pass *pass, const moth_value *config, moth_tensor *w)
{
    (void)config;
    return MOTH_DO(pass->scope, relu, NULL, w);
}

/* Keras counts the axis of a weight from 0; here positions count from 1. */
#define AXIS(place)                                                                                        \
    {                                                                                                      \
        .name = "axis", .kind = MOTH_OPTION_INTS, .fallback = "1", .position = place, .low = -8, .high = 8 \
    }
static const moth_option max_norm_options[] = {
    { .name = "max_value", .kind = MOTH_OPTION_NUMBER, .fallback = "2", .position = 1, .high = MOTH_NO_LIMIT },
    AXIS(2),
    MOTH_OPTIONS_END,
};
static const moth_option unit_norm_options[] = { AXIS(1), MOTH_OPTIONS_END };

static const moth_constraint max_norm = { { "max_norm", "norm over axis at most max_value", max_norm_options },
                                          emit_max_norm };
static const moth_constraint unit_norm = { { "unit_norm", "norm 1 over axis", unit_norm_options }, emit_unit_norm };
static const moth_constraint non_neg = { { "non_neg", "no weight below 0", NULL }, emit_non_neg };

static const moth_entry *const constraint_entries[] = { &max_norm.entry, &non_neg.entry, &unit_norm.entry, NULL };
const moth_kind moth_constraints = { "constraint", "constraints", constraint_entries, NULL, false, NULL };

moth_tensor *moth_constrain(moth_pass *pass, const moth_value *spec, moth_tensor *w)
{
    if (moth_value_kind_of(spec) == MOTH_FUNCTION) {
        moth_tensor *y = NULL;
        int n = 0;
        moth_call_function(pass, moth_value_as_function(spec), 1, &w, 1, &y, &n);
        return y;
    }
    const moth_constraint *c = (const moth_constraint *)(const void *)moth_spec_entry(&moth_constraints, spec);
    return c ? c->emit(pass, spec, w) : NULL;
}
