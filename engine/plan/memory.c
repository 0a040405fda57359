/* Lifetimes and places: buffers whose levels do not overlap share memory. */
#include <stdlib.h>
#include <string.h>

#include "plan/internal.h"

static int64_t rounded(int64_t bytes)
{
    return (bytes + 63) & ~(int64_t)63;
}

static int64_t bytes_at_capacity(const moth_plan *plan, const moth_meta *m)
{
    int64_t n = moth_meta_elements(m);
    return rounded(plan_rows_of(n, plan->capacity) * (int64_t)moth_dtype_size(m->dtype));
}

static int root_of(const moth_plan *plan, int v)
{
    while (plan->values[v].alias >= 0) {
        v = plan->values[v].alias;
    }
    return v;
}

static void extend(moth_plan *plan, int v, int level)
{
    if (plan->values[v].last < level) {
        plan->values[v].last = level;
    }
}

static void find_lifetimes(moth_plan *plan)
{
    for (int v = 0; v < plan->n_values; v++) {
        value *it = &plan->values[v];
        it->first = it->last = plan->steps[it->step].level;
        it->bytes = bytes_at_capacity(plan, &it->meta);
    }
    for (int n = 0; n < plan->n_steps; n++) {
        for (int i = 0; i < plan->steps[n].n_in; i++) {
            if (plan->steps[n].in[i].kind == SOURCE_ARENA) {
                extend(plan, plan->steps[n].in[i].value, plan->steps[n].level);
            }
        }
    }
    for (int i = 0; i < plan->n_outputs + plan->n_checks; i++) {
        const operand *o = i < plan->n_outputs ? &plan->outputs[i] : &plan->checks[i - plan->n_outputs];
        if (o->kind == SOURCE_ARENA) {
            extend(plan, o->value, plan->n_levels);
            plan->values[o->value].keep = true;
        }
    }
}

/* Does any step but `but` read v later than, or beside, step `but`? Steps of the same region run in order for each
 * slice, so an earlier one there is done with its rows. */
static bool read_elsewhere(const moth_plan *plan, int v, int but)
{
    const step *s = &plan->steps[but];
    for (int n = 0; n < plan->n_steps; n++) {
        const step *other = &plan->steps[n];
        for (int i = 0; n != but && i < other->n_in; i++) {
            bool reads = other->in[i].kind == SOURCE_ARENA && root_of(plan, other->in[i].value) == v;
            bool done = other->level < s->level || (other->region == s->region && s->region >= 0 && n < but);
            if (reads && !done) {
                return true;
            }
        }
    }
    return false;
}

/* An element-wise step may write over an operand that nobody needs afterwards. */
static void share_in_place(moth_plan *plan)
{
    for (int n = 0; n < plan->n_steps; n++) {
        step *s = &plan->steps[n];
        if (!(s->node->op->flags & MOTH_OP_ELEMENTWISE) || s->n_out != 1) {
            continue;
        }
        value *out = &plan->values[s->out[0]];
        for (int i = 0; i < s->n_in && out->alias < 0; i++) {
            const operand *in = &s->in[i];
            if (in->kind != SOURCE_ARENA || !in->sliced || !moth_meta_same_shape(&in->meta, &out->meta) ||
                !moth_meta_contiguous(&in->meta) || in->meta.offset != 0) {
                continue;
            }
            int root = root_of(plan, in->value);
            const value *old = &plan->values[root];
            const step *maker = &plan->steps[plan->values[in->value].step];
            if (!old->keep && !plan->values[in->value].keep && old->bytes == out->bytes &&
                moth_dtype_size(in->meta.dtype) == moth_dtype_size(out->meta.dtype) && maker->node->op->rows &&
                (plan->values[in->value].last < s->level || maker->region == s->region ||
                 maker->level < s->level) && !read_elsewhere(plan, root, n)) {
                out->alias = root;
            }
        }
    }
    for (int v = 0; v < plan->n_values; v++) {
        int root = root_of(plan, v);
        extend(plan, root, plan->values[v].last);
        plan->values[root].keep = plan->values[root].keep || plan->values[v].keep;
    }
}

/* Biggest first, each at the lowest place where nothing alive at the same time lies. */
typedef struct block {
    int64_t bytes, offset;
    int first, last;
    int64_t *place; /* where the offset goes */
    int order;
} block;

static int bigger_first(const void *a, const void *b)
{
    const block *ba = a, *bb = b;
    if (ba->bytes != bb->bytes) {
        return ba->bytes > bb->bytes ? -1 : 1;
    }
    return ba->order - bb->order;
}

static int by_offset(const void *a, const void *b)
{
    const block *const *ba = a, *const *bb = b;
    return (*ba)->offset < (*bb)->offset ? -1 : (*ba)->offset > (*bb)->offset;
}

static int64_t lowest_gap(const block *b, const block **live, int n_live)
{
    int64_t at = 0;
    for (int i = 0; i < n_live; i++) {
        if (live[i]->offset - at >= b->bytes) {
            break;
        }
        int64_t end = live[i]->offset + live[i]->bytes;
        at = end > at ? end : at;
    }
    return at;
}

static int64_t place_blocks(block *blocks, int n, const block **live)
{
    int64_t total = 0;
    qsort(blocks, (size_t)n, sizeof *blocks, bigger_first);
    for (int i = 0; i < n; i++) {
        int n_live = 0;
        for (int j = 0; j < i; j++) {
            if (blocks[j].first <= blocks[i].last && blocks[i].first <= blocks[j].last) {
                live[n_live++] = &blocks[j];
            }
        }
        qsort(live, (size_t)n_live, sizeof *live, by_offset);
        blocks[i].offset = lowest_gap(&blocks[i], live, n_live);
        *blocks[i].place = blocks[i].offset;
        int64_t end = blocks[i].offset + blocks[i].bytes;
        total = end > total ? end : total;
    }
    return total;
}

moth_status plan_place(moth_ctx *ctx, moth_plan *plan)
{
    find_lifetimes(plan);
    share_in_place(plan);
    size_t room = (size_t)(plan->n_values + plan->n_steps) + 1;
    block *blocks = moth_malloc(room * sizeof *blocks);
    const block **live = moth_malloc(room * sizeof(block *));
    if (!blocks || !live) {
        moth_free(blocks);
        moth_free(live);
        return moth_fail_memory(ctx, (int64_t)(room * sizeof *blocks));
    }
    int n = 0;
    for (int v = 0; v < plan->n_values; v++) {
        value *it = &plan->values[v];
        if (it->alias < 0) {
            blocks[n] = (block){ it->bytes, 0, it->first, it->last, &it->offset, n };
            n++;
        }
    }
    for (int i = 0; i < plan->n_steps; i++) {
        step *s = &plan->steps[i];
        if (s->node->op->shared_scratch) {
            int64_t bytes = rounded((int64_t)s->node->op->shared_scratch(&s->call));
            blocks[n] = (block){ bytes, 0, s->level, s->level, &s->scratch, n };
            n++;
        }
    }
    plan->arena_bytes = (size_t)place_blocks(blocks, n, live);
    for (int v = 0; v < plan->n_values; v++) {
        plan->values[v].offset = plan->values[root_of(plan, v)].offset;
    }
    moth_free(blocks);
    moth_free(live);
    return MOTH_OK;
}
