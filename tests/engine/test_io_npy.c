/* .npy: every type, order, rank and form of header by hand-made bytes (values as NumPy 2.4 reads them); malformed files
 * with the check that each hits; files written and read again; failing allocations. */
#include "files.h"

#include "io/file.h"
#include "io/npy.h"
#include "tensor/tensor.h"

static moth_ctx *ctx;

/* An .npy file of the version whose header is `header`, with its right length; returns its size. */
static size_t make_npy(unsigned char *to, int major, const char *header, size_t header_size, const char *data,
                       size_t data_size)
{
    memcpy(to, "\x93NUMPY", 6);
    to[6] = (unsigned char)major;
    to[7] = 0;
    size_t n = 8;
    for (int i = 0; i < (major == 1 ? 2 : 4); i++) {
        to[n++] = (unsigned char)(header_size >> (8 * i));
    }
    memcpy(to + n, header, header_size);
    if (data_size > 0) {
        memcpy(to + n + header_size, data, data_size);
    }
    return n + header_size + data_size;
}

static moth_status load(const void *bytes, size_t size, moth_tensor **out)
{
    *out = NULL;
    return moth_io_npy_read(ctx, make_file("file.npy", bytes, size), out);
}

static moth_status load_npy(int major, const char *header, const char *data, size_t data_size, moth_tensor **out)
{
    unsigned char bytes[2000];
    return load(bytes, make_npy(bytes, major, header, strlen(header), data, data_size), out);
}

static void check_tensor(const char *what, const moth_tensor *t, moth_dtype dtype, int rank, const int64_t *shape,
                         const double *want)
{
    CHECK_THAT(t, "%s: %s", what, moth_error(ctx));
    if (!t) {
        return;
    }
    CHECK_THAT(t->meta.dtype == dtype && t->meta.rank == rank, "%s: type or rank", what);
    CHECK_THAT(moth_meta_contiguous(&t->meta), "%s: layout", what);
    for (int d = 0; d < rank && d < t->meta.rank; d++) {
        CHECK_THAT(t->meta.shape[d] == shape[d], "%s: dimension %d", what, d + 1);
    }
    for (int64_t i = 0; i < moth_tensor_count(t); i++) {
        CHECK_NEAR(moth_tensor_element(t, i), want[i], 0);
    }
}

#define DICT(descr, order, shape) "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }"

static void test_types(void)
{
    static const struct {
        const char *header;
        const char *data;
        size_t size;
        moth_dtype dtype;
        int rank;
        int64_t shape[3];
        double want[6];
    } good[] = {
        { DICT("<f4", "False", "(2,)"), BYTES("\0\0\xc0\x3f\0\0\x80\xff"), MOTH_FLOAT32, 1, { 2 }, { 1.5, -INFINITY } },
        { DICT(">f4", "False", "(1,)"), BYTES("\x3f\xc0\0\0"), MOTH_FLOAT32, 1, { 1 }, { 1.5 } },
        { DICT("<f8", "False", "(2,)"),
          BYTES("\0\0\0\0\0\0\x04\xc0\x9a\x99\x99\x99\x99\x99\xb9\x3f"),
          MOTH_FLOAT32,
          1,
          { 2 },
          { -2.5, (double)0.1F } },
        { DICT(">f8", "False", "()"), BYTES("\xc0\x04\0\0\0\0\0\0"), MOTH_FLOAT32, 0, { 0 }, { -2.5 } },
        { DICT("<f2", "False", "(3,)"),
          BYTES("\0\x3e\xff\xfb\x01\0"),
          MOTH_FLOAT32,
          1,
          { 3 },
          { 1.5, -65504, 0x1p-24 } },
        { DICT("|u1", "False", "(3,)"), BYTES("\0\x80\xff"), MOTH_UINT8, 1, { 3 }, { 0, 128, 255 } },
        { DICT("|b1", "False", "(2,)"), BYTES("\0\x01"), MOTH_UINT8, 1, { 2 }, { 0, 1 } },
        { DICT("|i1", "False", "(2,)"), BYTES("\x80\x7f"), MOTH_INT32, 1, { 2 }, { -128, 127 } },
        { DICT("<i2", "False", "(2,)"), BYTES("\x02\x01\xff\xff"), MOTH_INT32, 1, { 2 }, { 258, -1 } },
        { DICT(">i2", "False", "(2,)"), BYTES("\x01\x02\xff\xfe"), MOTH_INT32, 1, { 2 }, { 258, -2 } },
        { DICT("<i4", "False", "(1,)"), BYTES("\x04\x03\x02\x01"), MOTH_INT32, 1, { 1 }, { 16909060 } },
        { DICT("<i8", "False", "(2,)"),
          BYTES("\0\0\0\x80\xff\xff\xff\xff\xff\xff\xff\x7f\0\0\0\0"),
          MOTH_INT32,
          1,
          { 2 },
          { -2147483648.0, 2147483647 } },
        { DICT(">i8", "False", "(1,)"), BYTES("\xff\xff\xff\xff\xff\xff\xff\xfe"), MOTH_INT32, 1, { 1 }, { -2 } },
        { DICT("|u1", "False", "(2, 3)"), BYTES("\1\2\3\4\5\6"), MOTH_UINT8, 2, { 2, 3 }, { 1, 2, 3, 4, 5, 6 } },
        { DICT("|u1", "True", "(2, 3)"), BYTES("\1\2\3\4\5\6"), MOTH_UINT8, 2, { 2, 3 }, { 1, 3, 5, 2, 4, 6 } },
        { DICT("|u1", "True", "(1, 2, 3)"), BYTES("\1\2\3\4\5\6"), MOTH_UINT8, 3, { 1, 2, 3 }, { 1, 3, 5, 2, 4, 6 } },
        { DICT("|u1", "True", "(3,)"), BYTES("\1\2\3"), MOTH_UINT8, 1, { 3 }, { 1, 2, 3 } },
        { DICT("|u1", "True", "()"), BYTES("\7"), MOTH_UINT8, 0, { 0 }, { 7 } },
        { DICT("<f4", "False", "(0,)"), BYTES(""), MOTH_FLOAT32, 1, { 0 }, { 0 } },
        { DICT("<f4", "True", "(2, 0, 3)"), BYTES(""), MOTH_FLOAT32, 3, { 2, 0, 3 }, { 0 } },
        { DICT("|u1", "False", "(2,)"), BYTES("\1\2more bytes follow"), MOTH_UINT8, 1, { 2 }, { 1, 2 } },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        for (int major = 1; major <= 3; major++) {
            moth_tensor *t;
            load_npy(major, good[i].header, good[i].data, good[i].size, &t);
            check_tensor(good[i].header, t, good[i].dtype, good[i].rank, good[i].shape, good[i].want);
            moth_tensor_release(t);
        }
    }
}

static void test_headers(void)
{
    static const char *const good[] = {
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1)}",
        "{\"descr\": \"|u1\", \"fortran_order\": False, \"shape\": (2, 1)}",
        "{'shape': (2, 1), \"fortran_order\": False, 'descr': '|u1'}",
        "{'fortran_order':False,'shape':(2,1),'descr':'|u1'}",
        "  { 'descr' : '|u1' , 'fortran_order' : False , 'shape' : ( 2 , 1 , ) , }  \n",
        "\t{'descr': '|u1',\n 'fortran_order': False,\r\n 'shape': (2, 1)}\n\n",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1,), }                                    \n",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        moth_tensor *t;
        load_npy(1, good[i], "\1\2", 2, &t);
        check_tensor(good[i], t, MOTH_UINT8, 2, (int64_t[]){ 2, 1 }, (double[]){ 1, 2 });
        moth_tensor_release(t);
    }
    moth_tensor *t;
    load_npy(1, DICT("|u1", "False", "(1, 1, 1, 1, 1, 1, 1, 2)"), "\1\2", 2, &t);
    check_tensor("eight dimensions", t, MOTH_UINT8, 8, (int64_t[]){ 1, 1, 1, 1, 1, 1, 1, 2 }, (double[]){ 1, 2 });
    moth_tensor_release(t);
}

/* All of it may be padding: up to 64 KB, and not a byte more. */
static void test_header_limit(void)
{
    enum { MOST = 65536 };
    static const char dict[] = DICT("|u1", "False", "(1,)");
    static char header[MOST + 1];
    static unsigned char bytes[MOST + 100];
    memset(header, ' ', sizeof header);
    memcpy(header, dict, sizeof dict - 1);
    moth_tensor *t;
    CHECK(load(bytes, make_npy(bytes, 1, header, 65535, "z", 1), &t) == MOTH_OK);
    moth_tensor_release(t);
    CHECK(load(bytes, make_npy(bytes, 2, header, MOST, "z", 1), &t) == MOTH_OK);
    moth_tensor_release(t);
    CHECK(load(bytes, make_npy(bytes, 2, header, MOST + 1, "z", 1), &t) == MOTH_ERR_FORMAT);
    check_message(ctx, "header of 64 KB and a byte", "file.npy");
}

/* ---- malformed: headers with their right length, in front of 64 bytes of data ---- */

static const struct {
    const char *check;
    const char *header;
} bad[] = {
    { "no dict", "" },
    { "only spaces", "     \n" },
    { "dict not opened", "'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "dict not closed", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), " },
    { "empty dict", "{}" },
    { "list for dict", "['descr', '<f4', 'fortran_order', False, 'shape', (1,)]" },
    { "JSON words", "{\"descr\": \"<f4\", \"fortran_order\": false, \"shape\": (1,)}" },
    { "JSON list", "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": [1]}" },
    { "no descr", "{'fortran_order': False, 'shape': (1,), }" },
    { "no fortran_order", "{'descr': '<f4', 'shape': (1,), }" },
    { "no shape", "{'descr': '<f4', 'fortran_order': False, }" },
    { "unknown key for shape", "{'descr': '<f4', 'fortran_order': False, 'size': (1,), }" },
    { "a fourth key", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'extra': 1, }" },
    { "descr twice", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "shape twice", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,), }" },
    { "shape for fortran_order", "{'descr': '<f4', 'shape': (1,), 'shape': (1,), }" },
    { "key in capitals", "{'Descr': '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "key without quotes", "{descr: '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "key with mixed quotes", "{'descr\": '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "key with an escape", "{'\\x64escr': '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "bytes key", "{b'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "colon missing", "{'descr' '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "equals for colon", "{'descr'= '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "comma missing", "{'descr': '<f4' 'fortran_order': False, 'shape': (1,), }" },
    { "two commas", "{'descr': '<f4',, 'fortran_order': False, 'shape': (1,), }" },
    { "comma first", "{, 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" },
    { "two commas at the end", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,),, }" },
    { "text after the dict", DICT("<f4", "False", "(1,)") " x" },
    { "a second dict", DICT("<f4", "False", "(1,)") DICT("<f4", "False", "(1,)") },
    { "a call", "dict(descr='<f4', fortran_order=False, shape=(1,))" },
    { "a comment", "{'descr': '<f4', # '\n 'fortran_order': False, 'shape': (1,), }" },
    { "fortran_order 0", DICT("<f4", "0", "(1,)") },
    { "fortran_order 1", DICT("<f4", "1", "(1,)") },
    { "fortran_order None", DICT("<f4", "None", "(1,)") },
    { "fortran_order in quotes", DICT("<f4", "'False'", "(1,)") },
    { "fortran_order lower case", DICT("<f4", "false", "(1,)") },
    { "fortran_order Falsey", DICT("<f4", "Falsey", "(1,)") },
    { "fortran_order not not True", DICT("<f4", "not True", "(1,)") },
    { "object", DICT("|O", "False", "(1,)") },
    { "object with order", DICT("<O8", "False", "(1,)") },
    { "string", DICT("|S4", "False", "(1,)") },
    { "unicode", DICT("<U4", "False", "(1,)") },
    { "void", DICT("|V4", "False", "(1,)") },
    { "date", DICT("<M8[s]", "False", "(1,)") },
    { "complex", DICT("<c8", "False", "(1,)") },
    { "long double", DICT("<f16", "False", "(1,)") },
    { "float of 3 bytes", DICT("<f3", "False", "(1,)") },
    { "uint16", DICT("<u2", "False", "(1,)") },
    { "uint64", DICT("<u8", "False", "(1,)") },
    { "no order", DICT("f4", "False", "(1,)") },
    { "native order", DICT("=f4", "False", "(1,)") },
    { "no order for 4 bytes", DICT("|f4", "False", "(1,)") },
    { "type name", DICT("float32", "False", "(1,)") },
    { "empty type", DICT("", "False", "(1,)") },
    { "format characters for a type", DICT("%n%s", "False", "(1,)") },
    { "escape sequence for a type", DICT("\033[2J", "False", "(1,)") },
    { "escaped type", DICT("\\x3cf4", "False", "(1,)") },
    { "type without quotes", "{'descr': <f4, 'fortran_order': False, 'shape': (1,), }" },
    { "type not closed", "{'descr': '<f4, 'fortran_order': False, 'shape': (1,), }" },
    { "structured", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }" },
    { "subarray", "{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (1,), }" },
    { "concatenated strings", "{'descr': '<' 'f4', 'fortran_order': False, 'shape': (1,), }" },
    { "negative dimension", DICT("<f4", "False", "(-1,)") },
    { "negative among others", DICT("<f4", "False", "(2, -3)") },
    { "two negatives", DICT("<f4", "False", "(-2, -3)") },
    { "minus zero", DICT("<f4", "False", "(-0,)") },
    { "plus", DICT("<f4", "False", "(+1,)") },
    { "float dimension", DICT("<f4", "False", "(1.0,)") },
    { "exponent", DICT("<f4", "False", "(1e0,)") },
    { "hexadecimal", DICT("<f4", "False", "(0x1,)") },
    { "underscore", DICT("<f4", "False", "(1_0,)") },
    { "leading zero", DICT("<f4", "False", "(01,)") },
    { "two zeros", DICT("<f4", "False", "(00,)") },
    { "Python 2 long", DICT("<f4", "False", "(1L,)") },
    { "True for a dimension", DICT("<f4", "False", "(True,)") },
    { "None for a dimension", DICT("<f4", "False", "(None,)") },
    { "dimension in quotes", DICT("<f4", "False", "('1',)") },
    { "a sum", DICT("<f4", "False", "(1+1,)") },
    { "nested tuple", DICT("<f4", "False", "((1,),)") },
    { "number for tuple", DICT("<f4", "False", "1") },
    { "number in brackets", DICT("<f4", "False", "(1)") },
    { "list", DICT("<f4", "False", "[1]") },
    { "tuple of a comma", DICT("<f4", "False", "(,)") },
    { "two commas in the tuple", DICT("<f4", "False", "(1,,2)") },
    { "comma first in the tuple", DICT("<f4", "False", "(,1)") },
    { "no comma in the tuple", DICT("<f4", "False", "(1 2)") },
    { "tuple not closed", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,  }" },
    { "cut in a number", "{'descr': '<f4', 'fortran_order': False, 'shape': (1" },
    { "cut in a word", "{'descr': '<f4', 'fortran_order': Fal" },
    { "cut in a key", "{'descr': '<f4', 'fortran_or" },
    { "nine dimensions", DICT("<f4", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)") },
    { "32 dimensions", DICT("<f4", "False", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)") },
    { "2^63", DICT("<f4", "False", "(9223372036854775808,)") },
    { "2^64", DICT("<f4", "False", "(18446744073709551616,)") },
    { "2^64+1", DICT("<f4", "False", "(18446744073709551617,)") },
    { "30 digits", DICT("<f4", "False", "(100000000000000000000000000001,)") },
    { "2^63-1", DICT("<f4", "False", "(9223372036854775807,)") },
    { "2^62 floats: bytes wrap to 0", DICT("<f4", "False", "(4611686018427387904,)") },
    { "2^61 doubles: bytes wrap to 0", DICT("<f8", "False", "(2305843009213693952,)") },
    { "2^32 x 2^32: product wraps to 0", DICT("|u1", "False", "(4294967296, 4294967296)") },
    { "product wraps to 1", DICT("|u1", "False", "(4294967297, 4294967295, 4294967297)") },
    { "0 hides an impossible product", DICT("|u1", "False", "(0, 4294967296, 4294967296)") },
    { "0 at the end hides it", DICT("|u1", "False", "(4294967296, 4294967296, 0)") },
    { "2^41 elements", DICT("|u1", "False", "(2199023255552,)") },
    { "2^40 elements, 64 bytes there", DICT("|u1", "False", "(1099511627776,)") },
    { "one element too many", DICT("<f4", "False", "(17,)") },
    { "one byte too many", DICT("|u1", "False", "(65,)") },
    { "a double too many", DICT("<f8", "True", "(3, 3)") },
    { "int64 that does not fit", DICT("<i8", "False", "(8,)") },
    { "int64 that does not fit, big-endian", DICT(">i8", "False", "(8,)") },
    { "bool that is neither", DICT("|b1", "False", "(64,)") },
};

static void refuse(const char *what, const void *bytes, size_t size)
{
    moth_tensor *t;
    moth_status status = load(bytes, size, &t);
    CHECK_THAT(status == MOTH_ERR_FORMAT || status == MOTH_ERR_UNSUPPORTED, "%s: %s", what, moth_status_name(status));
    check_message(ctx, what, "file.npy");
    moth_tensor_release(t);
}

static void test_malformed_headers(void)
{
    int64_t blocks = moth_live_blocks();
    char data[64];
    memset(data, 'z', sizeof data);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (int major = 1; major <= 3; major++) {
            unsigned char bytes[1000];
            refuse(bad[i].check, bytes,
                   make_npy(bytes, major, bad[i].header, strlen(bad[i].header), data, sizeof data));
        }
    }
    CHECK(moth_live_blocks() == blocks);
}

static void test_malformed_preambles(void)
{
    static const struct {
        const char *check;
        const char *bytes;
        size_t size;
    } files[] = {
        { "empty file", BYTES("") },
        { "magic cut", BYTES("\x93NUM") },
        { "magic alone", BYTES("\x93NUMPY") },
        { "version cut", BYTES("\x93NUMPY\x01") },
        { "length missing", BYTES("\x93NUMPY\x01\0") },
        { "length cut", BYTES("\x93NUMPY\x01\0\x10") },
        { "length cut, version 2", BYTES("\x93NUMPY\x02\0\x10\0\0") },
        { "header missing", BYTES("\x93NUMPY\x01\0\x10\0") },
        { "length 0", BYTES("\x93NUMPY\x01\0\0\0zzzz") },
        { "length 65535, nothing there", BYTES("\x93NUMPY\x01\0\xff\xff{}") },
        { "length 2^32-1", BYTES("\x93NUMPY\x02\0\xff\xff\xff\xff{}") },
        { "length 2^31", BYTES("\x93NUMPY\x03\0\0\0\0\x80{}") },
        { "length big-endian", BYTES("\x93NUMPY\x02\0\0\0\0\x10{'descr': '<f4'}") },
        { "first byte of the magic", BYTES("\x92NUMPY\x01\0\x10\0{'descr': '<f4'}") },
        { "magic in small letters", BYTES("\x93numpy\x01\0\x10\0{'descr': '<f4'}") },
        { "version 0.0", BYTES("\x93NUMPY\0\0\x10\0{'descr': '<f4'}") },
        { "version 1.1", BYTES("\x93NUMPY\x01\x01\x10\0{'descr': '<f4'}") },
        { "version 4.0", BYTES("\x93NUMPY\x04\0\x10\0\0\0{'descr': '<f4'}") },
        { "version 255.255", BYTES("\x93NUMPY\xff\xff\x10\0\0\0{'descr': '<f4'}") },
        { "zip (npz)", BYTES("PK\x03\x04\x14\0\0\0\0\0\0\0\0\0") },
        { "pickle", BYTES("\x80\x04\x95\x10\0\0\0\0\0\0\0cposix\nsystem\n") },
        { "IDX", BYTES("\0\0\x08\x01\0\0\0\x03z") },
        { "NUL in the header", BYTES("\x93NUMPY\x01\0\x04\0{\0'}") },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        refuse(files[i].check, files[i].bytes, files[i].size);
    }
}

/* Each file that is cut anywhere must be refused, and each length of header but the right one. */
static void test_cuts(void)
{
    static const char header[] = DICT("<f4", "False", "(3,)");
    for (int major = 1; major <= 3; major++) {
        unsigned char bytes[200];
        size_t size = make_npy(bytes, major, header, sizeof header - 1, "abcdefghijkl", 12);
        moth_tensor *t;
        CHECK(load(bytes, size, &t) == MOTH_OK);
        moth_tensor_release(t);
        for (size_t cut = 0; cut < size; cut++) {
            refuse("cut file", bytes, cut);
        }
        for (int length = 0; length < 256; length++) {
            bytes[8] = (unsigned char)length;
            if (length != (int)sizeof header - 1) {
                refuse("false length", bytes, size);
            }
        }
    }
}

/* What a message shows of a header must not be a terminal's command or a format. */
static void test_message(void)
{
    moth_tensor *t;
    CHECK(load_npy(1, DICT("\033]0;%s\007", "False", "(1,)"), "abcd", 4, &t) == MOTH_ERR_UNSUPPORTED);
    CHECK_THAT(strstr(moth_error(ctx), "\\x1b]0;%s\\x07"), "%s", moth_error(ctx));
    CHECK(load_npy(1, DICT("<f4", "False", "(1, 2, -3)"), "abcd", 4, &t) == MOTH_ERR_FORMAT);
    CHECK_THAT(strstr(moth_error(ctx), "byte 67") && strstr(moth_error(ctx), "-3)"), "%s", moth_error(ctx));
}

/* ---- writing ---- */

static void check_same(const char *what, const moth_tensor *a, const moth_tensor *b)
{
    CHECK_THAT(b && a->meta.dtype == b->meta.dtype && moth_meta_same_shape(&a->meta, &b->meta), "%s: shape", what);
    for (int64_t i = 0; b && i < moth_tensor_count(a); i++) {
        CHECK_NEAR(moth_tensor_element(b, i), moth_tensor_element(a, i), 0);
    }
}

static void round_trip(const char *what, moth_tensor *t)
{
    const char *path = test_path("written.npy");
    moth_tensor *back = NULL;
    CHECK_THAT(t && moth_io_npy_write(ctx, path, t) == MOTH_OK, "%s: %s", what, moth_error(ctx));
    CHECK_THAT(moth_io_npy_read(ctx, path, &back) == MOTH_OK, "%s: %s", what, moth_error(ctx));
    check_same(what, t, back);
    moth_tensor_release(back);
}

static void test_write(void)
{
    static const float floats[] = { 1.5F, -INFINITY, NAN, 0x1p-149F, -0.0F, 3e38F };
    static const int32_t ints[] = { INT32_MIN, -1, 0, INT32_MAX };
    static const uint8_t bytes[] = { 0, 1, 128, 255 };
    static const int64_t shape[MOTH_MAX_RANK] = { 1, 2, 3, 1, 1, 1, 1, 1 }, square[] = { 2, 2 }, empty[] = { 2, 0 };
    moth_tensor *t = NULL;
    CHECK(moth_tensor_from_floats(ctx, 3, shape, floats, &t) == MOTH_OK);
    round_trip("float", t);
    moth_meta turned = t->meta; /* a transposed view: written in its own order */
    turned.shape[1] = 3;
    turned.shape[2] = 2;
    turned.stride[1] = 1;
    turned.stride[2] = 3;
    moth_tensor *view = NULL;
    CHECK(moth_tensor_handle(ctx, &turned, t->storage, &view) == MOTH_OK);
    round_trip("view", view);
    moth_tensor_release(view);
    moth_tensor_release(t);
    CHECK(moth_tensor_from_floats(ctx, MOTH_MAX_RANK, shape, floats, &t) == MOTH_OK);
    round_trip("eight dimensions", t);
    moth_tensor_release(t);
    CHECK(moth_tensor_from_floats(ctx, 0, NULL, floats, &t) == MOTH_OK);
    round_trip("no dimension", t);
    moth_tensor_release(t);
    CHECK(moth_tensor_from_ints(ctx, 2, square, ints, &t) == MOTH_OK);
    round_trip("int", t);
    moth_tensor_release(t);
    CHECK(moth_tensor_from_bytes(ctx, 2, square, bytes, &t) == MOTH_OK);
    round_trip("byte", t);
    moth_tensor_release(t);
    CHECK(moth_tensor_zeros(ctx, MOTH_INT32, 2, empty, &t) == MOTH_OK);
    round_trip("empty", t);
    moth_tensor_release(t);
}

/* The bytes that numpy.save of NumPy 2.4 writes for numpy.array([[1, -2]], "<i4"). */
static void test_bytes_written(void)
{
    static const char want[] = "\x93NUMPY\x01\0v\0{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2), }"
                               "                                                          \n"
                               "\x01\0\0\0\xfe\xff\xff\xff";
    static const int64_t shape[] = { 1, 2 };
    static const int32_t data[] = { 1, -2 };
    const char *path = test_path("bytes.npy");
    moth_tensor *t = NULL;
    CHECK(moth_tensor_from_ints(ctx, 2, shape, data, &t) == MOTH_OK);
    CHECK(moth_io_npy_write(ctx, path, t) == MOTH_OK);
    moth_tensor_release(t);
    char *got = NULL;
    int64_t size = 0;
    CHECK(moth_io_read_file(ctx, path, 1000, &got, &size) == MOTH_OK);
    CHECK_THAT(size == (int64_t)sizeof want - 1 && memcmp(got, want, (size_t)size) == 0, "%lld bytes", (long long)size);
    moth_free(got);
}

static void test_write_refused(void)
{
    moth_meta meta = { .dtype = MOTH_FLOAT32, .rank = 1, .shape = { -1 }, .stride = { 1 } };
    moth_tensor *symbolic = NULL, *t = NULL;
    CHECK(moth_tensor_handle(ctx, &meta, NULL, &symbolic) == MOTH_OK);
    CHECK(moth_io_npy_write(ctx, test_path("symbolic.npy"), symbolic) == MOTH_ERR_TRACING);
    moth_tensor_release(symbolic);
    CHECK(moth_tensor_zeros(ctx, MOTH_UINT8, 0, NULL, &t) == MOTH_OK);
    CHECK(moth_io_npy_write(ctx, test_path("absent/t.npy"), t) == MOTH_ERR_IO);
    moth_tensor_release(t);
    CHECK(count_names("symbolic") == 0);
}

/* ---- faults ---- */

static moth_status load_task(void *user)
{
    moth_tensor *t = NULL;
    moth_status status = moth_io_npy_read(ctx, user, &t);
    moth_tensor_release(t);
    return status;
}

/* A transposed view, so that the writer has to copy. */
static moth_status write_task(void *user)
{
    const moth_tensor *t = user;
    moth_meta turned = { t->meta.dtype, 2, { 3, 2 }, { 1, 3 }, 0 };
    moth_tensor *view;
    MOTH_TRY(moth_tensor_handle(ctx, &turned, t->storage, &view));
    moth_status status = moth_io_npy_write(ctx, test_path("fault.npy"), view);
    moth_tensor_release(view);
    return status;
}

static void test_faults(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s", test_path("fault.npy"));
    unsigned char bytes[500];
    static const char header[] = DICT("<i8", "True", "(2, 2)");
    static const char data[32];
    write_bytes(path, bytes, make_npy(bytes, 1, header, sizeof header - 1, data, sizeof data));
    check_faults(ctx, "npy", load_task, path);
    moth_tensor *t = NULL;
    CHECK(moth_tensor_zeros(ctx, MOTH_FLOAT32, 2, (int64_t[]){ 2, 3 }, &t) == MOTH_OK);
    check_faults(ctx, "npy writer", write_task, t);
    moth_tensor_release(t);
}

int main(void)
{
    ctx = moth_ctx_new();
    int64_t blocks = moth_live_blocks();
    test_types();
    test_headers();
    test_header_limit();
    test_malformed_headers();
    test_malformed_preambles();
    test_cuts();
    test_message();
    test_write();
    test_bytes_written();
    test_write_refused();
    test_faults();
    CHECK(moth_live_blocks() == blocks);
    moth_ctx_free(ctx);
    return test_report();
}
