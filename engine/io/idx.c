#include "io/idx.h"

#include "io/element.h"
#include "io/gz.h"
#include "io/message.h"

/* gzip keeps the size of a member in 32 bits, and deflate shrinks to 1/1032 at best: a header that asks for more than
 * either is wrong, whatever follows. */
#define GZ_MAX_BYTES ((int64_t)1 << 32)
#define GZ_MAX_RATIO 1032

/* Up to here a compressed file is inflated once, straight into its tensor. A larger one is first inflated to nowhere,
 * so that a small file that only claims to be large never costs its claim in memory. */
#define GZ_TRUSTED_BYTES ((int64_t)64 << 20)

typedef struct header {
    moth_element element;
    int rank;
    int64_t shape[MOTH_MAX_RANK];
    int64_t bytes; /* of the elements */
} header;

static bool element_of_code(unsigned code, moth_element *element)
{
    switch (code) {
    case 0x08:
        *element = MOTH_ELEMENT_U8;
        return true;
    case 0x09:
        *element = MOTH_ELEMENT_I8;
        return true;
    case 0x0B:
        *element = MOTH_ELEMENT_I16;
        return true;
    case 0x0C:
        *element = MOTH_ELEMENT_I32;
        return true;
    case 0x0D:
        *element = MOTH_ELEMENT_F32;
        return true;
    case 0x0E:
        *element = MOTH_ELEMENT_F64;
        return true;
    default:
        return false;
    }
}

static moth_status read_header(moth_ctx *ctx, moth_source *source, header *h)
{
    unsigned char magic[4], dims[4 * MOTH_MAX_RANK];
    const char *path = source->path;
    MOTH_TRY(source->read(ctx, source, magic, sizeof magic));
    if (magic[0] != 0 || magic[1] != 0) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, path, "an IDX file starts with two zero bytes, got %02x %02x",
                            magic[0], magic[1]);
    }
    if (!element_of_code(magic[2], &h->element)) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, path, "the type at byte 2 must be one of 08 09 0b 0c 0d 0e, got %02x",
                            magic[2]);
    }
    if (magic[3] < 1 || magic[3] > MOTH_MAX_RANK) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, path, "the number of dimensions at byte 3 must be 1 to %d, got %d",
                            MOTH_MAX_RANK, magic[3]);
    }
    h->rank = magic[3];
    MOTH_TRY(source->read(ctx, source, dims, (size_t)h->rank * 4));
    for (int d = 0; d < h->rank; d++) {
        const unsigned char *b = dims + (size_t)d * 4;
        h->shape[d] = (int64_t)((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
    }
    if (!moth_element_bytes(h->element, h->rank, h->shape, &h->bytes)) {
        return moth_io_fail(ctx, MOTH_ERR_UNSUPPORTED, path,
                            "the dimensions at byte 4 make more than 2^40 elements, the most that a tensor has");
    }
    return MOTH_OK;
}

/* A tensor of the header's shape from the bytes that follow it. */
static moth_status read_data(moth_ctx *ctx, moth_source *source, const header *h, moth_tensor **out)
{
    moth_tensor *t;
    MOTH_TRY(moth_tensor_new(ctx, moth_element_dtype(h->element), h->rank, h->shape, &t));
    moth_status status = moth_io_read_elements(ctx, source, h->element, true, t);
    if (status != MOTH_OK) {
        moth_tensor_release(t);
        return status;
    }
    *out = t;
    return MOTH_OK;
}

static moth_status read_plain(moth_ctx *ctx, moth_file *file, moth_tensor **out)
{
    header h;
    MOTH_TRY(read_header(ctx, &file->source, &h));
    int64_t left = file->size - file->source.at;
    if (left != h.bytes) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, file->source.path,
                            "the header says %lld bytes of data from byte %lld on, the file has %lld",
                            (long long)h.bytes, (long long)file->source.at, (long long)left);
    }
    return read_data(ctx, &file->source, &h, out);
}

static moth_status check_gz_claim(moth_ctx *ctx, const moth_file *file, const header *h)
{
    if (h->bytes / GZ_MAX_RATIO > file->size) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, file->source.path,
                            "the header says %lld bytes of data, more than %lld compressed bytes can hold",
                            (long long)h->bytes, (long long)file->size);
    }
    if (h->bytes > GZ_MAX_BYTES) {
        return moth_io_fail(ctx, MOTH_ERR_UNSUPPORTED, file->source.path,
                            "the header says %lld bytes of data, expected at most 4 GB from a compressed file",
                            (long long)h->bytes);
    }
    return MOTH_OK;
}

/* Inflates the data to nowhere and checks that it has the size that the header says. */
static moth_status count_gz(moth_ctx *ctx, moth_gz *gz, const header *h)
{
    unsigned char nowhere[32768];
    for (int64_t left = h->bytes; left > 0;) {
        size_t n = left < (int64_t)sizeof nowhere ? (size_t)left : sizeof nowhere;
        MOTH_TRY(gz->source.read(ctx, &gz->source, nowhere, n));
        left -= (int64_t)n;
    }
    return moth_gz_finish(ctx, gz);
}

static moth_status read_gz_data(moth_ctx *ctx, moth_gz *gz, const header *h, moth_tensor **out)
{
    moth_tensor *t;
    MOTH_TRY(read_data(ctx, &gz->source, h, &t));
    moth_status status = moth_gz_finish(ctx, gz);
    if (status != MOTH_OK) {
        moth_tensor_release(t);
        return status;
    }
    *out = t;
    return MOTH_OK;
}

/* One pass over a compressed file: without out it only checks. */
static moth_status gz_pass(moth_ctx *ctx, moth_file *file, moth_tensor **out)
{
    moth_gz gz;
    MOTH_TRY(moth_gz_open(ctx, file, &gz));
    header h;
    moth_status status = read_header(ctx, &gz.source, &h);
    if (status == MOTH_OK) {
        status = check_gz_claim(ctx, file, &h);
    }
    if (status == MOTH_OK && out) {
        status = read_gz_data(ctx, &gz, &h, out);
    } else if (status == MOTH_OK && h.bytes > GZ_TRUSTED_BYTES) {
        status = count_gz(ctx, &gz, &h);
    }
    moth_gz_close(&gz);
    return status;
}

/* Only a .gz starts with these two bytes; an IDX file starts with zeros. */
static moth_status starts_as_gz(moth_ctx *ctx, moth_file *file, bool *gz)
{
    unsigned char magic[2] = { 0, 0 };
    if (file->size >= (int64_t)sizeof magic) {
        MOTH_TRY(file->source.read(ctx, &file->source, magic, sizeof magic));
    }
    *gz = magic[0] == 0x1F && magic[1] == 0x8B;
    return moth_file_seek(ctx, file, 0);
}

static moth_status read_any(moth_ctx *ctx, moth_file *file, moth_tensor **out)
{
    bool gz;
    MOTH_TRY(starts_as_gz(ctx, file, &gz));
    if (!gz) {
        return read_plain(ctx, file, out);
    }
    MOTH_TRY(gz_pass(ctx, file, NULL));
    return gz_pass(ctx, file, out);
}

moth_status moth_io_idx_read(moth_ctx *ctx, const char *path, moth_tensor **out)
{
    moth_file file;
    MOTH_TRY(moth_file_open(ctx, path, &file));
    moth_status status = read_any(ctx, &file, out);
    moth_file_close(&file);
    return status;
}

static moth_status check_labels(moth_ctx *ctx, const char *path, const moth_tensor *labels, int64_t classes)
{
    if (labels->meta.rank != 1 || labels->meta.dtype == MOTH_FLOAT32) {
        char shape[128];
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, path, "labels must be whole numbers of shape (n,), got %s %s",
                            labels->meta.dtype == MOTH_FLOAT32 ? "floats" : "whole numbers",
                            moth_meta_text(&labels->meta, shape, sizeof shape));
    }
    int64_t n = moth_tensor_count(labels);
    for (int64_t i = 0; i < n; i++) {
        int64_t label = (int64_t)moth_tensor_element(labels, i);
        if (label < 0 || label >= classes) {
            return moth_io_fail(ctx, MOTH_ERR_FORMAT, path, "label %lld is %lld, expected 0 to %lld", (long long)i + 1,
                                (long long)label, (long long)classes - 1);
        }
    }
    return MOTH_OK;
}

static moth_status check_pair(moth_ctx *ctx, const char *images_path, const moth_tensor *images,
                              const char *labels_path, const moth_tensor *labels, int64_t classes)
{
    char shape[128];
    if (images->meta.rank < 3 || images->meta.dtype != MOTH_UINT8) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, images_path,
                            "pictures must be bytes of shape (n, height, width), got %s",
                            moth_meta_text(&images->meta, shape, sizeof shape));
    }
    MOTH_TRY(check_labels(ctx, labels_path, labels, classes));
    if (labels->meta.shape[0] != images->meta.shape[0]) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, labels_path, "%lld labels for %lld pictures",
                            (long long)labels->meta.shape[0], (long long)images->meta.shape[0]);
    }
    return MOTH_OK;
}

moth_status moth_io_idx_read_pair(moth_ctx *ctx, const char *images_path, const char *labels_path, int64_t classes,
                                  moth_tensor **images, moth_tensor **labels)
{
    moth_tensor *x, *y;
    MOTH_TRY(moth_io_idx_read(ctx, images_path, &x));
    moth_status status = moth_io_idx_read(ctx, labels_path, &y);
    if (status != MOTH_OK) {
        moth_tensor_release(x);
        return status;
    }
    status = check_pair(ctx, images_path, x, labels_path, y, classes);
    if (status != MOTH_OK) {
        moth_tensor_release(x);
        moth_tensor_release(y);
        return status;
    }
    *images = x;
    *labels = y;
    return MOTH_OK;
}
