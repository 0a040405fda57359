#include "core/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 64 };

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance of two names: how many letters must be changed, added or removed. Capital and small letters are
 * the same, and what comes after MAX_NAME letters does not count. */
static int edit_distance(const char *a, const char *b)
{
    int row[MAX_NAME + 1];
    int n = (int)strlen(b) < MAX_NAME ? (int)strlen(b) : MAX_NAME;
    for (int j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (int i = 1; i <= MAX_NAME && a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
            int next = min3(row[j] + 1, row[j - 1] + 1, diagonal + change);
            diagonal = row[j];
            row[j] = next;
        }
    }
    return row[n];
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
