/* The trainer: what compile makes of a model. It traces the model with its losses, metrics and optimizer into plans
 * (train, evaluate, predict) and runs them batch by batch over data sets that stay where they are. */
#ifndef MOTH_TRAIN_TRAINER_H
#define MOTH_TRAIN_TRAINER_H

#include "nn/loss.h"
#include "nn/model.h"
#include "plan/plan.h"
#include "train/optimizer.h"

typedef enum moth_mode { MOTH_TRAIN, MOTH_EVALUATE, MOTH_PREDICT, MOTH_MODE_COUNT } moth_mode;

/* Samples in dim 0 of every tensor, contiguous. Borrowed. */
typedef struct moth_data {
    int n_x, n_y;
    moth_tensor *const *x;
    moth_tensor *const *y;
    moth_tensor *const *weight; /* by output: float32 (samples), factor of each sample's loss; NULL: 1; NULL: all 1 */
    bool goes_on;               /* measures go on from the pass before instead of starting anew */
} moth_data;

/* Something that logs report: how it is called and how it is added up. */
typedef struct moth_measure {
    char *name;             /* "loss", "accuracy", "digit_accuracy" */
    const moth_value *spec; /* borrowed from the compile options; NULL: the total loss */
    int output;             /* of which model output; -1: all */
    bool is_loss;
    const moth_metric_type *type; /* known after the first trace; NULL: a mean */
    int64_t n_states;
    double *states; /* sums over the rows of this epoch */
} moth_measure;

typedef struct moth_trainer {
    moth_model *model;         /* not owned: the model owns the trainer */
    moth_value *options;       /* normalized: loss, loss_weights, metrics, input_scale (all per output) */
    moth_optimizer *optimizer; /* NULL: compiled for evaluation only, or not compiled */
    double input_scale;
    bool scale_given, scale_said;
    bool ignore_nonfinite; /* nan = "continue" */
    moth_arena arena;
    int n_programs;
    struct moth_program **programs; /* compiled plans */
    bool exact[MOTH_MODE_COUNT];    /* this graph needs the exact number of rows */
    int n_measures;
    moth_measure *measures;
    double rows;    /* samples added up so far */
    bool tracing;   /* a program is being made: functions of the user run, which may reach the model */
    bool measuring; /* a pass that adds up measures is open */
} moth_trainer;

/* The trainer of a model, made when it is not there: enough to predict. Borrowed. */
moth_status moth_trainer_of(moth_model *model, moth_trainer **out);

/* options: a map with loss, loss_weights, metrics (each one for all outputs, a list by output, or a map by output
 * name) and input_scale. optimizer may be NULL. Weights stay as they are; the trainer takes a reference to optimizer,
 * whose slots and steps start anew. */
moth_status moth_trainer_compile(moth_model *model, const moth_value *options, moth_optimizer *optimizer);

/* MOTH_ERR_STATE while a pass that measures is open (unless `between` batches is good enough) or a program is traced:
 * functions and callbacks of the user must not change what is being used. */
moth_status moth_trainer_idle(const moth_trainer *trainer, const char *what, bool between);

/* New weights from `seed`, as if the model had just been made: steps and the optimizer start anew too. */
moth_status moth_trainer_reset(moth_model *model, uint64_t seed);

/* Drops compiled plans: needed when slots of the optimizer were made anew. */
void moth_trainer_forget(moth_trainer *trainer);

/* The trainer, or MOTH_ERR_STATE when the model is not compiled with a loss (and, for training, an optimizer). */
moth_status moth_model_compiled(moth_model *model, bool training, moth_trainer **out);

/* ---- one pass over data ---- */

typedef struct moth_loop {
    moth_trainer *trainer;
    moth_mode mode;
    moth_data data;
    int64_t batch_size, first, count, done; /* samples */
    moth_tensor *order;                     /* int32: positions of samples, owned */
    moth_tensor *index;                     /* a view that moves along; owned */
    moth_tensor **scale;                    /* for each output a view of weights; owned */
    moth_tensor *weights;                   /* float (outputs, batch_size): memory of scale */
    moth_tensor **inputs;                   /* bound at each run; borrowed members */
    moth_tensor **results;                  /* predictions (samples, …); owned; NULL in other modes */
    int n_results;
    bool measures; /* it is the pass that trainer->measuring tells of */
} moth_loop;

/* Starts a pass over samples first .. first + count - 1 of the data. order (int32, positions from 0 in the range that
 * is passed over) may be NULL: as they lie. Builds the model and the plan when that has not happened. Measures start
 * anew or go on, as the data say, but for predictions, which have none; only one pass that measures can be open. */
moth_status moth_loop_open(moth_loop *loop, moth_trainer *trainer, moth_mode mode, const moth_data *data,
                           int64_t batch_size, int64_t first, int64_t count, moth_tensor *order);
/* Runs up to `batches` batches; *left says how many remain. Allocates nothing after the first batch of each size. A
 * failure leaves the loop before the batch that failed: weights as they were. */
moth_status moth_loop_run(moth_loop *loop, int64_t batches, int64_t *left);
void moth_loop_close(moth_loop *loop);

/* Value of measure k over the pass so far. */
double moth_trainer_value(const moth_trainer *trainer, int k);
void moth_trainer_clear(moth_trainer *trainer);

/* order[i] for a shuffled epoch of n samples: depends on the model's seed, place and step. */
moth_status moth_trainer_shuffle(moth_trainer *trainer, int64_t n, moth_tensor **order);

/* One weight for each sample from class ids or one-hot rows: weights[k] for class k, 1 where there is none. */
moth_status moth_class_weights(moth_ctx *ctx, const moth_tensor *y, const moth_value *weights, moth_tensor **out);

/* Are the data of input k multiplied by input_scale? Bytes are, but where the model takes ids (int32) there. */
static inline bool moth_trainer_scales(const moth_trainer *trainer, int k, moth_dtype dtype)
{
    return dtype == MOTH_UINT8 && moth_symbol_meta(trainer->model->inputs[k])->dtype != MOTH_INT32;
}

#endif
