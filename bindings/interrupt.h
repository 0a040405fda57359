/* Running Lua code for a person: Ctrl-C, and what an error says. */
#ifndef MOTH_INTERRUPT_H
#define MOTH_INTERRUPT_H

#include <stdbool.h>

#include <lua.h>

/* lua_pcall during which Ctrl-C makes the engine or the Lua code stop with the error "interrupted", whichever runs. Two
 * within a second while the first is not yet answered end the process with status 130. Only the outermost call of this
 * kind has an effect of its own. */
int moth_interruptible_pcall(lua_State *L, int n_args, int n_results, int handler);

/* Message handler: the error as text, and below it from where the user's code was called. Neither C functions nor
 * moth's own Lua code appear. */
int moth_explain_error(lua_State *L);

/* Whether the last such call was interrupted. */
bool moth_was_interrupted(void);

#endif
