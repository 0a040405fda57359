/* libFuzzer: any bytes as a table in text. The first byte says what separates fields, which row is the first, and
 * whether what is missing has a value. */
#include "fuzz_file.h"
#include "io/csv.h"

static moth_status look(void *user, const moth_csv_field *field)
{
    const moth_csv *csv = user;
    double number = 0;
    fuzz_check(field->column < csv->columns && field->row < csv->rows && field->line >= 1);
    moth_csv_read_field(field, &number);
    fuzz_check(number == number);
    return MOTH_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static moth_ctx *ctx;
    ctx = ctx ? ctx : moth_ctx_new();
    if (size == 0 || size > 65536) {
        return 0;
    }
    const char *path = fuzz_file(data + 1, size - 1);
    int64_t blocks = moth_live_blocks(), column = 0, first = data[0] >> 1 & 1;
    double missing = -1;
    moth_csv csv;
    moth_tensor *t = NULL;
    if (moth_csv_open(ctx, path, ";,\t|"[data[0] >> 2 & 3], data[0] >> 6, &csv) == MOTH_OK) {
        fuzz_check(csv.rows > 0 && csv.columns > 0);
        fuzz_check(moth_csv_each(&csv, 0, csv.rows, look, &csv) == MOTH_OK);
        if (moth_csv_numbers(&csv, first, 1, &column, MOTH_FLOAT32, data[0] & 1 ? &missing : NULL, &t) == MOTH_OK) {
            fuzz_check(moth_tensor_count(t) == csv.rows - first);
        }
        moth_csv_close(&csv);
    }
    moth_tensor_release(t);
    fuzz_check(moth_live_blocks() == blocks);
    return 0;
}
