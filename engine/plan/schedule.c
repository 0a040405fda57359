/* Levels and regions. A level is a stage with a barrier behind it; inside a level, row steps that hand each other
 * their rows form a region, which a worker runs through slice by slice. */
#include <string.h>

#include "plan/internal.h"

bool plan_rows_aligned(const moth_meta *seen, const moth_meta *root)
{
    int64_t a = plan_dim0(seen), b = plan_dim0(root);
    if (seen->rank == 0 || root->rank == 0 || (a < 0) != (b < 0) || (a >= 0 && a != b)) {
        return false;
    }
    int64_t root_row = 1;
    for (int d = 1; d < root->rank; d++) {
        root_row *= root->shape[d];
    }
    /* one base row covers |a| rows of the view and |b| rows of the value */
    int64_t rows_a = a < 0 ? -a : 1, rows_b = b < 0 ? -b : 1;
    int64_t pitch = seen->shape[0] == 1 && a > 0 ? root_row : seen->stride[0] * rows_a;
    int64_t start = seen->offset - root->offset;
    int64_t reach = start + (rows_a - 1) * seen->stride[0];
    for (int d = 1; d < seen->rank; d++) {
        reach += (seen->shape[d] > 0 ? seen->shape[d] - 1 : 0) * seen->stride[d];
    }
    return pitch == root_row * rows_b && start >= 0 && reach < root_row * rows_b;
}

static bool wants_whole(const step *s, int i)
{
    const moth_op *op = s->node->op;
    const moth_meta *metas[16];
    static const moth_meta absent;
    moth_meta none = { 0 };
    const moth_meta *out = s->n_out ? &s->node->out_meta[0] : &s->in[0].meta;
    if (op->whole && s->n_in <= 16) {
        for (int j = 0; j < s->n_in; j++) {
            metas[j] = s->in[j].kind == SOURCE_NONE ? &absent : &s->in[j].meta;
        }
        return op->whole(&s->node->attrs, metas, out ? out : &none, i);
    }
    return s->in[i].meta.rank != out->rank || plan_dim0(&s->in[i].meta) != plan_dim0(out) || out->rank == 0;
}

static void mark_slices(step *s)
{
    const moth_op *op = s->node->op;
    s->domain = s->n_out ? plan_dim0(&s->node->out_meta[0]) : plan_dim0(&s->in[0].meta);
    for (int i = 0; i < s->n_in; i++) {
        operand *in = &s->in[i];
        in->sliced = op->rows && in->kind != SOURCE_NONE && !wants_whole(s, i) &&
                     plan_same_domain(s->domain, plan_dim0(&in->meta)) && plan_rows_aligned(&in->meta, &in->root);
    }
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static bool fuses(const step *producer, const step *consumer, const operand *in)
{
    return in->sliced && producer->node->op->rows && consumer->node->op->rows &&
           plan_same_domain(producer->domain, consumer->domain);
}

/* Bytes of a leaf's storage that an operand covers. */
static void leaf_range(const operand *o, int64_t *from, int64_t *to)
{
    int64_t low = o->leaf->meta.offset, high = low;
    for (int d = 0; d < o->leaf->meta.rank; d++) {
        high += (o->leaf->meta.shape[d] - 1) * o->leaf->meta.stride[d];
    }
    *from = low;
    *to = high + 1;
}

static bool same_memory(const operand *a, const operand *b)
{
    if (a->kind != SOURCE_LEAF || b->kind != SOURCE_LEAF || a->leaf->storage != b->leaf->storage) {
        return false;
    }
    int64_t a0, a1, b0, b1;
    leaf_range(a, &a0, &a1);
    leaf_range(b, &b0, &b1);
    return a0 < b1 && b0 < a1;
}

static bool mutates(const step *s, int i)
{
    return moth_op_bit(s->node->op->mutates, i);
}

/* The level before which `s` must not run because of what the earlier step `e` does to the same variable: readers
 * before a change keep the old value, later effects see the new one. Both reading is no conflict. Two steps that
 * take the same rows of it may share a region. */
static int conflict_level(const step *e, const step *s)
{
    int level = 0;
    for (int i = 0; i < s->n_in; i++) {
        for (int j = 0; j < e->n_in; j++) {
            if (!(mutates(s, i) || mutates(e, j)) || !same_memory(&s->in[i], &e->in[j])) {
                continue;
            }
            bool shared = s->in[i].sliced && e->in[j].sliced && plan_same_domain(s->domain, e->domain);
            level = max_int(level, e->level + (shared ? 0 : 1));
        }
    }
    return level;
}

static int dependency_level(const moth_plan *plan, const step *s)
{
    int level = 0;
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].kind == SOURCE_ARENA) {
            const step *producer = &plan->steps[plan->values[s->in[i].value].step];
            level = max_int(level, producer->level + (fuses(producer, s, &s->in[i]) ? 0 : 1));
        }
    }
    return level;
}

/* Outputs and checks first: where they end decides from where on effects may run. A step that serves effects alone is
 * never needed by the others, so the second round finds all it depends on. */
static void assign_levels(moth_plan *plan)
{
    int check_level = -1;
    for (int n = 0; n < plan->n_steps; n++) {
        step *s = &plan->steps[n];
        mark_slices(s);
        if (!s->effect_only) {
            s->level = dependency_level(plan, s);
        }
    }
    for (int i = 0; i < plan->n_checks; i++) {
        if (plan->checks[i].kind == SOURCE_ARENA) {
            check_level = max_int(check_level, plan->steps[plan->values[plan->checks[i].value].step].level);
        }
    }
    plan->check_level = check_level;
    for (int n = 0; n < plan->n_steps; n++) {
        step *s = &plan->steps[n];
        if (!s->effect_only) {
            continue;
        }
        s->level = dependency_level(plan, s);
        s->level = max_int(s->level, s->effect ? check_level + 1 : 0);
        for (int m = 0; m < plan->n_steps; m++) {
            const step *e = &plan->steps[m];
            if (m != n && (s->effect || e->effect) && (m < n || !e->effect_only)) {
                s->level = max_int(s->level, conflict_level(e, s));
            }
        }
    }
    plan->n_levels = 0;
    for (int n = 0; n < plan->n_steps; n++) {
        plan->n_levels = max_int(plan->n_levels, plan->steps[n].level + 1);
    }
}

static int find_root(int *parent, int i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

static void unite(int *parent, int a, int b)
{
    int ra = find_root(parent, a), rb = find_root(parent, b);
    if (ra != rb) {
        parent[max_int(ra, rb)] = ra < rb ? ra : rb;
    }
}

/* Joins row steps of one level that pass rows to each other, or share the rows of a variable. */
static void join_steps(const moth_plan *plan, int *parent)
{
    for (int n = 0; n < plan->n_steps; n++) {
        const step *s = &plan->steps[n];
        parent[n] = n;
        for (int i = 0; s->node->op->rows && i < s->n_in; i++) {
            int p = s->in[i].kind == SOURCE_ARENA ? plan->values[s->in[i].value].step : -1;
            if (p >= 0 && plan->steps[p].level == s->level && fuses(&plan->steps[p], s, &s->in[i])) {
                unite(parent, p, n);
            }
        }
        for (int m = 0; s->effect_only && m < n; m++) {
            const step *e = &plan->steps[m];
            if (e->level == s->level && (s->effect || e->effect) && e->node->op->rows && s->node->op->rows &&
                conflict_level(e, s) == s->level && plan_same_domain(e->domain, s->domain)) {
                for (int i = 0; i < s->n_in; i++) {
                    for (int j = 0; j < e->n_in; j++) {
                        if ((mutates(s, i) || mutates(e, j)) && same_memory(&s->in[i], &e->in[j])) {
                            unite(parent, m, n);
                        }
                    }
                }
            }
        }
    }
}

static int64_t row_elements(const moth_plan *plan, const step *s)
{
    const moth_meta *m = s->n_out ? &plan->values[s->out[0]].meta : &s->in[0].meta;
    int64_t n = 1;
    for (int d = 1; d < m->rank; d++) {
        n *= m->shape[d];
    }
    return n;
}

static void choose_slice(const moth_plan *plan, region *r)
{
    if (r->domain < 0) {
        r->slice = MOTH_ROW_TILE;
        return;
    }
    int64_t widest = 1;
    for (int i = 0; i < r->n_steps; i++) {
        int64_t n = row_elements(plan, &plan->steps[r->steps[i]]);
        widest = n > widest ? n : widest;
    }
    r->slice = moth_slice_rows(r->domain, widest);
}

static moth_status form_regions(moth_ctx *ctx, moth_plan *plan, int *parent)
{
    join_steps(plan, parent);
    plan->regions = moth_calloc(((size_t)plan->n_steps + 1) * sizeof *plan->regions);
    if (!plan->regions) {
        return moth_fail_memory(ctx, plan->n_steps * (int64_t)sizeof *plan->regions);
    }
    for (int n = 0; n < plan->n_steps; n++) {
        step *s = &plan->steps[n];
        if (!s->node->op->rows) {
            continue;
        }
        int root = find_root(parent, n);
        if (root == n) {
            region *r = &plan->regions[plan->n_regions];
            *r = (region){ .level = s->level, .domain = s->domain < 0 ? -1 : s->domain };
            r->steps = moth_malloc(((size_t)plan->n_steps + 1) * sizeof *r->steps);
            if (!r->steps) {
                return moth_fail_memory(ctx, plan->n_steps * (int64_t)sizeof *r->steps);
            }
            s->region = plan->n_regions++;
        } else {
            s->region = plan->steps[root].region;
        }
        region *r = &plan->regions[s->region];
        r->steps[r->n_steps++] = n;
    }
    for (int i = 0; i < plan->n_regions; i++) {
        choose_slice(plan, &plan->regions[i]);
    }
    return MOTH_OK;
}

moth_status plan_schedule(moth_ctx *ctx, moth_plan *plan)
{
    assign_levels(plan);
    int *parent = moth_malloc(((size_t)plan->n_steps + 1) * sizeof *parent);
    if (!parent) {
        return moth_fail_memory(ctx, plan->n_steps * (int64_t)sizeof *parent);
    }
    moth_status status = form_regions(ctx, plan, parent);
    moth_free(parent);
    return status;
}
