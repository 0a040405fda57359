/* One value as an option: checked against what the table says of it, or its default. Used by option.c and entry.c. */
#ifndef MOTH_NN_OPTION_READ_H
#define MOTH_NN_OPTION_READ_H

#include "nn/option.h"

/* A copy of the value in the form that the kind of the option has; `what` begins messages. */
moth_status moth_option_read(moth_ctx *ctx, const char *what, const moth_option *o, const moth_value *v,
                             moth_value **out);

/* Puts the default into the map; fails where the option is required. */
moth_status moth_option_fill(moth_ctx *ctx, const char *what, const moth_option *o, moth_value *map);

/* What a constructor of values made; NULL means that memory ran out. */
moth_status moth_option_keep(moth_ctx *ctx, moth_value *made, moth_value **out);

/* "a number", for messages. */
const char *moth_option_kind_text(const moth_value *v);

#endif
