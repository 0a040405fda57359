/* Building and running a plan. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/threads.h"
#include "plan/internal.h"

void moth_arena_free(moth_arena *arena)
{
    moth_free(arena->data);
    *arena = (moth_arena){ 0 };
}

void moth_plan_free(moth_plan *plan)
{
    if (!plan) {
        return;
    }
    for (int n = 0; n < plan->n_steps; n++) {
        moth_node_release(plan->steps[n].node);
        moth_free(plan->steps[n].in);
        moth_free(plan->steps[n].out);
        moth_free(plan->steps[n].call.in);
        moth_free(plan->steps[n].call.out);
    }
    for (int i = 0; i < plan->n_regions; i++) {
        moth_free(plan->regions[i].steps);
    }
    for (int i = 0; plan->inputs && i < plan->n_inputs; i++) {
        moth_tensor_release(plan->inputs[i]);
    }
    for (int i = 0; plan->results && i < plan->n_outputs; i++) {
        if (plan->results[i]) {
            plan->results[i]->storage->data = NULL; /* the arena's, or a leaf's */
            moth_tensor_release(plan->results[i]);
        }
    }
    for (int i = 0; plan->check_names && i < plan->n_checks; i++) {
        moth_free(plan->check_names[i]);
    }
    for (int i = 0; i < plan->n_kept; i++) {
        moth_tensor_release(plan->kept[i]);
    }
    moth_free(plan->steps);
    moth_free(plan->values);
    moth_free(plan->regions);
    moth_free(plan->inputs);
    moth_free(plan->bound);
    moth_free(plan->outputs);
    moth_free(plan->results);
    moth_free(plan->checks);
    moth_free(plan->check_names);
    moth_free(plan->kept);
    moth_free(plan->units);
    moth_free(plan->lanes);
    moth_free(plan);
}

/* ---- resolving ---- */

static char *operand_data(const moth_plan *plan, const operand *o)
{
    int64_t skip = o->meta.offset * (int64_t)moth_dtype_size(o->meta.dtype);
    switch (o->kind) {
    case SOURCE_ARENA:
        return plan->arena->data ? plan->arena->data + plan->values[o->value].offset + skip : NULL;
    case SOURCE_LEAF:
        return o->leaf->storage->data + skip;
    case SOURCE_INPUT:
        return plan->bound[o->input].data ? plan->bound[o->input].data + skip : NULL;
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
    if (o->kind == SOURCE_INPUT && o->root.rank > 0 && o->root.shape[0] == 0 && arg->rank > 0) {
        arg->shape[0] = plan->bound[o->input].shape[0]; /* a data set of any size */
    }
}

static void resolve(moth_plan *plan, int64_t rows)
{
    for (int n = 0; n < plan->n_steps; n++) {
        step *s = &plan->steps[n];
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
    for (int i = 0; i < plan->n_regions; i++) {
        region *r = &plan->regions[i];
        int64_t base = r->domain < 0 ? rows : r->domain;
        r->items = (base + r->slice - 1) / r->slice;
    }
    plan->rows = rows;
}

static moth_status ensure_memory(moth_ctx *ctx, moth_plan *plan)
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

/* ---- running ---- */

typedef struct stage {
    moth_plan *plan;
    int n_units;
    int phase;
    struct {
        moth_worker worker;
        int64_t fault_item; /* -1: none */
        int fault_step;
    } lane[MOTH_MAX_THREADS];
} stage;

static void note_fault(stage *st, int worker, int64_t item, int n)
{
    if (st->lane[worker].fault_item < 0) {
        st->lane[worker].fault_item = item;
        st->lane[worker].fault_step = n;
    }
}

/* One slice through all steps of a region: the heart of depth-first execution. */
static void run_slice(stage *st, const region *r, int64_t slice, int worker, int64_t item)
{
    moth_plan *plan = st->plan;
    int64_t base = r->domain < 0 ? plan->rows : r->domain;
    int64_t from = slice * r->slice;
    int64_t to = from + r->slice < base ? from + r->slice : base;
    for (int i = 0; i < r->n_steps; i++) {
        step *s = &plan->steps[r->steps[i]];
        int64_t k = s->domain < 0 ? -s->domain : 1;
        if (!s->node->op->rows(&s->call, from * k, to * k, &st->lane[worker].worker)) {
            note_fault(st, worker, item, r->steps[i]);
            return;
        }
    }
}

static void run_item(void *arg, int64_t item, int worker)
{
    stage *st = arg;
    int u = 0;
    while (u + 1 < st->n_units && st->plan->units[u + 1].first <= item) {
        u++;
    }
    const unit *it = &st->plan->units[u];
    if (it->region >= 0) {
        run_slice(st, &st->plan->regions[it->region], item - it->first, worker, item);
        return;
    }
    step *s = &st->plan->steps[it->step];
    if (!s->node->op->piece(&s->call, st->phase, item - it->first, &st->lane[worker].worker)) {
        note_fault(st, worker, item, it->step);
    }
}

static moth_status report_fault(moth_ctx *ctx, const stage *st)
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

static int64_t add_unit(stage *st, int64_t first, int64_t items, int r, int n)
{
    if (items > 0) {
        st->plan->units[st->n_units++] = (unit){ .region = r, .step = n, .first = first };
    }
    return first + items;
}

static moth_status run_level(moth_ctx *ctx, moth_plan *plan, stage *st, int level)
{
    for (st->phase = 0;; st->phase++) {
        int64_t items = 0;
        st->n_units = 0;
        bool more = false;
        for (int i = 0; st->phase == 0 && i < plan->n_regions; i++) {
            if (plan->regions[i].level == level) {
                items = add_unit(st, items, plan->regions[i].items, i, -1);
            }
        }
        for (int n = 0; n < plan->n_steps; n++) {
            const step *s = &plan->steps[n];
            if (s->level == level && s->region < 0 && st->phase < s->node->op->n_phases) {
                items = add_unit(st, items, s->node->op->pieces(&s->call, st->phase), -1, n);
                more = more || st->phase + 1 < s->node->op->n_phases;
            }
        }
        MOTH_TRY(moth_parallel(ctx, items, run_item, st));
        MOTH_TRY(report_fault(ctx, st));
        if (!more) {
            return MOTH_OK;
        }
    }
}

/* Position of the first element that is not finite, or -1. */
static int64_t first_nonfinite(const moth_arg *a)
{
    int64_t n = 1;
    for (int d = 0; d < a->rank; d++) {
        n *= a->shape[d];
    }
    const moth_real *x = (const moth_real *)(const void *)a->data;
    moth_real probe = 0;
    for (int64_t i = 0; i < n; i++) {
        probe += x[i] * 0; /* stays 0 unless something is infinite or not a number */
    }
    for (int64_t i = 0; probe != 0 && i < n; i++) {
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
                             bad, (long long)at + 1);
        }
    }
    return MOTH_OK;
}

static moth_status bind_inputs(moth_ctx *ctx, moth_plan *plan, int64_t rows, moth_tensor *const *inputs)
{
    for (int i = 0; i < plan->n_inputs; i++) {
        const moth_meta *want = &plan->inputs[i]->meta;
        const moth_tensor *t = inputs[i];
        bool fits = t->meta.rank == want->rank && t->meta.dtype == want->dtype && moth_meta_contiguous(&t->meta);
        for (int d = 0; fits && d < want->rank; d++) {
            bool any = d == 0 && want->shape[0] == 0;
            fits = any || t->meta.shape[d] == plan_rows_of(want->shape[d], rows);
        }
        if (!fits) {
            char a[128], b[128];
            return moth_fail(ctx, MOTH_ERR_SHAPE, "plan: input %d must be contiguous %s of its type, got %s", i + 1,
                             moth_meta_text(want, a, sizeof a), moth_meta_text(&t->meta, b, sizeof b));
        }
        moth_arg_of(&plan->bound[i], t);
    }
    return MOTH_OK;
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

moth_status moth_plan_run(moth_ctx *ctx, moth_plan *plan, int64_t rows, moth_tensor *const *inputs,
                          const moth_run *run)
{
    if (rows < 0 || rows > plan->capacity) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "plan: 0 to %lld rows, got %lld", (long long)plan->capacity,
                         (long long)rows);
    }
    MOTH_TRY(bind_inputs(ctx, plan, rows, inputs));
    MOTH_TRY(ensure_memory(ctx, plan));
    plan->run = *run;
    resolve(plan, rows);
    stage st;
    st.plan = plan;
    for (int w = 0; w < ctx->threads; w++) {
        st.lane[w].worker.scratch = plan->lanes + (size_t)w * plan->lane_bytes;
        st.lane[w].fault_item = -1;
    }
    for (int level = 0; level < plan->n_levels; level++) {
        MOTH_TRY(run_level(ctx, plan, &st, level));
        if (level == plan->check_level) {
            MOTH_TRY(run_checks(ctx, plan));
        }
    }
    for (int n = 0; n < plan->n_steps; n++) {
        const step *s = &plan->steps[n];
        for (int i = 0; s->effect && i < s->n_in; i++) {
            if (moth_op_bit(s->node->op->mutates, i) && s->in[i].kind == SOURCE_LEAF) {
                s->in[i].leaf->storage->version++;
            }
        }
    }
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

/* ---- building ---- */

static moth_status make_results(moth_ctx *ctx, moth_plan *plan)
{
    for (int i = 0; i < plan->n_outputs; i++) {
        moth_storage *storage = moth_calloc(sizeof *storage);
        if (!storage) {
            return moth_fail_memory(ctx, (int64_t)sizeof *storage);
        }
        storage->references = 0; /* the handle takes the first reference */
        moth_meta meta = plan->outputs[i].meta;
        meta.offset = 0; /* resolved addresses already hold it */
        moth_status status = moth_tensor_handle(ctx, &meta, storage, &plan->results[i]);
        if (status != MOTH_OK) {
            moth_free(storage);
            return status;
        }
    }
    return MOTH_OK;
}

static moth_status copy_spec(moth_ctx *ctx, moth_plan *plan, const moth_plan_spec *spec)
{
    plan->capacity = spec->capacity;
    plan->inputs = moth_calloc(((size_t)spec->n_inputs + 1) * sizeof(moth_tensor *));
    plan->bound = moth_calloc(((size_t)spec->n_inputs + 1) * sizeof *plan->bound);
    plan->outputs = moth_calloc(((size_t)spec->n_outputs + 1) * sizeof *plan->outputs);
    plan->results = moth_calloc(((size_t)spec->n_outputs + 1) * sizeof(moth_tensor *));
    plan->checks = moth_calloc(((size_t)spec->n_checks + 1) * sizeof *plan->checks);
    plan->check_names = moth_calloc(((size_t)spec->n_checks + 1) * sizeof(char *));
    if (!plan->inputs || !plan->bound || !plan->outputs || !plan->results || !plan->checks || !plan->check_names) {
        return moth_fail_memory(ctx, 64);
    }
    plan->n_inputs = spec->n_inputs;
    plan->n_outputs = spec->n_outputs;
    plan->n_checks = spec->n_checks;
    for (int i = 0; i < spec->n_inputs; i++) {
        plan->inputs[i] = moth_tensor_retain(spec->inputs[i]);
    }
    for (int i = 0; i < spec->n_checks; i++) {
        plan->check_names[i] = moth_strdup(spec->check_names[i]);
        if (!plan->check_names[i]) {
            return moth_fail_memory(ctx, 64);
        }
    }
    return MOTH_OK;
}

static void find_lane_bytes(moth_plan *plan)
{
    for (int n = 0; n < plan->n_steps; n++) {
        const step *s = &plan->steps[n];
        size_t bytes = s->node->op->worker_scratch ? s->node->op->worker_scratch(&s->call) : 0;
        bytes = (bytes + 63) & ~(size_t)63;
        plan->lane_bytes = bytes > plan->lane_bytes ? bytes : plan->lane_bytes;
    }
    plan->lane_bytes += 64; /* so that no lane is empty */
}

static moth_status build(moth_ctx *ctx, moth_plan *plan, const moth_plan_spec *spec)
{
    MOTH_TRY(copy_spec(ctx, plan, spec));
    MOTH_TRY(plan_collect(ctx, plan, spec));
    MOTH_TRY(plan_schedule(ctx, plan));
    resolve(plan, plan->capacity); /* shapes at capacity, for scratch sizes; addresses are not known yet */
    MOTH_TRY(plan_place(ctx, plan));
    find_lane_bytes(plan);
    plan->units = moth_malloc(((size_t)plan->n_steps + 1) * sizeof *plan->units);
    if (!plan->units) {
        return moth_fail_memory(ctx, plan->n_steps * (int64_t)sizeof *plan->units);
    }
    return make_results(ctx, plan);
}

moth_status moth_plan_new(moth_ctx *ctx, const moth_plan_spec *spec, moth_arena *arena, moth_plan **out)
{
    moth_plan *plan = moth_calloc(sizeof *plan);
    if (!plan) {
        return moth_fail_memory(ctx, (int64_t)sizeof *plan);
    }
    plan->arena = arena;
    moth_status status = build(ctx, plan, spec);
    if (status == MOTH_OK) {
        status = ensure_memory(ctx, plan);
    }
    if (status != MOTH_OK) {
        moth_plan_free(plan);
        return status;
    }
    *out = plan;
    return MOTH_OK;
}

char *moth_plan_describe(const moth_plan *plan)
{
    size_t room = (size_t)plan->n_steps * 192 + 64, used = 0;
    char *text = moth_malloc(room);
    for (int level = 0; text && level < plan->n_levels; level++) {
        for (int n = 0; n < plan->n_steps; n++) {
            const step *s = &plan->steps[n];
            char shape[96];
            const moth_meta *m = s->n_out ? &plan->values[s->out[0]].meta : &s->in[0].meta;
            if (s->level == level && used < room) {
                used += (size_t)snprintf(text + used, room - used, "stage %d  %s %d  %-24s %s\n", level,
                                         s->region >= 0 ? "region" : "phased", s->region, s->node->op->name,
                                         moth_meta_text(m, shape, sizeof shape));
            }
        }
    }
    if (text && used == 0) {
        text[0] = '\0';
    }
    return text;
}
