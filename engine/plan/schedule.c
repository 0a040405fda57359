/* Regions and stages. Row steps that pass each other their rows form a region, which a worker runs through slice by
 * slice. A stage is what runs between two barriers: the slices of its regions and the pieces of its phased steps. */
#include <stdlib.h>

#include "plan/internal.h"

enum {
    BROAD = 4096, /* elements read for every slice that make it dear: such rows are cut as finely as products allow */
    SMALL_STAGE = 8192 /* elements: about the work that it costs to get another thread going */
};

static int64_t elements(const moth_meta *m, int from, const moth_plan *plan)
{
    int64_t n = 1;
    for (int d = from; d < m->rank; d++) {
        n *= plan_rows_of(m->shape[d], plan->capacity);
    }
    return n;
}

static const moth_meta *result_meta(const step *s)
{
    return s->n_out ? &s->node->out_meta[0] : &s->in[0].meta;
}

/* Slices depend on shapes only, never on the number of threads. */
static void choose_slice(const moth_plan *plan, region *r)
{
    int64_t widest = 1;
    bool broad = r->domain < 0;
    for (int k = 0; k < r->n_steps; k++) {
        const step *s = &plan->steps[r->steps[k]];
        int64_t n = elements(result_meta(s), 1, plan);
        widest = n > widest ? n : widest;
        for (int i = 0; i < s->n_in; i++) {
            broad = broad ||
                    (s->in[i].kind != SOURCE_NONE && !s->in[i].sliced && elements(&s->in[i].meta, 0, plan) >= BROAD);
        }
    }
    r->slice = broad ? MOTH_ROW_TILE : moth_slice_rows(r->domain, widest);
}

static moth_status form_regions(moth_ctx *ctx, moth_plan *plan, const int *root)
{
    plan->regions = moth_calloc(((size_t)plan->n_steps + 1) * sizeof *plan->regions);
    plan->region_steps = moth_calloc(((size_t)plan->n_steps + 1) * sizeof *plan->region_steps);
    if (!plan->regions || !plan->region_steps) {
        return moth_fail_memory(ctx, plan->n_steps * (int64_t)sizeof *plan->regions);
    }
    for (int n = 0; n < plan->n_steps; n++) {
        step *s = &plan->steps[n];
        if (s->node->op->rows && root[n] == n) {
            s->region = plan->n_regions++;
            plan->regions[s->region] = (region){ .level = s->level, .domain = s->domain < 0 ? -1 : s->domain };
        } else if (s->node->op->rows) {
            s->region = plan->steps[root[n]].region;
        }
        if (s->region >= 0) {
            plan->regions[s->region].n_steps++;
        }
    }
    int *next = plan->region_steps;
    for (int i = 0; i < plan->n_regions; i++) {
        plan->regions[i].steps = next;
        next += plan->regions[i].n_steps;
        plan->regions[i].n_steps = 0;
    }
    for (int n = 0; n < plan->n_steps; n++) {
        if (plan->steps[n].region >= 0) {
            region *r = &plan->regions[plan->steps[n].region];
            plan->region_steps[r->steps - plan->region_steps + r->n_steps++] = n;
        }
    }
    for (int i = 0; i < plan->n_regions; i++) {
        choose_slice(plan, &plan->regions[i]);
    }
    return MOTH_OK;
}

/* ---- stages ---- */

/* Elements that a step touches: of its own rows, and of what it needs whole. */
static void add_cost(const moth_plan *plan, const step *s, int64_t *of_rows, int64_t *whole)
{
    for (int i = 0; i < s->n_in; i++) {
        int64_t n = s->in[i].kind == SOURCE_NONE ? 0 : elements(&s->in[i].meta, 0, plan);
        *(s->in[i].sliced ? of_rows : whole) += n;
    }
    for (int k = 0; k < s->n_out; k++) {
        *of_rows += elements(&s->node->out_meta[k], 0, plan);
    }
}

static void add_unit(moth_plan *plan, int level, int r, int n)
{
    int64_t of_rows = 0, whole = 0, items = 1;
    stage *at = &plan->stages[level];
    int phases = r >= 0 ? 1 : plan->steps[n].node->op->n_phases;
    if (r >= 0) {
        const region *it = &plan->regions[r];
        for (int k = 0; k < it->n_steps; k++) {
            add_cost(plan, &plan->steps[it->steps[k]], &of_rows, &whole);
        }
        int64_t base = it->domain < 0 ? plan->capacity : it->domain;
        items = base > it->slice ? (base + it->slice - 1) / it->slice : 1;
    } else {
        add_cost(plan, &plan->steps[n], &of_rows, &whole);
    }
    plan->units[plan->n_units++] = (unit){ .level = level, .region = r, .step = n, .cost = of_rows / items + whole };
    at->count++;
    at->phases = phases > at->phases ? phases : at->phases;
    at->cost += of_rows + whole;
}

static int by_level_and_cost(const void *a, const void *b)
{
    const unit *ua = a, *ub = b;
    if (ua->level != ub->level) {
        return ua->level - ub->level;
    }
    if (ua->cost != ub->cost) {
        return ua->cost > ub->cost ? -1 : 1;
    }
    return ua->step - ub->step;
}

static moth_status form_stages(moth_ctx *ctx, moth_plan *plan)
{
    size_t room = (size_t)plan->n_steps + 1;
    plan->stages = moth_calloc(((size_t)plan->n_levels + 1) * sizeof *plan->stages);
    plan->units = moth_malloc(room * sizeof *plan->units);
    plan->running = moth_malloc(room * sizeof *plan->running);
    if (!plan->stages || !plan->units || !plan->running) {
        return moth_fail_memory(ctx, (int64_t)(room * sizeof *plan->units));
    }
    for (int i = 0; i < plan->n_regions; i++) {
        add_unit(plan, plan->regions[i].level, i, plan->regions[i].steps[0]);
    }
    for (int n = 0; n < plan->n_steps; n++) {
        if (plan->steps[n].region < 0) {
            add_unit(plan, plan->steps[n].level, -1, n);
        }
    }
    qsort(plan->units, (size_t)plan->n_units, sizeof *plan->units, by_level_and_cost);
    for (int u = plan->n_units - 1; u >= 0; u--) {
        plan->stages[plan->units[u].level].first = u;
    }
    for (int level = 0; level < plan->n_levels; level++) {
        plan->stages[level].small = plan->stages[level].cost < SMALL_STAGE;
    }
    return MOTH_OK;
}

moth_status plan_schedule(moth_ctx *ctx, moth_plan *plan)
{
    int *root = moth_malloc(((size_t)plan->n_steps + 1) * sizeof *root);
    if (!root) {
        return moth_fail_memory(ctx, plan->n_steps * (int64_t)sizeof *root);
    }
    moth_status status = plan_levels(ctx, plan, root);
    if (status == MOTH_OK) {
        status = form_regions(ctx, plan, root);
    }
    moth_free(root);
    return status == MOTH_OK ? form_stages(ctx, plan) : status;
}
