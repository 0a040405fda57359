/* What tells one optimizer from another; the rest is the same for all of them. */
#ifndef MOTH_TRAIN_OPTIMIZER_TYPE_H
#define MOTH_TRAIN_OPTIMIZER_TYPE_H

#include "train/optimizer.h"

typedef struct moth_optimizer_type {
    moth_entry entry;
    moth_op_id op;
    const char *slots[MOTH_MAX_SLOTS];                                    /* names; NULL: fewer */
    bool (*has_slot)(const moth_value *config, int k);                    /* NULL: all of them */
    void (*hyper)(moth_optimizer *o, double rate, double t, double *out); /* fills what comes after the decay */
    const char *nesterov;   /* option that becomes attribute i[0]; NULL: none */
    const char *slot_start; /* option with the start value of slots; NULL: zeros */
} moth_optimizer_type;

#endif
