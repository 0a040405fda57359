/* A program in a pseudo-terminal, and the screen that it would fill. Sequences that are not known change nothing. */
#define _XOPEN_SOURCE 700 /* posix_openpt */
#include "pty.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* ---- the screen ---- */

static void scroll(pty *p)
{
    if (p->row >= PTY_ROWS) {
        memmove(p->cell[0], p->cell[1], sizeof p->cell - sizeof p->cell[0]);
        memset(p->cell[PTY_ROWS - 1], 0, sizeof p->cell[0]);
        p->row = PTY_ROWS - 1;
    }
}

static void put(pty *p, const char *character)
{
    if (p->column >= PTY_COLUMNS) {
        p->column = 0;
        p->row++;
        scroll(p);
    }
    snprintf(p->cell[p->row][p->column++], PTY_CELL, "%.4s", character);
}

static void erase_below(pty *p)
{
    for (int row = p->row; row < PTY_ROWS; row++) {
        int from = row == p->row ? p->column : 0;
        if (from < PTY_COLUMNS) {
            memset(p->cell[row][from], 0, sizeof(p->cell[0][0]) * (size_t)(PTY_COLUMNS - from));
        }
    }
}

/* ESC [ number letter */
static void obey(pty *p, int number, char letter)
{
    int count = number > 0 ? number : 1;
    switch (letter) {
    case 'A':
        p->row = p->row > count ? p->row - count : 0;
        break;
    case 'C':
        p->column = p->column + count < PTY_COLUMNS ? p->column + count : PTY_COLUMNS - 1;
        break;
    case 'H':
        p->row = p->column = 0;
        break;
    case 'J':
        if (number == 2) {
            pty_clear(p);
        } else {
            erase_below(p);
        }
        break;
    case 'm':
        p->styles++;
        break;
    default:
        break;
    }
}

static bool is_final(char byte, size_t position)
{
    return position > 1 && byte >= '@' && byte <= '~';
}

static size_t character_size(unsigned char first)
{
    return first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

static void take(pty *p, char byte)
{
    if (p->sequence_size == 0 && byte == '\r') {
        p->column = 0;
    } else if (p->sequence_size == 0 && byte == '\n') {
        p->row++;
        scroll(p);
    } else if (p->sequence_size == 0 && byte == '\b') {
        p->column -= p->column > 0;
    } else if (p->sequence_size == 0 && (unsigned char)byte < ' ' && byte != '\033') {
        return;
    } else {
        p->sequence[p->sequence_size++] = byte;
        p->sequence[p->sequence_size] = '\0';
        bool escape = p->sequence[0] == '\033';
        if (escape && (is_final(byte, p->sequence_size - 1) || p->sequence_size == sizeof p->sequence - 1)) {
            obey(p, (int)strtol(p->sequence + 2, NULL, 10), byte);
            p->sequence_size = 0;
        } else if (!escape && p->sequence_size == character_size((unsigned char)p->sequence[0])) {
            put(p, p->sequence);
            p->sequence_size = 0;
        }
    }
}

static void row_text(const pty *p, int row, char *text)
{
    size_t size = 0, end = 0;
    for (int column = 0; column < PTY_COLUMNS; column++) {
        const char *cell = p->cell[row][column];
        size_t length = strlen(cell);
        memcpy(text + size, length ? cell : " ", length ? length : 1);
        size += length ? length : 1;
        end = length && strcmp(cell, " ") != 0 ? size : end;
    }
    text[end] = '\0';
}

enum { ROW_SIZE = PTY_COLUMNS * PTY_CELL + 1 };

bool pty_shows(const pty *p, const char *text)
{
    char row[ROW_SIZE];
    for (int i = 0; i < PTY_ROWS; i++) {
        row_text(p, i, row);
        if (strstr(row, text)) {
            return true;
        }
    }
    return false;
}

static bool shows_last(const pty *p, const char *text)
{
    char row[ROW_SIZE];
    for (int i = PTY_ROWS - 1; i >= 0; i--) {
        row_text(p, i, row);
        if (*row) {
            return strcmp(row, text) == 0;
        }
    }
    return false;
}

void pty_clear(pty *p)
{
    memset(p->cell, 0, sizeof p->cell);
}

void pty_print(const pty *p)
{
    char row[ROW_SIZE];
    for (int i = 0; i < PTY_ROWS; i++) {
        row_text(p, i, row);
        if (*row) {
            fprintf(stderr, "    |%s\n", row);
        }
    }
}

/* ---- the program ---- */

static void become_program(const char *terminal, char *const argv[], const char *const extra[])
{
    setsid();
    int fd = open(terminal, O_RDWR);
    struct winsize size = { .ws_row = PTY_ROWS, .ws_col = PTY_COLUMNS };
    if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0 || ioctl(fd, TIOCSWINSZ, &size) < 0) {
        _exit(127);
    }
    for (int stream = 0; stream <= 2; stream++) {
        dup2(fd, stream);
    }
    for (; *extra; extra++) {
        char name[64];
        size_t length = strcspn(*extra, "=");
        snprintf(name, sizeof name, "%.*s", (int)length, *extra);
        setenv(name, *extra + length + 1, 1);
    }
    execv(argv[0], argv);
    _exit(127);
}

bool pty_start(pty *p, char *const argv[], const char *const extra[])
{
    memset(p, 0, sizeof *p);
    p->fd = posix_openpt(O_RDWR | O_NOCTTY);
    if (p->fd < 0 || grantpt(p->fd) != 0 || unlockpt(p->fd) != 0) {
        return false;
    }
    fcntl(p->fd, F_SETFD, FD_CLOEXEC);
    const char *terminal = ptsname(p->fd);
    p->process = fork();
    if (p->process == 0) {
        become_program(terminal, argv, extra);
    }
    return p->process > 0;
}

void pty_send(pty *p, const char *keys)
{
    for (size_t size = strlen(keys); size > 0;) {
        ssize_t written = write(p->fd, keys, size);
        if (written <= 0) {
            return;
        }
        keys += written;
        size -= (size_t)written;
    }
}

static int now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int)((now.tv_sec * 1000 + now.tv_nsec / 1000000) & 0x3fffffff);
}

/* Takes what comes within `ms`; false when nothing came, or nothing can come any more. */
static bool receive(pty *p, int ms)
{
    struct pollfd wait = { .fd = p->fd, .events = POLLIN };
    char bytes[4096];
    if (poll(&wait, 1, ms) <= 0) {
        return false;
    }
    ssize_t size = read(p->fd, bytes, sizeof bytes);
    for (ssize_t i = 0; i < size; i++) {
        take(p, bytes[i]);
    }
    return size > 0;
}

static int wait_until(pty *p, bool (*fits)(const pty *, const char *), const char *text, int ms)
{
    int start = now_ms();
    while (!fits(p, text)) {
        int left = ms - (now_ms() - start);
        if (left <= 0 || !receive(p, left)) {
            return fits(p, text) ? now_ms() - start : -1;
        }
    }
    return now_ms() - start;
}

void pty_watch(pty *p, int ms)
{
    int start = now_ms();
    while (now_ms() - start < ms && receive(p, ms - (now_ms() - start))) {
    }
}

int pty_wait(pty *p, const char *text, int ms)
{
    return wait_until(p, pty_shows, text, ms);
}

int pty_wait_last(pty *p, const char *text, int ms)
{
    return wait_until(p, shows_last, text, ms);
}

int pty_end(pty *p, int ms)
{
    int start = now_ms(), status = 0;
    pid_t ended = 0;
    while ((ended = waitpid(p->process, &status, WNOHANG)) == 0 && now_ms() - start < ms) {
        receive(p, 20);
    }
    if (ended == 0) {
        kill(p->process, SIGKILL);
        waitpid(p->process, &status, 0);
    }
    close(p->fd);
    return ended > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
