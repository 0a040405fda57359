/* IDX: every type and rank by hand-made bytes, plain and compressed; malformed files with the check that each hits;
 * failing allocations; pairs of pictures and labels. */
#include "files.h"

#include "io/idx.h"

static moth_ctx *ctx;

static moth_status load(const void *bytes, size_t size, moth_tensor **out)
{
    *out = NULL;
    return moth_io_idx_read(ctx, make_file("file.idx", bytes, size), out);
}

static void check_values(const char *what, const moth_tensor *t, moth_dtype dtype, int64_t n, const double *want)
{
    CHECK_THAT(t, "%s: %s", what, moth_error(ctx));
    if (t) {
        CHECK_THAT(t->meta.dtype == dtype, "%s: type", what);
        CHECK_THAT(moth_tensor_count(t) == n, "%s: count", what);
        for (int64_t i = 0; i < n && i < moth_tensor_count(t); i++) {
            CHECK_NEAR(moth_tensor_element(t, i), want[i], 0);
        }
    }
}

static void test_types(void)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t size;
        moth_dtype dtype;
        int64_t n;
        double want[4];
    } good[] = {
        { "u8", BYTES("\0\0\x08\x01\0\0\0\x03\0\x80\xff"), MOTH_UINT8, 3, { 0, 128, 255 } },
        { "s8", BYTES("\0\0\x09\x01\0\0\0\x03\x01\x80\xff"), MOTH_INT32, 3, { 1, -128, -1 } },
        { "i16", BYTES("\0\0\x0b\x01\0\0\0\x03\x01\x02\x80\0\xff\xff"), MOTH_INT32, 3, { 258, -32768, -1 } },
        { "i32",
          BYTES("\0\0\x0c\x01\0\0\0\x02\x01\x02\x03\x04\x80\0\0\0"),
          MOTH_INT32,
          2,
          { 16909060, -2147483648.0 } },
        { "f32", BYTES("\0\0\x0d\x01\0\0\0\x02\x3f\xc0\0\0\xff\x80\0\0"), MOTH_FLOAT32, 2, { 1.5, -INFINITY } },
        { "f64", BYTES("\0\0\x0e\x01\0\0\0\x01\xc0\x04\0\0\0\0\0\0"), MOTH_FLOAT32, 1, { -2.5 } },
        { "one dimension of 0", BYTES("\0\0\x08\x01\0\0\0\0"), MOTH_UINT8, 0, { 0 } },
        { "a 0 among others", BYTES("\0\0\x0d\x03\0\0\0\x02\0\0\0\0\0\0\0\x09"), MOTH_FLOAT32, 0, { 0 } },
        { "eight dimensions",
          BYTES("\0\0\x08\x08\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0\x02"
                "\x01\x02\x03\x04"),
          MOTH_UINT8,
          4,
          { 1, 2, 3, 4 } },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        moth_tensor *t;
        load(good[i].bytes, good[i].size, &t);
        check_values(good[i].what, t, good[i].dtype, good[i].n, good[i].want);
        moth_tensor_release(t);
        unsigned char packed[256];
        size_t size = gzip_bytes(good[i].bytes, good[i].size, packed, sizeof packed);
        load(packed, size, &t);
        check_values(good[i].what, t, good[i].dtype, good[i].n, good[i].want);
        moth_tensor_release(t);
    }
}

static void test_shape(void)
{
    moth_tensor *t;
    load(BYTES("\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x03"
               "abcdef"),
         &t);
    CHECK(t && t->meta.rank == 3 && t->meta.shape[0] == 2 && t->meta.shape[1] == 1 && t->meta.shape[2] == 3);
    moth_tensor_release(t);
}

/* Larger than every buffer on the way, so that pieces meet. */
static void test_large(void)
{
    enum { N = 300007, HEADER = 8 };
    static unsigned char bytes[HEADER + 2 * N], packed[HEADER + 2 * N + 1000];
    bytes[2] = 0x0B;
    bytes[3] = 1;
    for (int i = 0; i < 4; i++) {
        bytes[4 + i] = (unsigned char)(N >> (24 - 8 * i));
    }
    for (uint32_t i = 0; i < N; i++) {
        uint32_t value = (i * 2654435761U) >> 16;
        bytes[HEADER + 2 * i] = (unsigned char)(value >> 8);
        bytes[HEADER + 2 * i + 1] = (unsigned char)value;
    }
    size_t size = gzip_bytes(bytes, sizeof bytes, packed, sizeof packed);
    for (int gz = 0; gz < 2; gz++) {
        moth_tensor *t;
        CHECK(load(gz ? packed : bytes, gz ? size : sizeof bytes, &t) == MOTH_OK);
        int64_t wrong = 0;
        for (uint32_t i = 0; t && i < N; i++) {
            wrong += (int16_t)((i * 2654435761U) >> 16) != ((const int32_t *)(void *)moth_tensor_data(t))[i];
        }
        CHECK(t && wrong == 0);
        moth_tensor_release(t);
    }
}

#define HEAD1(n) "\0\0\x08\x01\0\0\0" n
/* 16 dimensions' worth of bytes, for headers that promise much */
#define FF4 "\xff\xff\xff\xff"

static const struct bad {
    const char *check;
    const char *bytes;
    size_t size;
} bad[] = {
    { "empty file", BYTES("") },
    { "magic cut to 1 byte", BYTES("\0") },
    { "magic cut to 2 bytes", BYTES("\0\0") },
    { "magic cut to 3 bytes", BYTES("\0\0\x08") },
    { "dimensions missing", BYTES("\0\0\x08\x01") },
    { "dimension cut", BYTES("\0\0\x08\x01\0\0\0") },
    { "second dimension cut", BYTES("\0\0\x08\x02\0\0\0\x01\0\0") },
    { "eighth dimension missing", BYTES("\0\0\x08\x08" FF4 FF4 FF4 FF4 FF4 FF4 FF4) },
    { "first byte not 0", BYTES("\x01\0\x08\x01\0\0\0\x01z") },
    { "second byte not 0", BYTES("\0\x01\x08\x01\0\0\0\x01z") },
    { "text", BYTES("hello, this is no IDX file at all") },
    { "PNG", BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR") },
    { "npy", BYTES("\x93NUMPY\x01\0v\0{'descr'") },
    { "little-endian magic", BYTES("\x01\x08\0\0\x01\0\0\0z") },
    { "type 00", BYTES("\0\0\0\x01\0\0\0\x01z") },
    { "type 01", BYTES("\0\0\x01\x01\0\0\0\x01z") },
    { "type 07", BYTES("\0\0\x07\x01\0\0\0\x01z") },
    { "type 0A", BYTES("\0\0\x0a\x01\0\0\0\x01zz") },
    { "type 0F", BYTES("\0\0\x0f\x01\0\0\0\x01z") },
    { "type 10", BYTES("\0\0\x10\x01\0\0\0\x01z") },
    { "type 80", BYTES("\0\0\x80\x01\0\0\0\x01z") },
    { "type 88", BYTES("\0\0\x88\x01\0\0\0\x01z") },
    { "type FF", BYTES("\0\0\xff\x01\0\0\0\x01z") },
    { "0 dimensions, no data", BYTES("\0\0\x08\0") },
    { "0 dimensions, one byte", BYTES("\0\0\x08\0z") },
    { "9 dimensions", BYTES("\0\0\x08\x09\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0"
                            "\x01\0\0\0\x01z") },
    { "128 dimensions", BYTES("\0\0\x08\x80\0\0\0\x01z") },
    { "255 dimensions", BYTES("\0\0\x08\xff\0\0\0\x01z") },
    { "no data", BYTES(HEAD1("\x01")) },
    { "one byte short", BYTES(HEAD1("\x03") "ab") },
    { "one byte long", BYTES(HEAD1("\x03") "abcd") },
    { "data after an empty dimension", BYTES(HEAD1("\0") "z") },
    { "i16 odd", BYTES("\0\0\x0b\x01\0\0\0\x02"
                       "abc") },
    { "i16 counted as bytes", BYTES("\0\0\x0b\x01\0\0\0\x02"
                                    "ab") },
    { "i32 short", BYTES("\0\0\x0c\x01\0\0\0\x01"
                         "abc") },
    { "i32 long", BYTES("\0\0\x0c\x01\0\0\0\x01"
                        "abcde") },
    { "f32 short", BYTES("\0\0\x0d\x01\0\0\0\x02"
                         "abcdefg") },
    { "f32 long", BYTES("\0\0\x0d\x01\0\0\0\x01"
                        "abcdefgh") },
    { "f64 short", BYTES("\0\0\x0e\x01\0\0\0\x01"
                         "abcd") },
    { "f64 long", BYTES("\0\0\x0e\x01\0\0\0\x01"
                        "abcdefghi") },
    { "s8 short", BYTES("\0\0\x09\x01\0\0\0\x04"
                        "abc") },
    { "little-endian dimension", BYTES("\0\0\x08\x01\x03\0\0\0abc") },
    { "2^31 elements", BYTES("\0\0\x08\x01\x80\0\0\0z") },
    { "2^32-1 elements", BYTES("\0\0\x08\x01" FF4 "z") },
    { "product wraps 32 bits to 0", BYTES("\0\0\x08\x02\0\x01\0\0\0\x01\0\0") },
    { "product wraps 32 bits to 1", BYTES("\0\0\x08\x02" FF4 FF4 "z") },
    { "product wraps 64 bits to 0", BYTES("\0\0\x08\x04\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0") },
    { "product wraps 64 bits, three dimensions", BYTES("\0\0\x08\x03" FF4 FF4 FF4 "z") },
    { "all eight dimensions at their most", BYTES("\0\0\x0e\x08" FF4 FF4 FF4 FF4 FF4 FF4 FF4 FF4) },
    { "2^40 elements, no data", BYTES("\0\0\x08\x02\0\x10\0\0\0\x10\0\0") },
    { "2^40 doubles, no data", BYTES("\0\0\x0e\x02\0\x10\0\0\0\x10\0\0") },
    { "bytes wrap 64 bits though elements do not", BYTES("\0\0\x0e\x02\x80\0\0\0\x40\0\0\0") },
    { "0 hides an impossible product", BYTES("\0\0\x08\x04\0\0\0\0" FF4 FF4 FF4) },
    { "0 at the end hides it", BYTES("\0\0\x08\x04" FF4 FF4 FF4 "\0\0\0\0") },
    { "2^40+1 would be reached only with 0", BYTES("\0\0\x0d\x03\0\x10\0\0\0\x20\0\0\0\0\0\0") },
    { "images header, half the pictures", BYTES("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02"
                                                "abcd") },
    { "images header, transposed count", BYTES("\0\0\x08\x03\0\0\0\x03\0\0\0\x02\0\0\0\x02"
                                               "abcdefgh") },
    { "two files in one", BYTES(HEAD1("\x01") "a" HEAD1("\x01") "a") },
    { "gzip magic alone", BYTES("\x1f\x8b") },
    { "gzip header cut", BYTES("\x1f\x8b\x08\0\0\0") },
    { "gzip header without data", BYTES("\x1f\x8b\x08\0\0\0\0\0\0\x03") },
    { "gzip with unknown method", BYTES("\x1f\x8b\x07\0\0\0\0\0\0\x03\x63\0\0") },
    { "gzip with reserved flags", BYTES("\x1f\x8b\x08\xe0\0\0\0\0\0\x03\x63\0\0") },
    { "gzip with a bad block type", BYTES("\x1f\x8b\x08\0\0\0\0\0\0\x03\x07\0\0\0\0\0\0\0\0\0") },
    { "gzip of nothing", BYTES("\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0") },
    { "compress (.Z)", BYTES("\x1f\x9d\x90\0\0\0") },
    { "zlib, not gzip", BYTES("\x78\x9c\x63\x60\xe0\x60\x64\x60\x60\x60\xac\x02\0\x01\x9b\0\x84") },
};

static void test_malformed(void)
{
    int64_t blocks = moth_live_blocks();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        moth_tensor *t;
        moth_status status = load(bad[i].bytes, bad[i].size, &t);
        CHECK_THAT(status == MOTH_ERR_FORMAT || status == MOTH_ERR_UNSUPPORTED, "%s: %s", bad[i].check,
                   moth_status_name(status));
        check_message(ctx, bad[i].check, "file.idx");
        moth_tensor_release(t);
    }
    CHECK(sizeof bad / sizeof *bad >= 60);
    CHECK(moth_live_blocks() == blocks);
}

/* The same table inside a .gz: the checks must not depend on the way. */
static void test_malformed_inside_gz(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unsigned char packed[512];
        size_t size = gzip_bytes(bad[i].bytes, bad[i].size, packed, sizeof packed);
        moth_tensor *t;
        moth_status status = load(packed, size, &t);
        CHECK_THAT(status == MOTH_ERR_FORMAT || status == MOTH_ERR_UNSUPPORTED, "gz: %s: %s", bad[i].check,
                   moth_status_name(status));
        check_message(ctx, bad[i].check, "file.idx");
        moth_tensor_release(t);
    }
}

static void refuse(const char *what, const unsigned char *bytes, size_t size)
{
    moth_tensor *t;
    moth_status status = load(bytes, size, &t);
    CHECK_THAT(status == MOTH_ERR_FORMAT, "%s: %s", what, moth_status_name(status));
    check_message(ctx, what, "file.idx");
    moth_tensor_release(t);
}

/* Every cut and every broken byte of a small .gz; then members, trailing bytes, false claims. */
static void test_broken_gz(void)
{
    static const char good[] = HEAD1("\x05") "hello";
    unsigned char packed[256], broken[600];
    size_t size = gzip_bytes(good, sizeof good - 1, packed, sizeof packed);
    for (size_t cut = 0; cut < size; cut++) {
        refuse("cut gz", packed, cut);
    }
    for (size_t i = 10; i < size; i++) { /* the header's bytes before hold a time and a system that nobody checks */
        memcpy(broken, packed, size);
        broken[i] ^= 0x41;
        refuse("changed gz", broken, size);
    }
    memcpy(broken, packed, size);
    memset(broken + size, 'z', 4);
    refuse("bytes after the gz", broken, size + 4);
    memset(broken + size, 0, 4);
    refuse("zeros after the gz", broken, size + 4);
    memcpy(broken + size, packed, size);
    refuse("a second member with more data", broken, 2 * size);

    size_t first = gzip_bytes(good, 6, broken, sizeof broken);
    size_t second = gzip_bytes(good + 6, sizeof good - 1 - 6, broken + first, sizeof broken - first);
    size_t third = gzip_bytes("", 0, broken + first + second, sizeof broken - first - second);
    moth_tensor *t;
    CHECK(load(broken, first + second, &t) == MOTH_OK); /* the header cut by the border of two members */
    moth_tensor_release(t);
    CHECK(load(broken, first + second + third, &t) == MOTH_OK);
    moth_tensor_release(t);
    refuse("a third member that is cut", broken, first + second + third - 1);
}

/* A header that claims what its file cannot hold must fail before that much memory is asked for. */
static void test_gz_bombs(void)
{
    enum { ZEROS = 70 << 20 };
    unsigned char *zeros = calloc(1, ZEROS + 8), *packed = malloc(1 << 20);
    if (!zeros || !packed) {
        exit(1);
    }
    memcpy(zeros, "\0\0\x08\x01\x04\x60\0\0", 8); /* 70 MB, as it is: above the size that is inflated at once */
    size_t size = gzip_bytes(zeros, ZEROS + 8, packed, 1 << 20);
    moth_tensor *t;
    CHECK(load(packed, size, &t) == MOTH_OK);
    CHECK(t && moth_tensor_count(t) == ZEROS);
    moth_tensor_release(t);

    zeros[7] = 1; /* one element more than there is */
    size = gzip_bytes(zeros, ZEROS + 8, packed, 1 << 20);
    moth_fail_alloc(3, true); /* inflate takes a state and a window; the tensor must not be asked for */
    refuse("70 MB that are one byte short", packed, size);
    moth_fail_alloc(0, false);

    zeros[4] = 0; /* 6 MB claimed, 70 MB there */
    size = gzip_bytes(zeros, ZEROS + 8, packed, 1 << 20);
    refuse("more data than claimed", packed, size);

    memcpy(zeros + 4, FF4, 4); /* 4 GB claimed by 70 KB */
    size = gzip_bytes(zeros, ZEROS + 8, packed, 1 << 20);
    refuse("4 GB claimed", packed, size);
    free(packed);
    free(zeros);
}

static moth_status load_task(void *user)
{
    moth_tensor *t = NULL;
    moth_status status = moth_io_idx_read(ctx, user, &t);
    moth_tensor_release(t);
    return status;
}

static void test_faults(void)
{
    static const char good[] = HEAD1("\x05") "hello";
    char path[256];
    snprintf(path, sizeof path, "%s", test_path("fault.idx"));
    write_bytes(path, good, sizeof good - 1);
    check_faults(ctx, "idx", load_task, path);
    unsigned char packed[256];
    write_bytes(path, packed, gzip_bytes(good, sizeof good - 1, packed, sizeof packed));
    check_faults(ctx, "idx.gz", load_task, path);
}

static void test_not_files(void)
{
    moth_tensor *t = NULL;
    CHECK(moth_io_idx_read(ctx, test_path("absent.idx"), &t) == MOTH_ERR_IO);
    check_message(ctx, "absent", "absent.idx");
    CHECK(strstr(moth_error(ctx), "No such file"));
    CHECK(moth_io_idx_read(ctx, test_folder, &t) == MOTH_ERR_IO);
    CHECK(strstr(moth_error(ctx), "a directory"));
    CHECK(moth_io_idx_read(ctx, "", &t) == MOTH_ERR_IO);
    CHECK(moth_io_idx_read(ctx, "/dev/null", &t) == MOTH_ERR_IO);
    CHECK(moth_io_idx_read(ctx, "/dev/zero", &t) == MOTH_ERR_IO);
    const char *pipe = test_path("pipe.idx");
    CHECK(mkfifo(pipe, 0600) == 0);
    CHECK(moth_io_idx_read(ctx, pipe, &t) == MOTH_ERR_IO); /* and does not wait for a writer */
    CHECK(!t);
}

static void test_interrupt(void)
{
    const char *path = test_path("interrupt.idx");
    write_bytes(path, BYTES(HEAD1("\x01") "z"));
    moth_tensor *t = NULL;
    moth_ctx_interrupt(ctx);
    CHECK(moth_io_idx_read(ctx, path, &t) == MOTH_ERR_INTERRUPTED);
    *ctx->interrupt = 0;
    CHECK(moth_io_idx_read(ctx, path, &t) == MOTH_OK);
    moth_tensor_release(t);
}

static void test_pairs(void)
{
#define IMAGES2 "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x02"
    static const struct {
        const char *what;
        const char *images;
        size_t images_size;
        const char *labels;
        size_t labels_size;
        moth_status want;
    } pairs[] = {
        { "good", BYTES(IMAGES2 "abcd"), BYTES(HEAD1("\x02") "\x09\0"), MOTH_OK },
        { "labels as int32", BYTES(IMAGES2 "abcd"), BYTES("\0\0\x0c\x01\0\0\0\x02\0\0\0\0\0\0\0\x09"), MOTH_OK },
        { "empty", BYTES("\0\0\x08\x03\0\0\0\0\0\0\0\x01\0\0\0\x02"), BYTES(HEAD1("\0")), MOTH_OK },
        { "label 10", BYTES(IMAGES2 "abcd"), BYTES(HEAD1("\x02") "\x09\x0a"), MOTH_ERR_FORMAT },
        { "label 255", BYTES(IMAGES2 "abcd"), BYTES(HEAD1("\x02") "\x09\xff"), MOTH_ERR_FORMAT },
        { "label -1", BYTES(IMAGES2 "abcd"), BYTES("\0\0\x09\x01\0\0\0\x02\x01\xff"), MOTH_ERR_FORMAT },
        { "labels as floats", BYTES(IMAGES2 "abcd"), BYTES("\0\0\x0d\x01\0\0\0\x02\0\0\0\0\0\0\0\0"), MOTH_ERR_FORMAT },
        { "a label too few", BYTES(IMAGES2 "abcd"), BYTES(HEAD1("\x01") "\x09"), MOTH_ERR_FORMAT },
        { "a label too many", BYTES(IMAGES2 "abcd"), BYTES(HEAD1("\x03") "\x09\x09\x09"), MOTH_ERR_FORMAT },
        { "labels of two dimensions", BYTES(IMAGES2 "abcd"), BYTES("\0\0\x08\x02\0\0\0\x02\0\0\0\x01\x01\x02"),
          MOTH_ERR_FORMAT },
        { "swapped", BYTES(HEAD1("\x02") "\x09\0"), BYTES(IMAGES2 "abcd"), MOTH_ERR_FORMAT },
        { "pictures as floats", BYTES("\0\0\x0d\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0"), BYTES(HEAD1("\x01") "\0"),
          MOTH_ERR_FORMAT },
        { "broken pictures", BYTES(IMAGES2 "abc"), BYTES(HEAD1("\x02") "\x09\0"), MOTH_ERR_FORMAT },
        { "broken labels", BYTES(IMAGES2 "abcd"), BYTES(HEAD1("\x02") "\x09"), MOTH_ERR_FORMAT },
    };
    int64_t blocks = moth_live_blocks();
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *images_path = test_path("images"), *labels_path = test_path("labels");
        write_bytes(images_path, pairs[i].images, pairs[i].images_size);
        write_bytes(labels_path, pairs[i].labels, pairs[i].labels_size);
        moth_tensor *images = NULL, *labels = NULL;
        moth_status status = moth_io_idx_read_pair(ctx, images_path, labels_path, 10, &images, &labels);
        CHECK_THAT(status == pairs[i].want, "%s: %s", pairs[i].what, moth_error(ctx));
        CHECK((status == MOTH_OK) == (images && labels));
        moth_tensor_release(images);
        moth_tensor_release(labels);
    }
    CHECK(moth_live_blocks() == blocks);
}

int main(void)
{
    ctx = moth_ctx_new();
    test_types();
    test_shape();
    test_large();
    test_malformed();
    test_malformed_inside_gz();
    test_broken_gz();
    test_gz_bombs();
    test_faults();
    test_not_files();
    test_interrupt();
    test_pairs();
    moth_ctx_free(ctx);
    return test_report();
}
