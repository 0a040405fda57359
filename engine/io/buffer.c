#include "io/buffer.h"

#include <string.h>

#include "core/memory.h"

/* Room for `size` more bytes; NULL when there is none. */
static char *grow(moth_buffer *buffer, size_t size)
{
    size_t needed;
    if (buffer->failed || __builtin_add_overflow(buffer->size, size, &needed)) {
        buffer->failed = true;
        return NULL;
    }
    if (needed > buffer->capacity) {
        size_t capacity = needed < 256 ? 256 : needed + needed / 2;
        char *bigger = moth_realloc(buffer->data, capacity);
        if (!bigger) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = bigger;
        buffer->capacity = capacity;
    }
    char *room = buffer->data + buffer->size;
    buffer->size = needed;
    return room;
}

void moth_buffer_add(moth_buffer *buffer, const void *bytes, size_t size)
{
    char *room = grow(buffer, size);
    if (room && size > 0) {
        memcpy(room, bytes, size);
    }
}

void moth_buffer_text(moth_buffer *buffer, const char *text)
{
    moth_buffer_add(buffer, text, strlen(text));
}

void moth_buffer_repeat(moth_buffer *buffer, char byte, size_t count)
{
    char *room = grow(buffer, count);
    if (room) {
        memset(room, byte, count);
    }
}

void moth_buffer_free(moth_buffer *buffer)
{
    moth_free(buffer->data);
    *buffer = (moth_buffer){ 0 };
}
