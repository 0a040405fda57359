/* Finds GNU readline at run time. MOTH_NO_READLINE leaves it out. */
#include "line_readline.h"

#ifdef MOTH_NO_READLINE

bool moth_readline_find(moth_readline *rl)
{
    (void)rl;
    return false;
}

#else

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    const char *name;
    size_t offset; /* of the pointer in moth_readline */
} symbol;

#define SYMBOL(prefix, member)                          \
    {                                                   \
        prefix #member, offsetof(moth_readline, member) \
    }

static const symbol symbols[] = {
    SYMBOL("rl_", line_buffer),
    SYMBOL("rl_", display_prompt),
    SYMBOL("rl_", readline_name),
    SYMBOL("rl_", point),
    SYMBOL("rl_", end),
    SYMBOL("rl_", catch_signals),
    SYMBOL("rl_", catch_sigwinch),
    SYMBOL("rl_", num_chars_to_read),
    SYMBOL("rl_", redisplay_function),
    SYMBOL("rl_", last_func),
    SYMBOL("rl_", initialize),
    SYMBOL("rl_", callback_handler_install),
    SYMBOL("rl_", callback_read_char),
    SYMBOL("rl_", callback_handler_remove),
    SYMBOL("rl_", callback_sigcleanup),
    SYMBOL("rl_", free_line_state),
    SYMBOL("rl_", cleanup_after_signal),
    SYMBOL("rl_", reset_after_signal),
    SYMBOL("rl_", resize_terminal),
    SYMBOL("rl_", get_keymap_by_name),
    SYMBOL("rl_", bind_keyseq_in_map),
    SYMBOL("rl_", function_of_keyseq),
    SYMBOL("rl_", variable_bind),
    SYMBOL("rl_", insert_text),
    SYMBOL("rl_", delete_text),
    SYMBOL("rl_", kill_text),
    SYMBOL("rl_", begin_undo_group),
    SYMBOL("rl_", end_undo_group),
    SYMBOL("", add_history),
    SYMBOL("", stifle_history),
    SYMBOL("rl_", newline),
    SYMBOL("rl_", get_previous_history),
    SYMBOL("rl_", get_next_history),
    SYMBOL("rl_", beg_of_line),
    SYMBOL("rl_", end_of_line),
    SYMBOL("rl_", kill_line),
    SYMBOL("rl_", unix_line_discard),
};

/* The soname names the interface; Debian's first, then what a Mac has. */
static const char *const library_names[] = { "libreadline.so.8", "libreadline.8.dylib" };

bool moth_readline_find(moth_readline *rl)
{
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof library_names / sizeof *library_names; i++) {
        library = dlopen(library_names[i], RTLD_LAZY | RTLD_LOCAL);
    }
    if (!library) {
        return false;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (!address) {
            dlclose(library);
            return false;
        }
        /* Copied as bytes: ISO C has no conversion from an object pointer to a function pointer, POSIX has the same
         * bits. */
        memcpy((char *)rl + symbols[i].offset, &address, sizeof address);
    }
    return true;
}

#endif
