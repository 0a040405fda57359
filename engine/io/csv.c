#include "io/csv.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "io/file.h"
#include "io/message.h"

enum { MAX_COLUMNS = 1 << 20, MAX_FIELD = 1 << 20 };
static const int64_t max_file = (int64_t)4 << 30;

/* ---- fields ---- */

/* A place in the text. */
typedef struct scanner {
    const moth_csv *csv;
    int64_t at, line;
    char *scratch; /* room for a quoted field without its quotes; NULL: it is not wanted */
} scanner;

static moth_status fail_line(const scanner *s, const char *what)
{
    return moth_io_fail(s->csv->ctx, MOTH_ERR_FORMAT, s->csv->path, "line %lld: %s", (long long)s->line, what);
}

static bool ends_line(const moth_csv *csv, int64_t at)
{
    return at >= csv->size || csv->text[at] == '\n' || (csv->text[at] == '\r' && csv->text[at + 1] == '\n');
}

/* Behind the end of a line. */
static int64_t next_line(const moth_csv *csv, int64_t at)
{
    at += at < csv->size && csv->text[at] == '\r';
    return at + (at < csv->size);
}

/* A field in quotes; s->at stands on the first quote, afterwards behind the last. */
static moth_status scan_quoted(scanner *s, moth_csv_field *field)
{
    const moth_csv *csv = s->csv;
    size_t n = 0;
    int64_t lines = 0;
    for (s->at++;; s->at++) {
        if (s->at >= csv->size) {
            return fail_line(s, "a quote is not closed");
        }
        char c = csv->text[s->at];
        if (c == '"' && csv->text[s->at + 1] != '"') {
            break;
        }
        s->at += c == '"';
        lines += c == '\n';
        if (n == MAX_FIELD) {
            return fail_line(s, "a field is longer than 1 MB (is a quote not closed?)");
        }
        if (s->scratch) {
            s->scratch[n] = c;
        }
        n++;
    }
    s->at++;
    s->line += lines;
    field->text = s->scratch;
    field->size = n;
    if (!ends_line(csv, s->at) && csv->text[s->at] != csv->separator) {
        return fail_line(s, "something follows a closing quote");
    }
    return MOTH_OK;
}

static moth_status scan_field(scanner *s, moth_csv_field *field)
{
    const moth_csv *csv = s->csv;
    field->line = s->line;
    if (csv->text[s->at] == '"') {
        return scan_quoted(s, field);
    }
    int64_t start = s->at;
    while (!ends_line(csv, s->at) && csv->text[s->at] != csv->separator) {
        s->at++;
    }
    field->text = csv->text + start;
    field->size = (size_t)(s->at - start);
    return field->size <= MAX_FIELD ? MOTH_OK : fail_line(s, "a field is longer than 1 MB");
}

/* The next row, empty lines passed over. *columns: its fields, 0 at the end of the file. */
static moth_status scan_row(scanner *s, moth_csv_field *field, moth_csv_visit visit, void *user, int64_t *columns)
{
    const moth_csv *csv = s->csv;
    while (s->at < csv->size && ends_line(csv, s->at)) {
        s->at = next_line(csv, s->at);
        s->line++;
    }
    *columns = 0;
    if (s->at >= csv->size) {
        return MOTH_OK;
    }
    for (;;) {
        field->column = (*columns)++;
        if (field->column == MAX_COLUMNS) {
            return fail_line(s, "more than 2^20 fields in a row");
        }
        MOTH_TRY(scan_field(s, field));
        MOTH_TRY(visit ? visit(user, field) : MOTH_OK);
        if (ends_line(csv, s->at)) {
            break;
        }
        s->at++; /* the separator */
    }
    s->at = next_line(csv, s->at);
    s->line++;
    return MOTH_OK;
}

/* ---- open ---- */

static moth_status count_rows(moth_csv *csv, int64_t skip)
{
    scanner s = { .csv = csv, .line = 1 };
    moth_csv_field field;
    if (csv->size >= 3 && memcmp(csv->text, "\xEF\xBB\xBF", 3) == 0) {
        s.at = 3;
    }
    for (; skip > 0 && s.at < csv->size; skip--, s.line++) {
        const char *end = memchr(csv->text + s.at, '\n', (size_t)(csv->size - s.at));
        s.at = end ? end - csv->text + 1 : csv->size;
    }
    csv->begin = s.at;
    for (int64_t columns = 1;; csv->rows++) {
        int64_t line = s.line;
        if (csv->rows % 1024 == 0) {
            MOTH_TRY(moth_io_check_interrupt(csv->ctx));
        }
        MOTH_TRY(scan_row(&s, &field, NULL, NULL, &columns));
        if (columns == 0) {
            break;
        }
        csv->columns = csv->rows == 0 ? columns : csv->columns;
        if (columns != csv->columns) {
            return moth_io_fail(csv->ctx, MOTH_ERR_FORMAT, csv->path,
                                "line %lld: expected %lld fields as in the first row, got %lld", (long long)line,
                                (long long)csv->columns, (long long)columns);
        }
    }
    return csv->rows > 0 ? MOTH_OK : moth_io_fail(csv->ctx, MOTH_ERR_FORMAT, csv->path, "the file holds no row");
}

moth_status moth_csv_open(moth_ctx *ctx, const char *path, char separator, int64_t skip, moth_csv *out)
{
    moth_csv csv = { .ctx = ctx, .separator = separator };
    MOTH_TRY(moth_io_read_file(ctx, path, max_file, &csv.text, &csv.size));
    csv.path = moth_strdup(path);
    moth_status status = csv.path ? MOTH_OK : moth_fail_memory(ctx, 64);
    if (status == MOTH_OK && memchr(csv.text, '\0', (size_t)csv.size)) {
        status = moth_io_fail(ctx, MOTH_ERR_FORMAT, path, "a text expected, but it holds zero bytes");
    }
    if (status == MOTH_OK) {
        status = count_rows(&csv, skip);
    }
    if (status != MOTH_OK) {
        moth_csv_close(&csv);
        return status;
    }
    *out = csv;
    return MOTH_OK;
}

void moth_csv_close(moth_csv *csv)
{
    moth_free(csv->path);
    moth_free(csv->text);
    *csv = (moth_csv){ 0 };
}

moth_status moth_csv_each(const moth_csv *csv, int64_t first, int64_t rows, moth_csv_visit visit, void *user)
{
    scanner s = { .csv = csv, .at = csv->begin, .line = 1 };
    moth_csv_field field = { 0 };
    int64_t columns = 1;
    for (int64_t i = 0; i < csv->begin; i++) {
        s.line += csv->text[i] == '\n';
    }
    s.scratch = moth_malloc(MAX_FIELD);
    moth_status status = s.scratch ? MOTH_OK : moth_fail_memory(csv->ctx, MAX_FIELD);
    for (int64_t row = 0; status == MOTH_OK && columns > 0 && row < first + rows; row++) {
        field.row = row;
        if (row % 1024 == 0) {
            status = moth_io_check_interrupt(csv->ctx);
        }
        if (status == MOTH_OK) {
            status = scan_row(&s, &field, row >= first ? visit : NULL, user, &columns);
        }
    }
    moth_free(s.scratch);
    return status;
}

/* ---- numbers ---- */

static void trim(const char **text, size_t *size)
{
    while (*size > 0 && (**text == ' ' || **text == '\t')) {
        ++*text;
        --*size;
    }
    while (*size > 0 && ((*text)[*size - 1] == ' ' || (*text)[*size - 1] == '\t')) {
        --*size;
    }
}

static bool is_missing(const char *text, size_t size)
{
    static const char *const words[] = { "", "na", "nan", "n/a", "null", "none", "?" };
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
        size_t i = 0;
        while (i < size && words[k][i] && tolower((unsigned char)text[i]) == words[k][i]) {
            i++;
        }
        if (i == size && !words[k][i]) {
            return true;
        }
    }
    return false;
}

/* Digits as they come: value = digits * 10^exponent. */
typedef struct decimal {
    double digits;
    int exponent, count; /* count: of all digits */
} decimal;

static const char *read_digits(const char *at, const char *end, int shift, decimal *d)
{
    for (; at < end && *at >= '0' && *at <= '9'; at++, d->count++) {
        if (d->digits < 1e15) { /* further ones are below what a double keeps */
            d->digits = d->digits * 10 + (*at - '0');
            d->exponent -= shift;
        } else {
            d->exponent += 1 - shift;
        }
    }
    return at;
}

moth_csv_kind moth_csv_read_field(const moth_csv_field *field, double *number)
{
    const char *at = field->text;
    size_t size = field->size;
    trim(&at, &size);
    if (is_missing(at, size)) {
        return MOTH_CSV_MISSING;
    }
    const char *end = at + size;
    bool negative = *at == '-', whole = true;
    at += *at == '-' || *at == '+';
    decimal d = { 0 };
    at = read_digits(at, end, 0, &d);
    if (at < end && *at == '.') {
        whole = false;
        at = read_digits(at + 1, end, 1, &d);
    }
    if (d.count > 0 && at < end && (*at == 'e' || *at == 'E')) {
        whole = false;
        at++;
        int sign = at < end && *at == '-' ? -1 : 1, exponent = 0;
        at += at < end && (*at == '-' || *at == '+');
        const char *first = at;
        for (; at < end && *at >= '0' && *at <= '9'; at++) {
            exponent = exponent < 10000 ? exponent * 10 + (*at - '0') : exponent;
        }
        d.count = at > first ? d.count : 0;
        d.exponent += sign * exponent;
    }
    if (at != end || d.count == 0) {
        return MOTH_CSV_TEXT;
    }
    double value = d.exponent < 0 ? d.digits / pow(10, -d.exponent) : d.digits * pow(10, d.exponent);
    *number = d.digits == 0 ? 0 : (negative ? -value : value);
    return whole ? MOTH_CSV_INTEGER : MOTH_CSV_NUMBER;
}

typedef struct filling {
    const moth_csv *csv;
    int64_t first;
    int n;
    int32_t *place; /* of each column in a row of the tensor; -1: not wanted */
    const double *missing;
    moth_tensor *out;
} filling;

static moth_status fail_field(const filling *f, const moth_csv_field *field, const char *expected)
{
    moth_io_quoted quoted;
    return moth_io_fail(f->csv->ctx, MOTH_ERR_FORMAT, f->csv->path, "line %lld, column %lld: expected %s, got \"%s\"",
                        (long long)field->line, (long long)field->column + 1, expected,
                        moth_io_quote(&quoted, field->text, field->size));
}

static moth_status fill(void *user, const moth_csv_field *field)
{
    const filling *f = user;
    int32_t place = f->place[field->column];
    double value = 0;
    if (place < 0) {
        return MOTH_OK;
    }
    moth_csv_kind kind = moth_csv_read_field(field, &value);
    if (kind == MOTH_CSV_TEXT || (kind == MOTH_CSV_MISSING && !f->missing)) {
        return fail_field(f, field, "a number");
    }
    value = kind == MOTH_CSV_MISSING ? *f->missing : value;
    moth_dtype dtype = f->out->meta.dtype;
    double low = dtype == MOTH_UINT8 ? 0 : INT32_MIN, high = dtype == MOTH_UINT8 ? 255 : INT32_MAX;
    if (dtype != MOTH_FLOAT32 && !(value >= low && value <= high && value == floor(value))) {
        return fail_field(f, field, dtype == MOTH_UINT8 ? "a whole number from 0 to 255" : "a whole number of 32 bits");
    }
    if (dtype == MOTH_FLOAT32 && kind != MOTH_CSV_MISSING && fabs(value) > FLT_MAX) {
        return fail_field(f, field, "a number within float32");
    }
    moth_tensor_set_element(f->out, (field->row - f->first) * f->n + place, value);
    return MOTH_OK;
}

moth_status moth_csv_numbers(const moth_csv *csv, int64_t first, int n, const int64_t *columns, moth_dtype dtype,
                             const double *missing, moth_tensor **out)
{
    int64_t shape[2] = { csv->rows - first, n };
    filling f = { .csv = csv, .first = first, .n = n, .missing = missing };
    f.place = moth_malloc((size_t)csv->columns * sizeof *f.place);
    moth_status status = f.place ? MOTH_OK : moth_fail_memory(csv->ctx, csv->columns * 4);
    for (int64_t c = 0; status == MOTH_OK && c < csv->columns; c++) {
        f.place[c] = -1;
    }
    for (int k = 0; status == MOTH_OK && k < n; k++) {
        f.place[columns[k]] = k;
    }
    if (status == MOTH_OK) {
        status = moth_tensor_new(csv->ctx, dtype, 2, shape, &f.out);
    }
    if (status == MOTH_OK) {
        status = moth_csv_each(csv, first, shape[0], fill, &f);
    }
    moth_free(f.place);
    if (status != MOTH_OK) {
        moth_tensor_release(f.out);
        return status;
    }
    *out = f.out;
    return MOTH_OK;
}
