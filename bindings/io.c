/* Files in Lua: what the readers and writers of engine/io offer. */
#include "common.h"
#include "io/idx.h"

/* read_idx(path) -> tensor */
static int core_read_idx(lua_State *L)
{
    const char *path = mothb_check_string(L, 1);
    moth_tensor **box = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_io_idx_read(mothb_ctx(L), path, box));
    return 1;
}

void mothb_open_io(lua_State *L)
{
    static const luaL_Reg functions[] = { { "read_idx", core_read_idx }, { NULL, NULL } };
    mothb_register(L, functions);
}
