/* Lifetimes and places: values whose lives do not overlap share memory of the arena.
 *
 * Lives are counted in levels. Inside a region, where a worker goes through all steps with its own rows, they can be
 * counted in steps: an element-wise step may write over an operand that dies with it, and a value may take the memory
 * of an older one with rows of the same size. */
#include <stdlib.h>
#include <string.h>

#include "plan/internal.h"

/* Who reads a value or what shares its memory: a list per root value. */
typedef struct use {
    int step, input;
    int next; /* -1: the end */
} use;

typedef struct uses {
    use *at;
    int *first, *last; /* per value; -1: none */
} uses;

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

static moth_status find_uses(moth_ctx *ctx, const moth_plan *plan, uses *u)
{
    int count = 0;
    for (int n = 0; n < plan->n_steps; n++) {
        count += plan->steps[n].n_in;
    }
    size_t values = (size_t)plan->n_values + 1;
    *u = (uses){ .at = moth_malloc(((size_t)count + 1) * sizeof *u->at),
                 .first = moth_malloc(values * sizeof *u->first),
                 .last = moth_malloc(values * sizeof *u->last) };
    if (!u->at || !u->first || !u->last) {
        return moth_fail_memory(ctx, count * (int64_t)sizeof *u->at);
    }
    for (int v = 0; v < plan->n_values; v++) {
        u->first[v] = u->last[v] = -1;
    }
    count = 0;
    for (int n = 0; n < plan->n_steps; n++) {
        for (int i = 0; i < plan->steps[n].n_in; i++) {
            if (plan->steps[n].in[i].kind != SOURCE_ARENA) {
                continue;
            }
            int v = plan->steps[n].in[i].value;
            u->at[count] = (use){ n, i, -1 };
            if (u->last[v] >= 0) {
                u->at[u->last[v]].next = count;
            } else {
                u->first[v] = count;
            }
            u->last[v] = count++;
        }
    }
    return MOTH_OK;
}

/* Value v takes the memory of `older`, which has no alias itself. */
static void share(moth_plan *plan, uses *u, int v, int older)
{
    plan->values[v].alias = older;
    extend(plan, older, plan->values[v].last);
    plan->values[older].keep = plan->values[older].keep || plan->values[v].keep;
    if (u->first[v] >= 0) {
        if (u->last[older] >= 0) {
            u->at[u->last[older]].next = u->first[v];
        } else {
            u->first[older] = u->first[v];
        }
        u->last[older] = u->last[v];
    }
}

/* ---- over a dying operand ---- */

static bool same_view(const operand *a, const operand *b)
{
    return a->sliced && b->sliced && moth_meta_same_shape(&a->meta, &b->meta) && moth_meta_contiguous(&a->meta) &&
           moth_meta_contiguous(&b->meta) && a->meta.offset == b->meta.offset;
}

/* May step n write over what operand i of it reads? Every other reader must be done with the rows by then: it ran in
 * an earlier level, or runs before in the same region and takes only its own rows. */
static bool dies_here(const moth_plan *plan, const uses *u, int root, int n, int i)
{
    const step *s = &plan->steps[n];
    for (int k = u->first[root]; k >= 0; k = u->at[k].next) {
        const step *other = &plan->steps[u->at[k].step];
        const operand *read = &other->in[u->at[k].input];
        bool done = other->level < s->level ||
                    (s->region >= 0 && other->region == s->region && u->at[k].step < n && read->sliced);
        bool own = u->at[k].step == n && same_view(read, &s->in[i]);
        if (!done && !own) {
            return false;
        }
    }
    return true;
}

static void share_operand(moth_plan *plan, uses *u, int n)
{
    const step *s = &plan->steps[n];
    if (!(s->node->op->flags & MOTH_OP_ELEMENTWISE) || s->n_out != 1) {
        return;
    }
    const value *out = &plan->values[s->out[0]];
    for (int i = 0; i < s->n_in; i++) {
        const operand *in = &s->in[i];
        if (in->kind != SOURCE_ARENA || !in->sliced || !moth_meta_same_shape(&in->meta, &out->meta) ||
            in->meta.dtype != out->meta.dtype || !moth_meta_contiguous(&in->meta) || in->meta.offset != 0) {
            continue;
        }
        int root = root_of(plan, in->value);
        if (!plan->values[root].keep && plan->values[root].bytes == out->bytes && dies_here(plan, u, root, n, i)) {
            share(plan, u, s->out[0], root);
            return;
        }
    }
}

/* ---- rows of equal size in one region ---- */

/* Memory of a region whose value is not needed after step `last`. */
typedef struct slot {
    int value;
    int64_t bytes; /* without rounding: the pitch of the rows follows from it */
    int last;
} slot;

/* Last step of the region that reads v; -1 when somebody else does, or reads other rows. */
static int last_inside(const moth_plan *plan, const uses *u, int v)
{
    const value *it = &plan->values[v];
    const step *maker = &plan->steps[it->step];
    int last = it->step;
    if (it->keep || it->meta.rank == 0 || it->meta.shape[0] != maker->domain) {
        return -1;
    }
    for (int k = u->first[v]; k >= 0; k = u->at[k].next) {
        const step *reader = &plan->steps[u->at[k].step];
        if (reader->region != maker->region || !reader->in[u->at[k].input].sliced) {
            return -1;
        }
        last = u->at[k].step > last ? u->at[k].step : last;
    }
    return last;
}

/* The slot of that size that was left last: its memory is still warm. */
static slot *free_slot(slot *slots, int n, int64_t bytes, int now)
{
    slot *found = NULL;
    for (int i = 0; i < n; i++) {
        if (slots[i].bytes == bytes && slots[i].last < now && (!found || slots[i].last > found->last)) {
            found = &slots[i];
        }
    }
    return found;
}

static void reuse_slots(moth_plan *plan, uses *u, const region *r, slot *slots)
{
    int n = 0;
    for (int k = 0; k < r->n_steps; k++) {
        const step *s = &plan->steps[r->steps[k]];
        for (int o = 0; o < s->n_out; o++) {
            int v = s->out[o];
            int last = plan->values[v].alias < 0 ? last_inside(plan, u, v) : -1;
            if (last < 0) {
                continue;
            }
            int64_t bytes =
                moth_meta_elements(&plan->values[v].meta) * (int64_t)moth_dtype_size(plan->values[v].meta.dtype);
            slot *old = free_slot(slots, n, bytes, r->steps[k]);
            if (old) {
                share(plan, u, v, old->value);
                old->last = last;
            } else {
                slots[n++] = (slot){ .value = v, .bytes = bytes, .last = last };
            }
        }
    }
}

static moth_status share_memory(moth_ctx *ctx, moth_plan *plan)
{
    uses u;
    slot *slots = moth_malloc(((size_t)plan->n_values + 1) * sizeof *slots);
    moth_status status = find_uses(ctx, plan, &u);
    if (status == MOTH_OK && !slots) {
        status = moth_fail_memory(ctx, plan->n_values * (int64_t)sizeof *slots);
    }
    for (int n = 0; status == MOTH_OK && n < plan->n_steps; n++) {
        share_operand(plan, &u, n);
    }
    for (int i = 0; status == MOTH_OK && i < plan->n_regions; i++) {
        reuse_slots(plan, &u, &plan->regions[i], slots);
    }
    moth_free(slots);
    moth_free(u.at);
    moth_free(u.first);
    moth_free(u.last);
    return status;
}

/* ---- places: biggest first, each at the lowest offset where nothing alive at the same time lies ---- */

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

/* placed: by offset */
static int64_t lowest_gap(const block *b, const block *const *placed, int n)
{
    int64_t at = 0;
    for (int i = 0; i < n && placed[i]->offset - at < b->bytes; i++) {
        if (placed[i]->first <= b->last && b->first <= placed[i]->last) {
            int64_t end = placed[i]->offset + placed[i]->bytes;
            at = end > at ? end : at;
        }
    }
    return at;
}

static int64_t place_blocks(block *blocks, int n, const block **placed)
{
    int64_t total = 0;
    qsort(blocks, (size_t)n, sizeof *blocks, bigger_first);
    for (int i = 0; i < n; i++) {
        block *b = &blocks[i];
        b->offset = lowest_gap(b, placed, i);
        *b->place = b->offset;
        total = b->offset + b->bytes > total ? b->offset + b->bytes : total;
        int at = i;
        while (at > 0 && placed[at - 1]->offset > b->offset) {
            at--;
        }
        memmove(placed + at + 1, placed + at, (size_t)(i - at) * sizeof(block *));
        placed[at] = b;
    }
    return total;
}

static int collect_blocks(moth_plan *plan, block *blocks)
{
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
    return n;
}

moth_status plan_place(moth_ctx *ctx, moth_plan *plan)
{
    find_lifetimes(plan);
    MOTH_TRY(share_memory(ctx, plan));
    size_t room = (size_t)(plan->n_values + plan->n_steps) + 1;
    block *blocks = moth_malloc(room * sizeof *blocks);
    const block **placed = moth_malloc(room * sizeof(block *));
    moth_status status = MOTH_OK;
    if (blocks && placed) {
        int n = collect_blocks(plan, blocks);
        plan->arena_bytes = (size_t)place_blocks(blocks, n, placed);
        for (int v = 0; v < plan->n_values; v++) {
            plan->values[v].offset = plan->values[root_of(plan, v)].offset;
        }
    } else {
        status = moth_fail_memory(ctx, (int64_t)(room * sizeof *blocks));
    }
    moth_free(blocks);
    moth_free(placed);
    return status;
}
