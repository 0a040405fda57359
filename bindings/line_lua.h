/* Opens `moth.line`: reading lines, and calls that Ctrl-C stops. For package.preload. */
#ifndef MOTH_LINE_LUA_H
#define MOTH_LINE_LUA_H

#include <lua.h>

int moth_open_line(lua_State *L);

#endif
