/* How layers call recurrent ops: codes and slots of their attributes. */
#ifndef MOTH_OPS_RECURRENT_CODES_H
#define MOTH_OPS_RECURRENT_CODES_H

/* Values of the attributes `activation` and `recurrent_activation`. Definitions and constants as in activation.c. */
enum {
    MOTH_RECURRENT_TANH,
    MOTH_RECURRENT_SIGMOID,
    MOTH_RECURRENT_RELU,
    MOTH_RECURRENT_HARD_SIGMOID,
    MOTH_RECURRENT_LINEAR,
    MOTH_RECURRENT_SOFTSIGN,
    MOTH_RECURRENT_ELU, /* alpha 1 */
    MOTH_RECURRENT_SELU,
    MOTH_RECURRENT_EXPONENTIAL,
    MOTH_RECURRENT_ACTIVATIONS /* number of them */
};

/* The attributes of all cells. */
enum {
    MOTH_CELL_ACTIVATION = 0,
    MOTH_CELL_RECURRENT_ACTIVATION = 1,
    MOTH_CELL_REVERSE = 2,
    MOTH_CELL_WANTS_FIRST = 3 /* of the gradients: is that of the first state wanted? */
};
enum { MOTH_CELL_RATE = 0 }; /* among the numbers: the share of the states that kept leaves out */

#endif
