/* The prompt of the real program in a pseudo-terminal: typing, completion, several lines, pasting, errors, Ctrl-C,
 * history after a restart, plain terminals. */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <unistd.h>

#include "../engine/test.h"
#include "pty.h"

/* In ms; only a failure waits that long. */
enum { PATIENCE = 60000 };

#define PROMPT "moth>"
#define CTRL_A "\001"
#define CTRL_C "\003"
#define CTRL_D "\004"
#define CTRL_R "\022"
#define UP "\033[A"

static char program[4096], history[4096 + 16];
static pty p;

/* Sees `text` on the screen in time. */
#define SEE(text)                                                   \
    do {                                                            \
        bool seen_ = pty_wait(&p, text, PATIENCE) >= 0;             \
        CHECK_THAT(seen_, "the screen does not show \"%s\"", text); \
        if (!seen_) {                                               \
            pty_print(&p);                                          \
        }                                                           \
    } while (0)

static void start(const char *term, const char *extra)
{
    char term_text[64], history_text[sizeof history + 16];
    snprintf(term_text, sizeof term_text, "TERM=%s", term);
    snprintf(history_text, sizeof history_text, "MOTH_HISTORY=%s", history);
    const char *const variables[] = { term_text, history_text, "INPUTRC=/dev/null", "LC_ALL=C.UTF-8", extra, NULL };
    char *argv[] = { program, NULL };
    CHECK(pty_start(&p, argv, variables));
    SEE(PROMPT);
}

/* Waits until the program reads keys, and forgets what the screen shows. */
static void expect_prompt(void)
{
    bool ready = pty_wait_last(&p, PROMPT, PATIENCE) >= 0;
    CHECK_THAT(ready, "there is no prompt");
    if (!ready) {
        pty_print(&p);
    }
    pty_clear(&p);
}

static void leave(void)
{
    expect_prompt();
    pty_send(&p, CTRL_D);
    int status = pty_end(&p, PATIENCE);
    CHECK_THAT(status == 0, "exit status %d after Ctrl-D", status);
    if (status != 0) {
        pty_print(&p);
    }
}

/* Ctrl-C at the prompt gives a new one. */
static void drop_line(void)
{
    pty_send(&p, CTRL_C);
    CHECK(pty_wait_last(&p, PROMPT, PATIENCE) >= 0);
}

/* Types a line at an empty prompt. */
static void type(const char *line)
{
    expect_prompt();
    pty_send(&p, line);
    pty_send(&p, "\r");
}

static void test_typing(void)
{
    type("20 + 22");
    SEE("42");
    type("_ * 2");
    SEE("84");
    type("local kept = { 1, 2, name = 'x' }");
    type("kept");
    SEE("{ 1, 2, name = \"x\" }");
    type("io.write('no line break')");
    SEE("no line break\342\217\216");
    type("'h\303\251llo \346\274\242'");
    SEE("\"h\303\251llo");
}

static void test_editing(void)
{
    expect_prompt();
    pty_send(&p, "0 + 5" CTRL_A "10");
    SEE("moth> 100 + 5");
    pty_send(&p, "\r");
    SEE("105");
}

static void test_completion(void)
{
    expect_prompt();
    pty_send(&p, "string.re\t");
    SEE("rep");
    SEE("reverse");
    pty_send(&p, "v\t");
    SEE("moth> string.reverse(");
    pty_send(&p, "'abc')\r");
    SEE("\"cba\"");
    type("local telescope = { lens = 5 }");
    expect_prompt();
    pty_send(&p, "teles\t.l\t");
    SEE("moth> telescope.lens");
    pty_send(&p, "\r");
    SEE("5");
}

static void test_several_lines(void)
{
    type("for i = 1, 2 do");
    SEE("   ..");
    pty_send(&p, "print(i * 10)\rend\r");
    SEE("20");
    expect_prompt();
    pty_send(&p, UP);
    SEE("moth> for i = 1, 2 do");
    SEE("print(i * 10)");
    SEE("   .. end");
    drop_line();
}

static void test_pasting(void)
{
    expect_prompt();
    pty_send(&p, "\033[200~local t = {}\rfor i = 1, 3 do\r    local square = i * i\r    t[i] = square\rend\r"
                 "print(#t, t[3] .. '!')\033[201~");
    SEE("print(#t");
    CHECK(!pty_shows(&p, "9!"));
    pty_send(&p, "\r");
    SEE("9!");
    type("t[2]");
    SEE("4");
    /* Without brackets too, and the indentation stays what it was. */
    type("for k = 1, 2 do\r    if k > 1 then\r        print(k * 11)\r    end\rend");
    SEE("22");
    expect_prompt();
    pty_send(&p, UP);
    SEE("   ..         print(k * 11)");
    drop_line();
}

static void test_errors(void)
{
    type("error 'boom'");
    SEE("stdin:1: boom");
    CHECK(!pty_shows(&p, "[C]"));
    CHECK(!pty_shows(&p, "traceback"));
    type("prnt(1)");
    SEE("did you mean 'print'?");
    type("kept.nam");
    SEE("did you mean 'name'?");
    type("1 +* 2");
    SEE("unexpected symbol near '*'");
    type("kept.name");
    SEE("\"x\"");
}

/* Ctrl-C ends what runs; the prompt is back and what there was is kept. `line` prints "running" when it is on its way:
 * before that, on a slow machine, Ctrl-C would only drop the line. */
static void interrupt(const char *line)
{
    type(line);
    SEE("running");
    pty_watch(&p, 300);
    pty_clear(&p);
    pty_send(&p, CTRL_C);
    CHECK_THAT(pty_wait_last(&p, PROMPT, PATIENCE) >= 0, "%s: no prompt after Ctrl-C", line);
    bool said = pty_shows(&p, "interrupted");
    CHECK_THAT(said, "%s: not said to be interrupted", line);
    if (!said) {
        pty_print(&p);
    }
    type("kept.name");
    SEE("\"x\"");
}

static void test_interrupt(void)
{
    expect_prompt();
    pty_send(&p, "this is dropped");
    SEE("dropped");
    drop_line();
    type("7 * 6");
    SEE("42");
    interrupt("print('run' .. 'ning') while true do end");
    interrupt("print('run' .. 'ning') for i = 1, math.huge do kept[1] = i end");
}

/* The same while the engine works: in a long product, in fit (which keeps the epochs so far), and in a loop of fits. */
static void test_interrupt_engine(void)
{
    type("big = moth.rand(4096, 4096)");
    interrupt("print('run' .. 'ning') while true do local product = big:matmul(big) end");
    interrupt("print('run' .. 'ning') local product = big:matmul(big):matmul(big):matmul(big):matmul(big)");
    type("model = moth.Sequential { layers.Dense { 64, input_shape = { 512 } }, layers.Dense { 1 } }");
    type("model:compile { optimizer = optimizers.SGD { lr = 1e-6 }, loss = 'mse' }");
    type("x, y = moth.rand(8192, 512), moth.rand(8192, 1)");
    type("say = { on_epoch_end = function(_, epoch) if epoch == 1 then print('run' .. 'ning') end end }");
    interrupt("h = model:fit(x, y, { epochs = 100000, verbose = 0, callbacks = { say } })");
    type("#h.epoch > 0 and h == model.history");
    SEE("true");
    interrupt("for i = 1, 100 do model:fit(x, y, { epochs = 100000, verbose = 0, callbacks = { say } }) end");
    type("model:predict(x).shape");
    SEE("{ 8192, 1 }");
}

static void test_history(void)
{
    expect_prompt();
    pty_send(&p, UP UP UP);
    SEE("for i = 1, 100 do");
    drop_line();
    expect_prompt();
    pty_send(&p, CTRL_R "print(i");
    SEE("   .. end");
    pty_send(&p, "\r");
    SEE("20");
}

/* Code that no hook and no flag reaches: the second Ctrl-C ends the program. */
static void test_stuck(void)
{
    type("print('run' .. 'ning') return (('a'):rep(60)):find(('a*'):rep(60) .. 'b')");
    SEE("running");
    pty_watch(&p, 300);
    pty_send(&p, CTRL_C);
    pty_watch(&p, 100);
    pty_send(&p, CTRL_C);
    CHECK(pty_end(&p, PATIENCE) == 130);
}

/* Code that catches each answer to Ctrl-C and goes on. Presses that come close together may be seen as one. */
static void test_caught(void)
{
    start("xterm-256color", "NO_COLOR=1");
    type("while true do pcall(function() while true do end end) end");
    pty_watch(&p, 300);
    for (int k = 0; k < 20; k++) {
        pty_send(&p, CTRL_C);
        pty_watch(&p, 100);
    }
    CHECK(pty_end(&p, PATIENCE) == 130);
}

static void test_plain_terminals(void)
{
    start("xterm-256color", "NO_COLOR=1");
    type("'plain'");
    SEE("\"plain\"");
    CHECK(p.styles == 0);
    leave();

    start("dumb", "COLUMNS=80");
    expect_prompt();
    pty_send(&p, "for i = 1, 2 do\n");
    SEE("   ..");
    pty_send(&p, "print(i * 7)\nend\n");
    SEE("14");
    expect_prompt();
    pty_send(&p, "unfinished = " CTRL_C);
    pty_send(&p, "'still ' .. 'here'\n");
    SEE("\"still here\"");
    CHECK(p.styles == 0);
    leave();
}

int main(int argc, char **argv)
{
    (void)argc;
    /* BUILD/pty/test_repl is beside BUILD/moth */
    const char *slash = strrchr(argv[0], '/');
    snprintf(program, sizeof program, "%.*s/../moth", slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
    char directory[] = "/tmp/moth-test-XXXXXX";
    if (!mkdtemp(directory)) {
        perror(directory);
        return EXIT_FAILURE;
    }
    snprintf(history, sizeof history, "%s/history", directory);

    start("xterm-256color", "HOME=/");
    test_typing();
    test_editing();
    test_completion();
    test_several_lines();
    test_pasting();
    test_errors();
    test_interrupt();
    test_interrupt_engine();
    CHECK(p.styles > 0);
    leave();

    start("xterm-256color", "HOME=/");
    test_history();
    test_stuck();
    test_caught();
    test_plain_terminals();

    unlink(history);
    rmdir(directory);
    return test_report();
}
