/* Levels. A level is a stage with a barrier behind it. A step runs one level after what it depends on, or in the same
 * level where it needs only the rows that the other has just made: then both belong to one region.
 *
 * Changes of variables (effects) come after everything that outputs need of the inputs and all that checks need, so
 * that a run which stops at bad data has changed nothing; after every step that reads the variable; and among
 * themselves in the order of recording. */
#include <stdlib.h>

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

enum { MOST_METAS = 16 };

static bool wants_whole(const step *s, int i)
{
    const moth_op *op = s->node->op;
    const moth_meta *out = s->n_out ? &s->node->out_meta[0] : &s->in[0].meta;
    if (op->whole) {
        const moth_meta *metas[MOST_METAS];
        static const moth_meta absent;
        for (int j = 0; j < s->n_in && j < MOST_METAS; j++) {
            metas[j] = s->in[j].kind == SOURCE_NONE ? &absent : &s->in[j].meta;
        }
        return s->n_in > MOST_METAS || op->whole(&s->node->attrs, metas, out, i);
    }
    return s->in[i].meta.rank != out->rank || plan_dim0(&s->in[i].meta) != plan_dim0(out) || out->rank == 0;
}

/* A placeholder of any number of rows has them only at a run: no step can be cut by them. */
static bool any_rows(const moth_plan *plan, const operand *in)
{
    return !plan->fixed_inputs && in->kind == SOURCE_INPUT && in->root.rank > 0 && in->root.shape[0] == 0;
}

static moth_status mark_slices(moth_ctx *ctx, const moth_plan *plan, step *s)
{
    const moth_op *op = s->node->op;
    s->domain = plan_dim0(s->n_out ? &s->node->out_meta[0] : &s->in[0].meta);
    for (int i = 0; i < s->n_in; i++) {
        operand *in = &s->in[i];
        bool rows_only = op->rows && in->kind != SOURCE_NONE && !wants_whole(s, i);
        if (rows_only && any_rows(plan, in)) {
            return moth_fail(ctx, MOTH_ERR_ARGUMENT, "%s: takes a whole data set; take the rows of the batch first",
                             op->name);
        }
        in->sliced =
            rows_only && plan_same_domain(s->domain, plan_dim0(&in->meta)) && plan_rows_aligned(&in->meta, &in->root);
    }
    return MOTH_OK;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

/* ---- variables ---- */

/* A step that reads or changes the storage of a leaf. */
typedef struct touch {
    const moth_storage *storage;
    int step, input;
    int64_t from, to; /* elements of the storage that the leaf covers */
    bool changes;
} touch;

typedef struct touches {
    touch *at; /* by storage, then by step */
    int count;
} touches;

static int by_storage(const void *a, const void *b)
{
    const touch *ta = a, *tb = b;
    if (ta->storage != tb->storage) {
        return (uintptr_t)ta->storage < (uintptr_t)tb->storage ? -1 : 1;
    }
    return ta->step != tb->step ? ta->step - tb->step : ta->input - tb->input;
}

static touch touch_of(const step *s, int n, int i)
{
    const moth_tensor *leaf = s->in[i].leaf;
    touch t = { .storage = leaf->storage, .step = n, .input = i, .changes = plan_changes(s, i) };
    t.from = t.to = leaf->meta.offset;
    for (int d = 0; d < leaf->meta.rank; d++) {
        t.to += (leaf->meta.shape[d] - 1) * leaf->meta.stride[d];
    }
    t.to++;
    return t;
}

/* Only storages that some effect changes matter. */
static void drop_unchanged(touches *all)
{
    int kept = 0;
    for (int i = 0; i < all->count;) {
        int end = i;
        bool changed = false;
        for (; end < all->count && all->at[end].storage == all->at[i].storage; end++) {
            changed = changed || all->at[end].changes;
        }
        for (int j = i; changed && j < end; j++) {
            all->at[kept++] = all->at[j];
        }
        i = end;
    }
    all->count = kept;
}

static moth_status find_touches(moth_ctx *ctx, const moth_plan *plan, touches *all)
{
    int64_t count = 0;
    for (int n = 0; n < plan->n_steps; n++) {
        count += plan->steps[n].n_in;
    }
    *all = (touches){ .at = moth_malloc(((size_t)count + 1) * sizeof *all->at) };
    if (!all->at) {
        return moth_fail_memory(ctx, count * (int64_t)sizeof *all->at);
    }
    for (int n = 0; n < plan->n_steps; n++) {
        const step *s = &plan->steps[n];
        for (int i = 0; i < s->n_in; i++) {
            if (s->in[i].kind == SOURCE_LEAF) {
                all->at[all->count++] = touch_of(s, n, i);
            }
        }
    }
    qsort(all->at, (size_t)all->count, sizeof *all->at, by_storage);
    drop_unchanged(all);
    return MOTH_OK;
}

/* First touch of a storage. */
static int first_touch(const touches *all, const moth_storage *storage)
{
    int low = 0, high = all->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if ((uintptr_t)all->at[middle].storage < (uintptr_t)storage) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Both take the same rows of the same variable, the older one first: they may share a region. */
static bool share_rows(const step *older, const operand *a, const step *younger, const operand *b)
{
    return a->sliced && b->sliced && older->node->op->rows && younger->node->op->rows &&
           older->domain == younger->domain && a->leaf->meta.offset == b->leaf->meta.offset &&
           moth_meta_same_layout(&a->leaf->meta, &b->leaf->meta);
}

/* Calls `meet` for each earlier use of a variable that the late step n has to wait for. Steps that are not late read
 * the old value wherever they were recorded; late steps see each other in order. */
typedef void (*meet_fn)(moth_plan *plan, int older, int n, bool shared, void *user);

static void for_conflicts(moth_plan *plan, const touches *all, int n, meet_fn meet, void *user)
{
    const step *s = &plan->steps[n];
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].kind != SOURCE_LEAF) {
            continue;
        }
        touch own = touch_of(s, n, i);
        for (int k = first_touch(all, own.storage); k < all->count && all->at[k].storage == own.storage; k++) {
            const touch *t = &all->at[k];
            const step *e = &plan->steps[t->step];
            bool apart = t->from >= own.to || own.from >= t->to || !(t->changes || own.changes);
            if (!apart && t->step != n && (!e->late || t->step < n)) {
                meet(plan, t->step, n, t->step < n && share_rows(e, &e->in[t->input], s, &s->in[i]), user);
            }
        }
    }
}

static void wait_for(moth_plan *plan, int older, int n, bool shared, void *user)
{
    int *level = user;
    (void)n;
    *level = max_int(*level, plan->steps[older].level + (shared ? 0 : 1));
}

/* ---- levels ---- */

static int dependency_level(const moth_plan *plan, const step *s)
{
    int level = 0;
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].kind == SOURCE_ARENA) {
            const step *producer = &plan->steps[plan->values[s->in[i].value].step];
            level = max_int(level, producer->level + (plan_fuses(producer, s, &s->in[i]) ? 0 : 1));
        }
    }
    return level;
}

static bool reads_late(const moth_plan *plan, const step *s)
{
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].kind == SOURCE_ARENA && plan->steps[plan->values[s->in[i].value].step].late) {
            return true;
        }
    }
    return false;
}

/* Can the data of a run reach the step? What variables alone decide, a penalty for example, need not hold up effects.
 */
static bool reads_inputs(const moth_plan *plan, const step *s)
{
    for (int i = 0; i < s->n_in; i++) {
        const operand *in = &s->in[i];
        if (in->kind == SOURCE_INPUT || (in->kind == SOURCE_ARENA && plan->steps[plan->values[in->value].step].fed)) {
            return true;
        }
    }
    return false;
}

static moth_status find_check_level(moth_ctx *ctx, moth_plan *plan)
{
    plan->check_level = -1;
    for (int i = 0; i < plan->n_checks; i++) {
        if (plan->checks[i].kind == SOURCE_ARENA) {
            const step *maker = &plan->steps[plan->values[plan->checks[i].value].step];
            if (maker->late) {
                return moth_fail(ctx, MOTH_ERR_STATE, "plan: %s is to be checked before the changes it depends on",
                                 plan->check_names[i]);
            }
            plan->check_level = max_int(plan->check_level, maker->level);
        }
    }
    return MOTH_OK;
}

static moth_status assign_levels(moth_ctx *ctx, moth_plan *plan, const touches *all)
{
    int effects_from = 0;
    for (int n = 0; n < plan->n_steps; n++) {
        step *s = &plan->steps[n];
        s->late = s->effect || s->in_order || reads_late(plan, s);
        s->fed = reads_inputs(plan, s);
        if (!s->late) {
            s->level = dependency_level(plan, s);
            effects_from = s->fed && !s->effect_only ? max_int(effects_from, s->level + 1) : effects_from;
        }
    }
    MOTH_TRY(find_check_level(ctx, plan));
    effects_from = max_int(effects_from, plan->check_level + 1);
    for (int n = 0; n < plan->n_steps; n++) {
        step *s = &plan->steps[n];
        if (s->late) {
            s->level = max_int(dependency_level(plan, s), s->effect ? effects_from : 0);
            for_conflicts(plan, all, n, wait_for, &s->level);
        }
    }
    plan->n_levels = 0;
    for (int n = 0; n < plan->n_steps; n++) {
        plan->n_levels = max_int(plan->n_levels, plan->steps[n].level + 1);
    }
    plan->effect_level = plan->n_levels;
    for (int n = 0; n < plan->n_steps; n++) {
        if (plan->steps[n].effect && plan->steps[n].level < plan->effect_level) {
            plan->effect_level = plan->steps[n].level;
        }
    }
    return MOTH_OK;
}

/* ---- what belongs together ---- */

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
    parent[max_int(ra, rb)] = ra < rb ? ra : rb;
}

static void unite_shared(moth_plan *plan, int older, int n, bool shared, void *user)
{
    if (shared && plan->steps[older].level == plan->steps[n].level) {
        unite(user, older, n);
    }
}

/* Joins row steps of one level that pass rows to each other, or share the rows of a variable. */
static void join_steps(moth_plan *plan, const touches *all, int *parent)
{
    for (int n = 0; n < plan->n_steps; n++) {
        parent[n] = n;
    }
    for (int n = 0; n < plan->n_steps; n++) {
        const step *s = &plan->steps[n];
        for (int i = 0; i < s->n_in; i++) {
            int p = s->in[i].kind == SOURCE_ARENA ? plan->values[s->in[i].value].step : -1;
            if (p >= 0 && plan->steps[p].level == s->level && plan_fuses(&plan->steps[p], s, &s->in[i])) {
                unite(parent, p, n);
            }
        }
        if (s->late) {
            for_conflicts(plan, all, n, unite_shared, parent);
        }
    }
    for (int n = 0; n < plan->n_steps; n++) {
        parent[n] = find_root(parent, n);
    }
}

moth_status plan_levels(moth_ctx *ctx, moth_plan *plan, int *parent)
{
    touches all;
    for (int n = 0; n < plan->n_steps; n++) {
        MOTH_TRY(mark_slices(ctx, plan, &plan->steps[n]));
    }
    MOTH_TRY(find_touches(ctx, plan, &all));
    moth_status status = assign_levels(ctx, plan, &all);
    if (status == MOTH_OK) {
        join_steps(plan, &all, parent);
    }
    moth_free(all.at);
    return status;
}
