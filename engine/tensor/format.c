/* Formatting: one number format for the whole tensor, chosen from what is shown; Lua's braces, so that a small tensor
 * can be pasted back; rows broken at 80 columns. Output is the same in every locale. */
#include "tensor/format.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_ELEMENTS = 1000, LINE_WIDTH = 80, DECIMALS = 4 };

typedef enum style { STYLE_INTEGER, STYLE_FIXED, STYLE_SCIENTIFIC } style;

typedef struct printer {
    const moth_tensor *t;
    char *buffer;
    size_t size, used;
    int64_t edge; /* shown at each end of a dim; -1: all */
    style style;
    int width;  /* of one number */
    int column; /* where the line stands */
} printer;

/* What decides the format, gathered over the elements that are shown. */
typedef struct range {
    bool integral; /* all that is finite */
    double high;   /* largest magnitude of that */
} range;

static void append(printer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(printer *p, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (int i = 0; i < n; i++, p->used++) {
        if (p->used + 1 < p->size) {
            p->buffer[p->used] = text[i];
        }
        p->column = text[i] == '\n' ? 0 : p->column + 1;
    }
}

static void number_text(style how, double value, char text[32])
{
    if (isnan(value)) {
        snprintf(text, 32, "nan"); /* without the sign that libc may print */
    } else if (isinf(value) || how == STYLE_INTEGER) {
        snprintf(text, 32, "%.0f", value == 0 ? 0 : value);
    } else {
        snprintf(text, 32, how == STYLE_FIXED ? "%.*f" : "%.*e", DECIMALS, value);
    }
    for (char *c = text; *c; c++) {
        *c = *c == ',' ? '.' : *c; /* the decimal comma of a locale */
    }
}

static double value_at(const moth_tensor *t, int64_t position)
{
    const char *data = moth_tensor_data(t);
    switch (t->meta.dtype) {
    case MOTH_FLOAT32:
        return (double)((const moth_real *)(const void *)data)[position];
    case MOTH_INT32:
        return ((const int32_t *)(const void *)data)[position];
    case MOTH_UINT8:
        return ((const uint8_t *)data)[position];
    }
    return 0;
}

/* The index that is shown after i: jumps from the first edge to the last. */
static int64_t next_shown(const printer *p, int64_t i, int64_t n)
{
    return p->edge >= 0 && n > 2 * p->edge && i + 1 == p->edge ? n - p->edge : i + 1;
}

static void scan(const printer *p, int dim, int64_t position, range *r, int *width)
{
    const moth_meta *m = &p->t->meta;
    if (dim == m->rank) {
        double value = value_at(p->t, position);
        if (width) {
            char text[32];
            number_text(p->style, value, text);
            int n = (int)strlen(text);
            *width = n > *width ? n : *width;
        } else if (isfinite(value)) {
            r->integral = r->integral && value == floor(value);
            r->high = fabs(value) > r->high ? fabs(value) : r->high;
        }
        return;
    }
    for (int64_t i = 0; i < m->shape[dim]; i = next_shown(p, i, m->shape[dim])) {
        scan(p, dim + 1, position + i * m->stride[dim], r, width);
    }
}

static void choose_format(printer *p)
{
    range r = { .integral = true, .high = 0 };
    scan(p, 0, 0, &r, NULL);
    if (p->t->meta.dtype != MOTH_FLOAT32 || (r.integral && r.high < 1e8)) {
        p->style = STYLE_INTEGER;
    } else {
        p->style = r.high >= 1e-2 && r.high < 1e6 ? STYLE_FIXED : STYLE_SCIENTIFIC;
    }
    scan(p, 0, 0, &r, &p->width);
}

static void indent(printer *p, int columns)
{
    append(p, "\n%*s", columns, "");
}

static void print_number(printer *p, int64_t position)
{
    char text[32];
    number_text(p->style, value_at(p->t, position), text);
    append(p, "%*s", p->t->meta.rank ? p->width : 0, text);
}

/* A new line for the next entry of dim, after a blank one for each dim in between. */
static void next_part(printer *p, int dim)
{
    for (int blank = p->t->meta.rank - dim - 2; blank > 0; blank--) {
        append(p, "\n");
    }
    indent(p, dim + 1);
}

/* Entries of dim from `position` on, in braces; dims above print one line for each entry. */
static void print_dim(printer *p, int dim, int64_t position)
{
    const moth_meta *m = &p->t->meta;
    if (dim == m->rank) {
        print_number(p, position);
        return;
    }
    bool last = dim == m->rank - 1;
    int64_t n = m->shape[dim];
    append(p, "{");
    for (int64_t i = 0; i < n;) {
        print_dim(p, dim + 1, position + i * m->stride[dim]);
        int64_t next = next_shown(p, i, n);
        if (next >= n) {
            break;
        }
        append(p, ",");
        if (!last) {
            next_part(p, dim);
        } else if (p->column + 1 + p->width + 2 + (next > i + 1 ? 5 : 0) > LINE_WIDTH) {
            indent(p, dim + 1);
        } else {
            append(p, " ");
        }
        if (next > i + 1) {
            append(p, "...,");
            if (last) {
                append(p, " ");
            } else {
                next_part(p, dim);
            }
        }
        i = next;
    }
    append(p, "}");
}

size_t moth_tensor_format(const moth_tensor *t, char *buffer, size_t size)
{
    char shape[256];
    const moth_meta *m = &t->meta;
    moth_meta_text(m, shape, sizeof shape);
    printer p = { .t = t, .buffer = buffer, .size = size, .edge = -1, .style = STYLE_INTEGER };
    if (moth_tensor_is_symbolic(t)) {
        append(&p, "symbolic %s %s", moth_dtype_name(m->dtype), shape);
    } else {
        if (moth_meta_elements(m) > SHOWN_ELEMENTS) {
            p.edge = m->rank > 4 ? 1 : 3;
        }
        if (moth_meta_elements(m) > 0) {
            choose_format(&p);
            print_dim(&p, 0, 0);
        } else {
            append(&p, "{}");
        }
        append(&p, "  %s %s", moth_dtype_name(m->dtype), shape);
    }
    if (size > 0) {
        buffer[p.used < size ? p.used : size - 1] = '\0';
    }
    return p.used;
}
