#include "io/gz.h"

#include "io/message.h"

/* One call of inflate makes at most this much, so that Ctrl-C is seen soon. */
enum { INFLATE_MAX = 1 << 20 };

static bool input_left(const moth_gz *gz)
{
    return gz->stream.avail_in > 0 || gz->file->source.at < gz->file->size;
}

static moth_status refill(moth_ctx *ctx, moth_gz *gz)
{
    moth_source *file = &gz->file->source;
    int64_t left = gz->file->size - file->at;
    size_t size = left < (int64_t)sizeof gz->input ? (size_t)left : sizeof gz->input;
    if (size == 0) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, file->path, "the gzip data is cut off at byte %lld",
                            (long long)file->at);
    }
    MOTH_TRY(file->read(ctx, file, gz->input, size));
    gz->stream.next_in = gz->input;
    gz->stream.avail_in = (uInt)size;
    return MOTH_OK;
}

static moth_status fail_inflate(moth_ctx *ctx, const moth_gz *gz, int code)
{
    if (code == Z_MEM_ERROR) {
        return moth_fail(ctx, MOTH_ERR_MEMORY, "not enough memory to inflate");
    }
    return moth_io_fail(ctx, MOTH_ERR_FORMAT, gz->source.path, "broken gzip data before byte %lld: %s",
                        (long long)(gz->file->source.at - gz->stream.avail_in),
                        gz->stream.msg ? gz->stream.msg : "invalid");
}

/* Up to `size` bytes into `to`; *got is smaller only at the end of the last member. */
static moth_status gz_fill(moth_ctx *ctx, moth_gz *gz, void *to, size_t size, size_t *got)
{
    z_stream *z = &gz->stream;
    z->next_out = to;
    *got = 0;
    while (*got < size && !gz->ended) {
        MOTH_TRY(moth_io_check_interrupt(ctx));
        if (z->avail_in == 0) {
            MOTH_TRY(refill(ctx, gz));
        }
        size_t room = size - *got < INFLATE_MAX ? size - *got : INFLATE_MAX;
        z->avail_out = (uInt)room;
        int code = inflate(z, Z_NO_FLUSH);
        *got += room - z->avail_out;
        if (code == Z_STREAM_END) {
            gz->ended = !input_left(gz);
            code = inflateReset(z);
        }
        if (code != Z_OK && code != Z_BUF_ERROR) { /* the latter: no progress without more input */
            return fail_inflate(ctx, gz, code);
        }
    }
    gz->source.at += (int64_t)*got;
    return MOTH_OK;
}

static moth_status gz_read(moth_ctx *ctx, moth_source *source, void *to, size_t size)
{
    moth_gz *gz = (moth_gz *)source;
    size_t got;
    MOTH_TRY(gz_fill(ctx, gz, to, size, &got));
    if (got < size) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, source->path,
                            "the inflated data ends at byte %lld where %zu more bytes are expected",
                            (long long)source->at, size - got);
    }
    return MOTH_OK;
}

moth_status moth_gz_open(moth_ctx *ctx, moth_file *file, moth_gz *gz)
{
    MOTH_TRY(moth_file_seek(ctx, file, 0));
    gz->source = (moth_source){ gz_read, file->source.path, 0 };
    gz->file = file;
    gz->ended = false;
    gz->stream = (z_stream){ MOTH_ZLIB_MEMORY };
    int code = inflateInit2(&gz->stream, 16 + MAX_WBITS); /* 16: gzip headers and checksums, nothing else */
    return code == Z_OK ? MOTH_OK : fail_inflate(ctx, gz, code);
}

void moth_gz_close(moth_gz *gz)
{
    inflateEnd(&gz->stream);
}

moth_status moth_gz_finish(moth_ctx *ctx, moth_gz *gz)
{
    char extra;
    size_t got;
    MOTH_TRY(gz_fill(ctx, gz, &extra, 1, &got));
    if (got > 0) {
        return moth_io_fail(ctx, MOTH_ERR_FORMAT, gz->source.path, "more data after byte %lld, expected its end",
                            (long long)gz->source.at - 1);
    }
    return MOTH_OK;
}
