/* Initial values: pure functions of (spec, shape, seed, stream). Definitions: Keras 3, random_initializers.py. */
#include <math.h>
#include <string.h>

#include "core/random.h"
#include "nn/functions.h"

/* What an initializer fills. */
typedef struct target {
    moth_ctx *ctx;
    const moth_value *config;
    moth_tensor *t;
    int64_t n;
    int inputs;
    uint64_t seed, stream;
} target;

typedef struct moth_initializer {
    moth_entry entry;
    moth_status (*fill)(const target *to);
} moth_initializer;

/* ---- draws ---- */

static void fill_uniform(const target *to, double low, double high)
{
    moth_real *x = moth_tensor_reals(to->t);
    for (int64_t block = 0; 4 * block < to->n; block++) {
        uint32_t words[4];
        moth_random_block(to->seed, to->stream, 0, (uint64_t)block, words);
        for (int k = 0; k < 4 && 4 * block + k < to->n; k++) {
            x[4 * block + k] = (moth_real)(low + (high - low) * (double)moth_uniform(words[k]));
        }
    }
}

/* Element i has draws of its own: counter (i, attempt), so that drawing again for one element moves no other. */
static double draw_normal(const target *to, int64_t i, uint64_t attempt)
{
    uint32_t words[4];
    double pair[2];
    moth_random_block(to->seed, to->stream, attempt, (uint64_t)i, words);
    moth_normal_pair(words[0], words[1], pair);
    return pair[0];
}

/* Values beyond `cut` standard deviations are drawn again; 0: no cut. */
static void fill_normal(const target *to, double mean, double stddev, double cut)
{
    moth_real *x = moth_tensor_reals(to->t);
    for (int64_t i = 0; i < to->n; i++) {
        uint64_t attempt = 0;
        double z = draw_normal(to, i, attempt);
        while (cut > 0 && fabs(z) > cut) {
            z = draw_normal(to, i, ++attempt);
        }
        x[i] = (moth_real)(mean + stddev * z);
    }
}

/* ---- plain ones ---- */

static moth_status fill_constant(const target *to)
{
    moth_real value = (moth_real)moth_config_number(to->config, "value");
    moth_real *x = moth_tensor_reals(to->t);
    for (int64_t i = 0; i < to->n; i++) {
        x[i] = value;
    }
    return MOTH_OK;
}

static moth_status fill_zeros(const target *to)
{
    memset(moth_tensor_data(to->t), 0, (size_t)to->n * sizeof(moth_real));
    return MOTH_OK;
}

static moth_status fill_ones(const target *to)
{
    moth_real *x = moth_tensor_reals(to->t);
    for (int64_t i = 0; i < to->n; i++) {
        x[i] = 1;
    }
    return MOTH_OK;
}

static moth_status fill_identity(const target *to)
{
    const moth_meta *m = &to->t->meta;
    if (m->rank != 2) {
        char text[128];
        return moth_fail(to->ctx, MOTH_ERR_SHAPE, "identity: fills matrices only, got shape %s",
                         moth_meta_text(m, text, sizeof text));
    }
    double gain = moth_config_number(to->config, "gain");
    fill_zeros(to);
    for (int64_t i = 0; i < m->shape[0] && i < m->shape[1]; i++) {
        moth_tensor_reals(to->t)[i * m->shape[1] + i] = (moth_real)gain;
    }
    return MOTH_OK;
}

/* The second of four equal blocks is 1, the others 0: biases i, f, c, o of an LSTM whose forget gate starts open. */
static moth_status fill_unit_forget(const target *to)
{
    fill_zeros(to);
    for (int64_t i = to->n / 4; i < to->n / 2; i++) {
        moth_tensor_reals(to->t)[i] = 1;
    }
    return MOTH_OK;
}

static moth_status fill_random_uniform(const target *to)
{
    fill_uniform(to, moth_config_number(to->config, "minval"), moth_config_number(to->config, "maxval"));
    return MOTH_OK;
}

static moth_status fill_random_normal(const target *to)
{
    fill_normal(to, moth_config_number(to->config, "mean"), moth_config_number(to->config, "stddev"), 0);
    return MOTH_OK;
}

static moth_status fill_truncated_normal(const target *to)
{
    fill_normal(to, moth_config_number(to->config, "mean"), moth_config_number(to->config, "stddev"), 2);
    return MOTH_OK;
}

/* ---- variance scaling ---- */

static void fans(const moth_meta *m, int inputs, double *in, double *out)
{
    if (inputs > 0) {
        *in = *out = 1;
        for (int d = 0; d < m->rank; d++) {
            *(d < inputs ? in : out) *= (double)m->shape[d];
        }
        return;
    }
    if (m->rank < 2) {
        *in = *out = m->rank == 1 ? (double)m->shape[0] : 1;
        return;
    }
    double field = 1;
    for (int d = 0; d < m->rank - 2; d++) {
        field *= (double)m->shape[d];
    }
    *in = field * (double)m->shape[m->rank - 2];
    *out = field * (double)m->shape[m->rank - 1];
}

static void fill_scaled(const target *to, double scale, const char *mode, const char *distribution)
{
    double in, out;
    fans(&to->t->meta, to->inputs, &in, &out);
    double n = strcmp(mode, "fan_in") == 0 ? in : strcmp(mode, "fan_out") == 0 ? out : (in + out) / 2;
    double variance = scale / fmax(1, n);
    if (strcmp(distribution, "uniform") == 0) {
        double limit = sqrt(3 * variance);
        fill_uniform(to, -limit, limit);
    } else if (strcmp(distribution, "truncated_normal") == 0) {
        /* the standard deviation of a normal distribution cut at 2 sigma is 0.8796 sigma */
        fill_normal(to, 0, sqrt(variance) / 0.87962566103423978, 2);
    } else {
        fill_normal(to, 0, sqrt(variance), 0);
    }
}

static moth_status fill_variance_scaling(const target *to)
{
    fill_scaled(to, moth_config_number(to->config, "scale"), moth_config_string(to->config, "mode"),
                moth_config_string(to->config, "distribution"));
    return MOTH_OK;
}

/* ---- orthogonal ---- */

/* Orthonormal columns of the (rows, cols) matrix a, rows >= cols, by modified Gram and Schmidt, twice: the second
 * round removes what rounding left. The signs are those of a QR decomposition with a positive diagonal of R. */
static void orthonormalize(double *a, int64_t rows, int64_t cols)
{
    for (int64_t j = 0; j < cols; j++) {
        for (int round = 0; round < 2; round++) {
            for (int64_t k = 0; k < j; k++) {
                double dot = 0;
                for (int64_t i = 0; i < rows; i++) {
                    dot += a[k * rows + i] * a[j * rows + i];
                }
                for (int64_t i = 0; i < rows; i++) {
                    a[j * rows + i] -= dot * a[k * rows + i];
                }
            }
        }
        double norm = 0;
        for (int64_t i = 0; i < rows; i++) {
            norm += a[j * rows + i] * a[j * rows + i];
        }
        norm = sqrt(norm);
        for (int64_t i = 0; i < rows; i++) {
            a[j * rows + i] /= norm;
        }
    }
}

/* Saxe, McClelland, Ganguli 2014: Exact solutions to the nonlinear dynamics of learning in deep linear networks. */
static moth_status fill_orthogonal(const target *to)
{
    const moth_meta *m = &to->t->meta;
    if (m->rank < 2) {
        return moth_fail(to->ctx, MOTH_ERR_SHAPE, "orthogonal: needs at least two dimensions, got %d", m->rank);
    }
    int64_t cols = m->shape[m->rank - 1], rows = cols ? to->n / cols : 0;
    int64_t tall = rows > cols ? rows : cols, flat = rows > cols ? cols : rows;
    double gain = moth_config_number(to->config, "gain");
    double *q = moth_malloc((size_t)(tall * flat + 1) * sizeof *q); /* column by column */
    if (!q) {
        return moth_fail_memory(to->ctx, tall * flat * 8);
    }
    for (int64_t i = 0; i < tall * flat; i++) {
        q[i] = draw_normal(to, i, 0);
    }
    orthonormalize(q, tall, flat);
    moth_real *x = moth_tensor_reals(to->t);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++) {
            x[r * cols + c] = (moth_real)(gain * (rows >= cols ? q[c * tall + r] : q[r * tall + c]));
        }
    }
    moth_free(q);
    return MOTH_OK;
}

/* ---- the table ---- */

#define NUMBER(name_, fallback_, place)                                                     \
    {                                                                                       \
        .name = name_, .kind = MOTH_OPTION_NUMBER, .fallback = fallback_, .position = place \
    }

static const moth_option constant_options[] = { NUMBER("value", "0", 1), MOTH_OPTIONS_END };
static const moth_option gain_options[] = { NUMBER("gain", "1", 1), MOTH_OPTIONS_END };
static const moth_option uniform_options[] = { NUMBER("minval", "-0.05", 1), NUMBER("maxval", "0.05", 2),
                                               MOTH_OPTIONS_END };
static const moth_option normal_options[] = { NUMBER("mean", "0", 1), NUMBER("stddev", "0.05", 2), MOTH_OPTIONS_END };
static const moth_option scaling_options[] = {
    { .name = "scale", .kind = MOTH_OPTION_NUMBER, .fallback = "1", .position = 1, .high = MOTH_NO_LIMIT },
    { .name = "mode",
      .kind = MOTH_OPTION_STRING,
      .fallback = "fan_in",
      .position = 2,
      .choices = "fan_in fan_out fan_avg" },
    { .name = "distribution",
      .kind = MOTH_OPTION_STRING,
      .fallback = "truncated_normal",
      .position = 3,
      .choices = "truncated_normal untruncated_normal uniform" },
    MOTH_OPTIONS_END,
};

#define PLAIN(name, doc_, options_) \
    static const moth_initializer name##_initializer = { { #name, doc_, options_ }, fill_##name };

PLAIN(zeros, "all 0", NULL)
PLAIN(ones, "all 1", NULL)
PLAIN(constant, "all `value`", constant_options)
PLAIN(identity, "gain on the diagonal of a matrix", gain_options)
PLAIN(unit_forget, "0, and 1 in the second quarter: bias of an LSTM", NULL)
PLAIN(random_uniform, "uniform in minval .. maxval", uniform_options)
PLAIN(random_normal, "normal", normal_options)
PLAIN(truncated_normal, "normal, drawn again beyond two standard deviations", normal_options)
PLAIN(variance_scaling, "variance scale / fan", scaling_options)
PLAIN(orthogonal, "orthonormal rows or columns times gain (Saxe et al. 2014)", gain_options)

/* Glorot and Bengio 2010, He et al. 2015, LeCun et al. 1998. */
#define SCALED(name, scale, mode, distribution, doc_) \
    static moth_status fill_##name(const target *to)  \
    {                                                 \
        fill_scaled(to, scale, mode, distribution);   \
        return MOTH_OK;                               \
    }                                                 \
    static const moth_initializer name##_initializer = { { #name, doc_, NULL }, fill_##name };

SCALED(glorot_uniform, 1, "fan_avg", "uniform", "uniform within sqrt(6 / (in + out))")
SCALED(glorot_normal, 1, "fan_avg", "truncated_normal", "truncated normal of variance 2 / (in + out)")
SCALED(he_uniform, 2, "fan_in", "uniform", "uniform within sqrt(6 / in)")
SCALED(he_normal, 2, "fan_in", "truncated_normal", "truncated normal of variance 2 / in")
SCALED(lecun_uniform, 1, "fan_in", "uniform", "uniform within sqrt(3 / in)")
SCALED(lecun_normal, 1, "fan_in", "truncated_normal", "truncated normal of variance 1 / in")

static const moth_entry *const entries[] = {
    &random_uniform_initializer.entry,
    &random_normal_initializer.entry,
    &zeros_initializer.entry,
    &ones_initializer.entry,
    &constant_initializer.entry,
    &glorot_uniform_initializer.entry,
    &glorot_normal_initializer.entry,
    &he_uniform_initializer.entry,
    &he_normal_initializer.entry,
    &lecun_uniform_initializer.entry,
    &lecun_normal_initializer.entry,
    &truncated_normal_initializer.entry,
    &variance_scaling_initializer.entry,
    &orthogonal_initializer.entry,
    &identity_initializer.entry,
    &unit_forget_initializer.entry,
    NULL,
};
static const char *const aliases[] = { "uniform", "random_uniform", "normal", "random_normal", "zero", "zeros",
                                       "one",     "ones",           NULL };

const moth_kind moth_initializers = { "initializer", "initializers", entries, aliases, true, NULL };

moth_status moth_initialize(moth_ctx *ctx, const moth_value *spec, moth_tensor *t, int inputs, uint64_t seed,
                            uint64_t stream)
{
    target to = {
        .ctx = ctx, .config = spec, .t = t, .n = moth_tensor_count(t), .inputs = inputs, .seed = seed, .stream = stream
    };
    const moth_initializer *i = (const moth_initializer *)(const void *)moth_spec_entry(&moth_initializers, spec);
    return i ? i->fill(&to) : fill_zeros(&to);
}
