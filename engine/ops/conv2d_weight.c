/* conv2d_weight: the gradient of a convolution's kernel and bias.
 *
 *   x (B, H, W, C), g (B, OH, OW, F), attributes of the conv2d, size = (kh, kw) -> dw (kh, kw, C/groups, F), db (F)
 *   dw[i, j, c, f] = sum over b, p, q of x[b, p sh + i dh - top, q sw + j dw - left, c] g[b, p, q, f]
 *
 * The batch is cut into pieces, and a large kernel into tiles of its rows (i, j, c); each piece has its own sum, and
 * the sums are added in the order of the pieces. Both cuts depend on shapes only. */
#include <string.h>

#include "ops/columns.h"
#include "ops/conv.h"

enum {
    PIECE_ROWS = 8,         /* of the batch, at least */
    MAX_PIECES = 32,        /* with a sum of their own */
    SUM_ELEMENTS = 1 << 22, /* 16 MB of sums at most, where there is a choice */
    TILE_ROWS = 96,         /* of the kernel, at least, where it is cut */
    ADD_ELEMENTS = 1 << 14  /* sums are added in pieces of so many elements */
};

static moth_status conv2d_weight_infer(moth_infer *q)
{
    const moth_meta *x = q->in[0], *g = q->in[1];
    MOTH_TRY(moth_infer_types(q, MOTH_FLOAT_ONLY));
    if (x->rank != 4 || g->rank != 4 || x->shape[0] != g->shape[0]) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE,
                               "takes x (batch, rows, columns, channels) and a gradient of its rows");
    }
    const int64_t *size = q->attrs->i + MOTH_CONV_SIZE;
    if (size[0] != 2 || size[1] < 1 || size[2] < 1 || size[1] > INT32_MAX || size[2] > INT32_MAX) {
        return moth_infer_fail(q, MOTH_ERR_ARGUMENT, "size must be the rows and columns of the kernel");
    }
    int64_t groups = max64(1, q->attrs->i[MOTH_CONV_GROUPS]), oh, ow;
    moth_meta *dw = &q->out[0], *db = &q->out[1];
    dw->dtype = db->dtype = MOTH_FLOAT32;
    dw->rank = 4;
    dw->shape[0] = size[1];
    dw->shape[1] = size[2];
    dw->shape[2] = x->shape[3] / groups;
    dw->shape[3] = g->shape[3];
    db->rank = 1;
    db->shape[0] = g->shape[3];
    MOTH_TRY(moth_conv_infer(q, x->shape, dw->shape, &oh, &ow));
    if (g->shape[1] != oh || g->shape[2] != ow) {
        return moth_infer_fail(q, MOTH_ERR_SHAPE, "the gradient must be (batch, %lld, %lld, filters)", (long long)oh,
                               (long long)ow);
    }
    return MOTH_OK;
}

/* How the work is cut. */
typedef struct cut {
    moth_conv s;
    int64_t batch, k, sum;    /* rows of x, rows of the kernel, elements of one sum: dw and db */
    int64_t pieces, rows;     /* of the batch, and their rows */
    int64_t tiles, tile_rows; /* of the kernel, and their rows */
} cut;

static void open_cut(const moth_call *call, cut *t)
{
    moth_conv_open(&t->s, call->attrs, call->in[0].shape, call->out[0].shape, call->in[1].shape);
    t->batch = call->in[0].shape[0];
    t->k = t->s.kh * t->s.kw * t->s.cg;
    t->sum = (t->k + 1) * t->s.f;
    int64_t most = max64(1, min64(MAX_PIECES, SUM_ELEMENTS / t->sum));
    t->pieces = max64(1, min64((t->batch + PIECE_ROWS - 1) / PIECE_ROWS, most));
    t->rows = (t->batch + t->pieces - 1) / t->pieces;
    int64_t tiles = max64(1, min64(t->k / TILE_ROWS, MAX_PIECES / t->pieces));
    t->tile_rows = (t->k + tiles - 1) / tiles;
    t->tiles = (t->k + t->tile_rows - 1) / t->tile_rows;
}

static int64_t conv2d_weight_pieces(const moth_call *call, int phase)
{
    cut t;
    open_cut(call, &t);
    return phase == 0 ? t.pieces * t.tiles : (t.sum + ADD_ELEMENTS - 1) / ADD_ELEMENTS;
}

static size_t conv2d_weight_shared(const moth_call *call)
{
    cut t;
    open_cut(call, &t);
    return (size_t)(t.pieces * t.sum) * sizeof(moth_real);
}

/* What a worker keeps: tables, the padded images, and the gradient in blocks where its rows are no whole vectors. */
typedef struct workspace {
    int32_t *pos, *off;
    moth_real *padded, *packed;
} workspace;

static bool is_packed(const moth_conv *s)
{
    return s->fg % MOTH_VECTOR != 0;
}

static size_t lay_out(const moth_conv *s, char *memory, workspace *m)
{
    int64_t positions = moth_conv_positions(s);
    carver c = { .memory = memory };
    m->pos = carve(&c, positions, sizeof *m->pos);
    m->off = carve(&c, s->kh * s->kw * s->cg, sizeof *m->off);
    m->packed = carve(&c, is_packed(s) ? moth_conv_packed(positions, s->fg) : 0, sizeof *m->packed);
    m->padded = carve(&c, moth_conv_copied(s) ? s->images * moth_conv_image(s) : 0, sizeof *m->padded);
    return c.used;
}

static size_t conv2d_weight_scratch(const moth_call *call)
{
    cut t;
    workspace m;
    open_cut(call, &t);
    return lay_out(&t.s, NULL, &m);
}

/* Adds what some images contribute to the kernel's rows from `first` on. */
static void add_images(const moth_conv *s, const workspace *m, int64_t images, const moth_real *x, const moth_real *g,
                       int64_t first, int64_t rows, moth_real *dw)
{
    int64_t positions = images * s->oh * s->ow;
    for (int64_t i = 0; i < s->groups; i++) {
        moth_conv_job job = { .rows = rows,
                              .lanes = s->fg,
                              .n = positions,
                              .a_lanes = s->depthwise,
                              .a = x + i * s->cg,
                              .a_row = m->off + first,
                              .index = m->pos,
                              .b = g + i * s->fg,
                              .b_step = s->f,
                              .b_block = MOTH_LANES_MAX,
                              .c = dw + first * s->f + i * s->fg,
                              .c_step = s->f };
        if (is_packed(s)) {
            MOTH_CONV_PACK(m->packed, job.b, positions, s->f, s->fg, 1);
            job.b = m->packed;
            job.b_step = MOTH_LANES_MAX;
            job.b_block = positions * MOTH_LANES_MAX;
        }
        MOTH_CONV_PRODUCT(&job);
    }
}

static void add_piece(const moth_call *call, const cut *t, int64_t p, moth_worker *worker)
{
    const moth_conv *s = &t->s;
    workspace m;
    lay_out(s, worker->scratch, &m);
    moth_conv_fill_pos(s, m.pos);
    moth_conv_fill_off(s, m.off);
    int64_t piece = p / t->tiles, first = p % t->tiles * t->tile_rows, rows = min64(t->tile_rows, t->k - first);
    moth_real *dw = (moth_real *)(void *)call->shared + piece * t->sum, *db = dw + t->k * s->f;
    memset(dw + first * s->f, 0, (size_t)(rows * s->f) * sizeof *dw);
    if (first == 0) {
        memset(db, 0, (size_t)s->f * sizeof *db);
    }
    if (moth_conv_copied(s)) {
        memset(m.padded, 0, (size_t)(s->images * moth_conv_image(s)) * sizeof *m.padded);
    }
    int64_t end = min64(t->batch, (piece + 1) * t->rows);
    for (int64_t b = piece * t->rows; b < end; b += s->images) {
        int64_t images = min64(s->images, end - b);
        const moth_real *x = reals(&call->in[0]) + b * moth_conv_plain_image(s);
        const moth_real *g = reals(&call->in[1]) + b * s->oh * s->ow * s->f;
        if (moth_conv_copied(s)) {
            MOTH_CONV_PAD(s, images, x, m.padded);
            x = m.padded;
        }
        add_images(s, &m, images, x, g, first, rows, dw);
        if (first == 0) {
            moth_add_columns(g, s->f, images * s->oh * s->ow, s->f, db);
        }
    }
}

/* Elements from .. to-1 of the sums go to out, whose first element is element `start` of a sum. */
static void add_range(const moth_real *sums, const cut *t, int64_t from, int64_t to, int64_t start, moth_real *out)
{
    for (int64_t i = from; i < to; i++) {
        out[i - start] = sums[i];
    }
    for (int64_t p = 1; p < t->pieces; p++) {
        for (int64_t i = from; i < to; i++) {
            out[i - start] += sums[p * t->sum + i];
        }
    }
}

/* A sum is dw followed by db. */
static void add_sums(const moth_call *call, const cut *t, int64_t from, int64_t to)
{
    const moth_real *sums = (const moth_real *)(const void *)call->shared;
    int64_t in_dw = t->k * t->s.f;
    add_range(sums, t, from, min64(to, in_dw), 0, reals(&call->out[0]));
    add_range(sums, t, max64(from, in_dw), to, in_dw, reals(&call->out[1]));
}

static bool conv2d_weight_piece(const moth_call *call, int phase, int64_t p, moth_worker *worker)
{
    cut t;
    open_cut(call, &t);
    if (phase == 0) {
        add_piece(call, &t, p, worker);
    } else {
        add_sums(call, &t, p * ADD_ELEMENTS, min64(t.sum, (p + 1) * ADD_ELEMENTS));
    }
    return true;
}

static const moth_case conv2d_weight_cases[] = {
    { .in = { MOTH_REAL(4, 67, 4, 4, 16), MOTH_REAL(4, 67, 2, 2, 17) },
      .n_in = 2,
      .attrs = { .i = { 0, [MOTH_CONV_SIZE] = 2, 3, 3 } } },
    { .n_in = 0 },
};

const moth_op MOTH_OP(conv2d_weight) = {
    .name = "conv2d_weight",
    .doc = "The gradients of a conv2d's kernel and bias from its input and the gradient of its result.",
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .attrs = moth_conv_size_attrs,
    .infer = conv2d_weight_infer,
    .n_phases = 2,
    .pieces = conv2d_weight_pieces,
    .piece = conv2d_weight_piece,
    .worker_scratch = conv2d_weight_scratch,
    .shared_scratch = conv2d_weight_shared,
    .nodiff = "it is itself a gradient; conv2d is the differentiable product",
    .cases = MOTH_CASES(conv2d_weight_cases),
};
