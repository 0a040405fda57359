/* Running a plan: arguments, stages, checks. */
#include <math.h>
#include <string.h>

#include "core/threads.h"
#include "plan/internal.h"

/* ---- arguments ---- */

static char *operand_data(const moth_plan *plan, const operand *o)
{
    int64_t skip = o->meta.offset;
    int64_t size = (int64_t)moth_dtype_size(o->meta.dtype);
    switch (o->kind) {
    case SOURCE_ARENA:
        return plan->arena->data ? plan->arena->data + plan->values[o->value].offset + skip * size : NULL;
    case SOURCE_LEAF: /* the variable may have moved since it was traced */
        return o->leaf->storage->data + (o->leaf->meta.offset - o->root.offset + skip) * size;
    case SOURCE_INPUT:
        return plan->bound[o->input].data ? plan->bound[o->input].data + skip * size : NULL;
    case SOURCE_NONE:
        break;
    }
    return NULL;
}

static void resolve_arg(const moth_plan *plan, const operand *o, int64_t rows, moth_arg *arg)
{
    arg->data = operand_data(plan, o);
    arg->dtype = o->meta.dtype;
    arg->rank = o->kind == SOURCE_NONE ? 0 : o->meta.rank;
    for (int d = 0; d < arg->rank; d++) {
        arg->shape[d] = plan_rows_of(o->meta.shape[d], rows);
        arg->stride[d] = o->meta.stride[d];
    }
    if (!plan->fixed_inputs && o->kind == SOURCE_INPUT && o->root.rank > 0 && o->root.shape[0] == 0 && arg->rank > 0) {
        arg->shape[0] = plan->bound[o->input].shape[0]; /* a data set of any size */
    }
}

static void resolve_step(const moth_plan *plan, step *s, int64_t rows)
{
    for (int i = 0; i < s->n_in; i++) {
        resolve_arg(plan, &s->in[i], rows, &s->call.in[i]);
    }
    for (int k = 0; k < s->n_out; k++) {
        operand o = { .kind = SOURCE_ARENA, .value = s->out[k], .meta = plan->values[s->out[k]].meta };
        resolve_arg(plan, &o, rows, &s->call.out[k]);
    }
    s->call.run = &plan->run;
    s->call.shared = plan->arena->data ? plan->arena->data + s->scratch : NULL;
}

void plan_resolve(moth_plan *plan, int64_t rows)
{
    for (int n = 0; n < plan->n_steps; n++) {
        resolve_step(plan, &plan->steps[n], rows);
    }
    for (int i = 0; i < plan->n_regions; i++) {
        region *r = &plan->regions[i];
        int64_t base = r->domain < 0 ? rows : r->domain;
        r->items = (base + r->slice - 1) / r->slice;
    }
    plan->rows = rows;
    plan->base = plan->arena->data;
}

/* What may differ from run to run although the number of rows does not: where inputs and variables lie. */
static moth_status refresh(moth_ctx *ctx, moth_plan *plan)
{
    for (int n = 0; n < plan->n_steps; n++) {
        step *s = &plan->steps[n];
        for (int i = 0; i < s->n_in; i++) {
            const operand *o = &s->in[i];
            if (o->kind == SOURCE_LEAF && !moth_meta_same_layout(&o->leaf->meta, &o->root)) {
                char a[128], b[128];
                return moth_fail(ctx, MOTH_ERR_STATE,
                                 "plan: a captured tensor was traced with shape %s and now has shape %s",
                                 moth_meta_text(&o->root, a, sizeof a), moth_meta_text(&o->leaf->meta, b, sizeof b));
            }
            if (o->kind == SOURCE_LEAF) {
                s->call.in[i].data = operand_data(plan, o);
            } else if (o->kind == SOURCE_INPUT) {
                resolve_arg(plan, o, plan->rows, &s->call.in[i]);
            }
        }
    }
    return MOTH_OK;
}

moth_status plan_ensure_memory(moth_ctx *ctx, moth_plan *plan)
{
    if (plan->arena->size < plan->arena_bytes || !plan->arena->data) {
        char *data = moth_malloc(plan->arena_bytes);
        if (!data) {
            return moth_fail_memory(ctx, (int64_t)plan->arena_bytes);
        }
        moth_free(plan->arena->data);
        plan->arena->data = data;
        plan->arena->size = plan->arena_bytes;
    }
    if (plan->lane_count < ctx->threads) {
        char *lanes = moth_malloc(plan->lane_bytes * (size_t)ctx->threads);
        if (!lanes) {
            return moth_fail_memory(ctx, (int64_t)plan->lane_bytes * ctx->threads);
        }
        moth_free(plan->lanes);
        plan->lanes = lanes;
        plan->lane_count = ctx->threads;
    }
    return MOTH_OK;
}

/* ---- stages ---- */

typedef struct running {
    moth_plan *plan;
    int n_units;
    int phase;
    volatile sig_atomic_t *stop; /* slices end early once it is set; NULL: run to the end */
    struct {
        moth_worker worker;
        int64_t fault_item; /* -1: none */
        int fault_step;
    } lane[MOTH_MAX_THREADS];
} running;

static void note_fault(running *st, int worker, int64_t item, int n)
{
    st->lane[worker].fault_item = item;
    st->lane[worker].fault_step = n;
}

/* One slice through all steps of a region: the heart of depth-first execution. */
static void run_slice(running *st, const region *r, int64_t slice, int worker, int64_t item)
{
    const moth_plan *plan = st->plan;
    int64_t base = r->domain < 0 ? plan->rows : r->domain;
    int64_t from = slice * r->slice;
    int64_t to = from + r->slice < base ? from + r->slice : base;
    for (int i = 0; i < r->n_steps && !(st->stop && moth_wanted_to_stop(st->stop)); i++) {
        const step *s = &plan->steps[r->steps[i]];
        int64_t k = s->domain < 0 ? -s->domain : 1;
        if (!s->node->op->rows(&s->call, from * k, to * k, &st->lane[worker].worker)) {
            note_fault(st, worker, item, r->steps[i]);
            return;
        }
    }
}

static void run_item(void *arg, int64_t item, int worker)
{
    running *st = arg;
    const moth_plan *plan = st->plan;
    if (st->lane[worker].fault_item >= 0) {
        return; /* items come in rising order: a later fault would only overwrite the text of the first */
    }
    int low = 0, high = st->n_units - 1;
    while (low < high) { /* the last unit that starts at or before the item */
        int middle = (low + high + 1) / 2;
        if (plan->units[plan->running[middle]].first <= item) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    const unit *it = &plan->units[plan->running[low]];
    if (it->region >= 0) {
        run_slice(st, &plan->regions[it->region], item - it->first, worker, item);
        return;
    }
    const step *s = &plan->steps[it->step];
    if (!s->node->op->piece(&s->call, st->phase, item - it->first, &st->lane[worker].worker)) {
        note_fault(st, worker, item, it->step);
    }
}

/* The fault of the lowest item, so that the message does not depend on the threads. */
static moth_status report_fault(moth_ctx *ctx, const running *st)
{
    int found = -1;
    for (int w = 0; w < ctx->threads; w++) {
        if (st->lane[w].fault_item >= 0 && (found < 0 || st->lane[w].fault_item < st->lane[found].fault_item)) {
            found = w;
        }
    }
    if (found < 0) {
        return MOTH_OK;
    }
    const step *s = &st->plan->steps[st->lane[found].fault_step];
    return moth_fail(ctx, MOTH_ERR_INDEX, "%s: %s", s->node->op->name, st->lane[found].worker.fault);
}

/* Items of a unit in a phase. */
static int64_t items_of(const moth_plan *plan, const unit *u, int phase)
{
    if (u->region >= 0) {
        return phase == 0 ? plan->regions[u->region].items : 0;
    }
    const step *s = &plan->steps[u->step];
    return phase < s->node->op->n_phases ? s->node->op->pieces(&s->call, phase) : 0;
}

static moth_status run_stage(moth_ctx *ctx, moth_plan *plan, running *st, const stage *at, unsigned flags)
{
    for (st->phase = 0; st->phase < at->phases; st->phase++) {
        int64_t items = 0;
        st->n_units = 0;
        for (int u = at->first; u < at->first + at->count; u++) {
            int64_t n = items_of(plan, &plan->units[u], st->phase);
            if (n > 0) {
                plan->running[st->n_units++] = u;
                plan->units[u].first = items;
                items += n;
            }
        }
        MOTH_TRY(moth_parallel_with(ctx, items, run_item, st, flags | (at->small ? MOTH_WORK_ALONE : 0)));
        MOTH_TRY(report_fault(ctx, st));
    }
    return MOTH_OK;
}

/* ---- checks ---- */

/* Position of the first element that is not finite, or -1. */
static int64_t first_nonfinite(const moth_arg *a)
{
    int64_t n = 1;
    for (int d = 0; d < a->rank; d++) {
        n *= a->shape[d];
    }
    const moth_real *x = (const moth_real *)(const void *)a->data;
    int bad = 0;
    for (int64_t i = 0; i < n; i++) {
        bad |= !(x[i] - x[i] == 0); /* infinity - infinity is not a number */
    }
    for (int64_t i = 0; bad && i < n; i++) {
        if (!isfinite(x[i])) {
            return i;
        }
    }
    return -1;
}

static moth_status run_checks(moth_ctx *ctx, const moth_plan *plan)
{
    for (int i = 0; i < plan->n_checks; i++) {
        moth_arg arg;
        resolve_arg(plan, &plan->checks[i], plan->rows, &arg);
        int64_t at = first_nonfinite(&arg);
        if (at >= 0) {
            double bad = (double)((const moth_real *)(const void *)arg.data)[at];
            return moth_fail(ctx, MOTH_ERR_NONFINITE, "%s is %g at element %lld of the batch", plan->check_names[i],
                             isnan(bad) ? fabs(bad) : bad, (long long)at + 1); /* no sign before nan */
        }
    }
    return MOTH_OK;
}

/* ---- runs ---- */

static moth_status bind_inputs(moth_ctx *ctx, moth_plan *plan, int64_t rows, moth_tensor *const *inputs)
{
    for (int i = 0; i < plan->n_inputs; i++) {
        const moth_meta *want = &plan->inputs[i]->meta;
        const moth_tensor *t = inputs[i];
        bool fits = t->meta.rank == want->rank;
        for (int d = 0; fits && d < want->rank; d++) {
            bool any = !plan->fixed_inputs && d == 0 && want->shape[0] == 0;
            fits = any || t->meta.shape[d] == plan_rows_of(want->shape[d], rows);
        }
        if (!fits) {
            char a[128], b[128];
            return moth_fail(ctx, MOTH_ERR_SHAPE, "plan: input %d of a run of %lld rows must be %s; got %s", i + 1,
                             (long long)rows, moth_meta_text(want, a, sizeof a), moth_meta_text(&t->meta, b, sizeof b));
        }
        if (t->meta.dtype != want->dtype) {
            return moth_fail(ctx, MOTH_ERR_DTYPE, "plan: input %d must be %s; got %s", i + 1,
                             moth_dtype_name(want->dtype), moth_dtype_name(t->meta.dtype));
        }
        if (moth_tensor_is_symbolic(t) || !moth_meta_contiguous(&t->meta)) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "plan: input %d must have its data in contiguous memory", i + 1);
        }
        moth_arg_of(&plan->bound[i], t);
    }
    return MOTH_OK;
}

/* Variables change from here on: what saved them for a gradient must notice. */
static void count_changes(const moth_plan *plan)
{
    for (int n = 0; n < plan->n_steps; n++) {
        const step *s = &plan->steps[n];
        for (int i = 0; s->effect && i < s->n_in; i++) {
            if (plan_changes(s, i) && s->in[i].kind == SOURCE_LEAF) {
                s->in[i].leaf->storage->version++;
            }
        }
    }
}

static void publish_results(moth_plan *plan)
{
    for (int i = 0; i < plan->n_outputs; i++) {
        moth_arg arg;
        resolve_arg(plan, &plan->outputs[i], plan->rows, &arg);
        moth_tensor *t = plan->results[i];
        t->storage->data = arg.data;
        for (int d = 0; d < arg.rank; d++) {
            t->meta.shape[d] = arg.shape[d];
        }
    }
}

/* Until the first effect a run may stop and has changed nothing; from there on it goes to its end. */
static moth_status run_stages(moth_ctx *ctx, moth_plan *plan)
{
    running st;
    st.plan = plan;
    for (int w = 0; w < ctx->threads; w++) {
        st.lane[w].worker.scratch = plan->lanes + (size_t)w * plan->lane_bytes;
        st.lane[w].fault_item = -1;
    }
    if (plan->check_level < 0) {
        MOTH_TRY(run_checks(ctx, plan));
    }
    for (int level = 0; level < plan->n_levels; level++) {
        if (*ctx->interrupt && level <= plan->effect_level) {
            return moth_fail(ctx, MOTH_ERR_INTERRUPTED, "interrupted");
        }
        if (level == plan->effect_level) {
            count_changes(plan);
        }
        bool may_stop = level < plan->effect_level;
        st.stop = may_stop ? ctx->interrupt : NULL;
        MOTH_TRY(run_stage(ctx, plan, &st, &plan->stages[level], may_stop ? 0 : MOTH_WORK_TO_END));
        if (may_stop && moth_wanted_to_stop(ctx->interrupt)) { /* a slice may be half done */
            return moth_fail(ctx, MOTH_ERR_INTERRUPTED, "interrupted");
        }
        if (level == plan->check_level) {
            MOTH_TRY(run_checks(ctx, plan));
        }
    }
    return MOTH_OK;
}

moth_status moth_plan_run(moth_ctx *ctx, moth_plan *plan, int64_t rows, moth_tensor *const *inputs, const moth_run *run)
{
    if (rows < 0 || rows > plan->capacity) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "plan: takes 0 to %lld rows; got %lld", (long long)plan->capacity,
                         (long long)rows);
    }
    MOTH_TRY(bind_inputs(ctx, plan, rows, inputs));
    MOTH_TRY(plan_ensure_memory(ctx, plan));
    plan->run = *run;
    if (rows != plan->rows || plan->base != plan->arena->data) {
        plan_resolve(plan, rows);
    }
    MOTH_TRY(refresh(ctx, plan));
    MOTH_TRY(run_stages(ctx, plan));
    publish_results(plan);
    return MOTH_OK;
}

moth_tensor *moth_plan_leaf(const moth_plan *plan, int i)
{
    for (int k = 0; k < plan->n_kept; k++) {
        if (!moth_tensor_is_symbolic(plan->kept[k]) && i-- == 0) {
            return plan->kept[k];
        }
    }
    return NULL;
}

const moth_tensor *moth_plan_output(const moth_plan *plan, int k)
{
    return plan->results[k];
}
