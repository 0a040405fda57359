/* Files in Lua: what the readers and writers of engine/io offer. */
#include "common.h"
#include "io/idx.h"
#include "io/npy.h"
#include "io/output.h"
#include "io/safetensors.h"
#include "io/synthetic.h"

/* read_idx(path) -> tensor */
static int core_read_idx(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_io_idx_read(mothb_ctx(L), path, box));
    return 1;
}

/* synthetic_digits(n, seed) -> images, labels */
static int core_synthetic_digits(lua_State *L)
{
    int64_t n = mothb_check_int(L, 1, 0, INT32_MAX), seed = mothb_check_int(L, 2, 0, INT64_MAX);
    moth_tensor **x = mothb_new_tensor(L), **y = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_synthetic_digits(mothb_ctx(L), n, (uint64_t)seed, x, y));
    return 2;
}

/* load_npy(path) -> tensor */
static int core_load_npy(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_io_npy_read(mothb_ctx(L), path, box));
    return 1;
}

/* save_npy(path, t) */
static int core_save_npy(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    MOTHB_CALL(L, moth_io_npy_write(mothb_ctx(L), path, mothb_check_tensor(L, 2)));
    return 0;
}

/* write_file(path, text): afterwards the file is as before or holds the whole text */
static int core_write_file(lua_State *L)
{
    size_t size;
    const char *path = mothb_check_string(L, 1), *text = luaL_checklstring(L, 2, &size);
    MOTHB_CALL(L, moth_io_write_file(mothb_ctx(L), path, text, size));
    return 0;
}

/* ---- safetensors ---- */

#define TENSOR_FILE "moth.tensor_file"

static int file_gc(lua_State *L)
{
    moth_tensor_file **box = mothb_test_object(L, 1, TENSOR_FILE, sizeof *box);
    if (box) {
        moth_tensor_file_free(*box);
        *box = NULL;
    }
    return 0;
}

static moth_tensor_file **new_file(lua_State *L)
{
    moth_tensor_file **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, TENSOR_FILE);
    return box;
}

/* load_tensors(path) -> { name = tensor }, { key = text } of the metadata */
static int core_load_tensors(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    moth_tensor_file **file = new_file(L);
    MOTHB_CALL(L, moth_io_safetensors_read(mothb_ctx(L), path, file));
    lua_newtable(L);
    for (int64_t i = 0; i < moth_tensor_file_count(*file); i++) {
        mothb_push_tensor(L, moth_tensor_file_tensor(*file, i));
        lua_setfield(L, -2, moth_tensor_file_name(*file, i));
    }
    mothb_push_value(L, moth_tensor_file_metadata(*file));
    return 2;
}

/* save_tensors(path, { name = tensor }) */
static int core_save_tensors(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    moth_ctx *ctx = mothb_ctx(L);
    if (!lua_istable(L, 2)) {
        return mothb_type_error(L, 2, "table of tensors");
    }
    moth_tensor_file **file = new_file(L);
    MOTHB_CALL(L, moth_tensor_file_new(ctx, file));
    lua_pushnil(L);
    while (lua_next(L, 2)) { /* the file sorts them by name */
        if (lua_type(L, -2) != LUA_TSTRING) {
            return mothb_arg_error(L, 2, "names of tensors must be strings, got a %s", luaL_typename(L, -2));
        }
        if (!mothb_is_tensor(L, -1)) {
            return mothb_arg_error(L, 2, "'%s' must be a tensor, got a %s", lua_tostring(L, -2), luaL_typename(L, -1));
        }
        MOTHB_CALL(L, moth_tensor_file_add(ctx, *file, lua_tostring(L, -2), mothb_check_tensor(L, lua_gettop(L))));
        lua_pop(L, 1);
    }
    MOTHB_CALL(L, moth_io_safetensors_write(ctx, path, *file, false));
    return 0;
}

void mothb_open_io(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "read_idx", core_read_idx },         { "synthetic_digits", core_synthetic_digits },
        { "load_npy", core_load_npy },         { "save_npy", core_save_npy },
        { "load_tensors", core_load_tensors }, { "save_tensors", core_save_tensors },
        { "write_file", core_write_file },     { NULL, NULL },
    };
    static const luaL_Reg metamethods[] = { { "__gc", file_gc }, { NULL, NULL } };
    mothb_register(L, functions);
    mothb_new_class(L, TENSOR_FILE, metamethods);
    lua_pop(L, 1);
}
