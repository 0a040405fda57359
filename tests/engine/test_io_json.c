/* JSON: documents and their values; malformed ones with the check that each hits; text written, compared with what
 * Python's json.dumps writes, and read again; failing allocations, moth's and jansson's. */
#include "files.h"

#include <errno.h>
#include <jansson.h>
#include <locale.h>

#include "io/file.h"
#include "io/json.h"
#include "io/utf8.h"

static moth_ctx *ctx;

static moth_value *parse(const char *text)
{
    moth_value *v = NULL;
    CHECK_THAT(moth_io_json_parse(ctx, "text", text, strlen(text), &v) == MOTH_OK, "%s: %s", text, moth_error(ctx));
    return v;
}

static void check_text(const char *what, const moth_value *v, int indent, const char *want)
{
    moth_buffer text = { 0 };
    CHECK_THAT(moth_io_json_text(ctx, v, indent, &text) == MOTH_OK, "%s: %s", what, moth_error(ctx));
    moth_buffer_add(&text, "", 1);
    CHECK_TEXT(text.data, want);
    moth_buffer_free(&text);
}

/* ---- reading ---- */

static void test_kinds(void)
{
    moth_value *v = parse("{\"a\": [1, -2.5, \"x\", true, false, null, {}, []], \"b\": 9223372036854775807}");
    CHECK(moth_value_kind_of(v) == MOTH_MAP && moth_value_count(v) == 2);
    const moth_value *a = moth_value_get(v, "a");
    static const moth_value_kind kinds[] = { MOTH_INT,  MOTH_NUMBER, MOTH_STRING, MOTH_BOOL,
                                             MOTH_BOOL, MOTH_NIL,    MOTH_MAP,    MOTH_LIST };
    CHECK(moth_value_kind_of(a) == MOTH_LIST && moth_value_count(a) == 8);
    for (int64_t i = 0; i < 8; i++) {
        CHECK(moth_value_kind_of(moth_value_at(a, i)) == kinds[i]);
    }
    CHECK(moth_value_as_int(moth_value_at(a, 0)) == 1);
    CHECK_NEAR(moth_value_as_number(moth_value_at(a, 1)), -2.5, 0);
    CHECK_TEXT(moth_value_as_string(moth_value_at(a, 2)), "x");
    CHECK(moth_value_as_bool(moth_value_at(a, 3)) && !moth_value_as_bool(moth_value_at(a, 4)));
    CHECK(moth_value_as_int(moth_value_get(v, "b")) == INT64_MAX);
    moth_value_free(v);
}

static const struct {
    const char *text, *want; /* want: as it is written again */
} good[] = {
    { "0", "0" },
    { "\"x\"", "\"x\"" },
    { "null", "null" },
    { " \t\r\n[ ] \n", "[]" },
    { "{}", "{}" },
    { "{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}" },
    { "{\"\":1}", "{\"\":1}" },
    { "-9223372036854775808", "-9223372036854775808" },
    { "-0", "0" },
    { "-0.0", "-0.0" },
    { "1e5", "100000.0" },
    { "1E+2", "100.0" },
    { "1.7976931348623157e308", "1.7976931348623157e+308" },
    { "5e-324", "5e-324" },
    { "1e-400", "0.0" },
    { "\"\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u001f\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u001f\"" },
    { "\"\x7f \xef\xbf\xbf \xf4\x8f\xbf\xbf\"", "\"\x7f \xef\xbf\xbf \xf4\x8f\xbf\xbf\"" },
    { "[\"[[[[\", \"}\", \"\\\"]\"]", "[\"[[[[\",\"}\",\"\\\"]\"]" },
};

static void test_good(void)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        moth_value *v = parse(good[i].text);
        check_text(good[i].text, v, 0, good[i].want);
        moth_value_free(v);
    }
}

static const struct {
    const char *check;
    const char *text;
    size_t size;
} bad[] = {
    { "empty", BYTES("") },
    { "only space", BYTES(" \n ") },
    { "byte order mark", BYTES("\xef\xbb\xbf{}") },
    { "UTF-16", BYTES("{\0}\0") },
    { "NUL", BYTES("\0") },
    { "NUL behind", BYTES("{}\0") },
    { "text behind", BYTES("{} x") },
    { "two documents", BYTES("{}{}") },
    { "comma behind", BYTES("[1],") },
    { "map not closed", BYTES("{\"a\": 1") },
    { "list not closed", BYTES("[1, 2") },
    { "string not closed", BYTES("\"abc") },
    { "string ends in a backslash", BYTES("\"abc\\") },
    { "closed twice", BYTES("[]]") },
    { "closed wrongly", BYTES("[}") },
    { "comma at the end of a list", BYTES("[1, ]") },
    { "comma at the end of a map", BYTES("{\"a\": 1, }") },
    { "comma first", BYTES("[, 1]") },
    { "two commas", BYTES("[1,, 2]") },
    { "comma missing", BYTES("[1 2]") },
    { "colon missing", BYTES("{\"a\" 1}") },
    { "value missing", BYTES("{\"a\":}") },
    { "key without quotes", BYTES("{a: 1}") },
    { "key in single quotes", BYTES("{'a': 1}") },
    { "key that is a number", BYTES("{1: 1}") },
    { "equals", BYTES("{\"a\"=1}") },
    { "comment", BYTES("[1 /* one */]") },
    { "line comment", BYTES("[1] // one") },
    { "duplicate key", BYTES("{\"a\": 1, \"a\": 1}") },
    { "duplicate key by escape", BYTES("{\"a\": 1, \"\\u0061\": 1}") },
    { "duplicate key far inside", BYTES("[[{\"x\": {\"k\": 1, \"l\": 2, \"k\": 3}}]]") },
    { "duplicate empty key", BYTES("{\"\": 1, \"\": 2}") },
    { "True", BYTES("[True]") },
    { "nil", BYTES("[nil]") },
    { "NaN", BYTES("[NaN]") },
    { "Infinity", BYTES("[Infinity]") },
    { "-Infinity", BYTES("[-Infinity]") },
    { "undefined", BYTES("[undefined]") },
    { "tru", BYTES("[tru]") },
    { "nullx", BYTES("[nullx]") },
    { "plus", BYTES("[+1]") },
    { "leading zero", BYTES("[01]") },
    { "minus leading zero", BYTES("[-01]") },
    { "minus alone", BYTES("[-]") },
    { "point alone", BYTES("[.5]") },
    { "point at the end", BYTES("[5.]") },
    { "exponent missing", BYTES("[1e]") },
    { "exponent sign alone", BYTES("[1e+]") },
    { "two points", BYTES("[1.2.3]") },
    { "hexadecimal", BYTES("[0x10]") },
    { "2^63", BYTES("[9223372036854775808]") },
    { "-2^63-1", BYTES("[-9223372036854775809]") },
    { "40 digits", BYTES("[1000000000000000000000000000000000000000]") },
    { "1e309", BYTES("[1e309]") },
    { "-1e999", BYTES("[-1e999]") },
    { "tab in a string", BYTES("[\"a\tb\"]") },
    { "line end in a string", BYTES("[\"a\nb\"]") },
    { "NUL in a string", BYTES("[\"a\0b\"]") },
    { "escaped NUL", BYTES("[\"a\\u0000b\"]") },
    { "escaped NUL in a key", BYTES("{\"a\\u0000b\": 1}") },
    { "unknown escape", BYTES("[\"\\x41\"]") },
    { "escaped quote only", BYTES("[\"\\'\"]") },
    { "escape of 3 digits", BYTES("[\"\\u123\"]") },
    { "escape of no digits", BYTES("[\"\\uzzzz\"]") },
    { "high surrogate alone", BYTES("[\"\\ud800\"]") },
    { "low surrogate alone", BYTES("[\"\\udc00\"]") },
    { "two high surrogates", BYTES("[\"\\ud800\\ud800\"]") },
    { "UTF-8: continuation alone", BYTES("[\"\x80\"]") },
    { "UTF-8: overlong /", BYTES("[\"\xc0\xaf\"]") },
    { "UTF-8: overlong in 3 bytes", BYTES("[\"\xe0\x80\xaf\"]") },
    { "UTF-8: overlong in 4 bytes", BYTES("[\"\xf0\x80\x80\xaf\"]") },
    { "UTF-8: surrogate", BYTES("[\"\xed\xa0\x80\"]") },
    { "UTF-8: above U+10FFFF", BYTES("[\"\xf4\x90\x80\x80\"]") },
    { "UTF-8: byte FF", BYTES("[\"\xff\"]") },
    { "UTF-8: cut character", BYTES("[\"\xe2\x82\"]") },
    { "UTF-8 outside a string", BYTES("[\xc3\xa9]") },
    { "Latin-1 key", BYTES("{\"\xe9\": 1}") },
    { "escape sequence for terminals", BYTES("[\x1b[2J]") },
    { "format characters", BYTES("%s%n") },
    { "no-break space", BYTES("[1,\xc2\xa0 2]") },
    { "form feed", BYTES("[1,\f2]") },
    { "Lua table", BYTES("{a = 1}") },
    { "pickle", BYTES("\x80\x04\x95\0\0") },
};

static void test_bad(void)
{
    int64_t blocks = moth_live_blocks();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        moth_value *v = NULL;
        moth_status status = moth_io_json_parse(ctx, "bad.json", bad[i].text, bad[i].size, &v);
        CHECK_THAT(status == MOTH_ERR_FORMAT && !v, "%s: %s", bad[i].check, moth_status_name(status));
        check_message(ctx, bad[i].check, "bad.json");
        moth_value_free(v);
    }
    CHECK(moth_live_blocks() == blocks);
    moth_value *v = NULL;
    CHECK(moth_io_json_parse(ctx, "m.json", BYTES("{\n  \"a\": tru\n}"), &v) == MOTH_ERR_FORMAT);
    CHECK_THAT(strstr(moth_error(ctx), "m.json: not JSON: line 2,"), "%s", moth_error(ctx));
}

/* ---- limits ---- */

static moth_status parse_nested(size_t depth, const char *inner)
{
    static char text[500000];
    size_t n = strlen(inner);
    memset(text, '[', depth);
    snprintf(text + depth, sizeof text - depth, "%s", inner);
    memset(text + depth + n, ']', depth);
    moth_value *v = NULL;
    moth_status status = moth_io_json_parse(ctx, "deep", text, 2 * depth + n, &v);
    moth_value_free(v);
    return status;
}

static void test_depth(void)
{
    CHECK(parse_nested(100, "1") == MOTH_OK);
    CHECK(parse_nested(99, "{\"a\": 1}") == MOTH_OK);
    CHECK(parse_nested(101, "1") == MOTH_ERR_UNSUPPORTED);
    check_message(ctx, "101 deep", "100 deep");
    CHECK(parse_nested(100, "{}") == MOTH_ERR_UNSUPPORTED);
    CHECK(parse_nested(200000, "") == MOTH_ERR_UNSUPPORTED);
    static char open[200000];
    memset(open, '[', sizeof open);
    moth_value *v = NULL;
    CHECK(moth_io_json_parse(ctx, "open", open, sizeof open, &v) == MOTH_ERR_UNSUPPORTED);
    for (size_t i = 0; i < sizeof open; i++) {
        open[i] = "{\"a\":"[i % 5];
    }
    CHECK(moth_io_json_parse(ctx, "open", open, sizeof open, &v) == MOTH_ERR_UNSUPPORTED);
    CHECK(parse_nested(100, "\"[[[[\\\"[[[[\"") == MOTH_OK); /* brackets in strings do not count */
}

/* Returns the status of a document of `front`, `count` times `middle`, `back`. */
static moth_status parse_repeated(const char *front, const char *middle, size_t count, const char *back)
{
    moth_buffer text = { 0 };
    size_t length = strlen(middle);
    moth_buffer_text(&text, front);
    moth_buffer_repeat(&text, middle[0], count * length);
    for (size_t i = 0; length > 1 && i < count; i++) {
        memcpy(text.data + text.size - (i + 1) * length, middle, length);
    }
    moth_buffer_text(&text, back);
    moth_value *v = NULL;
    moth_status status = moth_io_json_parse(ctx, "long", text.data, text.size, &v);
    moth_value_free(v);
    moth_buffer_free(&text);
    return status;
}

static void test_sizes(void)
{
    enum { MEGABYTE = 1 << 20 };
    CHECK(parse_repeated("\"", "x", MEGABYTE, "\"") == MOTH_OK);
    CHECK(parse_repeated("\"", "x", MEGABYTE + 1, "\"") == MOTH_ERR_UNSUPPORTED);
    check_message(ctx, "string", "1 MB");
    CHECK(parse_repeated("{\"", "x", MEGABYTE + 1, "\": 1}") == MOTH_ERR_UNSUPPORTED);
    CHECK(parse_repeated("[0", ",0", MOTH_JSON_MAX_VALUES - 1, "]") == MOTH_OK);
    CHECK(parse_repeated("[0", ",0", MOTH_JSON_MAX_VALUES, "]") == MOTH_ERR_UNSUPPORTED);
    check_message(ctx, "values", "250000");
    CHECK(parse_repeated("[", "{},", MOTH_JSON_MAX_VALUES, "0]") == MOTH_ERR_UNSUPPORTED);
    CHECK(parse_repeated("[", " ", MOTH_JSON_MAX_BYTES - 2, "]") == MOTH_OK);
    CHECK(parse_repeated("[", " ", MOTH_JSON_MAX_BYTES - 1, "]") == MOTH_ERR_UNSUPPORTED);
}

/* Keys in falling order: each would have to move all others, if they were not sorted first. */
static void test_many_keys(void)
{
    enum { N = 200000 };
    moth_buffer text = { 0 };
    moth_buffer_text(&text, "{");
    for (int i = N; i > 0; i--) {
        char member[32];
        snprintf(member, sizeof member, "\"k%06d\":%d%s", i, i, i > 1 ? "," : "}");
        moth_buffer_text(&text, member);
    }
    moth_value *v = NULL;
    CHECK(moth_io_json_parse(ctx, "keys", text.data, text.size, &v) == MOTH_OK);
    CHECK(moth_value_count(v) == N && moth_value_as_int(moth_value_get(v, "k012345")) == 12345);
    moth_value_free(v);
    moth_buffer_free(&text);
}

/* ---- writing ---- */

/* want: repr() of Python 3.11. */
static const struct {
    double d;
    const char *want;
} numbers[] = {
    { 0, "0.0" },
    { 1, "1.0" },
    { -1.5, "-1.5" },
    { 0.1, "0.1" },
    { 0.1 + 0.2, "0.30000000000000004" },
    { 1.0 / 3, "0.3333333333333333" },
    { 100, "100.0" },
    { 123456.789, "123456.789" },
    { 1e15, "1000000000000000.0" },
    { 1e16, "1e+16" },
    { 123456789012345680.0, "1.2345678901234568e+17" },
    { 9007199254740993.0, "9007199254740992.0" },
    { 0.0001, "0.0001" },
    { 0.00012345, "0.00012345" },
    { 0.00001, "1e-05" },
    { 1e100, "1e+100" },
    { 1.5e-7, "1.5e-07" },
    { 2.2250738585072014e-308, "2.2250738585072014e-308" },
    { 4.9406564584124654e-324, "5e-324" },
    { 1.7976931348623157e308, "1.7976931348623157e+308" },
    { (double)0.1F, "0.10000000149011612" },
    { 5e-1, "0.5" },
    { 1e22, "1e+22" },
    { 1e23, "1e+23" },
};

static void test_numbers(void)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        moth_value *v = moth_value_number(numbers[i].d);
        check_text("number", v, 0, numbers[i].want);
        moth_value_free(v);
    }
    uint64_t bits = 0x9E3779B97F4A7C15U;
    for (int i = 0; i < 20000; i++) { /* any double comes back */
        bits = bits * 6364136223846793005U + 1442695040888963407U;
        double d;
        memcpy(&d, &bits, sizeof d);
        moth_value *v = moth_value_number(d), *back = NULL;
        moth_buffer text = { 0 };
        if (isfinite(d)) {
            moth_status status = moth_io_json_text(ctx, v, 0, &text);
            if (status == MOTH_OK) {
                status = moth_io_json_parse(ctx, "number", text.data, text.size, &back);
            }
            CHECK_THAT(status == MOTH_OK && moth_value_kind_of(back) == MOTH_NUMBER && moth_value_as_number(back) == d,
                       "%.17g", d);
        }
        moth_buffer_free(&text);
        moth_value_free(back);
        moth_value_free(v);
    }
}

/* In some locales printf writes a comma for the point. */
static void test_locale(void)
{
    static const char *const names[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (setlocale(LC_NUMERIC, names[i])) {
            moth_value *v = parse("[1.5, 1e-7]");
            check_text(names[i], v, 0, "[1.5,1e-07]");
            moth_value_free(v);
        }
    }
    setlocale(LC_NUMERIC, "C");
}

static void test_indent(void)
{
    moth_value *v = parse("{\"b\": [1, {\"x\": []}, {}], \"a\": null}");
    check_text("one line", v, 0, "{\"a\":null,\"b\":[1,{\"x\":[]},{}]}");
    check_text("lines", v, 2, "{\n  \"a\": null,\n  \"b\": [\n    1,\n    {\n      \"x\": []\n    },\n    {}\n  ]\n}");
    moth_value_free(v);
}

static moth_value *nested_list(int depth)
{
    moth_value *v = moth_value_list();
    for (int i = 1; i < depth; i++) {
        moth_value *outer = moth_value_list();
        moth_value_append(outer, v);
        v = outer;
    }
    return v;
}

/* Takes v. */
static void refuse(const char *what, moth_value *v, const char *message)
{
    moth_buffer text = { 0 };
    moth_status status = moth_io_json_text(ctx, v, 0, &text);
    CHECK_THAT(status == MOTH_ERR_ARGUMENT, "%s: %s", what, moth_status_name(status));
    CHECK_THAT(strstr(moth_error(ctx), message), "%s: %s", what, moth_error(ctx));
    moth_buffer_free(&text);
    moth_value_free(v);
}

static moth_value *map_with(const char *key, moth_value *item)
{
    moth_value *map = moth_value_map();
    moth_value_set(map, key, item);
    return map;
}

static void release_nothing(moth_callback *callback)
{
    (void)callback;
}

static void test_refused(void)
{
    refuse("nan", map_with("loss", moth_value_number(NAN)),
           "loss: cannot be written as JSON: a number that is not fin");
    refuse("infinity", moth_value_number(INFINITY), "not finite");
    moth_value *list = moth_value_list();
    moth_value_append(list, moth_value_int(1));
    moth_value_append(list, moth_value_number(-INFINITY));
    refuse("path", map_with("layers", map_with("rate", list)), "layers: rate: [2]: cannot");
    refuse("Latin-1", moth_value_string("\xe9", 1), "not UTF-8");
    refuse("Latin-1 key", map_with("\xe9", moth_value_int(1)), "not UTF-8");
    refuse("depth", nested_list(101), "100 deep");
    moth_value *deep = nested_list(100);
    moth_buffer text = { 0 };
    CHECK(moth_io_json_text(ctx, deep, 0, &text) == MOTH_OK && text.size == 200);
    moth_buffer_free(&text);
    moth_value_free(deep);
    moth_callback *callback = moth_calloc(sizeof *callback);
    callback->references = 1;
    callback->release = release_nothing;
    refuse("function", map_with("loss", moth_value_function(callback)), "loss: cannot be written as JSON: a function");
    moth_callback_release(callback);
    size_t size = ((size_t)1 << 20) + 1;
    char *large = malloc(size);
    if (!large) {
        exit(1);
    }
    memset(large, 'x', size);
    refuse("string", moth_value_string(large, size), "longer than 1 MB");
    moth_value *many = moth_value_list();
    for (int i = 0; i < 17; i++) {
        moth_value_append(many, moth_value_string(large, size - 1));
    }
    refuse("document", many, "more than 16 MB");
    free(large);
    moth_value *long_list = moth_value_list();
    for (int i = 0; i < MOTH_JSON_MAX_VALUES; i++) {
        moth_value_append(long_list, moth_value_nil());
    }
    refuse("values", long_list, "250000");
}

static void test_files(void)
{
    const char *path = test_path("model.json");
    moth_value *v = parse("{\"b\": [1, 2.5], \"a\": \"\\n\"}"), *back = NULL;
    CHECK(moth_io_json_write(ctx, path, v, 2) == MOTH_OK);
    CHECK(moth_io_json_read(ctx, path, &back) == MOTH_OK);
    check_text("file", back, 0, "{\"a\":\"\\n\",\"b\":[1,2.5]}");
    moth_value_free(back);
    moth_value_free(v);
    char *text = NULL;
    int64_t size = 0;
    CHECK(moth_io_read_file(ctx, path, 1000, &text, &size) == MOTH_OK);
    CHECK(text && size > 0 && text[size - 1] == '\n');
    moth_free(text);
    v = moth_value_number(NAN);
    CHECK(moth_io_json_write(ctx, path, v, 0) == MOTH_ERR_ARGUMENT);
    check_message(ctx, "nan", "model.json");
    moth_value_free(v);
    CHECK(moth_io_json_read(ctx, path, &back) == MOTH_OK); /* the old one */
    moth_value_free(back);
    back = NULL;
    CHECK(moth_io_json_read(ctx, test_path("absent.json"), &back) == MOTH_ERR_IO && !back);
    CHECK(moth_io_json_read(ctx, "/dev/zero", &back) == MOTH_ERR_IO && !back);
}

/* ---- faults ---- */

static const char document[] = "{\"name\": \"dense_1\", \"units\": 128, \"rate\": 0.25, \"list\": [1, [2, null], {}],"
                               " \"a long string that needs a buffer of its own, longer than sixteen bytes\": true}";

static moth_status round_task(void *user)
{
    (void)user;
    moth_value *v = NULL;
    moth_buffer text = { 0 };
    moth_status status = moth_io_json_parse(ctx, "fault", document, sizeof document - 1, &v);
    if (status == MOTH_OK) {
        status = moth_io_json_text(ctx, v, 2, &text);
    }
    moth_buffer_free(&text);
    moth_value_free(v);
    return status;
}

static moth_status file_task(void *user)
{
    moth_value *v = NULL;
    MOTH_TRY(moth_io_json_read(ctx, user, &v));
    moth_status status = moth_io_json_write(ctx, user, v, 0);
    moth_value_free(v);
    return status;
}

static int64_t jansson_countdown, jansson_live;

static void *jansson_malloc(size_t size)
{
    if (jansson_countdown > 0 && --jansson_countdown == 0) {
        errno = ENOMEM; /* as malloc does */
        return NULL;
    }
    void *memory = malloc(size);
    jansson_live += memory != NULL;
    return memory;
}

static void jansson_free(void *memory)
{
    jansson_live -= memory != NULL;
    free(memory);
}

static void test_faults(void)
{
    check_faults(ctx, "json", round_task, NULL);
    char path[256];
    snprintf(path, sizeof path, "%s", test_path("fault.json"));
    write_bytes(path, document, sizeof document - 1);
    check_faults(ctx, "json file", file_task, path);
    json_set_alloc_funcs(jansson_malloc, jansson_free);
    int64_t blocks = moth_live_blocks(), nth = 0;
    moth_status status = MOTH_ERR_MEMORY;
    while (status == MOTH_ERR_MEMORY && nth < 1000) {
        jansson_countdown = ++nth;
        status = round_task(NULL);
        CHECK_THAT(jansson_live == 0 && moth_live_blocks() == blocks, "jansson's allocation %lld leaks",
                   (long long)nth);
    }
    CHECK_THAT(status == MOTH_OK && nth > 20, "jansson's allocation %lld: %s", (long long)nth, moth_error(ctx));
    json_set_alloc_funcs(malloc, free);
}

/* Every character, against the definition; and all pairs of bytes. */
static void test_utf8(void)
{
    int wrong = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        if (c < 0xD800 || c > 0xDFFF) {
            size_t length = moth_utf8_encode(c, text);
            wrong += length != (c < 0x80 ? 1U : c < 0x800 ? 2U : c < 0x10000 ? 3U : 4U);
            wrong += moth_utf8_length(text, length) != length || moth_utf8_length(text, length - 1) != 0;
        }
    }
    CHECK(wrong == 0);
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char text[2] = { (char)a, (char)b };
            size_t want = a < 0x80 ? 1 : (a >= 0xC2 && a < 0xE0 && b >= 0x80 && b < 0xC0) ? 2 : 0;
            wrong += moth_utf8_length(text, 2) != want;
        }
    }
    CHECK(wrong == 0);
}

int main(void)
{
    ctx = moth_ctx_new();
    int64_t blocks = moth_live_blocks();
    test_kinds();
    test_good();
    test_bad();
    test_depth();
    test_sizes();
    test_many_keys();
    test_numbers();
    test_locale();
    test_indent();
    test_refused();
    test_files();
    test_utf8();
    test_faults();
    CHECK(moth_live_blocks() == blocks);
    moth_ctx_free(ctx);
    return test_report();
}
