#include "core/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 64 };

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* How many letters must be changed, added, removed or swapped with a neighbour to make one name the other (optimal
 * string alignment). Capital and small letters are the same, and what comes after MAX_NAME letters does not count. */
static int edit_distance(const char *a, const char *b)
{
    int rows[3][MAX_NAME + 1], m = (int)strnlen(a, MAX_NAME), n = (int)strnlen(b, MAX_NAME);
    for (int i = 0; i <= m; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];
        for (int j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                row[j] = i + j;
                continue;
            }
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) && second[j - 2] + 1 < row[j]) {
                row[j] = second[j - 2] + 1;
            }
        }
    }
    return rows[m % 3][n];
}

moth_known moth_known_for(const char *wanted)
{
    int length = (int)strnlen(wanted, MAX_NAME);
    return (moth_known){ .wanted = wanted, .best = length / 3 + 2 }; /* more than a third wrong is another word */
}

void moth_known_add(moth_known *known, const char *name)
{
    int written =
        snprintf(known->text + known->used, sizeof known->text - known->used, "%s%s", known->used ? ", " : "", name);
    if (written > 0 && known->used + (size_t)written < sizeof known->text) {
        known->used += (size_t)written;
    }
    int d = edit_distance(known->wanted, name);
    if (d < known->best || (d == known->best && known->nearest && strcmp(name, known->nearest) < 0)) {
        known->best = d;
        known->nearest = name;
    }
}

void moth_known_hint(const moth_known *known, char *hint, size_t size)
{
    if (known->nearest) {
        snprintf(hint, size, " (did you mean '%s'?)", known->nearest);
    } else {
        hint[0] = '\0';
    }
}
