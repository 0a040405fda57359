/* Pictures in Lua: files, resizing, finding digits. */
#include "io/image.h"

#include "common.h"
#include "io/image_augment.h"
#include "io/image_digit.h"

/* image_load(path, channels, orient) */
static int image_load(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    int channels = (int)mothb_opt_int(L, 2, 1, 4, 0);
    bool orient = mothb_opt_bool(L, 3, false);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_image_load(mothb_ctx(L), path, channels, orient, box));
    return 1;
}

/* image_save(path, t) */
static int image_save(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    MOTHB_CALL(L, moth_image_save(mothb_ctx(L), path, mothb_check_tensor(L, 2)));
    return 0;
}

/* image_resize(t, height, width) */
static int image_resize(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    int64_t height = mothb_check_int(L, 2, 1, MOTH_IMAGE_MAX_SIDE),
            width = mothb_check_int(L, 3, 1, MOTH_IMAGE_MAX_SIDE);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_image_resize(mothb_ctx(L), t, height, width, box));
    return 1;
}

static int image_grayscale(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1), **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_image_grayscale(mothb_ctx(L), t, box));
    return 1;
}

static int image_invert(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1), **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_image_invert(mothb_ctx(L), t, box));
    return 1;
}

/* ---- digits ---- */

static int digits_gc(lua_State *L)
{
    moth_digits *found = mothb_test_object(L, 1, "moth.digits", sizeof *found);
    if (found) {
        moth_digits_free(found);
        *found = (moth_digits){ .count = 0 };
    }
    return 0;
}

static void push_box(lua_State *L, const moth_digit *d)
{
    const int64_t numbers[4] = { d->x, d->y, d->width, d->height };
    static const char *const names[4] = { "x", "y", "width", "height" };
    lua_createtable(L, 0, 4);
    for (int k = 0; k < 4; k++) {
        lua_pushinteger(L, numbers[k]);
        lua_setfield(L, -2, names[k]);
    }
}

static moth_digits *new_digits(lua_State *L)
{
    moth_digits *found = lua_newuserdatauv(L, sizeof *found, 0);
    *found = (moth_digits){ .count = 0 };
    luaL_setmetatable(L, "moth.digits");
    return found;
}

/* image_ink(picture) -> what was looked at, its ink: also of a picture without digits */
static int image_ink(lua_State *L)
{
    moth_tensor *picture = mothb_check_tensor(L, 1);
    moth_digits *found = new_digits(L);
    MOTHB_CALL(L, moth_image_ink(mothb_ctx(L), picture, found));
    mothb_push_tensor(L, found->seen);
    mothb_push_tensor(L, found->ink);
    return 2;
}

/* image_digits(picture) -> list of { image, box }, position of the main one, what was looked at, its ink */
static int image_digits(lua_State *L)
{
    moth_tensor *picture = mothb_check_tensor(L, 1);
    moth_digits *found = new_digits(L);
    MOTHB_CALL(L, moth_image_digits(mothb_ctx(L), picture, found));
    lua_createtable(L, (int)found->count, 0);
    for (int64_t i = 0; i < found->count; i++) {
        lua_createtable(L, 0, 2);
        mothb_push_tensor(L, found->digit[i].image);
        lua_setfield(L, -2, "image");
        push_box(L, &found->digit[i]);
        lua_setfield(L, -2, "box");
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushinteger(L, found->main + 1);
    mothb_push_tensor(L, found->seen);
    mothb_push_tensor(L, found->ink);
    return 4;
}

/* augment(images, { shift, rotate, zoom, elastic }, seed, step) */
static int image_augment(lua_State *L)
{
    moth_tensor *t = mothb_check_tensor(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    moth_augment by = { 0 };
    double *const fields[] = { &by.shift, &by.rotate, &by.zoom, &by.elastic };
    static const char *const names[] = { "shift", "rotate", "zoom", "elastic" };
    for (int k = 0; k < 4; k++) {
        lua_getfield(L, 2, names[k]);
        *fields[k] = lua_isnil(L, -1) ? 0 : luaL_checknumber(L, -1);
        lua_pop(L, 1);
    }
    uint64_t seed = (uint64_t)mothb_check_int(L, 3, INT64_MIN, INT64_MAX);
    uint64_t step = (uint64_t)mothb_check_int(L, 4, 0, INT64_MAX);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_image_augment(mothb_ctx(L), t, &by, seed, step, box));
    return 1;
}

void mothb_open_image(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "image_load", image_load },           { "image_save", image_save },     { "image_resize", image_resize },
        { "image_grayscale", image_grayscale }, { "image_invert", image_invert }, { "image_digits", image_digits },
        { "image_augment", image_augment },     { "image_ink", image_ink },       { NULL, NULL },
    };
    static const luaL_Reg metamethods[] = { { "__gc", digits_gc }, { NULL, NULL } };
    mothb_register(L, functions);
    mothb_new_class(L, "moth.digits", metamethods);
    lua_pop(L, 1);
}
