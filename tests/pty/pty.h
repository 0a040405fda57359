/* Drives a program in a pseudo-terminal and keeps what its screen would show: enough of a terminal for what moth and
 * readline write. */
#ifndef MOTH_TEST_PTY_H
#define MOTH_TEST_PTY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PTY_ROWS = 40, PTY_COLUMNS = 80, PTY_CELL = 8 };

typedef struct {
    int fd;
    pid_t process;
    int row, column;
    char cell[PTY_ROWS][PTY_COLUMNS][PTY_CELL]; /* one UTF-8 character each; "" is blank */
    char sequence[64];                          /* of an escape sequence that is still coming, or of a character */
    size_t sequence_size;
    size_t styles; /* SGR sequences seen */
} pty;

/* Starts argv[0]; extra is a list of "NAME=value" that ends with NULL. False when there are no pseudo-terminals. */
bool pty_start(pty *p, char *const argv[], const char *const extra[]);

void pty_send(pty *p, const char *keys);

/* Reads what comes for at most `ms` until the screen shows `text`; the time it took, or -1. */
int pty_wait(pty *p, const char *text, int ms);

/* Reads what comes for at most `ms` until `text` is the last line that is not blank. */
int pty_wait_last(pty *p, const char *text, int ms);

/* Takes what comes during `ms`. */
void pty_watch(pty *p, int ms);

/* Whether the screen shows the text now, on one line. */
bool pty_shows(const pty *p, const char *text);

/* Forgets what the screen shows, so that the next wait sees new text only. */
void pty_clear(pty *p);

/* Waits for the end of the program; its exit status, or -1 after `ms` (then it is killed) or a signal. */
int pty_end(pty *p, int ms);

/* The screen on standard error, for a failed test. */
void pty_print(const pty *p);

#endif
