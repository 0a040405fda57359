/* Losses and metrics: functions of (y_true, y_pred) that give one value, or one row of counts, for each sample. */
#ifndef MOTH_NN_LOSS_H
#define MOTH_NN_LOSS_H

#include "nn/layer.h"

extern const moth_kind moth_losses, moth_metrics;

/* Values of the loss for each sample, (batch), or a 0-d value where a function of the user gives one for the whole
 * batch. y_true may be of any type; y_pred is float. spec: normalized. Shapes must agree, but for one missing dim of
 * size 1; class ids have one dim less. *out belongs to the scope. */
moth_status moth_loss_rows(moth_pass *pass, const moth_value *spec, moth_tensor *y_true, moth_tensor *y_pred,
                           moth_tensor **out);

/* (batch, …) -> (batch): means. Steps that pass->mask leaves out count as 0; they are part of the number all the same.
 */
moth_tensor *moth_mean_rows(moth_pass *pass, moth_tensor *values);

/* moth_loss_rows by moth_mean_rows: without the factor by which a mask makes the mean one over the steps that count. */
moth_status moth_loss_mean_rows(moth_pass *pass, const moth_value *spec, moth_tensor *y_true, moth_tensor *y_pred,
                                moth_tensor **out);

/* How a metric is carried over the batches of an epoch: rows (batch, n_states), or (batch) for n_states = 1, are added
 * in row order in double; value computes what is reported from the sums and the number of rows. */
typedef struct moth_metric_type {
    moth_entry entry;
    moth_tensor *(*emit)(moth_pass *pass, const moth_value *config, moth_tensor *y_true, moth_tensor *y_pred);
    double (*value)(const moth_value *config, const double *states, int64_t n_states, double rows);
    bool lower_is_better;
    bool matrix; /* value is not used: the states are an n x n table of counts */
} moth_metric_type;

/* Normalizes a metric: a string (also the name of a loss), a map, or a function. *name is how logs call it (static
 * storage or inside given). 'accuracy' and 'crossentropy' stay as they are until shapes are known. */
moth_status moth_metric_normalize(moth_ctx *ctx, const moth_value *given, moth_value **spec);

/* Rows of the metric for traced y_true and y_pred; *type (NULL for losses and functions: a mean) says how to read the
 * sums. `loss` decides what 'crossentropy' means. */
moth_status moth_metric_rows(moth_pass *pass, const moth_value *spec, moth_tensor *y_true, moth_tensor *y_pred,
                             const moth_metric_type **type, moth_tensor **out);

/* Does a smaller value of this loss or metric mean a better model? */
bool moth_metric_lower_is_better(const moth_value *spec);

#endif
