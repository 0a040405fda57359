#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "core/memory.h"
#include "io/json.h"
#include "io/output.h"
#include "io/safetensors.h"
#include "io/safetensors_header.h"

/* Data goes in the order of these element sizes, and of names within each: so every tensor is aligned, as some readers
 * want it. */
static const int64_t sizes[] = { 4, 1 };
enum { SIZES = sizeof sizes / sizeof *sizes };

static int64_t element_size(const moth_tensor *t)
{
    return moth_element_size(moth_element_of(t->meta.dtype));
}

static int64_t data_size(const moth_tensor *t)
{
    return moth_tensor_count(t) * element_size(t);
}

/* Where the data of each tensor begins; begin[] is in the order of names. */
static void place(const moth_tensor_file *file, int64_t *begin)
{
    int64_t at = 0;
    for (int s = 0; s < SIZES; s++) {
        for (int64_t i = 0; i < moth_tensor_file_count(file); i++) {
            const moth_tensor *t = moth_tensor_file_tensor(file, i);
            if (element_size(t) == sizes[s]) {
                begin[i] = at;
                at += data_size(t);
            }
        }
    }
}

static moth_status each_piece(moth_ctx *ctx, const moth_tensor_file *file,
                              void (*take)(void *user, const void *bytes, size_t size), void *user)
{
    for (int s = 0; s < SIZES; s++) {
        for (int64_t i = 0; i < moth_tensor_file_count(file); i++) {
            const moth_tensor *t = moth_tensor_file_tensor(file, i);
            if (element_size(t) == sizes[s]) {
                MOTH_TRY(moth_io_each_piece(ctx, t, take, user));
            }
        }
    }
    return MOTH_OK;
}

static void sum_piece(void *user, const void *bytes, size_t size)
{
    uint32_t *crc = user;
    *crc = (uint32_t)crc32_z(*crc, bytes, size);
}

static void write_piece(void *user, const void *bytes, size_t size)
{
    moth_output_write(user, bytes, size);
}

/* ---- the header ---- */

static void put_text(moth_buffer *to, const char *separator, const char *key, const char *text)
{
    moth_buffer_text(to, separator);
    moth_io_json_string(to, key);
    moth_buffer_text(to, ":");
    moth_io_json_string(to, text);
}

/* The keys in order, with the checksum (where there is one) among them. */
static void put_metadata(moth_buffer *to, const moth_value *metadata, const char *crc)
{
    const char *separator = "";
    moth_buffer_text(to, "\"__metadata__\":{");
    for (int64_t i = 0; i < moth_value_count(metadata); i++) {
        const char *key = moth_value_key(metadata, i);
        if (crc && strcmp(key, MOTH_CHECKSUM_KEY) > 0) {
            put_text(to, separator, MOTH_CHECKSUM_KEY, crc);
            separator = ",";
            crc = NULL;
        }
        put_text(to, separator, key, moth_value_as_string(moth_value_item(metadata, i)));
        separator = ",";
    }
    if (crc) {
        put_text(to, separator, MOTH_CHECKSUM_KEY, crc);
    }
    moth_buffer_text(to, "}");
}

static void put_tensor(moth_buffer *to, const char *name, const moth_tensor *t, int64_t begin)
{
    char text[96];
    moth_io_json_string(to, name);
    snprintf(text, sizeof text, ":{\"dtype\":\"%s\",\"shape\":[", moth_st_dtype_name(moth_element_of(t->meta.dtype)));
    moth_buffer_text(to, text);
    for (int d = 0; d < t->meta.rank; d++) {
        snprintf(text, sizeof text, "%s%lld", d > 0 ? "," : "", (long long)t->meta.shape[d]);
        moth_buffer_text(to, text);
    }
    long long end = begin + data_size(t);
    snprintf(text, sizeof text, "],\"data_offsets\":[%lld,%lld]}", (long long)begin, end);
    moth_buffer_text(to, text);
}

/* Length and JSON, padded with spaces so that the data starts at a multiple of 8. */
static moth_status make_header(moth_ctx *ctx, const moth_tensor_file *file, const int64_t *begin, const char *crc,
                               moth_buffer *to)
{
    const moth_value *metadata = moth_tensor_file_metadata(file);
    int64_t count = moth_tensor_file_count(file);
    moth_buffer_repeat(to, '\0', 8);
    moth_buffer_text(to, "{");
    if (crc || moth_value_count(metadata) > 0) {
        put_metadata(to, metadata, crc);
        moth_buffer_text(to, count > 0 ? "," : "");
    }
    for (int64_t i = 0; i < count; i++) {
        put_tensor(to, moth_tensor_file_name(file, i), moth_tensor_file_tensor(file, i), begin[i]);
        moth_buffer_text(to, i + 1 < count ? "," : "");
    }
    moth_buffer_text(to, "}");
    moth_buffer_repeat(to, ' ', (8 - to->size % 8) % 8);
    if (to->failed) {
        return moth_fail_memory(ctx, (int64_t)to->capacity);
    }
    size_t length = to->size - 8;
    if (length > MOTH_SAFETENSORS_MAX_HEADER) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "the header takes %zu bytes, expected at most %d", length,
                         MOTH_SAFETENSORS_MAX_HEADER);
    }
    for (size_t i = 0; i < 8; i++) {
        to->data[i] = (char)(length >> (8 * i) & 0xFF);
    }
    return MOTH_OK;
}

/* ---- the file ---- */

static moth_status write_parts(moth_ctx *ctx, const char *path, const moth_buffer *header, const moth_tensor_file *file)
{
    moth_output *output;
    MOTH_TRY(moth_output_open(ctx, path, &output));
    moth_output_write(output, header->data, header->size);
    moth_status status = each_piece(ctx, file, write_piece, output);
    if (status != MOTH_OK) {
        moth_output_discard(output);
        return status;
    }
    return moth_output_commit(ctx, output);
}

static moth_status write_placed(moth_ctx *ctx, const char *path, const moth_tensor_file *file, const int64_t *begin,
                                bool checksum)
{
    char crc_text[16];
    uint32_t crc = 0;
    if (checksum) {
        MOTH_TRY(each_piece(ctx, file, sum_piece, &crc));
        snprintf(crc_text, sizeof crc_text, "%08lx", (unsigned long)crc);
    }
    moth_buffer header = { 0 };
    moth_status status = make_header(ctx, file, begin, checksum ? crc_text : NULL, &header);
    if (status == MOTH_OK) {
        status = write_parts(ctx, path, &header, file);
    }
    moth_buffer_free(&header);
    return status;
}

moth_status moth_io_safetensors_write(moth_ctx *ctx, const char *path, const moth_tensor_file *file, bool checksum)
{
    int64_t count = moth_tensor_file_count(file);
    int64_t texts = moth_value_count(moth_tensor_file_metadata(file)) + checksum;
    if (count > MOTH_SAFETENSORS_MAX_TENSORS || texts > MOTH_SAFETENSORS_MAX_TENSORS) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%lld tensors and %lld texts, expected at most %d of each",
                         (long long)count, (long long)texts, MOTH_SAFETENSORS_MAX_TENSORS);
    }
    int64_t *begin = moth_malloc((size_t)count * sizeof *begin);
    if (!begin) {
        return moth_fail_memory(ctx, count * (int64_t)sizeof *begin);
    }
    place(file, begin);
    moth_status status = write_placed(ctx, path, file, begin, checksum);
    moth_free(begin);
    return status;
}
