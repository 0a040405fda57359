/* Every op of the table in a plan, forward and backward, against eager, to the bit: with captured tensors, and with
 * each choice of inputs whose first dimension is the rows of the run. */
#include "plan_net.h"
#include "test.h"

typedef struct case_net {
    const moth_op *op;
    const moth_case *c;
    int source[MAX_CASE_INPUTS]; /* k: input k; NET_INPUTS + k: leaf k; -1: absent */
} case_net;

static int build_case(const net *n, moth_scope *s, moth_tensor *const *in, moth_tensor *const *leaf, moth_tensor **out)
{
    const case_net *user = n->user;
    const moth_op *op = moth_op_named(s->ctx, user->op->name);
    moth_tensor *x[MAX_CASE_INPUTS], *all[NET_OUTPUTS];
    for (int k = 0; k < user->c->n_in; k++) {
        int from = user->source[k];
        x[k] = from < 0 ? NULL : (from < NET_INPUTS ? in[from] : leaf[from - NET_INPUTS]);
    }
    if (!s->emit(s, op, &user->c->attrs, user->c->n_in, x, all)) {
        return 0;
    }
    for (int k = 0; k < visible_outputs(op); k++) {
        out[k] = all[k];
    }
    return visible_outputs(op);
}

/* Bit k of `batch`: input k comes with the rows of the run. The others are captured. */
static moth_status check_case(const moth_op *op, const moth_case *c, unsigned batch, int64_t capacity, const char *name)
{
    case_net user = { .op = op, .c = c };
    net n = { .name = name, .build = build_case, .user = &user, .no_gradients = !op->gradient };
    for (int k = 0; k < c->n_in; k++) {
        net_tensor t = { .rank = c->in[k].rank,
                         .dtype = c->in[k].dtype,
                         .low = c->in[k].low,
                         .high = c->in[k].high,
                         .layout = c->in[k].layout };
        if (t.rank < 0) {
            user.source[k] = -1;
            continue;
        }
        memcpy(t.shape, c->in[k].shape, sizeof t.shape);
        if (batch >> k & 1) {
            t.shape[0] = -1;
            t.layout = 0;
            user.source[k] = n.n_in;
            n.in[n.n_in++] = t;
        } else {
            user.source[k] = NET_INPUTS + n.n_leaf;
            n.leaf[n.n_leaf++] = t;
        }
    }
    net_verdict v = net_check(&n, capacity);
    CHECK_THAT(v.fault[0] == '\0', "%s", v.fault);
    CHECK_THAT(v.status != MOTH_OK || v.runs > 0, "%s: not run", name);
    return v.status;
}

static bool can_be_batch(const moth_op *op, const moth_case *c, unsigned batch)
{
    for (int k = 0; k < MAX_CASE_INPUTS; k++) {
        bool wanted = batch >> k & 1;
        if (wanted && (k >= c->n_in || c->in[k].rank < 1 || op->mutates >> k & 1)) {
            return false;
        }
    }
    /* eagerly a batch of one row would lose its first dim as well */
    return strcmp(op->name, "squeeze") != 0 || c->attrs.i[0] > 0;
}

/* Ops whose cases name a size as an attribute, or move the first dim: none fits an open number of rows. test_plan.c has
 * them in nets. */
static bool only_exact(const char *name)
{
    static const char *const names[] = { "spread",    "sum_to",    "expand", "reshape", "index_add", "permute",
                                         "transpose", "pad_slice", "normal", "uniform", "random_int" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Enough for several slices, and quick. */
static bool moderate(const moth_case *c)
{
    for (int k = 0; k < c->n_in; k++) {
        int64_t n = 1;
        for (int d = 0; d < c->in[k].rank; d++) {
            n *= c->in[k].shape[d];
        }
        if (n > 50000) {
            return false;
        }
    }
    return true;
}

static void check_op(moth_ctx *ctx, const moth_op *op)
{
    (void)ctx; /* runs have contexts of their own */
    int with_rows = 0;
    const moth_case *cases = cases_of(op);
    for (int k = 0; cases && cases[k].n_in > 0; k++) {
        const moth_case *c = &cases[k];
        char name[64];
        snprintf(name, sizeof name, "%s case %d", op->name, k);
        CHECK_THAT(check_case(op, c, 0, 1, name) == MOTH_OK, "%s: not compiled", name);
        moth_case large = case_enlarged(c);
        if (moderate(&large)) {
            check_case(op, &large, 0, 1, name);
        }
        for (unsigned batch = 1; batch < 1u << c->n_in; batch++) {
            if (can_be_batch(op, c, batch)) {
                snprintf(name, sizeof name, "%s case %d batch %x", op->name, k, batch);
                moth_status status = check_case(op, c, batch, 131, name);
                CHECK_THAT(status == MOTH_OK || status == MOTH_ERR_EXACT_BATCH || status == MOTH_ERR_SHAPE ||
                               status == MOTH_ERR_INDEX,
                           "%s: %s", name, moth_status_name(status));
                with_rows += status == MOTH_OK;
            }
        }
    }
    CHECK_THAT(with_rows > 0 || op->mutates || only_exact(op->name), "%s: no case with an open number of rows",
               op->name);
}

int main(int argc, char **argv)
{
    check_each_op(argc, argv, check_op);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
