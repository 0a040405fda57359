/* Reading lines from a person: GNU readline found at run time, or plain reading where it is missing, where the terminal
 * cannot move its cursor, or where a stream is no terminal. Knows neither Lua nor moth. One editor exists in a process,
 * because there is one terminal (and readline itself keeps its state in globals). */
#ifndef MOTH_LINE_H
#define MOTH_LINE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum { MOTH_KEY_ENTER, MOTH_KEY_TAB } moth_line_key;

typedef struct {
    void *user;
    /* Enter or Tab was pressed. May call moth_line_text, _replace, _show and _accept; doing nothing leaves the line. */
    void (*key)(void *user, moth_line_key key);
    /* One byte for each byte of `text`: the style it is shown in (an index of `styles`); NULL shows it plain. Valid
     * until the next call. */
    const char *(*paint)(void *user, const char *text, size_t size, size_t cursor);
    const char *styles[128]; /* parameters of the terminal's SGR sequence ("1;34"), or NULL */
} moth_line_hooks;

typedef enum { MOTH_LINE_READ, MOTH_LINE_END, MOTH_LINE_INTERRUPTED } moth_line_status;

/* Prepares reading; true when lines can be edited (then `hooks` is used and must stay valid), false for plain reading.
 */
bool moth_line_open(const moth_line_hooks *hooks);

/* Reads one chunk: with editing, all lines up to the Enter for which the key hook called moth_line_accept; else one
 * line without its end. `prompt` is shown before the first line and `more` before the following ones. *text is set only
 * with MOTH_LINE_READ and valid until the next call. Ctrl-C gives MOTH_LINE_INTERRUPTED, Ctrl-D on an empty line
 * MOTH_LINE_END. */
moth_line_status moth_line_read(const char *prompt, const char *more, const char **text);

/* Appends a chunk to what Up recalls. */
void moth_line_remember(const char *text);

/* Whether more keys have come already: what a person types comes one by one. */
bool moth_line_is_pasted(void);

/* For the key hook: the text and the position of the cursor in bytes; both anew; something to show below the line
 * before it is drawn again; the text is to be run. */
const char *moth_line_text(size_t *cursor);
void moth_line_replace(const char *text, size_t cursor);
void moth_line_show(const char *below);
void moth_line_accept(void);

#endif
