/* The op contract: what a computation says of itself so that it runs eagerly, is differentiated, and is cut into
 * pieces by a plan. One op lives in one file of engine/ops and on one line of ops.def.
 *
 * engine/ops is compiled once for every CPU variant (MOTH_VARIANT = portable, avx2, avx512); MOTH_OP(name) is the
 * symbol of an op in the variant being compiled. Ops know neither the tape nor the plan. */
#ifndef MOTH_OPS_OP_H
#define MOTH_OPS_OP_H

#include "tensor/tensor.h"

#ifndef MOTH_VARIANT
#define MOTH_VARIANT portable
#endif
#define MOTH_PASTE2(a, b) a##_##b
#define MOTH_PASTE(a, b) MOTH_PASTE2(a, b)
#define MOTH_OP(name) MOTH_PASTE(moth_op_##name, MOTH_VARIANT)

typedef struct moth_op moth_op;

typedef enum moth_op_id {
#define X(name) MOTH_OP_##name,
#include "ops/ops.def"
#undef X
    MOTH_OP_COUNT
} moth_op_id;

#define X(name) extern const moth_op MOTH_OP(name);
#include "ops/ops.def"
#undef X

/* ---- attributes ---- */

#define MOTH_MAX_ATTR_INTS 20
#define MOTH_MAX_ATTR_FLOATS 4

/* The constants of one application, in slots that the op names in its file. A shape or a list of dims lies in
 * i[first..] with its length in i[first - 1]. */
typedef struct moth_attrs {
    int64_t i[MOTH_MAX_ATTR_INTS];
    double f[MOTH_MAX_ATTR_FLOATS];
} moth_attrs;

typedef enum moth_attr_kind {
    MOTH_ATTR_END,
    MOTH_ATTR_INT,   /* i[slot] */
    MOTH_ATTR_DIM,   /* i[slot], 0-based here, 1-based or negative in Lua */
    MOTH_ATTR_BOOL,  /* i[slot] */
    MOTH_ATTR_FLOAT, /* f[slot] */
    MOTH_ATTR_SHAPE, /* i[slot] = length, i[slot + 1 ..] = entries */
    MOTH_ATTR_DIMS   /* as SHAPE, entries are dims */
} moth_attr_kind;

/* How an attribute is called by users and where it lies; `optional` ones take `fallback`. */
typedef struct moth_attr_spec {
    const char *name;
    moth_attr_kind kind;
    int slot;
    bool optional;
    double fallback;
} moth_attr_spec;

/* ---- shape rule ---- */

/* What a shape rule sees and fills. On entry out[] is zeroed; rule sets dtype, rank and shape of each output; strides
 * become contiguous afterwards, except for views. Negative dims: see tensor.h. A rule that cannot deal with a dim that
 * counts rows of the run where it stands returns MOTH_ERR_EXACT_BATCH (moth_infer_exact). */
typedef struct moth_infer {
    moth_ctx *ctx;
    const moth_op *op;
    moth_attrs *attrs; /* may be normalized by the rule (negative dims resolved) */
    int n_in;
    const moth_meta *const *in;
    moth_meta *out;
    int n_out; /* starts as op->n_out; a rule of a variable op may lower it */
} moth_infer;

/* ---- kernels ---- */

typedef struct moth_arg {
    char *data; /* first element */
    moth_dtype dtype;
    int rank;
    int64_t shape[MOTH_MAX_RANK];  /* concrete: rows of the run already put in */
    int64_t stride[MOTH_MAX_RANK]; /* in elements */
} moth_arg;

/* What a run fixes for all its ops. */
typedef struct moth_run {
    uint64_t seed; /* key of the draws */
    uint64_t step; /* training steps of the model, or eager draws so far */
} moth_run;

typedef struct moth_call {
    const moth_op *op;
    const moth_attrs *attrs;
    int n_in, n_out;
    moth_arg *in; /* an absent optional input has data == NULL and rank 0 */
    moth_arg *out;
    const moth_run *run;
    char *shared; /* op->shared_scratch bytes for all pieces and phases of this call, 64-byte aligned */
} moth_call;

/* What belongs to the thread that runs a piece. */
typedef struct moth_worker {
    char *scratch;   /* op->worker_scratch bytes, 64-byte aligned, contents undefined */
    char fault[192]; /* text of what was wrong with the data, where a kernel returns false */
} moth_worker;

/* ---- gradient rule ---- */

/* Applies an op to tensors, concrete or symbolic; the result belongs to the scope. The first failure is kept on the
 * scope and every later emit returns NULL, so a builder may pass results on without looking. */
typedef struct moth_scope moth_scope;
struct moth_scope {
    moth_ctx *ctx;
    moth_status status;  /* first failure */
    moth_tensor **owned; /* results, released when the scope closes */
    int64_t n_owned, cap_owned;
    /* n_out results go to out[]; false after a failure */
    bool (*emit)(moth_scope *scope, const moth_op *op, const moth_attrs *attrs, int n_in, moth_tensor *const *in,
                 moth_tensor **out);
};

typedef struct moth_grad {
    moth_scope *scope;
    const moth_attrs *attrs;
    int n_in, n_out;
    moth_tensor *const *x;  /* inputs: shapes always, data only for those in op->saves_in */
    moth_tensor *const *y;  /* outputs: shapes always, data only for those in op->saves_out */
    moth_tensor *const *dy; /* gradient of each output; NULL where it is zero */
    const bool *need;       /* inputs whose gradient is wanted */
    moth_tensor **dx;       /* to be set by the rule, results of emit */
} moth_grad;

/* ---- the op ---- */

typedef enum moth_op_flags {
    MOTH_OP_METHOD = 1,      /* becomes a tensor method of its own name in the bindings, from attrs and inputs */
    MOTH_OP_ELEMENTWISE = 2, /* out[e] depends on in[e] only: an output may take the memory of a dying input */
    MOTH_OP_VIEW = 4,        /* no kernel: `view` derives the output's meta from the input's memory */
    MOTH_OP_RANDOM = 8       /* draws numbers: eager application advances the context's step */
} moth_op_flags;

/* A case for the table-driven gradient check and the variant comparison: shapes and types of the inputs. */
typedef struct moth_case {
    struct {
        int rank;
        int64_t shape[MOTH_MAX_RANK];
        moth_dtype dtype;
        double low, high; /* range of the values; ints: inclusive */
        int layout;       /* 0 contiguous, 1 a transposed view, 2 a strided slice of a larger tensor */
    } in[6];
    int n_in; /* 0 ends a case list */
    moth_attrs attrs;
} moth_case;

/* Cases stand in the table of the portable variant only: hundreds of them are much of the size of a library. */
#ifdef MOTH_WITHOUT_CASES
#define MOTH_CASES(list) (sizeof(list) > 0 ? NULL : (list))
#else
#define MOTH_CASES(list) (list)
#endif

/* Inputs of a case. */
#define MOTH_IN(dtype_, low_, high_, layout_, rank_, ...)                                                       \
    {                                                                                                           \
        .rank = rank_, .shape = { __VA_ARGS__ }, .dtype = dtype_, .low = low_, .high = high_, .layout = layout_ \
    }
#define MOTH_REALS(low_, high_, layout_, rank_, ...) MOTH_IN(MOTH_FLOAT32, low_, high_, layout_, rank_, __VA_ARGS__)
#define MOTH_REAL(rank_, ...) MOTH_REALS(-1, 1, 0, rank_, __VA_ARGS__)
#define MOTH_ABSENT \
    {               \
        .rank = -1  \
    }

struct moth_op {
    const char *name;
    const char *doc;    /* one sentence: formula, source */
    int min_in, max_in; /* number of inputs; max_in < 0: any number from min_in */
    int n_out;          /* outputs, hidden ones included */
    int n_visible;      /* outputs that callers see; the rest is kept for the gradient. 0 means n_out */
    unsigned flags;
    const moth_attr_spec *attrs; /* ends with MOTH_ATTR_END; NULL: none */

    moth_status (*infer)(moth_infer *q);
    /* MOTH_OP_VIEW: fills out's strides and offset for its (already inferred) shape. False: needs a contiguous copy. */
    bool (*view)(const moth_attrs *attrs, const moth_meta *in, moth_meta *out);

    /* Row kernel: computes rows r0 .. r1-1 of dim 0 of every output (rank 0: one row). Where n_out is 0 the rows are
     * those of in[0]. The rows of an output must not depend on how the range is cut, except at multiples of
     * MOTH_ROW_TILE. Returns false on bad data (an index out of range), with worker->fault filled. */
    bool (*rows)(const moth_call *call, int64_t r0, int64_t r1, moth_worker *worker);
    /* Is all of input i needed for any row of the output? NULL: default, true unless input i has the rank and first
     * dim of the output. Shapes may be symbolic. Called with metas. */
    bool (*whole)(const moth_attrs *attrs, const moth_meta *const *in, const moth_meta *out, int i);

    /* Or a phased kernel, for what is no function of rows: phases run one after the other, the pieces of one phase at
     * the same time. The number of pieces depends on shapes only. */
    int n_phases;
    int64_t (*pieces)(const moth_call *call, int phase);
    bool (*piece)(const moth_call *call, int phase, int64_t p, moth_worker *worker);

    size_t (*worker_scratch)(const moth_call *call); /* bytes; NULL: none */
    size_t (*shared_scratch)(const moth_call *call); /* bytes, phased kernels only */

    unsigned strided_in; /* bit i: the kernel takes any strides for input i; else it gets contiguous memory */
    unsigned mutates;    /* bit i: the kernel writes into input i (variables: updates, assignments) */

    void (*gradient)(moth_grad *g); /* NULL: not differentiable, for the reason in `nodiff` */
    const char *nodiff;
    unsigned saves_in, saves_out; /* bits: inputs / outputs whose data the gradient rule uses; ~0u: all of any number */

    const moth_case *cases; /* gradient check and variant comparison; in the portable table */
    double tolerance;       /* of the variant comparison, relative to the largest magnitude; 0: 1e-5 sqrt(K) */
};

/* Bit i of a mask of inputs or outputs; beyond the last bit only a full mask holds. */
static inline bool moth_op_bit(unsigned mask, int i)
{
    return i < 32 ? (mask >> i & 1) != 0 : mask == ~0u;
}

/* Rows per product inside a kernel and per slice of a region. OpenBLAS's bits depend on the number of rows of a call,
 * so this is part of every product's definition. 64 costs 4 % of its speed at 128x784x128 against 128 and gives
 * two slices for a batch of 128; 32 costs 11 %. */
#define MOTH_ROW_TILE 64

/* Rows of one slice for n rows of `row_elements` elements: a multiple of MOTH_ROW_TILE that depends on shapes only. */
int64_t moth_slice_rows(int64_t n, int64_t row_elements);

/* ---- for shape rules ---- */

moth_status moth_infer_exact(moth_infer *q);
/* Resolves dim (0-based, negatives from the end) in place; fails with MOTH_ERR_ARGUMENT outside `rank`. */
moth_status moth_infer_dim(moth_infer *q, int64_t *dim, int rank);
/* NumPy broadcasting of all inputs into out[0].shape. */
moth_status moth_infer_broadcast(moth_infer *q);
/* "name: rule; got (2, 3) and (4, 5)" */
moth_status moth_infer_fail(moth_infer *q, moth_status status, const char *rule, ...)
    __attribute__((format(printf, 3, 4)));
/* All inputs of a type in the mask (1 << dtype). */
moth_status moth_infer_types(moth_infer *q, unsigned mask);
/* The type that arithmetic gives: uint8 < int32 < float32. */
moth_dtype moth_promote(moth_dtype a, moth_dtype b);

/* ---- for gradient rules and for functions over ops ---- */

/* Emits an op of one output; any NULL input yields NULL (absent optional inputs: moth_emit_op with n_in cut). */
moth_tensor *moth_emit_op(moth_scope *scope, const moth_op *op, const moth_attrs *attrs, int n_in,
                          moth_tensor *const *in);
#define MOTH_EMIT(scope, op, attrs, ...)                                                                         \
    moth_emit_op(scope, op, attrs, (int)(sizeof((moth_tensor *const[]){ __VA_ARGS__ }) / sizeof(moth_tensor *)), \
                 (moth_tensor *const[]){ __VA_ARGS__ })

/* Sums g down to the shape of like (undoes broadcasting); g itself where shapes agree. */
moth_tensor *moth_emit_sum_to(moth_scope *scope, moth_tensor *g, moth_tensor *like);

/* ---- the tables ---- */

extern const moth_op *const MOTH_PASTE(moth_ops, portable)[MOTH_OP_COUNT];
#ifdef MOTH_HAVE_X86_VARIANTS
extern const moth_op *const MOTH_PASTE(moth_ops, avx2)[MOTH_OP_COUNT];
extern const moth_op *const MOTH_PASTE(moth_ops, avx512)[MOTH_OP_COUNT];
#endif

#endif
