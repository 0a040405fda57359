/* Text that grows while it is made. */
#ifndef MOTH_IO_BUFFER_H
#define MOTH_IO_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct moth_buffer {
    char *data; /* owned; NULL while empty */
    size_t size, capacity;
    bool failed; /* memory ran out: nothing is added any more */
} moth_buffer;   /* start with { 0 } */

void moth_buffer_add(moth_buffer *buffer, const void *bytes, size_t size);
void moth_buffer_text(moth_buffer *buffer, const char *text);
void moth_buffer_repeat(moth_buffer *buffer, char byte, size_t count);
void moth_buffer_free(moth_buffer *buffer);

#endif
