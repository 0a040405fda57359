/* Parts of a tensor by position: t[i], t[{i, {first, last}, {}}], as views, and assignment to them. Positions count
 * from 1, ranges include both ends, dims that are left out are taken whole. */
#include <string.h>

#include "tensor.h"

/* What is taken of each dim: positions first .. last-1 from 0; a point drops the dim. */
typedef struct selection {
    int rank;
    struct {
        int64_t first, last;
        bool point, whole;
    } dim[MOTH_MAX_RANK];
    int points;
} selection;

static int out_of_range(lua_State *L, const moth_tensor *t, int d, const char *what, int64_t position)
{
    char text[160];
    return mothb_error(L, "%s %lld is outside 1..%lld (dim %d of shape %s)", what, (long long)position,
                       (long long)t->meta.shape[d], d + 1, moth_meta_text(&t->meta, text, sizeof text));
}

/* The integer at stack index `at`. */
static int64_t position_at(lua_State *L, int at)
{
    int64_t position;
    if (!mothb_to_int(L, at, &position)) {
        mothb_error(L, "a position must be an integer, got %s", mothb_show(L, at));
    }
    return position;
}

/* An empty list takes everything; names in it ({ first = 2 }) must not look like one. */
static void check_nameless(lua_State *L, int list)
{
    lua_pushnil(L);
    if (lua_next(L, list)) {
        lua_pop(L, 1);
        mothb_error(L, "positions and ranges are lists without names, got the key %s", mothb_show(L, -1));
    }
}

static void select_range(lua_State *L, const moth_tensor *t, int d, int list, selection *s)
{
    int64_t n = t->meta.shape[d];
    lua_Unsigned entries = lua_rawlen(L, list);
    if (entries == 0) {
        check_nameless(L, list);
        s->dim[d].last = n;
        s->dim[d].whole = true;
        return;
    }
    if (entries != 2) {
        mothb_error(L, "a range is {first, last}, or {} for all, got %llu entries", (unsigned long long)entries);
    }
    lua_rawgeti(L, list, 1);
    lua_rawgeti(L, list, 2);
    int64_t first = position_at(L, -2), last = position_at(L, -1);
    lua_pop(L, 2);
    if (n >= 0 && (first < 1 || first > n + 1)) {
        out_of_range(L, t, d, "range from", first);
    }
    if (n >= 0 && (last < first - 1 || last > n)) {
        out_of_range(L, t, d, "range to", last);
    }
    s->dim[d].first = first - 1;
    s->dim[d].last = last;
    s->dim[d].whole = first == 1 && last == n;
}

static void select_dim(lua_State *L, const moth_tensor *t, int d, int at, selection *s)
{
    if (lua_istable(L, at)) {
        select_range(L, t, d, at, s);
        return;
    }
    int64_t position = position_at(L, at), n = t->meta.shape[d];
    if (n >= 0 && (position < 1 || position > n)) {
        out_of_range(L, t, d, "position", position);
    }
    s->dim[d].first = position - 1;
    s->dim[d].last = position;
    s->dim[d].point = true;
    s->points++;
}

/* Reads the key at index 2. */
static selection parse_key(lua_State *L, const moth_tensor *t)
{
    selection s = { .rank = t->meta.rank };
    bool list = lua_istable(L, 2);
    if (!list && lua_type(L, 2) != LUA_TNUMBER) {
        mothb_error(L, "a tensor is indexed by a position, a list of positions and ranges, or a name, got %s",
                    mothb_typename(L, 2));
    }
    lua_Unsigned given = list ? lua_rawlen(L, 2) : 1;
    if (given == 0) {
        check_nameless(L, 2);
    }
    if (given > (lua_Unsigned)s.rank) {
        char text[160];
        mothb_error(L, "%llu positions for a tensor of shape %s", (unsigned long long)given,
                    moth_meta_text(&t->meta, text, sizeof text));
    }
    for (int d = 0; d < s.rank; d++) {
        if (d >= (int)given) {
            s.dim[d].last = t->meta.shape[d];
            s.dim[d].whole = true;
        } else if (list) {
            lua_rawgeti(L, 2, d + 1);
            select_dim(L, t, d, lua_gettop(L), &s);
            lua_pop(L, 1);
        } else {
            select_dim(L, t, d, 2, &s);
        }
    }
    return s;
}

/* Meta of the part inside t's memory; points keep a dim of 1 when `keep`. */
static moth_meta part_meta(const moth_tensor *t, const selection *s, bool keep)
{
    moth_meta m = { .dtype = t->meta.dtype, .offset = t->meta.offset };
    for (int d = 0; d < s->rank; d++) {
        m.offset += s->dim[d].first * t->meta.stride[d];
        if (!s->dim[d].point || keep) {
            m.shape[m.rank] = s->dim[d].last - s->dim[d].first;
            m.stride[m.rank++] = t->meta.stride[d];
        }
    }
    return m;
}

static bool is_recorded(lua_State *L, const moth_tensor *t)
{
    return mothb_traced(L, t) || (mothb_ctx(L)->grad_enabled && t->requires_grad);
}

/* ---- reading ---- */

static void push_recorded_part(lua_State *L, moth_tensor *t, const selection *s)
{
    moth_attrs drop = { .i = { 0 } };
    mothb_push_tensor(L, t);
    for (int d = 0; d < s->rank; d++) {
        if (s->dim[d].point) {
            drop.i[++drop.i[0]] = d;
        }
        if (!s->dim[d].whole) {
            moth_attrs range = { .i = { d, s->dim[d].first, s->dim[d].last } };
            t = mothb_apply1(L, MOTH_OP_slice, &range, 1, &t);
            lua_remove(L, -2);
        }
    }
    if (s->points) {
        mothb_apply1(L, MOTH_OP_squeeze, &drop, 1, &t);
    }
}

int mothb_tensor_index(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    selection s = parse_key(L, t);
    if (s.points == s.rank && s.rank > 0) {
        mothb_check_concrete(L, t, "index");
        mothb_push_element(L, t, part_meta(t, &s, false).offset - t->meta.offset);
    } else if (is_recorded(L, t)) {
        push_recorded_part(L, t, &s);
    } else {
        moth_meta meta = part_meta(t, &s, false);
        moth_tensor **box = mothb_new_tensor(L);
        MOTHB_CALL(L, moth_tensor_handle(mothb_ctx(L), &meta, t->storage, box));
    }
    return 1;
}

/* ---- assigning ---- */

/* A number that goes into an integer tensor must be one. */
static void check_fits(lua_State *L, const moth_tensor *t, double value)
{
    if (!mothb_fits(t->meta.dtype, value)) {
        mothb_error(L, "%.14g does not fit into a tensor of %s", value, moth_dtype_name(t->meta.dtype));
    }
}

/* The value in the shape of the part, by expansion; stays on the stack. */
static moth_tensor *push_expanded(lua_State *L, moth_tensor *value, const moth_meta *part)
{
    moth_attrs attrs = { .i = { part->rank } };
    memcpy(attrs.i + 1, part->shape, (size_t)part->rank * sizeof part->shape[0]);
    return mothb_apply1(L, MOTH_OP_expand, &attrs, 1, &value);
}

/* 1 inside the part, 0 elsewhere; dims that are taken whole have size 1. Pushed. */
static moth_tensor *push_mask(lua_State *L, const moth_tensor *t, const selection *s)
{
    int64_t shape[MOTH_MAX_RANK];
    moth_meta part = { .dtype = MOTH_UINT8, .rank = s->rank };
    for (int d = 0; d < s->rank; d++) {
        shape[d] = s->dim[d].whole ? 1 : t->meta.shape[d];
        part.shape[d] = s->dim[d].whole ? 1 : s->dim[d].last - s->dim[d].first;
    }
    moth_tensor **mask = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_tensor_zeros(mothb_ctx(L), MOTH_UINT8, s->rank, shape, mask));
    memcpy(part.stride, (*mask)->meta.stride, sizeof part.stride);
    for (int d = 0; d < s->rank; d++) {
        part.offset += s->dim[d].whole ? 0 : s->dim[d].first * part.stride[d];
    }
    moth_tensor inside = { .meta = part, .storage = (*mask)->storage };
    int64_t n = moth_meta_elements(&part);
    for (int64_t i = 0; i < n; i++) {
        moth_tensor_set_element(&inside, i, 1);
    }
    return *mask;
}

/* t with the part replaced, as a new tensor with history: where(inside, value among zeros, t). Pushed. */
static moth_tensor *push_replaced(lua_State *L, moth_tensor *t, const selection *s, moth_tensor *value)
{
    moth_meta part = part_meta(t, s, false), kept = part_meta(t, s, true);
    value = push_expanded(L, value, &part);
    moth_attrs attrs = { .i = { kept.rank } };
    memcpy(attrs.i + 1, kept.shape, (size_t)kept.rank * sizeof kept.shape[0]);
    value = mothb_apply1(L, MOTH_OP_reshape, &attrs, 1, &value);
    for (int d = 0; d < s->rank; d++) {
        if (!s->dim[d].whole) {
            kept.shape[d] = t->meta.shape[d];
            moth_attrs pad = { .i = { d, s->dim[d].first, kept.rank } };
            memcpy(pad.i + 3, kept.shape, (size_t)kept.rank * sizeof kept.shape[0]);
            value = mothb_apply1(L, MOTH_OP_pad_slice, &pad, 1, &value);
        }
    }
    moth_tensor *in[3] = { push_mask(L, t, s), value, t };
    return mothb_apply1(L, MOTH_OP_where, NULL, 3, in);
}

int mothb_tensor_newindex(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    selection s = parse_key(L, t);
    mothb_change change = mothb_change_begin(L, t, "assignment");
    bool number = lua_type(L, 3) == LUA_TNUMBER;
    if (number) {
        check_fits(L, t, lua_tonumber(L, 3));
    } else if (!mothb_is_tensor(L, 3)) {
        return mothb_error(L, "a number or a tensor can be assigned to a part of a tensor, got %s",
                           mothb_typename(L, 3));
    }
    moth_meta part = part_meta(t, &s, false);
    if (number && s.points == s.rank && !is_recorded(L, t)) {
        moth_tensor element = { .meta = part, .storage = t->storage };
        moth_tensor_set_element(&element, 0, lua_tonumber(L, 3));
        t->storage->version++;
        return 0;
    }
    luaL_checkstack(L, 4 * MOTH_MAX_RANK, NULL);
    moth_tensor *value = mothb_operand(L, 3, t->meta.dtype);
    if (is_recorded(L, t) || is_recorded(L, value)) {
        mothb_change_store(L, &change, push_replaced(L, t, &s, value));
        return 0;
    }
    if (value->meta.dtype == MOTH_FLOAT32 && t->meta.dtype != MOTH_FLOAT32) {
        return mothb_error(L, "assignment: the value is float32, the tensor %s; convert it with to",
                           moth_dtype_name(t->meta.dtype));
    }
    value = push_expanded(L, value, &part);
    moth_tensor **view = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_tensor_handle(mothb_ctx(L), &part, t->storage, view));
    MOTHB_CALL(L, moth_tensor_copy_into(mothb_ctx(L), *view, value));
    return 0;
}
