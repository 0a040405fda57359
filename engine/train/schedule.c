/* Learning-rate schedules: functions of the number of steps done, 0 first. Definitions: Keras 3
 * (optimizers/schedules); Warmup: Goyal et al. 2017; OneCycle: Smith and Topin 2018, with cosine arms. */
#include <math.h>

#include "train/optimizer.h"

typedef struct moth_schedule {
    moth_entry entry;
    double (*rate)(const moth_value *config, double step);
} moth_schedule;

static const double PI = 3.14159265358979323846;

static double exponential_decay(const moth_value *config, double step)
{
    double power = step / moth_config_number(config, "decay_steps");
    power = moth_config_bool(config, "staircase") ? floor(power) : power;
    return moth_config_number(config, "initial_learning_rate") * pow(moth_config_number(config, "decay_rate"), power);
}

/* From the rate at the end of a linear warm-up (if there is one) down to alpha times that, by half a cosine. */
static double cosine_decay(const moth_value *config, double step)
{
    double initial = moth_config_number(config, "initial_learning_rate"), alpha = moth_config_number(config, "alpha");
    double top = initial, warm = moth_config_number(config, "warmup_steps");
    if (moth_config_has(config, "warmup_target")) {
        top = moth_config_number(config, "warmup_target");
        if (step < warm) {
            return initial + (top - initial) * step / warm;
        }
        step -= warm;
    }
    double steps = moth_config_number(config, "decay_steps"), done = step < steps ? step / steps : 1;
    return top * ((1 - alpha) * 0.5 * (1 + cos(PI * done)) + alpha);
}

/* values[k] up to and including boundaries[k] */
static double piecewise_constant(const moth_value *config, double step)
{
    const moth_value *boundaries = moth_value_get(config, "boundaries"), *values = moth_value_get(config, "values");
    int64_t k = 0;
    while (k < moth_value_count(boundaries) && step > moth_value_as_number(moth_value_at(boundaries, k))) {
        k++;
    }
    return moth_value_as_number(moth_value_at(values, k < moth_value_count(values) ? k : moth_value_count(values) - 1));
}

static double warmup(const moth_value *config, double step)
{
    double steps = moth_config_number(config, "warmup_steps"), rate = moth_config_number(config, "learning_rate");
    return step < steps ? rate * (step + 1) / steps : rate;
}

/* a to b by half a cosine */
static double arm(double a, double b, double done)
{
    return b + (a - b) * 0.5 * (1 + cos(PI * done));
}

static double one_cycle(const moth_value *config, double step)
{
    double top = moth_config_number(config, "max_learning_rate"), total = moth_config_number(config, "total_steps");
    double start = top / moth_config_number(config, "div_factor");
    double end = start / moth_config_number(config, "final_div_factor");
    double rise = moth_config_number(config, "pct_start") * total;
    if (step < rise) {
        return arm(start, top, step / rise);
    }
    return arm(top, end, step < total ? (step - rise) / fmax(total - rise, 1) : 1);
}

#define NUMBER(name_, fallback_, place, low_, high_)                                                      \
    {                                                                                                     \
        .name = name_, .kind = MOTH_OPTION_NUMBER, .fallback = fallback_, .position = place, .low = low_, \
        .high = high_                                                                                     \
    }

static const moth_option exponential_options[] = {
    NUMBER("initial_learning_rate", MOTH_REQUIRED, 1, 0, MOTH_NO_LIMIT),
    NUMBER("decay_steps", MOTH_REQUIRED, 2, 1e-9, MOTH_NO_LIMIT),
    NUMBER("decay_rate", MOTH_REQUIRED, 3, 0, MOTH_NO_LIMIT),
    { .name = "staircase", .kind = MOTH_OPTION_BOOL, .fallback = "false", .position = 4 },
    MOTH_OPTIONS_END,
};
static const moth_option cosine_options[] = {
    NUMBER("initial_learning_rate", MOTH_REQUIRED, 1, 0, MOTH_NO_LIMIT),
    NUMBER("decay_steps", MOTH_REQUIRED, 2, 1e-9, MOTH_NO_LIMIT),
    NUMBER("alpha", "0", 3, 0, 1),
    NUMBER("warmup_target", NULL, 4, 0, MOTH_NO_LIMIT),
    NUMBER("warmup_steps", "0", 5, 0, MOTH_NO_LIMIT),
    MOTH_OPTIONS_END,
};
static const moth_option piecewise_options[] = {
    { .name = "boundaries", .kind = MOTH_OPTION_ANY, .fallback = MOTH_REQUIRED, .position = 1, .doc = "list of steps" },
    { .name = "values",
      .kind = MOTH_OPTION_ANY,
      .fallback = MOTH_REQUIRED,
      .position = 2,
      .doc = "one rate more than boundaries" },
    MOTH_OPTIONS_END,
};
static const moth_option warmup_options[] = {
    NUMBER("learning_rate", MOTH_REQUIRED, 1, 0, MOTH_NO_LIMIT),
    NUMBER("warmup_steps", MOTH_REQUIRED, 2, 1, MOTH_NO_LIMIT),
    MOTH_OPTIONS_END,
};
static const moth_option one_cycle_options[] = {
    NUMBER("max_learning_rate", MOTH_REQUIRED, 1, 0, MOTH_NO_LIMIT),
    NUMBER("total_steps", MOTH_REQUIRED, 2, 1, MOTH_NO_LIMIT),
    NUMBER("pct_start", "0.3", 3, 0, 1),
    NUMBER("div_factor", "25", 4, 1e-9, MOTH_NO_LIMIT),
    NUMBER("final_div_factor", "10000", 5, 1e-9, MOTH_NO_LIMIT),
    MOTH_OPTIONS_END,
};

static const moth_schedule exponential = {
    { "ExponentialDecay", "initial * decay_rate^(step / decay_steps)", exponential_options }, exponential_decay
};
static const moth_schedule cosine = {
    { "CosineDecay", "down by half a cosine, after a linear warm-up if wanted", cosine_options }, cosine_decay
};
static const moth_schedule piecewise = { { "PiecewiseConstant", "one rate up to each boundary", piecewise_options },
                                         piecewise_constant };
static const moth_schedule warm = { { "Warmup", "linear rise, then constant", warmup_options }, warmup };
static const moth_schedule cycle = {
    { "OneCycle", "up to max_learning_rate, then down to almost nothing", one_cycle_options }, one_cycle
};

static const moth_entry *const entries[] = { &exponential.entry, &cosine.entry, &piecewise.entry,
                                             &warm.entry,        &cycle.entry,  NULL };
static const char *const aliases[] = { "PiecewiseConstantDecay", "PiecewiseConstant", NULL };

/* Steps that rise from entry to entry, or rates, none below 0. */
static moth_status check_numbers(moth_ctx *ctx, const moth_value *config, const char *name, bool rising)
{
    const moth_value *list = moth_value_get(config, name);
    double before = rising ? -HUGE_VAL : 0;
    for (int64_t i = 0; i < moth_value_count(list); i++) {
        const moth_value *v = moth_value_at(list, i);
        bool number = moth_value_kind_of(v) == MOTH_NUMBER || moth_value_kind_of(v) == MOTH_INT;
        double x = number ? moth_value_as_number(v) : NAN;
        if (!(x >= before && x < HUGE_VAL)) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT,
                             "PiecewiseConstant: option '%s' must be a list of numbers %s; see entry %lld", name,
                             rising ? "that rise" : "from 0", (long long)i + 1);
        }
        before = rising ? x : 0;
    }
    return MOTH_OK;
}

static moth_status check_schedule(moth_ctx *ctx, const moth_value *config)
{
    if (moth_spec_entry(&moth_schedules, config) != &piecewise.entry) {
        return MOTH_OK;
    }
    const moth_value *boundaries = moth_value_get(config, "boundaries"), *values = moth_value_get(config, "values");
    bool one_more = moth_value_kind_of(values) == MOTH_LIST && moth_value_count(values) > 0 &&
                    moth_value_count(values) == moth_value_count(boundaries) + 1;
    if (!one_more || moth_value_kind_of(boundaries) != MOTH_LIST) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT,
                         "PiecewiseConstant: values must be a list of one number more than "
                         "boundaries; got %lld boundaries and %lld values",
                         (long long)moth_value_count(boundaries), (long long)moth_value_count(values));
    }
    MOTH_TRY(check_numbers(ctx, config, "boundaries", true));
    return check_numbers(ctx, config, "values", false);
}

const moth_kind moth_schedules = { "schedule", "schedules", entries, aliases, true, check_schedule };

double moth_schedule_rate(const moth_value *schedule, int64_t step)
{
    const moth_schedule *s = (const moth_schedule *)(const void *)moth_spec_entry(&moth_schedules, schedule);
    return s ? s->rate(schedule, (double)step) : moth_value_as_number(schedule);
}
