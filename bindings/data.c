/* Data sets in Lua: tables in text and pairs of IDX files. */
#include "io/csv.h"

#include <string.h>

#include "common.h"
#include "io/buffer.h"
#include "io/idx.h"

#define CSV "moth.csv"

typedef struct csv_box {
    moth_csv csv;       /* text NULL: closed */
    moth_buffer fields; /* of texts and row: each ended by NUL, which no field holds */
    moth_csv_kind kind; /* of kind: what all fields seen so far are */
    int64_t column;     /* of texts and kind */
    bool missing;       /* of kind: some are */
} csv_box;

static int csv_gc(lua_State *L)
{
    csv_box *box = mothb_test_object(L, 1, CSV, sizeof *box);
    if (box) {
        moth_csv_close(&box->csv);
        moth_buffer_free(&box->fields);
    }
    return 0;
}

static csv_box *check_csv(lua_State *L)
{
    csv_box *box = mothb_test_object(L, 1, CSV, sizeof *box);
    if (!box || !box->csv.text) {
        mothb_arg_error(L, 1, "an open csv expected");
    }
    return box;
}

/* open_csv(path, separator, skip) */
static int core_open_csv(lua_State *L)
{
    const char *path = mothb_check_string(L, 1), *separator = mothb_check_string(L, 2);
    int64_t skip = mothb_check_int(L, 3, 0, INT64_MAX);
    csv_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    memset(box, 0, sizeof *box);
    luaL_setmetatable(L, CSV);
    MOTHB_CALL(L, moth_csv_open(mothb_ctx(L), path, separator[0], skip, &box->csv));
    return 1;
}

/* size() -> rows, columns */
static int csv_size(lua_State *L)
{
    const csv_box *box = check_csv(L);
    lua_pushinteger(L, box->csv.rows);
    lua_pushinteger(L, box->csv.columns);
    return 2;
}

static moth_status keep_text(void *user, const moth_csv_field *field)
{
    csv_box *box = user;
    if (box->column < 0 || box->column == field->column) {
        moth_buffer_add(&box->fields, field->text, field->size);
        moth_buffer_add(&box->fields, "", 1);
    }
    return box->fields.failed ? moth_fail_memory(box->csv.ctx, (int64_t)box->fields.size) : MOTH_OK;
}

/* texts(column or nil, first, rows) -> list of the fields of that column (from 1), nil: of all columns */
static int csv_texts(lua_State *L)
{
    csv_box *box = check_csv(L);
    box->column = lua_isnil(L, 2) ? -1 : mothb_check_int(L, 2, 1, box->csv.columns) - 1;
    int64_t first = mothb_check_int(L, 3, 0, box->csv.rows), rows = mothb_check_int(L, 4, 0, box->csv.rows);
    moth_buffer_free(&box->fields);
    box->fields = (moth_buffer){ 0 };
    moth_status status = moth_csv_each(&box->csv, first, rows, keep_text, box);
    if (status != MOTH_OK) {
        return mothb_raise(L, status);
    }
    lua_newtable(L);
    lua_Integer n = 0;
    for (size_t at = 0; at < box->fields.size; at += strlen(box->fields.data + at) + 1) {
        lua_pushstring(L, box->fields.data + at);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static moth_status note_kind(void *user, const moth_csv_field *field)
{
    csv_box *box = user;
    double number;
    if (box->column == field->column) {
        moth_csv_kind kind = moth_csv_read_field(field, &number);
        box->missing = box->missing || kind == MOTH_CSV_MISSING;
        box->kind = kind > box->kind ? kind : box->kind;
    }
    return MOTH_OK;
}

/* kind(column, first, rows) -> "missing", "integer", "number" or "text", whichever holds all fields; are some missing
 */
static int csv_kind(lua_State *L)
{
    static const char *const names[] = { "missing", "integer", "number", "text" };
    csv_box *box = check_csv(L);
    box->column = mothb_check_int(L, 2, 1, box->csv.columns) - 1;
    box->kind = MOTH_CSV_MISSING;
    box->missing = false;
    int64_t first = mothb_check_int(L, 3, 0, box->csv.rows), rows = mothb_check_int(L, 4, 0, box->csv.rows);
    MOTHB_CALL(L, moth_csv_each(&box->csv, first, rows, note_kind, box));
    lua_pushstring(L, names[box->kind]);
    lua_pushboolean(L, box->missing);
    return 2;
}

/* numbers(first, columns (from 1, each once), dtype, missing or nil) -> tensor (rows, columns) */
static int csv_numbers(lua_State *L)
{
    const csv_box *box = check_csv(L);
    int64_t first = mothb_check_int(L, 2, 0, box->csv.rows);
    luaL_checktype(L, 3, LUA_TTABLE);
    int n = (int)lua_rawlen(L, 3);
    moth_dtype dtype = mothb_check_dtype(L, 4);
    double missing = mothb_opt_number(L, 5, 0);
    int64_t *columns = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *columns, 0);
    for (int k = 0; k < n; k++) {
        lua_rawgeti(L, 3, k + 1);
        columns[k] = mothb_check_int(L, lua_gettop(L), 1, box->csv.columns) - 1;
        lua_pop(L, 1);
    }
    moth_tensor **out = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_csv_numbers(&box->csv, first, n, columns, dtype, lua_isnoneornil(L, 5) ? NULL : &missing, out));
    return 1;
}

/* read_idx_pair(images, labels, classes) -> images, labels */
static int core_read_idx_pair(lua_State *L)
{
    const char *images = mothb_check_string(L, 1), *labels = mothb_check_string(L, 2);
    int64_t classes = mothb_check_int(L, 3, 1, INT32_MAX);
    moth_tensor **x = mothb_new_tensor(L), **y = mothb_new_tensor(L);
    MOTHB_CALL(L, moth_io_idx_read_pair(mothb_ctx(L), images, labels, classes, x, y));
    return 2;
}

void mothb_open_data(lua_State *L)
{
    static const luaL_Reg functions[] = { { "open_csv", core_open_csv },
                                          { "read_idx_pair", core_read_idx_pair },
                                          { NULL, NULL } };
    static const luaL_Reg metamethods[] = { { "__gc", csv_gc }, { "__close", csv_gc }, { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "size", csv_size }, { "texts", csv_texts }, { "kind", csv_kind }, { "numbers", csv_numbers }, { NULL, NULL }
    };
    mothb_register(L, functions);
    mothb_new_class(L, CSV, metamethods);
    lua_newtable(L);
    mothb_register(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
