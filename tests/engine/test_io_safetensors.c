/* Reading safetensors: files made by hand, every type; malformed headers with the check that each hits; many tensors.
 */
#include "safetensors_files.h"

/* ---- good files ---- */

#define ONE(dtype, shape, size) "{\"x\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[0," size "]}}"

static void test_types(void)
{
    static const struct {
        const char *header;
        const char *data;
        size_t size;
        moth_dtype dtype;
        int rank;
        double want[3];
    } good[] = {
        { ONE("F32", "[2]", "8"), BYTES("\0\0\xc0\x3f\0\0\x80\xff"), MOTH_FLOAT32, 1, { 1.5, -INFINITY } },
        { ONE("F32", "[]", "4"), BYTES("\0\0\xc0\x3f"), MOTH_FLOAT32, 0, { 1.5 } },
        { ONE("F32", "[0]", "0"), BYTES(""), MOTH_FLOAT32, 1, { 0 } },
        { ONE("F32", "[3,0,5]", "0"), BYTES(""), MOTH_FLOAT32, 3, { 0 } },
        { ONE("F32", "[1,1,1,1,1,1,1,1]", "4"), BYTES("\0\0\xc0\x3f"), MOTH_FLOAT32, 8, { 1.5 } },
        { ONE("F64", "[1]", "8"), BYTES("\x9a\x99\x99\x99\x99\x99\xb9\x3f"), MOTH_FLOAT32, 1, { (double)0.1F } },
        { ONE("F16", "[3]", "6"), BYTES("\0\x3e\xff\xfb\x01\0"), MOTH_FLOAT32, 1, { 1.5, -65504, 0x1p-24 } },
        { ONE("BF16", "[2]", "4"), BYTES("\xc0\x3f\x80\xff"), MOTH_FLOAT32, 1, { 1.5, -INFINITY } },
        { ONE("U8", "[3]", "3"), BYTES("\0\x80\xff"), MOTH_UINT8, 1, { 0, 128, 255 } },
        { ONE("BOOL", "[2]", "2"), BYTES("\0\x01"), MOTH_UINT8, 1, { 0, 1 } },
        { ONE("I8", "[2]", "2"), BYTES("\x80\x7f"), MOTH_INT32, 1, { -128, 127 } },
        { ONE("I16", "[2]", "4"), BYTES("\x02\x01\xff\xff"), MOTH_INT32, 1, { 258, -1 } },
        { ONE("I32", "[2]", "8"), BYTES("\x04\x03\x02\x01\0\0\0\x80"), MOTH_INT32, 1, { 16909060, -2147483648.0 } },
        { ONE("I64", "[2]", "16"),
          BYTES("\xff\xff\xff\x7f\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"),
          MOTH_INT32,
          1,
          { 2147483647, -1 } },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        moth_tensor_file *file;
        load_parts(good[i].header, strlen(good[i].header), good[i].data, good[i].size, &file);
        CHECK_THAT(file, "%s: %s", good[i].header, moth_error(ctx));
        if (file) {
            const moth_tensor *t = moth_tensor_file_find(file, "x");
            CHECK(moth_tensor_file_count(file) == 1 && t);
            CHECK_THAT(t->meta.dtype == good[i].dtype && t->meta.rank == good[i].rank, "%s", good[i].header);
            for (int64_t e = 0; e < moth_tensor_count(t); e++) {
                CHECK_NEAR(moth_tensor_element(t, e), good[i].want[e], 0);
            }
        }
        moth_tensor_file_free(file);
    }
}

/* Any order of tensors, keys and data; space where JSON has it; escapes; empty tensors in between; metadata behind. */
static void test_layout(void)
{
    static const char header[] =
        "{ \"b\" : {\"shape\": [ 2 ],\n\"data_offsets\":[ 5 , 7 ],\t\"dtype\":\"U8\" } ,"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[5,5]},"
        "\"a\\u0020\\ud83d\\ude00\\n\":{\"data_offsets\":[1,5],\"dtype\":\"F32\",\"shape\":[]},"
        "\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"__metadata__\":{\"z\\/\":\"\\u00e9\",\"a\":\"\"} }  \r\n\t ";
    moth_tensor_file *file;
    CHECK_THAT(load_parts(header, sizeof header - 1, BYTES("\7\0\0\xc0\x3f\1\2"), &file) == MOTH_OK, "%s",
               moth_error(ctx));
    if (!file) {
        return;
    }
    CHECK(moth_tensor_file_count(file) == 4);
    static const char *const names[] = { "", "a \xf0\x9f\x98\x80\n", "b", "none" };
    for (int i = 0; i < 4; i++) {
        CHECK_TEXT(moth_tensor_file_name(file, i), names[i]);
        CHECK(moth_tensor_file_tensor(file, i) == moth_tensor_file_find(file, names[i]));
    }
    CHECK_NEAR(moth_tensor_element(moth_tensor_file_find(file, ""), 0), 7, 0);
    CHECK_NEAR(moth_tensor_element(moth_tensor_file_find(file, names[1]), 0), 1.5, 0);
    CHECK_NEAR(moth_tensor_element(moth_tensor_file_find(file, "b"), 1), 2, 0);
    CHECK_TEXT(moth_tensor_file_get_metadata(file, "z/"), "\xc3\xa9");
    CHECK_TEXT(moth_tensor_file_get_metadata(file, "a"), "");
    CHECK(!moth_tensor_file_get_metadata(file, "b") && moth_value_count(moth_tensor_file_metadata(file)) == 2);
    CHECK(!moth_tensor_file_find(file, "c") && !moth_tensor_file_name(file, 4) && !moth_tensor_file_tensor(file, -1));
    moth_tensor_file_free(file);
}

static void test_empty(void)
{
    static const char *const headers[] = { "{}", "{ }  ", "{\"__metadata__\":{}}", "{\"__metadata__\": { } }" };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        moth_tensor_file *file;
        CHECK(load_parts(headers[i], strlen(headers[i]), "", 0, &file) == MOTH_OK);
        CHECK(file && moth_tensor_file_count(file) == 0);
        moth_tensor_file_free(file);
    }
}

/* ---- malformed ---- */

#define X "\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"
#define U8(name, begin, end, size) \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" size "],\"data_offsets\":[" begin "," end "]}"

/* Each with 4 bytes of data. */
static const struct {
    const char *check;
    const char *header;
    size_t size;
} bad[] = {
    { "empty header", BYTES("") },
    { "only spaces", BYTES("        ") },
    { "space first", BYTES(" {" X "}") },
    { "byte order mark", BYTES("\xef\xbb\xbf{" X "}") },
    { "list", BYTES("[" X "]") },
    { "not closed", BYTES("{" X) },
    { "not closed behind a comma", BYTES("{" X ",") },
    { "closed twice", BYTES("{" X "}}") },
    { "text behind", BYTES("{" X "} x") },
    { "NUL padding", BYTES("{" X "}\0\0\0") },
    { "form feed padding", BYTES("{" X "}\f") },
    { "second document", BYTES("{" X "}{}") },
    { "comma first", BYTES("{," X "}") },
    { "comma at the end", BYTES("{" X ",}") },
    { "two commas", BYTES("{" X ",," U8("y", "4", "4", "0") "}") },
    { "comma missing", BYTES("{" X U8("y", "4", "4", "0") "}") },
    { "comment", BYTES("{/**/" X "}") },
    { "name without quotes", BYTES("{x:{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "name in single quotes", BYTES("{'x':{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "name not closed", BYTES("{\"x") },
    { "name ends in a backslash", BYTES("{\"x\\") },
    { "colon missing", BYTES("{\"x\"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "tensor is a number", BYTES("{\"x\":1}") },
    { "tensor is null", BYTES("{\"x\":null}") },
    { "tensor is a list", BYTES("{\"x\":[]}") },
    { "tensor is a string", BYTES("{\"x\":\"F32\"}") },
    { "tensor is empty", BYTES("{\"x\":{}}") },
    { "no dtype", BYTES("{\"x\":{\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "no shape", BYTES("{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}") },
    { "no data_offsets", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1]}}") },
    { "a fourth key", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}") },
    { "dtype twice", BYTES("{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "dtype twice by escape",
      BYTES("{\"x\":{\"dtype\":\"F32\",\"\\u0064type\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "shape twice for dtype", BYTES("{\"x\":{\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "key in capitals", BYTES("{\"x\":{\"DType\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "comma at the end of a tensor", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],}}") },
    { "name twice", BYTES("{" X "," U8("x", "4", "4", "0") "}") },
    { "name twice by escape", BYTES("{" X "," U8("\\u0078", "4", "4", "0") "}") },
    { "name twice, far apart", BYTES("{" X "," U8("a", "4", "4", "0") "," U8("b", "4", "4", "0") "," X "}") },
    { "empty name twice", BYTES("{" X "," U8("", "4", "4", "0") "," U8("", "4", "4", "0") "}") },
    { "unknown dtype", BYTES(ONE("F31", "[1]", "4")) },
    { "dtype in small letters", BYTES(ONE("f32", "[1]", "4")) },
    { "empty dtype", BYTES(ONE("", "[1]", "4")) },
    { "dtype U32", BYTES(ONE("U32", "[1]", "4")) },
    { "dtype U64", BYTES(ONE("U64", "[]", "8")) },
    { "dtype F8_E4M3", BYTES(ONE("F8_E4M3", "[4]", "4")) },
    { "dtype F4", BYTES(ONE("F4", "[8]", "4")) },
    { "dtype C64", BYTES(ONE("C64", "[1]", "4")) },
    { "dtype with a NUL", BYTES(ONE("F32\\u0000", "[1]", "4")) },
    { "dtype with format characters", BYTES(ONE("%s%n", "[1]", "4")) },
    { "dtype a number", BYTES("{\"x\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "dtype null", BYTES("{\"x\":{\"dtype\":null,\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "shape a number", BYTES(ONE("F32", "1", "4")) },
    { "shape null", BYTES(ONE("F32", "null", "4")) },
    { "shape a string", BYTES(ONE("F32", "\"[1]\"", "4")) },
    { "shape nested", BYTES(ONE("F32", "[[1]]", "4")) },
    { "shape not closed", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1") },
    { "comma at the end of a shape", BYTES(ONE("F32", "[1,]", "4")) },
    { "comma first in a shape", BYTES(ONE("F32", "[,1]", "4")) },
    { "comma missing in a shape", BYTES(ONE("F32", "[1 1]", "4")) },
    { "negative dimension", BYTES(ONE("F32", "[-1]", "4")) },
    { "two negative dimensions", BYTES(ONE("F32", "[-1,-1]", "4")) },
    { "minus zero", BYTES(ONE("F32", "[-0]", "0")) },
    { "plus", BYTES(ONE("F32", "[+1]", "4")) },
    { "dimension with a point", BYTES(ONE("F32", "[1.0]", "4")) },
    { "dimension with an exponent", BYTES(ONE("F32", "[1e0]", "4")) },
    { "dimension with a leading zero", BYTES(ONE("F32", "[01]", "4")) },
    { "dimension hexadecimal", BYTES(ONE("F32", "[0x1]", "4")) },
    { "dimension in quotes", BYTES(ONE("F32", "[\"1\"]", "4")) },
    { "dimension true", BYTES(ONE("F32", "[true]", "4")) },
    { "dimension null", BYTES(ONE("F32", "[null]", "4")) },
    { "dimension 2^63", BYTES(ONE("F32", "[9223372036854775808]", "4")) },
    { "dimension 2^64+1", BYTES(ONE("F32", "[18446744073709551617]", "4")) },
    { "dimension of 30 digits", BYTES(ONE("F32", "[100000000000000000000000000001]", "4")) },
    { "dimension 2^62: bytes wrap to 0", BYTES(ONE("F32", "[4611686018427387904]", "0")) },
    { "2^62+1: bytes wrap to 4", BYTES(ONE("F32", "[4611686018427387905]", "4")) },
    { "product wraps to 0", BYTES(ONE("U8", "[4294967296,4294967296]", "0")) },
    { "product wraps to 1", BYTES(ONE("U8", "[4294967297,4294967295,4294967297]", "4")) },
    { "0 behind hides the product", BYTES(ONE("U8", "[4294967296,4294967296,0]", "0")) },
    { "0 before hides the product", BYTES(ONE("U8", "[0,4294967296,4294967296]", "0")) },
    { "2^41 elements", BYTES(ONE("U8", "[2199023255552]", "2199023255552")) },
    { "nine dimensions", BYTES(ONE("F32", "[1,1,1,1,1,1,1,1,1]", "4")) },
    { "shape smaller than data", BYTES(ONE("F32", "[1]", "8")) },
    { "shape larger than data", BYTES(ONE("F32", "[2]", "4")) },
    { "0 elements with data", BYTES(ONE("F32", "[0]", "4")) },
    { "type does not fit data", BYTES(ONE("F64", "[1]", "4")) },
    { "data_offsets a number", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":4}}") },
    { "data_offsets empty", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[]}}") },
    { "one data_offset", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}") },
    { "three data_offsets", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}") },
    { "negative begin", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}") },
    { "begin with a point", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0.0,4]}}") },
    { "end with an exponent", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4e0]}}") },
    { "end in quotes", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}") },
    { "end null", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,null]}}") },
    { "end before begin", BYTES("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}") },
    { "begin after the file", BYTES("{" U8("x", "5", "9", "4") "}") },
    { "end after the file", BYTES("{" U8("x", "0", "5", "5") "}") },
    { "end far after the file", BYTES("{" U8("x", "0", "1099511627776", "1099511627776") "}") },
    { "end 2^63-1", BYTES("{" U8("x", "0", "9223372036854775807", "4") "}") },
    { "end 2^63", BYTES("{" U8("x", "0", "9223372036854775808", "4") "}") },
    { "end 2^64+4", BYTES("{" U8("x", "0", "18446744073709551620", "4") "}") },
    { "both huge, difference right", BYTES("{" U8("x", "9223372036854775803", "9223372036854775807", "4") "}") },
    { "hole at the start", BYTES("{" U8("x", "1", "4", "3") "}") },
    { "rest at the end", BYTES("{" U8("x", "0", "3", "3") "}") },
    { "hole in between", BYTES("{" U8("x", "0", "1", "1") "," U8("y", "2", "4", "2") "}") },
    { "overlap", BYTES("{" U8("x", "0", "3", "3") "," U8("y", "2", "4", "2") "}") },
    { "same data twice", BYTES("{" U8("x", "0", "4", "4") "," U8("y", "0", "4", "4") "}") },
    { "one inside another", BYTES("{" U8("x", "0", "4", "4") "," U8("y", "1", "2", "1") "}") },
    { "empty tensor inside another", BYTES("{" U8("x", "0", "4", "4") "," U8("y", "2", "2", "0") "}") },
    { "empty tensor behind the data", BYTES("{" U8("x", "0", "4", "4") "," U8("y", "5", "5", "0") "}") },
    { "no tensor, but data", BYTES("{}") },
    { "metadata but no tensor, and data", BYTES("{\"__metadata__\":{}}") },
    { "metadata null", BYTES("{\"__metadata__\":null," X "}") },
    { "metadata a list", BYTES("{\"__metadata__\":[]," X "}") },
    { "metadata a string", BYTES("{\"__metadata__\":\"\"," X "}") },
    { "metadata with a number", BYTES("{\"__metadata__\":{\"a\":1}," X "}") },
    { "metadata with null", BYTES("{\"__metadata__\":{\"a\":null}," X "}") },
    { "metadata with true", BYTES("{\"__metadata__\":{\"a\":true}," X "}") },
    { "metadata nested", BYTES("{\"__metadata__\":{\"a\":{}}," X "}") },
    { "metadata key twice", BYTES("{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}," X "}") },
    { "metadata key twice by escape", BYTES("{\"__metadata__\":{\"a\":\"1\",\"\\u0061\":\"1\"}," X "}") },
    { "metadata comma at the end", BYTES("{\"__metadata__\":{\"a\":\"1\",}," X "}") },
    { "metadata not closed", BYTES("{\"__metadata__\":{\"a\":\"1\"") },
    { "metadata twice", BYTES("{\"__metadata__\":{},\"__metadata__\":{}," X "}") },
    { "metadata twice by escape", BYTES("{\"__metadata__\":{},\"\\u005f_metadata__\":{}," X "}") },
    { "metadata as a tensor", BYTES("{\"__metadata__\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "NUL in a name", BYTES("{\"x\0\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}") },
    { "escaped NUL in a name", BYTES("{" U8("x\\u0000", "0", "4", "4") "}") },
    { "tab in a name", BYTES("{" U8("x\t", "0", "4", "4") "}") },
    { "line end in a name", BYTES("{" U8("x\n", "0", "4", "4") "}") },
    { "unknown escape", BYTES("{" U8("\\x78", "0", "4", "4") "}") },
    { "escape of 3 digits", BYTES("{" U8("\\u078", "0", "4", "4") "}") },
    { "escape cut by the end", BYTES("{\"\\u00") },
    { "high surrogate alone", BYTES("{" U8("\\ud800", "0", "4", "4") "}") },
    { "high surrogate and a letter", BYTES("{" U8("\\ud800\\u0041", "0", "4", "4") "}") },
    { "low surrogate alone", BYTES("{" U8("\\udc00", "0", "4", "4") "}") },
    { "surrogates swapped", BYTES("{" U8("\\udc00\\ud800", "0", "4", "4") "}") },
    { "UTF-8: continuation alone", BYTES("{" U8("\x80", "0", "4", "4") "}") },
    { "UTF-8: overlong", BYTES("{" U8("\xc1\xbf", "0", "4", "4") "}") },
    { "UTF-8: overlong NUL", BYTES("{" U8("\xc0\x80", "0", "4", "4") "}") },
    { "UTF-8: surrogate", BYTES("{" U8("\xed\xa0\x80", "0", "4", "4") "}") },
    { "UTF-8: above U+10FFFF", BYTES("{" U8("\xf4\x90\x80\x80", "0", "4", "4") "}") },
    { "UTF-8: cut by the quote", BYTES("{" U8("\xe2\x82", "0", "4", "4") "}") },
    { "UTF-8: cut by the end", BYTES("{\"\xf0\x9f\x98") },
    { "Latin-1 in metadata", BYTES("{\"__metadata__\":{\"a\":\"\xe9\"}," X "}") },
    { "checksum wrong", BYTES("{\"__metadata__\":{\"data_crc32\":\"00000000\"}," X "}") },
    { "checksum empty", BYTES("{\"__metadata__\":{\"data_crc32\":\"\"}," X "}") },
    { "bool that is neither", BYTES(ONE("BOOL", "[4]", "4")) },
};

static void test_malformed(void)
{
    int64_t blocks = moth_live_blocks();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unsigned char bytes[1000];
        refuse(bad[i].check, bytes, make_bytes(bytes, bad[i].header, bad[i].size, "\1\2\3\4", 4));
    }
    static const char good[] = "{" X "}";
    moth_tensor_file *file; /* what most of the table differs from by one thing */
    CHECK(load_parts(good, sizeof good - 1, "\1\2\3\4", 4, &file) == MOTH_OK);
    moth_tensor_file_free(file);
    CHECK(moth_live_blocks() == blocks);
}

static void test_lengths(void)
{
    static const struct {
        const char *check;
        const char *bytes;
        size_t size;
    } files[] = {
        { "empty file", BYTES("") },
        { "one byte", BYTES("{") },
        { "7 bytes", BYTES("\2\0\0\0\0\0\0") },
        { "length 0, nothing else", BYTES("\0\0\0\0\0\0\0\0") },
        { "length 0, header there", BYTES("\0\0\0\0\0\0\0\0{}") },
        { "length 1", BYTES("\1\0\0\0\0\0\0\0{}") },
        { "length one too many", BYTES("\3\0\0\0\0\0\0\0{}") },
        { "length 2^32+2", BYTES("\2\0\0\0\1\0\0\0{}") },
        { "length 2^63", BYTES("\0\0\0\0\0\0\0\x80{}") },
        { "length 2^64-1", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff{}") },
        { "length 2^64-8: with the prefix 0", BYTES("\xf8\xff\xff\xff\xff\xff\xff\xff{}") },
        { "length big-endian", BYTES("\0\0\0\0\0\0\0\2{}") },
        { "text", BYTES("{\"x\":{\"dtype\":\"F32\"}}") },
        { "zip", BYTES("PK\3\4\0\0\0\0\0\0\0\0") },
        { "HDF5", BYTES("\x89HDF\r\n\x1a\n\0\0\0\0") },
        { "GGUF", BYTES("GGUF\3\0\0\0\0\0\0\0\0\0\0\0") },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        refuse(files[i].check, files[i].bytes, files[i].size);
    }
    const char *path = test_path("file.safetensors"); /* a header of 100 MB and a byte, in a file that has it */
    write_bytes(path, BYTES("\x01\xe1\xf5\x05\0\0\0\0{}"));
    CHECK(truncate(path, 200000000) == 0);
    moth_tensor_file *file = NULL;
    CHECK(moth_io_safetensors_read(ctx, path, &file) == MOTH_ERR_FORMAT);
    check_message(ctx, "header above 100 MB", "100000000");
    unlink(path);
}

/* Every cut of a good file, and every byte of its header changed in some way: refused, or as good as before. */
static void test_cuts_and_changes(void)
{
    static const char header[] = "{\"__metadata__\":{\"k\":\"\\u00e9\"}," U8("a", "0", "2", "2") "," U8(
        "b", "2", "2", "0") "," U8("c", "2", "4", "1,2") "}  ";
    unsigned char bytes[400], changed[400];
    size_t size = make_bytes(bytes, header, sizeof header - 1, "\1\2\3\4", 4);
    moth_tensor_file *file;
    CHECK_THAT(load(bytes, size, &file) == MOTH_OK, "%s", moth_error(ctx));
    moth_tensor_file_free(file);
    for (size_t cut = 0; cut < size; cut++) {
        refuse("cut file", bytes, cut);
    }
    memcpy(changed, bytes, size);
    changed[size] = 5;
    refuse("a byte more", changed, size + 1);
    static const unsigned char masks[] = { 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF };
    int64_t blocks = moth_live_blocks();
    for (size_t i = 0; i < size; i++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            memcpy(changed, bytes, size);
            changed[i] ^= masks[m];
            moth_status status = load(changed, size, &file);
            CHECK_THAT(status == MOTH_OK || status == MOTH_ERR_FORMAT || status == MOTH_ERR_UNSUPPORTED, "byte %zu: %s",
                       i, moth_status_name(status));
            moth_tensor_file_free(file);
        }
    }
    CHECK(moth_live_blocks() == blocks);
}

/* ---- size ---- */

/* Names that fall, with a long common start; and one more than the limit. */
static void test_many(void)
{
    enum { N = 20000 };
    char *header = malloc((size_t)MOTH_SAFETENSORS_MAX_TENSORS * 150 + 1000);
    unsigned char *bytes = malloc((size_t)MOTH_SAFETENSORS_MAX_TENSORS * 154 + 1000);
    if (!header || !bytes) {
        exit(1);
    }
    static const int counts[] = { N, MOTH_SAFETENSORS_MAX_TENSORS, MOTH_SAFETENSORS_MAX_TENSORS + 1 };
    for (int c = 0; c < 3; c++) {
        int n = counts[c];
        size_t size = 1;
        header[0] = '{';
        for (int i = 0; i < n; i++) {
            size += (size_t)sprintf(header + size,
                                    "\"model.encoder.layers.attention.%06d\":{\"dtype\":\"F32\",\"shape\":[1],"
                                    "\"data_offsets\":[%d,%d]}%s",
                                    n - i, 4 * i, 4 * i + 4, i + 1 < n ? "," : "}");
        }
        float *data = calloc((size_t)n, sizeof *data);
        size = make_bytes(bytes, header, size, data, (size_t)n * 4);
        free(data);
        moth_tensor_file *file;
        moth_status status = load(bytes, size, &file);
        CHECK_THAT(status == (c < 2 ? MOTH_OK : MOTH_ERR_UNSUPPORTED), "%d tensors: %s", n, moth_error(ctx));
        CHECK(!file || moth_tensor_file_find(file, "model.encoder.layers.attention.012345"));
        moth_tensor_file_free(file);
    }
    free(header);
    free(bytes);
}

int main(void)
{
    ctx = moth_ctx_new();
    int64_t blocks = moth_live_blocks();
    test_types();
    test_layout();
    test_empty();
    test_malformed();
    test_lengths();
    test_cuts_and_changes();
    test_many();
    CHECK(moth_live_blocks() == blocks);
    moth_ctx_free(ctx);
    return test_report();
}
