/* Tensors: shapes, strides, handles on one storage, copies between layouts, conversions. */
#include "apply.h"

static moth_tensor *view(const moth_tensor *t, int rank, const int64_t *shape, const int64_t *stride, int64_t offset)
{
    moth_meta m = { .dtype = t->meta.dtype, .rank = rank, .offset = offset };
    moth_tensor *v = NULL;
    memcpy(m.shape, shape, (size_t)rank * sizeof *shape);
    memcpy(m.stride, stride, (size_t)rank * sizeof *stride);
    CHECK(moth_tensor_handle(ctx, &m, t->storage, &v) == MOTH_OK);
    return own(v);
}

static void test_shapes(void)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_zeros(ctx, MOTH_FLOAT32, SHAPE(2, 3, 4), &t) == MOTH_OK);
    own(t);
    CHECK(moth_tensor_rank(t) == 3 && moth_tensor_count(t) == 24 && moth_tensor_dtype(t) == MOTH_FLOAT32);
    CHECK(moth_tensor_dim(t, 2) == 4 && moth_tensor_dim(t, 3) == 0 && moth_tensor_dim(t, -1) == 0);
    CHECK(t->meta.stride[0] == 12 && t->meta.stride[1] == 4 && t->meta.stride[2] == 1);
    CHECK((uintptr_t)moth_tensor_data(t) % 64 == 0);
    CHECK(moth_tensor_new(ctx, MOTH_UINT8, 0, NULL, &t) == MOTH_OK);
    CHECK(moth_tensor_count(own(t)) == 1);
    CHECK(moth_tensor_zeros(ctx, MOTH_INT32, SHAPE(3, 0, 5), &t) == MOTH_OK);
    CHECK(moth_tensor_count(own(t)) == 0 && moth_tensor_data(t) != NULL);
    const int64_t nine[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    CHECK(moth_tensor_new(ctx, MOTH_FLOAT32, 9, nine, &t) == MOTH_ERR_SHAPE);
    CHECK_TEXT(moth_error(ctx), "a tensor has 0 to 8 dimensions, got 9");
    CHECK(moth_tensor_new(ctx, MOTH_FLOAT32, SHAPE(2, -1), &t) == MOTH_ERR_SHAPE);
    CHECK_TEXT(moth_error(ctx), "dimension 2 is -1: a tensor has at most 2^40 elements, none negative");
    CHECK(moth_tensor_new(ctx, MOTH_UINT8, SHAPE((int64_t)1 << 32, (int64_t)1 << 32), &t) == MOTH_ERR_SHAPE);
    CHECK(moth_tensor_new(ctx, MOTH_UINT8, SHAPE(0, (int64_t)1 << 60), &t) == MOTH_ERR_SHAPE);
    CHECK(moth_tensor_new(ctx, MOTH_FLOAT32, -1, NULL, &t) == MOTH_ERR_SHAPE);
    release_live();
}

static void test_shape_text(void)
{
    char text[64], small[8];
    moth_meta m = { .rank = 3, .shape = { -1, 28, 3 } };
    CHECK_TEXT(moth_meta_text(&m, text, sizeof text), "(batch, 28, 3)");
    m = (moth_meta){ .rank = 2, .shape = { -28, 0 } };
    CHECK_TEXT(moth_meta_text(&m, text, sizeof text), "(28*batch, 0)");
    m = (moth_meta){ .rank = 1, .shape = { 7 } };
    CHECK_TEXT(moth_meta_text(&m, text, sizeof text), "(7,)");
    m.rank = 0;
    CHECK_TEXT(moth_meta_text(&m, text, sizeof text), "()");
    m = (moth_meta){ .rank = 4, .shape = { 1000000, 1000000, 3, 4 } };
    CHECK(strlen(moth_meta_text(&m, small, sizeof small)) < sizeof small);
}

/* Strides as a list of numbers of elements; a dim of 1 may have any. */
static void test_contiguous(void)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_zeros(ctx, MOTH_FLOAT32, SHAPE(4, 6), &t) == MOTH_OK);
    own(t);
    const int64_t turned[] = { 1, 6 }, rows[] = { 6, 1 }, wide[] = { 12, 1 }, odd[] = { 99, 1 };
    CHECK(moth_meta_contiguous(&t->meta));
    CHECK(!moth_meta_contiguous(&view(t, SHAPE(6, 4), turned, 0)->meta));
    CHECK(moth_meta_contiguous(&view(t, SHAPE(2, 6), rows, 12)->meta)); /* rows 3 and 4 */
    CHECK(!moth_meta_contiguous(&view(t, SHAPE(4, 3), rows, 0)->meta));
    CHECK(!moth_meta_contiguous(&view(t, SHAPE(2, 6), wide, 0)->meta));
    CHECK(moth_meta_contiguous(&view(t, SHAPE(1, 6), odd, 0)->meta));
    CHECK(moth_meta_contiguous(&view(t, SHAPE(0, 6), odd, 0)->meta));
    CHECK(moth_meta_same_layout(&t->meta, &t->meta));
    CHECK(!moth_meta_same_layout(&t->meta, &view(t, SHAPE(4, 6), (int64_t[]){ 1, 4 }, 0)->meta));
    moth_meta batch = { .rank = 2, .shape = { -3, 5 } }; /* strides never count the rows of the run */
    moth_meta_set_contiguous(&batch);
    CHECK(batch.stride[0] == 5 && moth_meta_contiguous(&batch) && moth_meta_elements(&batch) == -15);
    release_live();
}

/* Handles share the storage; the last one frees it. */
static void test_handles(void)
{
    int64_t blocks = moth_live_blocks();
    moth_tensor *t = NULL, *v = NULL;
    CHECK(moth_tensor_zeros(ctx, MOTH_FLOAT32, SHAPE(2, 3), &t) == MOTH_OK);
    CHECK(moth_tensor_handle(ctx, &t->meta, t->storage, &v) == MOTH_OK);
    v->meta.offset = 3;
    moth_tensor_set_element(v, 1, 5);
    CHECK_NEAR(moth_tensor_element(t, 4), 5, 0);
    CHECK(moth_tensor_retain(t) == t && moth_tensor_retain(NULL) == NULL);
    moth_tensor_release(t);
    moth_tensor_release(t);
    CHECK_NEAR(moth_tensor_element(v, 1), 5, 0);
    moth_tensor *other = NULL;
    CHECK(moth_tensor_zeros(ctx, MOTH_INT32, SHAPE(4), &other) == MOTH_OK);
    moth_tensor_rebind(v, other);
    CHECK(v->storage == other->storage && v->meta.rank == 1 && v->meta.dtype == MOTH_INT32);
    moth_tensor_rebind(v, v); /* to itself */
    CHECK(v->storage == other->storage);
    moth_tensor_release(other);
    CHECK(!moth_tensor_is_symbolic(v));
    moth_tensor_drop_storage(v);
    CHECK(moth_tensor_is_symbolic(v));
    float out[4];
    CHECK(moth_tensor_to_floats(ctx, v, out, 4) == MOTH_ERR_TRACING);
    moth_tensor_release(v);
    moth_tensor_release(NULL);
    CHECK(moth_live_blocks() == blocks);
}

/* Every type into every type, between layouts. */
static void test_copies(void)
{
    static const moth_dtype types[] = { MOTH_FLOAT32, MOTH_INT32, MOTH_UINT8 };
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
            moth_tensor *from = NULL, *to = NULL;
            CHECK(moth_tensor_zeros(ctx, types[a], SHAPE(5, 4), &from) == MOTH_OK);
            CHECK(moth_tensor_zeros(ctx, types[b], SHAPE(4, 5), &to) == MOTH_OK);
            own(from);
            own(to);
            for (int64_t i = 0; i < 20; i++) {
                moth_tensor_set_element(from, i, (double)(10 * i + 1));
            }
            uint64_t version = to->storage->version;
            CHECK(moth_tensor_copy_into(ctx, view(to, SHAPE(5, 4), (int64_t[]){ 1, 5 }, 0), from) == MOTH_OK);
            CHECK(to->storage->version == version + 1);
            CHECK_NEAR(moth_tensor_element(to, 5), 11, 0); /* element (1, 0) is (0, 1) of from */
            CHECK_NEAR(moth_tensor_element(to, 19), 191, 0);
            moth_tensor *copy = NULL;
            CHECK(moth_tensor_convert(ctx, view(from, SHAPE(4, 5), (int64_t[]){ 1, 4 }, 0), types[b], &copy) ==
                  MOTH_OK);
            CHECK(own(copy)->meta.dtype == types[b] && moth_meta_contiguous(&copy->meta));
            CHECK_NEAR(moth_tensor_element(copy, 1), 41, 0);
            CHECK_NEAR(moth_tensor_element(copy, 18), 10 * 15 + 1, 0); /* (3, 3) is (3, 3) */
        }
    }
    release_live();
}

static void test_overlapping_copy(void)
{
    moth_tensor *t = floats(SHAPE(6), FLOATS(1, 2, 3, 4, 5, 6));
    const int64_t one[] = { 1 };
    CHECK(moth_tensor_copy_into(ctx, view(t, SHAPE(5), one, 1), view(t, SHAPE(5), one, 0)) == MOTH_OK);
    CHECK_VALUES(t, 0, 1, 1, 2, 3, 4, 5);
    moth_tensor *square = floats(SHAPE(2, 2), FLOATS(1, 2, 3, 4));
    CHECK(moth_tensor_copy_into(ctx, square, view(square, SHAPE(2, 2), (int64_t[]){ 1, 2 }, 0)) == MOTH_OK);
    CHECK_VALUES(square, 0, 1, 3, 2, 4);
    release_live();
}

static void test_refused_copies(void)
{
    moth_tensor *a = floats(SHAPE(2, 3), FLOATS(1, 2, 3, 4, 5, 6)), *b = floats(SHAPE(3), FLOATS(7, 8, 9));
    CHECK(moth_tensor_copy_into(ctx, a, b) == MOTH_ERR_SHAPE);
    CHECK_TEXT(moth_error(ctx), "copy: shapes must agree; got (2, 3) and (3,)");
    moth_tensor *expanded = view(b, SHAPE(2, 3), (int64_t[]){ 0, 1 }, 0);
    CHECK(moth_tensor_copy_into(ctx, expanded, a) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(ctx), "copy: dimension 1 is expanded; its elements share memory");
    moth_tensor *wide = floats(SHAPE(3), FLOATS(0, 255.9F, 256)), *bytes3 = bytes(SHAPE(3), BYTES(1, 2, 3)),
                *none = NULL;
    CHECK(moth_tensor_copy_into(ctx, bytes3, wide) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(ctx), "to: element 3 is 256, which does not fit uint8");
    CHECK_VALUES(bytes3, 0, 1, 2, 3); /* nothing has changed */
    moth_tensor *nan_ = floats(SHAPE(1), FLOATS(NAN)), *large = floats(SHAPE(1), FLOATS(2147483648.F));
    CHECK(moth_tensor_convert(ctx, nan_, MOTH_INT32, &none) == MOTH_ERR_ARGUMENT);
    CHECK(moth_tensor_convert(ctx, large, MOTH_INT32, &none) == MOTH_ERR_ARGUMENT);
    CHECK(moth_tensor_convert(ctx, ints(SHAPE(1), INTS(-1)), MOTH_UINT8, &none) == MOTH_ERR_ARGUMENT);
    moth_tensor *low = floats(SHAPE(2), FLOATS(-0.9F, 3.9F));
    CHECK(moth_tensor_convert(ctx, low, MOTH_UINT8, &none) == MOTH_OK); /* fractions are cut off */
    own(none);
    CHECK_VALUES(none, 0, 0, 3);
    float out[6];
    CHECK(moth_tensor_to_floats(ctx, a, out, 5) == MOTH_ERR_ARGUMENT);
    CHECK(moth_tensor_to_floats(ctx, view(a, SHAPE(3, 2), (int64_t[]){ 1, 3 }, 0), out, 6) == MOTH_OK);
    CHECK(out[0] == 1 && out[1] == 4 && out[5] == 6);
    release_live();
}

int main(void)
{
    ctx = moth_ctx_new();
    test_shapes();
    test_shape_text();
    test_contiguous();
    test_handles();
    test_copies();
    test_overlapping_copy();
    test_refused_copies();
    moth_ctx_free(ctx);
    CHECK(moth_live_blocks() == 0);
    return test_report();
}
