/* Writing safetensors: the bytes, what is read again, the checksum, views, refusals; failing allocations of both ways.
 */
#include "safetensors_files.h"

#include "io/file.h"

static moth_tensor *floats(int rank, const int64_t *shape, const float *data)
{
    moth_tensor *t = NULL;
    CHECK(moth_tensor_from_floats(ctx, rank, shape, data, &t) == MOTH_OK);
    return t;
}

/* "b" float (2, 2), "a" bytes (3), "c" int scalar, "e" empty; texts. */
static moth_tensor_file *sample(void)
{
    static const float b[] = { 1.5F, -2, NAN, 0x1p-149F };
    static const uint8_t a[] = { 1, 2, 255 };
    static const int32_t c[] = { INT32_MIN };
    static const int64_t square[] = { 2, 2 }, three[] = { 3 }, none[] = { 2, 0 };
    moth_tensor_file *file = NULL;
    CHECK(moth_tensor_file_new(ctx, &file) == MOTH_OK);
    moth_tensor *t[4] = { floats(2, square, b), NULL, NULL, floats(2, none, b) };
    CHECK(moth_tensor_from_bytes(ctx, 1, three, a, &t[1]) == MOTH_OK);
    CHECK(moth_tensor_from_ints(ctx, 0, NULL, c, &t[2]) == MOTH_OK);
    static const char *const names[] = { "b", "a", "c", "e" };
    for (int i = 0; i < 4; i++) {
        CHECK(moth_tensor_file_add(ctx, file, names[i], t[i]) == MOTH_OK);
        moth_tensor_release(t[i]);
    }
    CHECK(moth_tensor_file_set_metadata(ctx, file, "format", "old") == MOTH_OK);
    CHECK(moth_tensor_file_set_metadata(ctx, file, "format", "moth") == MOTH_OK);
    CHECK(moth_tensor_file_set_metadata(ctx, file, "architecture", "{\"a\":\"\xc3\xa9\n\"}") == MOTH_OK);
    return file;
}

static void check_same(const moth_tensor_file *a, const moth_tensor_file *b)
{
    CHECK(moth_tensor_file_count(a) == moth_tensor_file_count(b));
    for (int64_t i = 0; i < moth_tensor_file_count(a); i++) {
        const moth_tensor *x = moth_tensor_file_tensor(a, i);
        const moth_tensor *y = moth_tensor_file_find(b, moth_tensor_file_name(a, i));
        CHECK(y && x->meta.dtype == y->meta.dtype && moth_meta_same_shape(&x->meta, &y->meta));
        for (int64_t e = 0; y && e < moth_tensor_count(x); e++) {
            CHECK_NEAR(moth_tensor_element(y, e), moth_tensor_element(x, e), 0);
        }
    }
    const moth_value *texts = moth_tensor_file_metadata(a);
    CHECK(moth_value_count(texts) == moth_value_count(moth_tensor_file_metadata(b)));
    for (int64_t i = 0; i < moth_value_count(texts); i++) {
        const char *text = moth_tensor_file_get_metadata(b, moth_value_key(texts, i));
        CHECK(text && strcmp(text, moth_value_as_string(moth_value_item(texts, i))) == 0);
    }
}

/* The CRC-32 is what Python's zlib.crc32 gives for the 23 bytes of data. */
static void test_bytes_written(void)
{
    static const char header[] = "{\"__metadata__\":{\"architecture\":\"{\\\"a\\\":\\\"\xc3\xa9\\n\\\"}\",\"data_"
                                 "crc32\":\"39cc40ed\",\"format\":\"moth\"},"
                                 "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[20,23]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                                 "\"c\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[16,20]},"
                                 "\"e\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[20,20]}}";
    static const char data[] = "\0\0\xc0\x3f\0\0\0\xc0\0\0\xc0\x7f\1\0\0\0\0\0\0\x80\1\2\xff";
    const char *path = test_path("bytes.safetensors");
    moth_tensor_file *file = sample();
    CHECK_THAT(moth_io_safetensors_write(ctx, path, file, true) == MOTH_OK, "%s", moth_error(ctx));
    moth_tensor_file_free(file);
    char *bytes = NULL;
    int64_t size = 0;
    CHECK(moth_io_read_file(ctx, path, 10000, &bytes, &size) == MOTH_OK);
    size_t padded = (sizeof header - 1 + 7) / 8 * 8;
    CHECK((size_t)size == 8 + padded + sizeof data - 1);
    CHECK(bytes && (unsigned char)bytes[0] + 256 * (unsigned char)bytes[1] == (int)padded);
    CHECK_THAT(bytes && memcmp(bytes + 8, header, sizeof header - 1) == 0, "%.*s", (int)padded, bytes + 8);
    for (size_t i = sizeof header - 1; bytes && i < padded; i++) {
        CHECK(bytes[8 + i] == ' ');
    }
    CHECK(bytes && memcmp(bytes + 8 + padded, data, sizeof data - 1) == 0);
    moth_free(bytes);
}

static void test_round_trip(void)
{
    const char *path = test_path("round.safetensors");
    moth_tensor_file *file = sample(), *back = NULL;
    for (int checksum = 0; checksum < 2; checksum++) {
        CHECK(moth_io_safetensors_write(ctx, path, file, checksum) == MOTH_OK);
        CHECK_THAT(moth_io_safetensors_read(ctx, path, &back) == MOTH_OK, "%s", moth_error(ctx));
        check_same(file, back);
        CHECK(!moth_tensor_file_get_metadata(back, MOTH_CHECKSUM_KEY));
        moth_tensor_file_free(back);
        back = NULL;
    }
    moth_tensor_file_free(file);
    char *bytes = NULL;
    int64_t size = 0;
    CHECK(moth_io_read_file(ctx, path, 10000, &bytes, &size) == MOTH_OK);
    for (int64_t i = size - 23; i < size; i++) { /* any byte of the data, damaged */
        bytes[i] ^= 0x10;
        refuse("damaged data", bytes, (size_t)size);
        bytes[i] ^= 0x10;
    }
    CHECK(strstr(moth_error(ctx), "damaged"));
    moth_free(bytes);
}

static void test_empty_written(void)
{
    const char *path = test_path("empty.safetensors");
    moth_tensor_file *file = NULL, *back = NULL;
    CHECK(moth_tensor_file_new(ctx, &file) == MOTH_OK);
    for (int checksum = 0; checksum < 2; checksum++) {
        CHECK(moth_io_safetensors_write(ctx, path, file, checksum) == MOTH_OK);
        CHECK(moth_io_safetensors_read(ctx, path, &back) == MOTH_OK && moth_tensor_file_count(back) == 0);
        moth_tensor_file_free(back);
        back = NULL;
    }
    moth_tensor_file_free(file);
}

/* A view is written in its own order, and what was changed after add is what is written. */
static void test_views(void)
{
    static const float data[] = { 1, 2, 3, 4, 5, 6 };
    static const int64_t shape[] = { 2, 3 };
    moth_tensor *t = floats(2, shape, data), *view = NULL;
    moth_meta turned = { MOTH_FLOAT32, 2, { 3, 2 }, { 1, 3 }, 0 };
    CHECK(moth_tensor_handle(ctx, &turned, t->storage, &view) == MOTH_OK);
    moth_tensor_file *file = NULL, *back = NULL;
    CHECK(moth_tensor_file_new(ctx, &file) == MOTH_OK);
    CHECK(moth_tensor_file_add(ctx, file, "view", view) == MOTH_OK);
    moth_tensor_set_element(t, 3, 40);
    const char *path = test_path("view.safetensors");
    CHECK(moth_io_safetensors_write(ctx, path, file, true) == MOTH_OK);
    CHECK(moth_io_safetensors_read(ctx, path, &back) == MOTH_OK);
    static const double want[] = { 1, 40, 2, 5, 3, 6 };
    for (int i = 0; back && i < 6; i++) {
        CHECK_NEAR(moth_tensor_element(moth_tensor_file_find(back, "view"), i), want[i], 0);
    }
    moth_tensor_file_free(back);
    moth_tensor_file_free(file);
    moth_tensor_release(view);
    moth_tensor_release(t);
}

static void test_refused(void)
{
    moth_tensor_file *file = sample();
    moth_tensor *t = moth_tensor_file_tensor(file, 0);
    CHECK(moth_tensor_file_add(ctx, file, "a", t) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(ctx), "tensor name \"a\" is there already");
    CHECK(moth_tensor_file_add(ctx, file, "__metadata__", t) == MOTH_ERR_ARGUMENT);
    CHECK(moth_tensor_file_add(ctx, file, "\xe9", t) == MOTH_ERR_ARGUMENT);
    CHECK_TEXT(moth_error(ctx), "tensor name \"\\xe9\" is not UTF-8");
    moth_meta meta = { .dtype = MOTH_FLOAT32, .rank = 1, .shape = { -1 }, .stride = { 1 } };
    moth_tensor *symbolic = NULL;
    CHECK(moth_tensor_handle(ctx, &meta, NULL, &symbolic) == MOTH_OK);
    CHECK(moth_tensor_file_add(ctx, file, "symbolic", symbolic) == MOTH_ERR_TRACING);
    moth_tensor_release(symbolic);
    CHECK(moth_tensor_file_set_metadata(ctx, file, MOTH_CHECKSUM_KEY, "x") == MOTH_ERR_ARGUMENT);
    CHECK(moth_tensor_file_set_metadata(ctx, file, "x", "\xff") == MOTH_ERR_ARGUMENT);
    CHECK(moth_tensor_file_set_metadata(ctx, file, "\xff", "x") == MOTH_ERR_ARGUMENT);
    CHECK(moth_tensor_file_count(file) == 4 && moth_value_count(moth_tensor_file_metadata(file)) == 2);
    CHECK(moth_io_safetensors_write(ctx, test_path("absent/m.safetensors"), file, false) == MOTH_ERR_IO);
    moth_tensor_file_free(file);
    moth_tensor_file_free(NULL);
    CHECK(!moth_tensor_file_find(NULL, "a") && moth_tensor_file_index(NULL, "a") == -1);
    CHECK(moth_io_safetensors_read(ctx, test_path("absent.safetensors"), &file) == MOTH_ERR_IO);
    CHECK(moth_io_safetensors_read(ctx, "/dev/zero", &file) == MOTH_ERR_IO);
    CHECK(moth_io_safetensors_read(ctx, test_folder, &file) == MOTH_ERR_IO);
}

/* ---- faults ---- */

static moth_status read_task(void *user)
{
    moth_tensor_file *file = NULL;
    moth_status status = moth_io_safetensors_read(ctx, user, &file);
    moth_tensor_file_free(file);
    return status;
}

typedef struct write_user {
    const char *path;
    moth_tensor *view;
} write_user;

static moth_status write_task(void *user)
{
    const write_user *w = user;
    moth_tensor_file *file = NULL;
    MOTH_TRY(moth_tensor_file_new(ctx, &file));
    moth_status status = moth_tensor_file_add(ctx, file, "view", w->view);
    if (status == MOTH_OK) {
        status = moth_tensor_file_set_metadata(ctx, file, "key", "text");
    }
    if (status == MOTH_OK) {
        status = moth_io_safetensors_write(ctx, w->path, file, true);
    }
    moth_tensor_file_free(file);
    return status;
}

static void test_faults(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s", test_path("fault.safetensors"));
    moth_tensor_file *file = sample();
    CHECK(moth_io_safetensors_write(ctx, path, file, true) == MOTH_OK);
    moth_tensor_file_free(file);
    check_faults(ctx, "safetensors", read_task, path);
    static const float data[6];
    static const int64_t shape[] = { 2, 3 };
    moth_tensor *t = floats(2, shape, data), *view = NULL;
    moth_meta turned = { MOTH_FLOAT32, 2, { 3, 2 }, { 1, 3 }, 0 };
    CHECK(moth_tensor_handle(ctx, &turned, t->storage, &view) == MOTH_OK);
    write_user user = { path, view };
    check_faults(ctx, "safetensors writer", write_task, &user);
    CHECK(count_names(".tmp.") == 0);
    moth_tensor_release(view);
    moth_tensor_release(t);
}

int main(void)
{
    ctx = moth_ctx_new();
    int64_t blocks = moth_live_blocks();
    test_bytes_written();
    test_round_trip();
    test_empty_written();
    test_views();
    test_refused();
    test_faults();
    CHECK(moth_live_blocks() == blocks);
    moth_ctx_free(ctx);
    return test_report();
}
