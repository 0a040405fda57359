/* The functions and variables of GNU readline that moth uses, found at run time: nothing of readline is needed to build
 * moth, and moth runs without it. Only names that take no struct of readline's are used. */
#ifndef MOTH_LINE_READLINE_H
#define MOTH_LINE_READLINE_H

#include <stdbool.h>

typedef int (*moth_readline_command)(int count, int key);

typedef struct {
    /* variables */
    char **line_buffer, **display_prompt;
    const char **readline_name;
    int *point, *end, *catch_signals, *catch_sigwinch, *num_chars_to_read;
    void (**redisplay_function)(void);
    moth_readline_command *last_func;
    /* functions */
    int (*initialize)(void);
    void (*callback_handler_install)(const char *prompt, void (*handler)(char *line));
    void (*callback_read_char)(void);
    void (*callback_handler_remove)(void);
    void (*callback_sigcleanup)(void);
    void (*free_line_state)(void);
    void (*cleanup_after_signal)(void);
    void (*reset_after_signal)(void);
    void (*resize_terminal)(void);
    void *(*get_keymap_by_name)(const char *name);
    int (*bind_keyseq_in_map)(const char *keys, moth_readline_command command, void *map);
    moth_readline_command (*function_of_keyseq)(const char *keys, void *map, int *type);
    int (*variable_bind)(const char *name, const char *value);
    int (*insert_text)(const char *text);
    int (*delete_text)(int from, int to);
    int (*kill_text)(int from, int to);
    int (*begin_undo_group)(void);
    int (*end_undo_group)(void);
    void (*add_history)(const char *line);
    void (*stifle_history)(int most);
    /* commands */
    moth_readline_command newline, get_previous_history, get_next_history, beg_of_line, end_of_line, kill_line,
        unix_line_discard;
} moth_readline;

/* Fills *rl; false when there is no readline, or one without all that is needed. */
bool moth_readline_find(moth_readline *rl);

#endif
