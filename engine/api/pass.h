/* One pass over data, as evaluate, predict, train_on_batch and the epochs of fit make it. */
#ifndef MOTH_API_PASS_H
#define MOTH_API_PASS_H

#include "api/api.h"
#include "train/trainer.h"

/* Which samples, and how. */
typedef struct moth_batches {
    int64_t size, first, count; /* samples of a batch; the range that is passed over */
    moth_tensor *order;         /* int32 (count); NULL: as they lie. Borrowed */
    moth_tensor **results;      /* where predictions go, a reference each */
} moth_batches;

/* Runs all batches. */
moth_status moth_api_pass(moth_trainer *trainer, moth_mode mode, const moth_data *data, const moth_batches *batches);

/* The data as the engine takes them. Checks that the tensors are there; *samples is their number. */
moth_status moth_api_data(moth_ctx *ctx, const char *what, const moth_samples *given, bool labelled, moth_data *data,
                          int64_t *samples);

/* Samples in so many batches as the option says, all where it says nothing. */
int64_t moth_api_steps(const moth_value *options, const char *name, int64_t batch_size, int64_t samples);

/* Value of measure k over the last pass; NaN of a table. */
double moth_api_value(const moth_trainer *trainer, int k);

#endif
