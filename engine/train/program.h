/* A compiled plan of a model for one mode and one kind of data. */
#ifndef MOTH_TRAIN_PROGRAM_H
#define MOTH_TRAIN_PROGRAM_H

#include "train/trainer.h"

typedef struct moth_program {
    moth_mode mode;
    int64_t rows; /* exact number of rows, or -1: any up to capacity */
    int64_t capacity;
    int n_x, n_y;
    moth_meta *x, *y; /* types and shapes of the data, dim 0 aside */
    bool checked;     /* stops at values that are not finite */
    moth_plan *plan;
    int n_outputs; /* of the model */
    int penalty;   /* plan output with the sum of penalties; -1: none */
    int *loss;     /* plan output with the loss rows of each model output */
    double *loss_weight;
    int n_measured;
    int *measured; /* plan output of each measure after the losses; -1: computed from losses */
} moth_program;

/* Finds or compiles the program for this data. rows: of the coming batch. */
moth_status moth_program_for(moth_trainer *trainer, moth_mode mode, const moth_data *data, int64_t batch_size,
                             int64_t rows, moth_program **out);
void moth_program_free(moth_program *program); /* NULL is allowed */

/* Inputs of a program's plan in order: x…, index, and for train and evaluate y…, scale. */
static inline int moth_program_inputs(const moth_program *p)
{
    return p->n_x + 1 + (p->mode == MOTH_PREDICT ? 0 : p->n_y + 1);
}

#endif
