#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "core/memory.h"
#include "io/message.h"
#include "io/safetensors.h"
#include "io/safetensors_header.h"

enum { PREFIX = 8 };

/* The data section: a file whose bytes are summed up on the way. */
typedef struct data_source {
    moth_source source; /* first */
    moth_file *file;
    uint32_t crc;
} data_source;

static moth_status data_read(moth_ctx *ctx, moth_source *source, void *to, size_t size)
{
    data_source *data = (data_source *)source;
    MOTH_TRY(data->file->source.read(ctx, &data->file->source, to, size));
    data->crc = (uint32_t)crc32_z(data->crc, to, size);
    source->at += (int64_t)size;
    return MOTH_OK;
}

/* The length of the header, which with the 8 bytes before it must be inside the file. */
static moth_status read_length(moth_ctx *ctx, moth_file *file, int64_t *length)
{
    unsigned char bytes[PREFIX];
    MOTH_TRY(file->source.read(ctx, &file->source, bytes, sizeof bytes));
    uint64_t value = 0;
    for (int i = PREFIX - 1; i >= 0; i--) {
        value = value << 8 | bytes[i];
    }
    if (value > MOTH_SAFETENSORS_MAX_HEADER || value > (uint64_t)(file->size - PREFIX)) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, file->source.path,
                            "no safetensors file: the header is %llu bytes long, expected at most %d and the %lld left",
                            (unsigned long long)value, MOTH_SAFETENSORS_MAX_HEADER, (long long)file->size - PREFIX);
    }
    *length = (int64_t)value;
    return MOTH_OK;
}

/* Reads one tensor from the data and hands it to the file. */
static moth_status read_tensor(moth_ctx *ctx, data_source *data, const moth_st_tensor *st, moth_tensor **tensor)
{
    moth_tensor *t;
    MOTH_TRY(moth_tensor_new(ctx, moth_element_dtype(st->element), st->rank, st->shape, &t));
    moth_status status = moth_io_read_elements(ctx, &data->source, st->element, false, t);
    if (status != MOTH_OK) {
        moth_tensor_release(t);
        moth_io_quoted shown;
        return status == MOTH_ERR_FORMAT
                   ? moth_fail_prefix(ctx, "tensor \"%s\"", moth_io_quote(&shown, st->name, strlen(st->name)))
                   : status;
    }
    *tensor = t;
    return MOTH_OK;
}

/* In the order of data; tensors[i] belongs to header->tensors[i], which is in the order of names. */
static moth_status read_tensors(moth_ctx *ctx, data_source *data, const moth_st_header *header, moth_tensor **tensors)
{
    for (int64_t i = 0; i < header->count; i++) {
        const moth_st_tensor *st = header->by_data[i];
        MOTH_TRY(read_tensor(ctx, data, st, &tensors[st - header->tensors]));
    }
    return MOTH_OK;
}

static moth_status fill(moth_ctx *ctx, moth_tensor_file *file, const moth_st_header *header,
                        moth_tensor *const *tensors)
{
    for (int64_t i = 0; i < header->count; i++) {
        MOTH_TRY(moth_tensor_file_add(ctx, file, header->tensors[i].name, tensors[i]));
    }
    for (int64_t i = 0; i < header->text_count; i++) {
        const moth_st_text *text = &header->texts[i];
        if (strcmp(text->key, MOTH_CHECKSUM_KEY) != 0) {
            MOTH_TRY(moth_tensor_file_set_metadata(ctx, file, text->key, text->text));
        }
    }
    return MOTH_OK;
}

static moth_status check_crc(moth_ctx *ctx, const moth_file *file, const moth_st_header *header, uint32_t crc)
{
    char got[16];
    snprintf(got, sizeof got, "%08lx", (unsigned long)crc);
    for (int64_t i = 0; i < header->text_count; i++) {
        const moth_st_text *text = &header->texts[i];
        if (strcmp(text->key, MOTH_CHECKSUM_KEY) == 0 && strcmp(text->text, got) != 0) {
            moth_io_quoted shown;
            return moth_io_fail(ctx, MOTH_ERR_FORMAT, file->source.path,
                                "the data is damaged: its checksum is %s, the header says %s", got,
                                moth_io_quote(&shown, text->text, strlen(text->text)));
        }
    }
    return MOTH_OK;
}

static moth_status read_data(moth_ctx *ctx, moth_file *file, const moth_st_header *header, moth_tensor_file **out)
{
    size_t size = (size_t)header->count * sizeof(moth_tensor *);
    moth_tensor **tensors = moth_calloc(size);
    if (!tensors) {
        return moth_fail_memory(ctx, (int64_t)size);
    }
    moth_tensor_file *read = NULL;
    data_source data = { { data_read, file->source.path, file->source.at }, file, 0 };
    moth_status status = read_tensors(ctx, &data, header, tensors);
    if (status == MOTH_OK) {
        status = check_crc(ctx, file, header, data.crc);
    }
    if (status == MOTH_OK) {
        status = moth_tensor_file_new(ctx, &read);
    }
    if (status == MOTH_OK) {
        status = fill(ctx, read, header, tensors);
    }
    for (int64_t i = 0; i < header->count; i++) {
        moth_tensor_release(tensors[i]);
    }
    moth_free(tensors);
    if (status != MOTH_OK) {
        moth_tensor_file_free(read);
        return status;
    }
    *out = read;
    return MOTH_OK;
}

static moth_status read_file(moth_ctx *ctx, moth_file *file, moth_tensor_file **out)
{
    int64_t length = 0;
    MOTH_TRY(read_length(ctx, file, &length));
    char *text = moth_malloc((size_t)length);
    if (!text) {
        return moth_fail_memory(ctx, length);
    }
    moth_st_header header = { 0 };
    moth_status status = file->source.read(ctx, &file->source, text, (size_t)length);
    if (status == MOTH_OK) {
        status = moth_st_parse_header(ctx, file->source.path, text, length, file->size - PREFIX - length, &header);
    }
    if (status == MOTH_OK) {
        status = read_data(ctx, file, &header, out);
    }
    moth_st_free_header(&header);
    moth_free(text);
    return status;
}

moth_status moth_io_safetensors_read(moth_ctx *ctx, const char *path, moth_tensor_file **out)
{
    moth_file file;
    MOTH_TRY(moth_file_open(ctx, path, &file));
    moth_status status = read_file(ctx, &file, out);
    moth_file_close(&file);
    return status;
}
