/* Tables in text: rows of fields with a separator between them, as RFC 4180 has it (a field may stand in quotes, and
 * then hold separators, line ends and doubled quotes). Lines end in LF or CR LF; empty lines and a byte order mark are
 * passed over. Every row has as many fields as the first. */
#ifndef MOTH_IO_CSV_H
#define MOTH_IO_CSV_H

#include "tensor/tensor.h"

typedef struct moth_csv {
    moth_ctx *ctx;
    char *path, *text; /* owned */
    int64_t size;      /* of text */
    int64_t begin;     /* where the first row starts: behind what is skipped */
    int64_t rows, columns;
    char separator;
} moth_csv;

/* Reads a file of up to 4 GB and checks its structure; the first `skip` lines do not count. MOTH_ERR_FORMAT names the
 * line. Fields are at most 1 MB long, rows at most 2^20 fields. */
moth_status moth_csv_open(moth_ctx *ctx, const char *path, char separator, int64_t skip, moth_csv *out);
void moth_csv_close(moth_csv *csv);

/* What a field holds. */
typedef enum moth_csv_kind { MOTH_CSV_MISSING, MOTH_CSV_INTEGER, MOTH_CSV_NUMBER, MOTH_CSV_TEXT } moth_csv_kind;

/* Calls visit for each field of the rows from `first` (from 0) on, in order of rows and columns; the text is without
 * quotes, not ended by NUL and valid during the call. A failure ends it. */
typedef struct moth_csv_field {
    int64_t row, column, line; /* row and column from 0, line of the file from 1 */
    const char *text;
    size_t size;
} moth_csv_field;
typedef moth_status (*moth_csv_visit)(void *user, const moth_csv_field *field);
moth_status moth_csv_each(const moth_csv *csv, int64_t first, int64_t rows, moth_csv_visit visit, void *user);

/* What kind of field it is, and its number: decimal, independent of the locale. Empty, NA, NaN, null and ? are
 * missing. */
moth_csv_kind moth_csv_read_field(const moth_csv_field *field, double *number);

/* The numbers of some columns (from 0) of the rows from `first` on: a new tensor (rows, n). A missing number is
 * `missing`, or MOTH_ERR_FORMAT where that is NULL; so is a text, and for int32 and uint8 what they cannot hold. */
moth_status moth_csv_numbers(const moth_csv *csv, int64_t first, int n, const int64_t *columns, moth_dtype dtype,
                             const double *missing, moth_tensor **out);

#endif
