#include "io/npy.h"

#include <stdio.h>
#include <string.h>

#include "io/message.h"
#include "io/npy_header.h"
#include "io/output.h"

enum { MAGIC = 6, MAX_HEADER = 65536 };
static const char magic[MAGIC] = "\x93NUMPY";

/* Reads magic, version and length of the header. */
static moth_status read_preamble(moth_ctx *ctx, moth_file *file, int64_t *header_size)
{
    unsigned char start[MAGIC + 2], length[4] = { 0 };
    moth_source *source = &file->source;
    MOTH_TRY(source->read(ctx, source, start, sizeof start));
    if (memcmp(start, magic, MAGIC) != 0) {
        moth_io_quoted got;
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, source->path, "an npy file starts with \\x93NUMPY, got %s",
                            moth_io_quote(&got, (const char *)start, MAGIC));
    }
    int major = start[MAGIC], minor = start[MAGIC + 1];
    if (major < 1 || major > 3 || minor != 0) {
        return moth_io_fail(ctx, MOTH_ERR_UNSUPPORTED, source->path, "npy version %d.%d, expected 1.0, 2.0 or 3.0",
                            major, minor);
    }
    MOTH_TRY(source->read(ctx, source, length, major == 1 ? 2 : 4));
    uint32_t size = length[0] | (uint32_t)length[1] << 8 | (uint32_t)length[2] << 16 | (uint32_t)length[3] << 24;
    if (size > MAX_HEADER || size > file->size - source->at) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, source->path,
                            "the length of the header at byte 8 is %lu, expected at most %d and the %lld bytes left",
                            (unsigned long)size, MAX_HEADER, (long long)(file->size - source->at));
    }
    *header_size = (int64_t)size;
    return MOTH_OK;
}

static moth_status read_header(moth_ctx *ctx, moth_file *file, moth_npy_header *header)
{
    int64_t size = 0;
    MOTH_TRY(read_preamble(ctx, file, &size));
    char *text = moth_malloc((size_t)size);
    if (!text) {
        return moth_fail_memory(ctx, size);
    }
    int64_t offset = file->source.at;
    moth_status status = file->source.read(ctx, &file->source, text, (size_t)size);
    if (status == MOTH_OK) {
        status = moth_npy_parse_header(ctx, file->source.path, offset, text, (size_t)size, header);
    }
    moth_free(text);
    return status;
}

static moth_status check_size(moth_ctx *ctx, const moth_file *file, const moth_npy_header *header)
{
    int64_t bytes, left = file->size - file->source.at;
    if (!moth_element_bytes(header->element, header->rank, header->shape, &bytes)) {
        return moth_io_fail(ctx, MOTH_ERR_UNSUPPORTED, file->source.path,
                            "the shape has more than 2^40 elements, the most that a tensor has");
    }
    if (bytes > left) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, file->source.path,
                            "the shape takes %lld bytes from byte %lld on, the file has %lld", (long long)bytes,
                            (long long)file->source.at, (long long)left);
    }
    return MOTH_OK;
}

/* Column-major elements are the row-major elements of the reversed shape: read so, then transposed into *t. */
static moth_status transpose(moth_ctx *ctx, moth_tensor **t)
{
    moth_meta meta = (*t)->meta;
    for (int d = 0; d < meta.rank; d++) {
        meta.shape[d] = (*t)->meta.shape[meta.rank - 1 - d];
        meta.stride[d] = (*t)->meta.stride[meta.rank - 1 - d];
    }
    moth_tensor *view, *copy;
    MOTH_TRY(moth_tensor_handle(ctx, &meta, (*t)->storage, &view));
    moth_status status = moth_tensor_contiguous_copy(ctx, view, &copy);
    moth_tensor_release(view);
    if (status != MOTH_OK) {
        return status;
    }
    moth_tensor_release(*t);
    *t = copy;
    return MOTH_OK;
}

static moth_status read_array(moth_ctx *ctx, moth_file *file, moth_tensor **out)
{
    moth_npy_header header = { .rank = 0 };
    MOTH_TRY(read_header(ctx, file, &header));
    MOTH_TRY(check_size(ctx, file, &header));
    bool transposed = header.fortran_order && header.rank > 1;
    int64_t shape[MOTH_MAX_RANK];
    for (int d = 0; d < header.rank; d++) {
        shape[d] = header.shape[transposed ? header.rank - 1 - d : d];
    }
    moth_tensor *t;
    MOTH_TRY(moth_tensor_new(ctx, moth_element_dtype(header.element), header.rank, shape, &t));
    moth_status status = moth_io_read_elements(ctx, &file->source, header.element, header.big_endian, t);
    if (status == MOTH_OK && transposed) {
        status = transpose(ctx, &t);
    }
    if (status != MOTH_OK) {
        moth_tensor_release(t);
        return status;
    }
    *out = t;
    return MOTH_OK;
}

moth_status moth_io_npy_read(moth_ctx *ctx, const char *path, moth_tensor **out)
{
    moth_file file;
    MOTH_TRY(moth_file_open(ctx, path, &file));
    moth_status status = read_array(ctx, &file, out);
    moth_file_close(&file);
    return status;
}

/* ---- writing ---- */

/* Preamble and dict, padded with spaces so that the elements start at a multiple of 64; returns the size. */
static size_t make_header(const moth_meta *meta, char *text, size_t room)
{
    static const char *const descr[] = { [MOTH_FLOAT32] = "<f4", [MOTH_INT32] = "<i4", [MOTH_UINT8] = "|u1" };
    enum { START = MAGIC + 4 };
    memcpy(text, magic, MAGIC);
    text[MAGIC] = 1; /* version 1.0 */
    text[MAGIC + 1] = 0;
    size_t n = START;
    n += (size_t)snprintf(text + n, room - n, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr[meta->dtype]);
    for (int d = 0; d < meta->rank; d++) {
        n += (size_t)snprintf(text + n, room - n, "%s%lld", d ? ", " : "", (long long)meta->shape[d]);
    }
    n += (size_t)snprintf(text + n, room - n, "%s), }", meta->rank == 1 ? "," : "");
    while ((n + 1) % 64 != 0) {
        text[n++] = ' ';
    }
    text[n++] = '\n';
    text[START - 2] = (char)((n - START) & 0xFF);
    text[START - 1] = (char)((n - START) >> 8);
    return n;
}

static void write_piece(void *output, const void *bytes, size_t size)
{
    moth_output_write(output, bytes, size);
}

moth_status moth_io_npy_write(moth_ctx *ctx, const char *path, const moth_tensor *t)
{
    if (moth_tensor_is_symbolic(t)) {
        return moth_io_fail(ctx, MOTH_ERR_TRACING, path, "cannot write: value not known while tracing");
    }
    char header[512]; /* 8 dimensions of 13 digits take less than 200 */
    size_t size = make_header(&t->meta, header, sizeof header);
    moth_output *output;
    MOTH_TRY(moth_output_open(ctx, path, &output));
    moth_output_write(output, header, size);
    moth_status status = moth_io_each_piece(ctx, t, write_piece, output);
    if (status != MOTH_OK) {
        moth_output_discard(output);
        return status;
    }
    return moth_output_commit(ctx, output);
}
