#include "io/cursor.h"

#include "io/message.h"

moth_status moth_cursor_fail(const moth_cursor *c, const char *expected)
{
    moth_io_quoted got;
    size_t left = (size_t)(c->end - c->next);
    long long at = c->offset + (c->next - c->start);
    return moth_io_fail(c->ctx, MOTH_ERR_FORMAT, c->path, "%s, byte %lld: expected %s, got %s", c->what, at, expected,
                        left ? moth_io_quote(&got, c->next, left < 16 ? left : 16) : "its end");
}

void moth_cursor_skip_space(moth_cursor *c)
{
    while (c->next < c->end && (*c->next == ' ' || *c->next == '\t' || *c->next == '\n' || *c->next == '\r')) {
        c->next++;
    }
}

bool moth_cursor_take(moth_cursor *c, char byte)
{
    moth_cursor_skip_space(c);
    if (c->next < c->end && *c->next == byte) {
        c->next++;
        return true;
    }
    return false;
}

moth_status moth_cursor_number(moth_cursor *c, const char *expected, int64_t *number)
{
    moth_cursor_skip_space(c);
    const char *first = c->next;
    bool fits = true;
    int64_t value = 0;
    while (fits && c->next < c->end && *c->next >= '0' && *c->next <= '9') {
        fits = !__builtin_mul_overflow(value, 10, &value) && !__builtin_add_overflow(value, *c->next - '0', &value);
        c->next++;
    }
    bool leading_zero = c->next - first > 1 && *first == '0';
    if (c->next == first || leading_zero || !fits) {
        c->next = first;
        return moth_cursor_fail(c, expected);
    }
    *number = value;
    return MOTH_OK;
}
