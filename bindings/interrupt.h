/* Running Lua code for a person: Ctrl-C, and what an error says. */
#ifndef MOTH_INTERRUPT_H
#define MOTH_INTERRUPT_H

#include <stdbool.h>

#include <lua.h>

typedef enum { MOTH_RUN_SCRIPT, MOTH_RUN_PROMPT } moth_run_kind;

/* lua_pcall during which Ctrl-C makes the engine or the Lua code stop with the error "interrupted", whichever runs. Two
 * within a second while the first is not yet answered end the process with status 130. Only the outermost call of this
 * kind has an effect of its own. */
int moth_interruptible_pcall(lua_State *L, moth_run_kind kind, int n_args, int n_results, int handler);

/* Lua: note_interrupt(), by a function that was stopped by Ctrl-C but returns what it has (fit). At the prompt the
 * caller is stopped at its next call. A script goes on; it is stopped the second time, and ends with status 130. */
int moth_note_interrupt(lua_State *L);

/* Message handler: the error as text, and below it from where the user's code was called. Neither C functions nor
 * moth's own Lua code appear. */
int moth_explain_error(lua_State *L);

/* Whether Ctrl-C came during the last such call; and whether the code that it called noted one. */
bool moth_was_interrupted(void);
bool moth_interrupt_was_noted(void);

#endif
