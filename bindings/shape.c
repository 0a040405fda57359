/* Methods and functions on tensors that the op table alone does not give: other argument orders, lists of tensors,
 * copies, results that are several tensors. */
#include <math.h>
#include <string.h>

#include "tensor.h"

/* ---- types and copies ---- */

static int tensor_to(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    moth_attrs attrs = { .i = { mothb_check_dtype(L, 2) } };
    if (attrs.i[0] == (int64_t)t->meta.dtype) {
        lua_pushvalue(L, 1);
    } else {
        mothb_apply1(L, MOTH_OP_to, &attrs, 1, &t);
    }
    return 1;
}

static int tensor_clone(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    mothb_apply1(L, MOTH_OP_contiguous, NULL, 1, &t);
    return 1;
}

static int tensor_contiguous(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    if (moth_meta_contiguous(&t->meta)) {
        lua_pushvalue(L, 1);
        return 1;
    }
    return tensor_clone(L);
}

static int tensor_transposed(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    moth_attrs attrs = { .i = { 0, 1 } };
    if (t->meta.rank > 2) {
        char text[160];
        return mothb_error(L, "T: at most two dimensions, got %s; use transpose or permute",
                           moth_meta_text(&t->meta, text, sizeof text));
    }
    if (t->meta.rank < 2) {
        lua_pushvalue(L, 1);
    } else {
        mothb_apply1(L, MOTH_OP_transpose, &attrs, 1, &t);
    }
    return 1;
}

/* ---- parts ---- */

/* A dim argument for a tensor of that rank, from 0. */
static int check_dim(lua_State *L, int arg, int rank, int64_t fallback)
{
    int64_t dim = mothb_opt_int(L, arg, -rank, rank, fallback);
    if (dim == 0) {
        mothb_arg_error(L, arg, "dims count from 1, got 0");
    }
    return (int)(dim < 0 ? dim + rank : dim - 1);
}

/* slice(dim, first, last): both ends belong to it; without last to the end */
static int tensor_slice(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    if (lua_isnoneornil(L, 2)) {
        return mothb_type_error(L, 2, "dim");
    }
    int dim = check_dim(L, 2, t->meta.rank, 1);
    int64_t n = t->meta.shape[dim], most = n < 0 ? INT32_MAX : n;
    int64_t first = mothb_check_int(L, 3, 1, most + 1);
    int64_t last = mothb_opt_int(L, 4, first - 1, most, n < 0 ? INT64_MAX : n);
    moth_attrs attrs = { .i = { dim, first - 1, last } };
    mothb_apply1(L, MOTH_OP_slice, &attrs, 1, &t);
    return 1;
}

/* A list of integers from `least` on at arg as an int32 tensor, pushed. */
static moth_tensor *integers_from_list(lua_State *L, int arg, const char *what, int64_t least)
{
    int64_t n = (int64_t)lua_rawlen(L, arg);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_tensor_new(mothb_ctx(L), MOTH_INT32, 1, &n, box));
    int32_t *to = (int32_t *)(void *)moth_tensor_data(*box);
    for (int64_t i = 0; i < n; i++) {
        int64_t value;
        lua_rawgeti(L, arg, i + 1);
        if (!mothb_to_int(L, -1, &value) || value < least || value > INT32_MAX) {
            mothb_arg_error(L, arg, "entry %lld: %s expected, got %s", (long long)i + 1, what, mothb_show(L, -1));
        }
        lua_pop(L, 1);
        to[i] = (int32_t)value;
    }
    return *box;
}

/* Positions from 1 in a list or a tensor become an int32 tensor from 0, pushed; n is the size of the dim. */
static moth_tensor *check_positions(lua_State *L, int arg, int64_t n)
{
    moth_tensor *positions;
    if (lua_istable(L, arg)) {
        positions = integers_from_list(L, arg, "position", 1);
    } else if (mothb_is_tensor(L, arg)) {
        positions = mothb_check_tensor(L, arg);
    } else {
        mothb_type_error(L, arg, "list or tensor of positions");
        return NULL;
    }
    int64_t count = moth_tensor_is_symbolic(positions) || n < 0 ? 0 : moth_tensor_count(positions);
    for (int64_t i = 0; i < count; i++) {
        double position = moth_tensor_element(positions, i);
        if (!(position >= 1 && position <= (double)n && position == floor(position))) {
            mothb_arg_error(L, arg, "position %.14g is outside 1..%lld", position, (long long)n);
        }
    }
    if (positions->meta.dtype != MOTH_INT32) {
        moth_attrs attrs = { .i = { MOTH_INT32 } };
        positions = mothb_apply1(L, MOTH_OP_to, &attrs, 1, &positions);
    }
    moth_tensor *in[2] = { positions, mothb_push_scalar(L, 1, MOTH_INT32) };
    return mothb_apply1(L, MOTH_OP_sub, NULL, 2, in);
}

/* cumsum(dim, reverse); without a dim over all elements */
static int tensor_cumsum(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    bool whole = lua_isnoneornil(L, 2);
    int dim = whole ? 0 : check_dim(L, 2, t->meta.rank, 1);
    moth_attrs attrs = { .i = { dim, mothb_opt_bool(L, 3, false) } };
    if (whole) {
        t = mothb_apply1(L, MOTH_OP_flatten, NULL, 1, &t);
    }
    mothb_apply1(L, MOTH_OP_cumsum, &attrs, 1, &t);
    return 1;
}

/* one_hot(ids, depth): ids from 0 in a list or a tensor, also of floats where they are whole */
static int one_hot(lua_State *L)
{
    moth_attrs attrs = { .i = { mothb_check_int(L, 2, 1, INT32_MAX) } };
    if (!lua_istable(L, 1) && !mothb_is_tensor(L, 1)) {
        return mothb_type_error(L, 1, "list or tensor of class ids");
    }
    moth_tensor *ids = lua_istable(L, 1) ? integers_from_list(L, 1, "class id", 0) : mothb_check_tensor(L, 1);
    if (ids->meta.dtype == MOTH_FLOAT32) {
        int64_t n = moth_tensor_is_symbolic(ids) ? 0 : moth_tensor_count(ids);
        for (int64_t i = 0; i < n; i++) {
            double id = moth_tensor_element(ids, i);
            if (!(id >= 0 && id <= INT32_MAX && id == floor(id))) {
                return mothb_arg_error(L, 1, "class ids are whole numbers from 0, got %.14g", id);
            }
        }
        moth_attrs to = { .i = { MOTH_INT32 } };
        ids = mothb_apply1(L, MOTH_OP_to, &to, 1, &ids);
    }
    mothb_apply1(L, MOTH_OP_one_hot, &attrs, 1, &ids);
    return 1;
}

/* index(dim, positions) */
static int tensor_pick(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    if (lua_isnoneornil(L, 2)) {
        return mothb_type_error(L, 2, "dim");
    }
    int dim = check_dim(L, 2, t->meta.rank, 1);
    moth_attrs attrs = { .i = { dim } };
    moth_tensor *in[2] = { t, check_positions(L, 3, t->meta.shape[dim]) };
    mothb_apply1(L, MOTH_OP_index, &attrs, 2, in);
    return 1;
}

/* split(n, dim): n equal parts, or parts of the listed sizes; a list of views */
static int tensor_split(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    int dim = check_dim(L, 3, t->meta.rank, 1);
    int64_t size = t->meta.rank ? t->meta.shape[dim] : 0, first = 0, n;
    bool list = lua_istable(L, 2);
    if (t->meta.rank == 0) {
        return mothb_arg_error(L, 1, "a 0-d tensor has no parts");
    }
    if (size < 0) {
        return mothb_arg_error(L, 3, "rows cannot be split while tracing");
    }
    n = list ? (int64_t)lua_rawlen(L, 2) : mothb_check_int(L, 2, 1, INT32_MAX);
    if (!list && size % n != 0) {
        return mothb_arg_error(L, 2, "%lld entries do not make %lld equal parts", (long long)size, (long long)n);
    }
    lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
    for (int64_t k = 1; k <= n; k++) {
        int64_t part = size / (n ? n : 1);
        if (list) {
            lua_rawgeti(L, 2, k);
            if (!mothb_to_int(L, -1, &part) || part < 0 || part > size - first) {
                return mothb_arg_error(L, 2, "entry %lld: size from 0 to %lld expected, got %s", (long long)k,
                                       (long long)(size - first), mothb_show(L, -1));
            }
            lua_pop(L, 1);
        }
        moth_attrs attrs = { .i = { dim, first, first + part } };
        mothb_apply1(L, MOTH_OP_slice, &attrs, 1, &t);
        lua_rawseti(L, -2, k);
        first += part;
    }
    if (first != size) {
        return mothb_arg_error(L, 2, "the sizes add up to %lld of %lld", (long long)first, (long long)size);
    }
    return 1;
}

/* ---- lists of tensors ---- */

/* The tensors of the list at arg, borrowed from it, in an array that the stack owns. A copy of the list is on the
 * stack too: what lies in it stays alive whatever happens to the original. */
static moth_tensor **check_tensors(lua_State *L, int arg, int *n)
{
    if (!lua_istable(L, arg)) {
        mothb_type_error(L, arg, "list of tensors");
    }
    lua_Unsigned count = lua_rawlen(L, arg);
    if (count < 1 || count > INT16_MAX) {
        mothb_arg_error(L, arg, "1 to %d tensors expected, got %llu", INT16_MAX, (unsigned long long)count);
    }
    moth_tensor **list = lua_newuserdatauv(L, (size_t)count * sizeof *list, 0);
    lua_createtable(L, (int)count, 0);
    for (int i = 0; i < (int)count; i++) {
        lua_rawgeti(L, arg, i + 1);
        moth_tensor **box = mothb_test_object(L, -1, MOTHB_TENSOR, sizeof *box);
        if (!box || !*box) {
            mothb_arg_error(L, arg, "entry %d: tensor expected, got %s", i + 1, mothb_typename(L, -1));
            return NULL;
        }
        list[i] = *box;
        lua_rawseti(L, -2, i + 1);
    }
    *n = (int)count;
    return list;
}

static int cat(lua_State *L)
{
    int n;
    lua_settop(L, 2);
    moth_tensor **list = check_tensors(L, 1, &n);
    moth_attrs attrs = { .i = { check_dim(L, 2, list[0]->meta.rank, 1) } };
    mothb_apply1(L, MOTH_OP_cat, &attrs, n, list);
    return 1;
}

/* stack(list, dim): along a new dim */
static int stack(lua_State *L)
{
    int n;
    lua_settop(L, 2);
    moth_tensor **list = check_tensors(L, 1, &n);
    int copy = lua_gettop(L);
    moth_attrs attrs = { .i = { check_dim(L, 2, list[0]->meta.rank + 1, 1) } };
    for (int i = 0; i < n; i++) {
        if (!moth_meta_same_shape(&list[i]->meta, &list[0]->meta)) {
            char a[160], b[160];
            return mothb_arg_error(L, 1, "all shapes must agree, got %s and %s",
                                   moth_meta_text(&list[0]->meta, a, sizeof a),
                                   moth_meta_text(&list[i]->meta, b, sizeof b));
        }
    }
    for (int i = 0; i < n; i++) {
        list[i] = mothb_apply1(L, MOTH_OP_unsqueeze, &attrs, 1, &list[i]);
        lua_rawseti(L, copy, i + 1);
    }
    mothb_apply1(L, MOTH_OP_cat, &attrs, n, list);
    return 1;
}

/* ---- in place ---- */

static int tensor_copy_in(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    mothb_change change = mothb_change_begin(L, t, "copy_");
    moth_tensor *from = mothb_operand(L, 2, t->meta.dtype);
    if (!from) {
        return mothb_type_error(L, 2, "tensor or number");
    }
    moth_attrs attrs = { .i = { t->meta.rank } };
    memcpy(attrs.i + 1, t->meta.shape, (size_t)t->meta.rank * sizeof t->meta.shape[0]);
    mothb_change_store(L, &change, mothb_apply1(L, MOTH_OP_expand, &attrs, 1, &from));
    lua_pushvalue(L, 1);
    return 1;
}

static int tensor_fill(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    mothb_check_number(L, 2);
    if (t->meta.dtype != MOTH_FLOAT32) {
        mothb_check_int(L, 2, t->meta.dtype == MOTH_UINT8 ? 0 : INT32_MIN,
                        t->meta.dtype == MOTH_UINT8 ? UINT8_MAX : INT32_MAX);
    }
    return tensor_copy_in(L);
}

static int tensor_zero(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    return tensor_fill(L);
}

void mothb_open_shape(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "to", tensor_to },
        { "clone", tensor_clone },
        { "contiguous", tensor_contiguous },
        { "T", tensor_transposed },
        { "cumsum", tensor_cumsum },
        { "one_hot", one_hot },
        { "slice", tensor_slice },
        { "index", tensor_pick },
        { "split", tensor_split },
        { "copy_", tensor_copy_in },
        { "fill_", tensor_fill },
        { "zero_", tensor_zero },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = { { "cat", cat }, { "stack", stack }, { NULL, NULL } };
    lua_getfield(L, -1, "tensor_methods");
    mothb_register(L, methods);
    lua_pushnil(L);
    lua_setfield(L, -2, "cat"); /* takes a list, so it is no method */
    lua_pop(L, 1);
    mothb_register(L, functions);
}
