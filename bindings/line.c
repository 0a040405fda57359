/* Reading chunks of Lua: keys, signals and history around GNU readline, or plain reading.
 *
 * readline's callback interface is used, as CPython does it: readline is given a key only when one is there, so a
 * signal never has to leave readline in the middle of its work. All signals that concern the terminal are blocked
 * except while waiting for a key; then nothing of them can be lost, and each is dealt with outside the handler. */
#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "line_draw.h"
#include "line_readline.h"

enum { HISTORY_LIMIT = 5000 };

/* The first is what plain reading handles. */
static const int handled_signals[] = { SIGINT, SIGWINCH, SIGTSTP, SIGTERM, SIGHUP, SIGQUIT };
enum { HANDLED_SIGNALS = sizeof handled_signals / sizeof *handled_signals };

static moth_readline rl;
static bool editing;
static const moth_line_hooks *hooks;
static const char *prompts[2];
static bool finished;    /* the line was drawn for the last time */
static bool done;        /* and readline has handed it over */
static bool drawing_due; /* what was typed is not drawn yet */
static char *taken;      /* the chunk read last, from malloc (of readline or getline); NULL at the end of input */
static pthread_t reader;
static int signal_pipe[2] = { -1, -1 };
static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
    int error = errno;
    if (!pthread_equal(pthread_self(), reader)) {
        pthread_kill(reader, number);
    } else {
        interrupted = number == SIGINT;
        unsigned char byte = (unsigned char)number;
        (void)!write(signal_pipe[1], &byte, 1);
    }
    errno = error;
}

/* The next signal that came, 0 where there is none. */
static int next_signal(void)
{
    unsigned char number = 0;
    return read(signal_pipe[0], &number, 1) == 1 ? number : 0;
}

/* ---- drawing ---- */

static void draw(bool last)
{
    size_t size = (size_t)*rl.end, cursor = (size_t)*rl.point;
    moth_line_view view = {
        .prompt = *rl.display_prompt ? *rl.display_prompt : "",
        .more = prompts[1],
        .text = *rl.line_buffer,
        .paint = hooks->paint(hooks->user, *rl.line_buffer, size, last ? size + 1 : cursor),
        .styles = hooks->styles,
        .size = size,
        .cursor = last ? size + 1 : cursor,
    };
    moth_line_draw(&view, last);
}

bool moth_line_is_pasted(void)
{
    struct pollfd source = { .fd = STDIN_FILENO, .events = POLLIN };
    return poll(&source, 1, 0) > 0;
}

/* readline draws once more when it clears up; the finished line stays as it is. Where keys come faster than they can be
 * drawn only the last state is: a long paste would take seconds. */
static void redisplay(void)
{
    drawing_due = !finished && moth_line_is_pasted();
    if (!finished && !drawing_due) {
        draw(false);
    }
}

static void draw_finished(void)
{
    draw(true);
    finished = true;
}

/* ---- commands that keys are bound to ---- */

static int press_enter(int count, int key)
{
    (void)count;
    (void)key;
    hooks->key(hooks->user, MOTH_KEY_ENTER);
    return 0;
}

static int press_tab(int count, int key)
{
    (void)count;
    (void)key;
    hooks->key(hooks->user, MOTH_KEY_TAB);
    return 0;
}

static int break_line(int count, int key)
{
    (void)count;
    (void)key;
    rl.insert_text("\n");
    return 0;
}

static int clear_screen(int count, int key)
{
    (void)count;
    (void)key;
    fputs("\033[H\033[2J", stdout);
    moth_line_draw_fresh();
    draw(false);
    return 0;
}

static int line_start(int at)
{
    while (at > 0 && (*rl.line_buffer)[at - 1] != '\n') {
        at--;
    }
    return at;
}

static int line_end(int at)
{
    while (at < *rl.end && (*rl.line_buffer)[at] != '\n') {
        at++;
    }
    return at;
}

/* The place in the line that starts at `start` which is as far from its start as `offset`, or its end. */
static int place_in_line(int start, int offset)
{
    int end = line_end(start);
    int at = start + offset < end ? start + offset : end;
    /* Never inside a UTF-8 character. */
    while (at > start && ((unsigned char)(*rl.line_buffer)[at] & 0xc0) == 0x80) {
        at--;
    }
    return at;
}

/* While Up and Down walk through the history they go on doing so; else they move within a chunk of several lines. */
static bool walks_history(void)
{
    return *rl.last_func == rl.get_previous_history || *rl.last_func == rl.get_next_history;
}

static int move_up(int count, int key)
{
    int start = line_start(*rl.point);
    if (start == 0 || walks_history()) {
        *rl.last_func = rl.get_previous_history;
        return rl.get_previous_history(count, key);
    }
    *rl.point = place_in_line(line_start(start - 1), *rl.point - start);
    return 0;
}

static int move_down(int count, int key)
{
    int start = line_start(*rl.point), end = line_end(*rl.point);
    if (end == *rl.end || walks_history()) {
        *rl.last_func = rl.get_next_history;
        return rl.get_next_history(count, key);
    }
    *rl.point = place_in_line(end + 1, *rl.point - start);
    return 0;
}

static int move_to_start(int count, int key)
{
    (void)count;
    (void)key;
    *rl.point = line_start(*rl.point);
    return 0;
}

static int move_to_end(int count, int key)
{
    (void)count;
    (void)key;
    *rl.point = line_end(*rl.point);
    return 0;
}

static int kill_to_end(int count, int key)
{
    (void)count;
    (void)key;
    int end = line_end(*rl.point);
    /* At the end of a line its break is what is killed. */
    rl.kill_text(*rl.point, end == *rl.point && end < *rl.end ? end + 1 : end);
    return 0;
}

static int kill_to_start(int count, int key)
{
    (void)count;
    (void)key;
    int start = line_start(*rl.point);
    rl.kill_text(start, *rl.point);
    *rl.point = start;
    return 0;
}

/* Whether the person's inputrc gave these keys a meaning other than readline's usual one. */
static bool has_own_meaning(void *map, const char *keys, moth_readline_command usual)
{
    int type;
    return usual && rl.function_of_keyseq(keys, map, &type) && rl.function_of_keyseq(keys, map, &type) != usual;
}

static void bind(void *map, const char *keys, moth_readline_command ours, moth_readline_command usual)
{
    if (!has_own_meaning(map, keys, usual)) {
        rl.bind_keyseq_in_map(keys, ours, map);
    }
}

static void bind_keys(const char *map_name)
{
    void *map = rl.get_keymap_by_name(map_name);
    if (!map) {
        return;
    }
    bind(map, "\\C-m", press_enter, NULL);
    bind(map, "\\C-j", press_enter, NULL);
    bind(map, "\\C-i", press_tab, NULL);
    bind(map, "\\e\\C-m", break_line, NULL);
    bind(map, "\\C-l", clear_screen, NULL);
    bind(map, "\\e[A", move_up, rl.get_previous_history);
    bind(map, "\\eOA", move_up, rl.get_previous_history);
    bind(map, "\\C-p", move_up, rl.get_previous_history);
    bind(map, "\\e[B", move_down, rl.get_next_history);
    bind(map, "\\eOB", move_down, rl.get_next_history);
    bind(map, "\\C-n", move_down, rl.get_next_history);
    bind(map, "\\C-a", move_to_start, rl.beg_of_line);
    bind(map, "\\e[H", move_to_start, rl.beg_of_line);
    bind(map, "\\eOH", move_to_start, rl.beg_of_line);
    bind(map, "\\e[1~", move_to_start, rl.beg_of_line);
    bind(map, "\\C-e", move_to_end, rl.end_of_line);
    bind(map, "\\e[F", move_to_end, rl.end_of_line);
    bind(map, "\\eOF", move_to_end, rl.end_of_line);
    bind(map, "\\e[4~", move_to_end, rl.end_of_line);
    bind(map, "\\C-k", kill_to_end, rl.kill_line);
    bind(map, "\\C-u", kill_to_start, rl.unix_line_discard);
}

/* ---- what the key hook may do ---- */

const char *moth_line_text(size_t *cursor)
{
    *cursor = (size_t)*rl.point;
    return *rl.line_buffer;
}

void moth_line_replace(const char *text, size_t cursor)
{
    rl.begin_undo_group();
    rl.delete_text(0, *rl.end);
    *rl.point = 0;
    rl.insert_text(text);
    rl.end_undo_group();
    *rl.point = cursor < (size_t)*rl.end ? (int)cursor : *rl.end;
}

void moth_line_show(const char *below)
{
    draw(true);
    fputs(below, stdout);
    fputs("\n", stdout);
    draw(false);
}

void moth_line_accept(void)
{
    draw_finished();
    rl.newline(1, '\n');
}

/* ---- reading ---- */

static void take_line(char *text)
{
    done = true;
    taken = text;
    /* Leaves the terminal as it was, before anything else happens. */
    rl.callback_handler_remove();
}

/* Drops what was typed and gives the terminal back. */
static void abandon_line(void)
{
    rl.free_line_state();
    rl.callback_sigcleanup();
    rl.cleanup_after_signal();
    rl.callback_handler_remove();
}

/* What the signal does by default, with the terminal in its normal state meanwhile. */
static void pass_signal_on(int number)
{
    struct sigaction usual = { .sa_handler = SIG_DFL }, ours;
    rl.cleanup_after_signal();
    sigaction(number, &usual, &ours);
    raise(number);
    sigaction(number, &ours, NULL);
    rl.reset_after_signal();
    moth_line_draw_fresh();
    draw(false);
}

/* Waits for a key or a signal; true when the line was interrupted. */
static bool wait_for_key(void)
{
    struct pollfd sources[2] = {
        { .fd = STDIN_FILENO, .events = POLLIN },
        { .fd = signal_pipe[0], .events = POLLIN },
    };
    if (drawing_due && !moth_line_is_pasted()) {
        redisplay();
    }
    poll(sources, 2, -1);
    int number = next_signal();
    if (number == SIGINT) {
        return true;
    }
    if (number == SIGWINCH) {
        rl.resize_terminal();
        draw(false);
    } else if (number != 0) {
        pass_signal_on(number);
    } else if (sources[0].revents) {
        rl.callback_read_char();
    }
    return false;
}

static moth_line_status edit_chunk(void)
{
    done = false;
    finished = false;
    drawing_due = false;
    moth_line_draw_begin();
    rl.callback_handler_install(prompts[0], take_line);
    while (!done) {
        if (wait_for_key()) {
            draw_finished();
            abandon_line();
            return MOTH_LINE_INTERRUPTED;
        }
    }
    if (!taken) {
        fputs("\n", stdout);
        return MOTH_LINE_END;
    }
    return MOTH_LINE_READ;
}

/* Handles the signals during a call of `read`. */
static moth_line_status with_signals(moth_line_status (*read_chunk)(void))
{
    /* Plain reading has to be interrupted; waiting for keys always is, and drawing must not be. */
    struct sigaction ours = { .sa_handler = note_signal, .sa_flags = editing ? SA_RESTART : 0 };
    struct sigaction before[HANDLED_SIGNALS];
    reader = pthread_self();
    interrupted = 0;
    while (next_signal() != 0) {
    }
    int count = editing ? HANDLED_SIGNALS : 1;
    for (int i = 0; i < count; i++) {
        sigaction(handled_signals[i], &ours, &before[i]);
    }
    moth_line_status status = read_chunk();
    for (int i = 0; i < count; i++) {
        sigaction(handled_signals[i], &before[i], NULL);
    }
    return status;
}

/* One line of any length, without its end; NULL at the end of input, at an error, or when a signal came. */
static char *read_plain_line(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size = getline(&line, &capacity, stdin);
    if (size < 0) {
        free(line);
        return NULL;
    }
    if (size > 0 && line[size - 1] == '\n') {
        line[size - 1] = '\0';
    }
    return line;
}

/* Prompts go to standard error when standard output is no terminal: results may be read by a program. */
static moth_line_status read_plain(void)
{
    bool is_terminal = isatty(STDIN_FILENO);
    if (is_terminal) {
        FILE *out = isatty(STDOUT_FILENO) ? stdout : stderr;
        fputs(prompts[0], out);
        fflush(out);
    }
    taken = read_plain_line();
    /* A line that is there was typed after the Ctrl-C: the terminal drops what came before. */
    if (interrupted && !taken) {
        clearerr(stdin);
        fputs("\n", stderr);
        return MOTH_LINE_INTERRUPTED;
    }
    if (!taken) {
        fputs(is_terminal ? "\n" : "", stdout);
        return MOTH_LINE_END;
    }
    return MOTH_LINE_READ;
}

static bool can_edit(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0 &&
           moth_readline_find(&rl);
}

static bool open_pipe(void)
{
    if (signal_pipe[1] >= 0) {
        return true;
    }
    if (pipe(signal_pipe) != 0) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(signal_pipe[i], F_SETFL, O_NONBLOCK);
        fcntl(signal_pipe[i], F_SETFD, FD_CLOEXEC);
    }
    return true;
}

bool moth_line_open(const moth_line_hooks *new_hooks)
{
    hooks = new_hooks;
    /* Ctrl-C ends a line or what runs; between the two it means nothing. */
    signal(SIGINT, SIG_IGN);
    if (!open_pipe() || editing || !can_edit()) {
        return editing;
    }
    editing = true;
    *rl.readline_name = "moth"; /* for `$if moth` in an inputrc */
    *rl.catch_signals = 0;
    *rl.catch_sigwinch = 0;
    /* No limit, but readline takes keys one by one where there might be one, so a Ctrl-C between them is seen in time.
     */
    *rl.num_chars_to_read = INT_MAX;
    *rl.redisplay_function = redisplay;
    rl.initialize();
    rl.variable_bind("enable-bracketed-paste", "on");
    rl.stifle_history(HISTORY_LIMIT);
    bind_keys("emacs-standard");
    bind_keys("vi-insert");
    bind_keys("vi-command");
    return true;
}

moth_line_status moth_line_read(const char *prompt, const char *more, const char **text)
{
    fflush(stdout);
    prompts[0] = prompt;
    prompts[1] = more;
    free(taken);
    taken = NULL;
    moth_line_status status = with_signals(editing ? edit_chunk : read_plain);
    *text = status == MOTH_LINE_READ ? taken : NULL;
    return status;
}

void moth_line_remember(const char *text)
{
    if (editing) {
        rl.add_history(text);
    }
}
