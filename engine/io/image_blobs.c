#include "io/image_blobs.h"

#include <math.h>

/* Mean change of the amount along the edge of ink, against its level. */
static const double least_drop = 0.3;

moth_blob moth_blob_empty(void)
{
    return (moth_blob){ .left = INT64_MAX, .top = INT64_MAX };
}

void moth_blob_add(moth_blob *b, int64_t x, int64_t y, double amount)
{
    b->left = x < b->left ? x : b->left;
    b->top = y < b->top ? y : b->top;
    b->right = x + 1 > b->right ? x + 1 : b->right;
    b->bottom = y + 1 > b->bottom ? y + 1 : b->bottom;
    b->area++;
    b->amount += amount;
}

/* All four neighbours are set; (x, y) is not at the border. */
static bool around(const uint8_t *mask, int64_t width, int64_t i)
{
    return mask[i - 1] && mask[i + 1] && mask[i - width] && mask[i + width];
}

/* How much the amount changes across `reach` pixels to either side. */
static double drop_at(const moth_plane *amount, int64_t x, int64_t y, int64_t reach)
{
    float least = INFINITY, most = -INFINITY;
    for (int64_t dy = -reach; dy <= reach; dy += reach) {
        for (int64_t dx = -reach; dx <= reach; dx += reach) {
            int64_t xx = x + dx, yy = y + dy;
            if (xx >= 0 && yy >= 0 && xx < amount->width && yy < amount->height) {
                least = fminf(least, amount->v[yy * amount->width + xx]);
                most = fmaxf(most, amount->v[yy * amount->width + xx]);
            }
        }
    }
    return (double)(most - least);
}

/* Labels all that is joined to pixel i. */
static moth_blob flood(moth_blobs *blobs, const moth_ink *ink, int64_t i, int32_t label, int64_t *stack)
{
    int64_t w = blobs->width, h = blobs->height, top = 0;
    const uint8_t *mask = ink->mask;
    moth_blob b = moth_blob_empty();
    double drops = 0, ends = 0;
    /* Where the picture was enlarged its edges are as soft. */
    int64_t reach = 1 + (int64_t)fmax(1, fmin(1 / ink->scale, 10));
    blobs->label[i] = label;
    stack[top++] = i;
    while (top > 0) {
        int64_t n = stack[--top], x = n % w, y = n / w;
        moth_blob_add(&b, x, y, (double)ink->amount.v[n]);
        if (x == 0 || y == 0 || x + 1 == w || y + 1 == h || !around(ink->inside, w, n)) {
            b.edge = true;
        } else if (!around(mask, w, n)) {
            drops += drop_at(&ink->amount, x, y, reach);
            ends++;
        }
        for (int64_t yy = y > 0 ? y - 1 : 0; yy <= y + 1 && yy < h; yy++) {
            for (int64_t xx = x > 0 ? x - 1 : 0; xx <= x + 1 && xx < w; xx++) {
                int64_t k = yy * w + xx;
                if (mask[k] && !blobs->label[k]) {
                    blobs->label[k] = label;
                    stack[top++] = k;
                }
            }
        }
    }
    b.sharp = drops >= least_drop * ends * (double)ink->level;
    return b;
}

static bool push(moth_blobs *blobs, const moth_blob *b, int64_t *room)
{
    if (blobs->count == *room) {
        int64_t more = *room ? 2 * *room : 16;
        moth_blob *grown = moth_realloc(blobs->blob, (size_t)more * sizeof *grown);
        if (!grown) {
            return false;
        }
        blobs->blob = grown;
        *room = more;
    }
    blobs->blob[blobs->count++] = *b;
    return true;
}

moth_status moth_blobs_find(moth_ctx *ctx, const moth_ink *ink, moth_blobs *out)
{
    int64_t count = ink->amount.width * ink->amount.height, room = 0;
    moth_blobs blobs = { .width = ink->amount.width, .height = ink->amount.height };
    blobs.label = moth_calloc((size_t)count * sizeof *blobs.label);
    int64_t *stack = moth_malloc((size_t)count * sizeof *stack);
    bool enough = blobs.label && stack;
    for (int64_t i = 0; i < count && enough; i++) {
        if (ink->mask[i] && !blobs.label[i]) {
            moth_blob b = flood(&blobs, ink, i, (int32_t)blobs.count + 1, stack);
            enough = push(&blobs, &b, &room);
        }
    }
    moth_free(stack);
    if (!enough) {
        moth_blobs_free(&blobs);
        return moth_fail_memory(ctx, count * (int64_t)sizeof *stack);
    }
    *out = blobs;
    return MOTH_OK;
}

void moth_blobs_free(moth_blobs *blobs)
{
    moth_free(blobs->label);
    moth_free(blobs->blob);
    *blobs = (moth_blobs){ 0 };
}
