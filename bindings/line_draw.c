/* Draws a chunk of several lines with prompts and colours.
 *
 * readline's own display knows one prompt and no colours, so its redisplay is replaced by this one. Lines are wrapped
 * here and not by the terminal: then the row and column of each byte are known. The text is walked twice, first to find
 * the row of the cursor, then to write the rows that fit on the screen around it. All goes out in one write, so nothing
 * flickers. Positions are columns of the terminal: a character may take 0, 1 or 2. */
#define _XOPEN_SOURCE 700 /* wcwidth */
#include "line_draw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "core/memory.h"

enum { TAB_WIDTH = 4, MIN_COLUMNS = 8 };

typedef struct {
    int columns, rows;
} screen_size;

typedef struct {
    char *data;
    size_t size, capacity;
    bool failed; /* no memory: the rest is left out */
} text_buffer;

typedef struct {
    text_buffer *out; /* NULL: only count */
    int columns;
    int first, last; /* rows that are written */
    int row, column; /* where the next character goes */
    int cursor_row, cursor_column;
    int new_columns;   /* of a screen that has become narrower since; 0: it has not */
    int reflowed;      /* rows down to the one walked now, as that screen has wrapped them */
    const char *style; /* SGR parameters in force, or NULL */
} walker;

/* What stands on the screen: the row of the cursor below the first row drawn, and how wide the screen was. */
static int drawn_cursor_row, drawn_columns;
/* First row shown of a chunk that is higher than the screen. */
static int first_row;

static screen_size find_screen_size(void)
{
    struct winsize size = { .ws_row = 0 };
    screen_size screen = { .columns = 80, .rows = 24 };
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        screen = (screen_size){ .columns = size.ws_col, .rows = size.ws_row };
    }
    if (screen.columns < MIN_COLUMNS) {
        screen.columns = MIN_COLUMNS;
    }
    return screen;
}

static void append(text_buffer *buffer, const char *data, size_t size)
{
    if (buffer->failed || size == 0) {
        return;
    }
    if (size > buffer->capacity - buffer->size) {
        size_t capacity = 2 * (buffer->capacity + size);
        char *grown = moth_realloc(buffer->data, capacity);
        if (!grown) {
            buffer->failed = true;
            return;
        }
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

static void append_text(text_buffer *buffer, const char *text)
{
    append(buffer, text, strlen(text));
}

static void append_move(text_buffer *buffer, int count, char direction)
{
    char sequence[32];
    if (count > 0) {
        snprintf(sequence, sizeof sequence, "\033[%d%c", count, direction);
        append_text(buffer, sequence);
    }
}

static bool is_shown(const walker *w)
{
    return w->out && w->row >= w->first && w->row <= w->last;
}

static void append_style(walker *w)
{
    if (is_shown(w)) {
        append_text(w->out, "\033[0");
        if (w->style) {
            append_text(w->out, ";");
            append_text(w->out, w->style);
        }
        append_text(w->out, "m");
    }
}

static void set_style(walker *w, const char *style)
{
    if (style != w->style) {
        w->style = style;
        append_style(w);
    }
}

static void next_row(walker *w)
{
    if (w->new_columns > 0 && w->row >= w->first) {
        w->reflowed += w->column > w->new_columns ? (w->column + w->new_columns - 1) / w->new_columns : 1;
    }
    if (is_shown(w)) {
        append_text(w->out, w->style ? "\033[0m" : "");
        append_text(w->out, w->row < w->last ? "\r\n" : "");
    }
    w->row++;
    w->column = 0;
    if (w->style) {
        append_style(w);
    }
}

static void put(walker *w, const char *bytes, size_t size, int width)
{
    if (w->column + width > w->columns) {
        next_row(w);
    }
    if (is_shown(w)) {
        append(w->out, bytes, size);
    }
    w->column += width;
}

/* Writes one character of the text, which is no line end; returns its number of bytes. */
static size_t put_character(walker *w, const char *bytes, size_t size)
{
    unsigned char first = (unsigned char)bytes[0];
    if (first == '\t') {
        do {
            put(w, " ", 1, 1);
        } while (w->column % TAB_WIDTH != 0);
        return 1;
    }
    if (first < 0x20 || first == 0x7f) {
        char shown[2] = { '^', (char)(first ^ 0x40) };
        put(w, shown, 2, 2);
        return 1;
    }
    if (first < 0x80) {
        put(w, bytes, 1, 1);
        return 1;
    }
    mbstate_t state = { 0 };
    wchar_t wide;
    size_t length = mbrtowc(&wide, bytes, size, &state);
    if (length == 0 || length > size) {
        put(w, "?", 1, 1);
        return 1;
    }
    int width = wcwidth(wide);
    if (width < 0) {
        put(w, "?", 1, 1);
    } else {
        put(w, bytes, length, width);
    }
    return length;
}

/* A prompt is text in which SGR sequences, and readline's marks around them, take no room. */
static void put_prompt(walker *w, const char *prompt)
{
    size_t size = strlen(prompt);
    for (size_t i = 0; i < size;) {
        if (prompt[i] == '\001' || prompt[i] == '\002') {
            i++;
        } else if (prompt[i] == '\033' && prompt[i + 1] == '[') {
            size_t length = 2 + strcspn(prompt + i + 2, "m");
            length += prompt[i + length] == 'm';
            put(w, prompt + i, length, 0);
            i += length;
        } else {
            i += put_character(w, prompt + i, size - i);
        }
    }
}

static void mark_cursor(walker *w)
{
    /* Behind a full row the next character would go to the next one. */
    if (w->column >= w->columns) {
        next_row(w);
    }
    w->cursor_row = w->row;
    w->cursor_column = w->column;
    if (w->new_columns > 0) {
        w->reflowed += w->column / w->new_columns;
        w->new_columns = 0;
    }
}

static void walk(walker *w, const moth_line_view *view)
{
    put_prompt(w, view->prompt);
    for (size_t i = 0; i < view->size;) {
        if (i == view->cursor) {
            mark_cursor(w);
        }
        if (view->text[i] == '\n') {
            set_style(w, NULL);
            next_row(w);
            put_prompt(w, view->more);
            i++;
            continue;
        }
        unsigned char style = view->paint ? (unsigned char)view->paint[i] : 0;
        set_style(w, style < 128 ? view->styles[style] : NULL);
        i += put_character(w, view->text + i, view->size - i);
    }
    set_style(w, NULL);
    if (view->cursor == view->size) {
        mark_cursor(w);
    }
}

/* The first row to show of `rows` rows on a screen of `height`, so that the cursor's is among them. */
static int choose_first_row(int rows, int height, int cursor_row)
{
    int first = first_row;
    first = cursor_row < first ? cursor_row : first;
    first = cursor_row >= first + height ? cursor_row - height + 1 : first;
    first = first > rows - height ? rows - height : first;
    return first < 0 ? 0 : first;
}

/* A terminal that becomes narrower wraps the rows that stand on it (most do; what is drawn here holds no soft wraps, so
 * a wider one changes nothing): finds the row of the cursor anew. The text is the one drawn before. */
static void follow_reflow(const moth_line_view *view, int columns)
{
    if (drawn_columns > columns) {
        walker old = { .columns = drawn_columns, .first = first_row, .new_columns = columns };
        walk(&old, view);
        drawn_cursor_row = old.reflowed;
    }
    drawn_columns = columns;
}

void moth_line_draw(const moth_line_view *view, bool last)
{
    screen_size screen = find_screen_size();
    follow_reflow(view, screen.columns);
    walker count = { .columns = screen.columns };
    walk(&count, view);
    int rows = count.row + 1;
    int height = last || rows < screen.rows ? rows : screen.rows;
    int first = choose_first_row(rows, height, count.cursor_row);
    first_row = first;

    text_buffer out = { .data = NULL };
    append_move(&out, drawn_cursor_row, 'A');
    append_text(&out, "\r\033[J");
    int end = first + height - 1;
    walker write = { .out = &out, .columns = screen.columns, .first = first, .last = end };
    walk(&write, view);
    if (last) {
        append_text(&out, "\r\n");
        moth_line_draw_fresh();
    } else {
        append_move(&out, end - write.cursor_row, 'A');
        append_text(&out, "\r");
        append_move(&out, write.cursor_column, 'C');
        drawn_cursor_row = write.cursor_row - first;
    }
    if (!out.failed) {
        fwrite(out.data, 1, out.size, stdout);
        fflush(stdout);
    }
    moth_free(out.data);
}

void moth_line_draw_fresh(void)
{
    drawn_cursor_row = 0;
    drawn_columns = 0;
    first_row = 0;
}

/* Where the cursor is cannot be asked cheaply. So the mark and as many blanks as fill the rest of a line are written:
 * at the start of a line that goes back to its start, where the mark will be drawn over; else it ends in the next one.
 */
void moth_line_draw_begin(void)
{
    const char *mark = MB_CUR_MAX > 1 ? "\342\217\216" : "~";
    printf("%s%*s\r", mark, find_screen_size().columns - 1, "");
    moth_line_draw_fresh();
}
