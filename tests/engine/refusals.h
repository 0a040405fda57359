/* Ops applied to what they must refuse. */
#ifndef MOTH_TEST_REFUSALS_H
#define MOTH_TEST_REFUSALS_H

#include "cases.h"
#include "test.h"

typedef struct refusal {
    moth_op_id op;
    moth_status status;
    moth_case c;
    const char *text;
} refusal;

/* Each case must be refused with its status and text. */
static inline void check_refusals(moth_ctx *ctx, size_t n, const refusal *refusals)
{
    for (size_t k = 0; k < n; k++) {
        const refusal *r = &refusals[k];
        moth_tensor *in[MAX_CASE_INPUTS], *out = NULL;
        case_inputs(ctx, &r->c, 1, in);
        CHECK(moth_apply1(ctx, r->op, &r->c.attrs, r->c.n_in, in, &out) == r->status && !out);
        CHECK_TEXT(moth_error(ctx), r->text);
        release_all(r->c.n_in, in);
    }
}

#endif
