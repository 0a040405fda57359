/* Tensors: a reference-counted handle (type, shape, strides, offset) on a reference-counted storage. */
#ifndef MOTH_TENSOR_TENSOR_H
#define MOTH_TENSOR_TENSOR_H

#include "core/blas.h"
#include "core/memory.h"
#include "core/status.h"

struct moth_node;

typedef struct moth_storage {
    int64_t references;
    int64_t bytes;
    uint64_t version; /* counts in-place changes; autograd compares it */
    char *data;       /* aligned to 64 bytes; never NULL, also for 0 bytes */
} moth_storage;

/* What is known of a tensor without its data. A dimension is a constant >= 0 or, while tracing, -k: k times the rows
 * of the run, in the first dimension only. Products of such numbers stay right (k1 * -k2 = -(k1 k2)), so shape rules
 * treat them like any other number. Strides and offset count elements and never involve the rows of the run. */
typedef struct moth_meta {
    moth_dtype dtype;
    int rank;
    int64_t shape[MOTH_MAX_RANK];
    int64_t stride[MOTH_MAX_RANK];
    int64_t offset;
} moth_meta;

struct moth_tensor {
    int64_t references;
    moth_meta meta;
    moth_storage *storage;  /* NULL: symbolic, only the shape is known */
    bool requires_grad;     /* a leaf whose gradient is wanted; or computed from one (node not NULL) */
    moth_tensor *grad;      /* accumulated by backward; NULL until then; leaves only */
    struct moth_node *node; /* what computed it, where that is recorded; owned */
    int node_output;        /* which output of the node */
    const char *name;       /* variables: path such as "dense_1/kernel" for messages; owned */
    moth_tensor *mask;      /* uint8 (batch, time): which steps layers count; NULL: all; owned, of this handle alone */
};

/* New tensor of one reference with uninitialized contiguous storage. */
moth_status moth_tensor_new(moth_ctx *ctx, moth_dtype dtype, int rank, const int64_t *shape, moth_tensor **out);

/* New handle with the given meta on an existing storage (which gains a reference), or symbolic (storage NULL). */
moth_status moth_tensor_handle(moth_ctx *ctx, const moth_meta *meta, moth_storage *storage, moth_tensor **out);

/* Makes t hold what `from` holds (storage, meta, history) and keeps t's identity: how in-place calls rebind a traced
 * tensor, and how a parameter becomes a view into a flat buffer. */
void moth_tensor_rebind(moth_tensor *t, const moth_tensor *from);

/* Gives t another mask (NULL: none), which gains a reference. */
void moth_tensor_set_mask(moth_tensor *t, moth_tensor *mask);

/* Leaves only the shape: t becomes symbolic but keeps its history. */
void moth_tensor_drop_storage(moth_tensor *t);

/* Size of one element in bytes. MOTH_FLOAT32 is sizeof(moth_real). */
size_t moth_dtype_size(moth_dtype dtype);
const char *moth_dtype_name(moth_dtype dtype); /* "float32" */

bool moth_tensor_is_symbolic(const moth_tensor *t);
char *moth_tensor_data(const moth_tensor *t);       /* address of the first element */
moth_real *moth_tensor_reals(const moth_tensor *t); /* the same for a float tensor */

/* meta helpers */
int64_t moth_meta_elements(const moth_meta *m); /* negative: that many times the rows of the run */
bool moth_meta_contiguous(const moth_meta *m);

/* Fails with a message unless a tensor can have that shape: 0 to MOTH_MAX_RANK dimensions, at most MOTH_MAX_ELEMENTS.
 * Empty dimensions count as 1, so that (0, 2^60) is refused as well, and -k, which is k times the rows, as k. */
moth_status moth_meta_check(moth_ctx *ctx, const moth_meta *m);
void moth_meta_set_contiguous(moth_meta *m); /* strides from shape, offset 0 */
bool moth_meta_same_shape(const moth_meta *a, const moth_meta *b);
bool moth_meta_same_layout(const moth_meta *a, const moth_meta *b);        /* shape and strides; offsets may differ */
const char *moth_meta_text(const moth_meta *m, char *buffer, size_t size); /* "(batch, 784)" */

/* Concrete copy of t in contiguous memory of the same type (no autograd), and element-wise copy with conversion
 * between two concrete tensors of the same shape. Conversion out of range is MOTH_ERR_ARGUMENT and changes nothing. */
moth_status moth_tensor_contiguous_copy(moth_ctx *ctx, const moth_tensor *t, moth_tensor **out);
moth_status moth_tensor_copy_into(moth_ctx *ctx, moth_tensor *to, const moth_tensor *from);
moth_status moth_tensor_convert(moth_ctx *ctx, const moth_tensor *t, moth_dtype dtype, moth_tensor **out);

/* Element by linear index in row-major order of the logical shape. */
double moth_tensor_element(const moth_tensor *t, int64_t i);
void moth_tensor_set_element(moth_tensor *t, int64_t i, double value); /* value must fit */

#endif
