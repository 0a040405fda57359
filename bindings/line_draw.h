/* Draws a chunk of several lines with prompts and colours, and moves the cursor to where the next key goes. */
#ifndef MOTH_LINE_DRAW_H
#define MOTH_LINE_DRAW_H

#include "line.h"

typedef struct {
    const char *prompt, *more; /* before the first line, before each following one; may hold SGR sequences */
    const char *text;
    const char *paint; /* a style for each byte, or NULL */
    const char *const *styles;
    size_t size, cursor; /* bytes */
} moth_line_view;

/* Draws over what was drawn last. With `last` everything is shown, also what is higher than the screen, and the cursor
 * goes to the start of the line below. */
void moth_line_draw(const moth_line_view *view, bool last);

/* Says that the cursor stands at the start of an empty line: nothing is drawn over. */
void moth_line_draw_fresh(void);

/* Goes to the start of an empty line; an output that ended without a line break gets a mark, as zsh does it. */
void moth_line_draw_begin(void);

#endif
