/* Building a plan, taking it apart, and describing it. */
#include <stdio.h>
#include <string.h>

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
    moth_free(plan->region_steps);
    moth_free(plan->stages);
    moth_free(plan->units);
    moth_free(plan->running);
    moth_free(plan->lanes);
    moth_free(plan);
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
    plan->fixed_inputs = spec->fixed_inputs;
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
    plan_resolve(plan, plan->capacity); /* shapes at capacity, for scratch sizes; addresses are not known yet */
    MOTH_TRY(plan_place(ctx, plan));
    find_lane_bytes(plan);
    plan->rows = -1;
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
        status = plan_ensure_memory(ctx, plan);
    }
    if (status != MOTH_OK) {
        moth_plan_free(plan);
        return status;
    }
    *out = plan;
    return MOTH_OK;
}

static void describe_step(const moth_plan *plan, int n, char *text, size_t size)
{
    const step *s = &plan->steps[n];
    char shape[96], where[64];
    const moth_meta *m = s->n_out ? &s->node->out_meta[0] : &s->in[0].meta;
    if (s->region >= 0) {
        snprintf(where, sizeof where, "region %d  slices of %lld", s->region,
                 (long long)plan->regions[s->region].slice);
    } else {
        snprintf(where, sizeof where, "%d phases", s->node->op->n_phases);
    }
    snprintf(text, size, "stage %d%s  %-24s  %-16s %s%s\n", s->level, plan->stages[s->level].small ? " (small)" : "",
             where, s->node->op->name, moth_meta_text(m, shape, sizeof shape), s->effect ? "  changed" : "");
}

char *moth_plan_describe(const moth_plan *plan)
{
    enum { LINE = 256 };
    size_t room = (size_t)plan->n_steps * LINE + 1, used = 0;
    char *text = moth_malloc(room);
    if (!text) {
        return NULL;
    }
    text[0] = '\0';
    for (int u = 0; u < plan->n_units; u++) { /* by stage, the dearest first */
        const unit *it = &plan->units[u];
        int n_steps = it->region >= 0 ? plan->regions[it->region].n_steps : 1;
        for (int k = 0; k < n_steps; k++) {
            int n = it->region >= 0 ? plan->regions[it->region].steps[k] : it->step;
            describe_step(plan, n, text + used, LINE);
            used += strlen(text + used);
        }
    }
    return text;
}
