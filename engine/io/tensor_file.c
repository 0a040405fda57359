#include "io/tensor_file.h"

#include <string.h>

#include "io/message.h"
#include "io/utf8.h"

typedef struct member {
    char *name;
    moth_tensor *tensor;
} member;

struct moth_tensor_file {
    member *members; /* sorted by name */
    int64_t count, capacity;
    moth_value *metadata;
};

moth_status moth_tensor_file_new(moth_ctx *ctx, moth_tensor_file **out)
{
    MOTH_NEED(ctx, out);
    moth_tensor_file *file = moth_calloc(sizeof *file);
    moth_value *metadata = file ? moth_value_map() : NULL;
    if (!metadata) {
        moth_free(file);
        return moth_fail_memory(ctx, (int64_t)sizeof *file);
    }
    file->metadata = metadata;
    *out = file;
    return MOTH_OK;
}

void moth_tensor_file_free(moth_tensor_file *file)
{
    if (!file) {
        return;
    }
    for (int64_t i = 0; i < file->count; i++) {
        moth_free(file->members[i].name);
        moth_tensor_release(file->members[i].tensor);
    }
    moth_free(file->members);
    moth_value_free(file->metadata);
    moth_free(file);
}

/* First position whose name is not below `name`. The end is tried first: readers add in the order of names. */
static int64_t lower_bound(const moth_tensor_file *file, const char *name)
{
    int64_t low = 0, high = file->count;
    if (high > 0 && strcmp(file->members[high - 1].name, name) < 0) {
        return high;
    }
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (strcmp(file->members[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool holds(const moth_tensor_file *file, int64_t at, const char *name)
{
    return at < file->count && strcmp(file->members[at].name, name) == 0;
}

/* *at: where the name belongs. */
static moth_status check_name(moth_ctx *ctx, const moth_tensor_file *file, const char *name, int64_t *at)
{
    moth_io_quoted shown;
    const char *problem = NULL;
    *at = lower_bound(file, name);
    if (strcmp(name, "__metadata__") == 0) {
        problem = "is reserved";
    } else if (!moth_utf8_valid(name, strlen(name))) {
        problem = "is not UTF-8";
    } else if (holds(file, *at, name)) {
        problem = "is there already";
    }
    return problem ? moth_fail(ctx, MOTH_ERR_ARGUMENT, "tensor name \"%s\" %s",
                               moth_io_quote(&shown, name, strlen(name)), problem)
                   : MOTH_OK;
}

static moth_status grow(moth_ctx *ctx, moth_tensor_file *file)
{
    if (file->count < file->capacity) {
        return MOTH_OK;
    }
    int64_t capacity = file->capacity ? 2 * file->capacity : 16;
    member *bigger = moth_realloc(file->members, (size_t)capacity * sizeof *bigger);
    if (!bigger) {
        return moth_fail_memory(ctx, capacity * (int64_t)sizeof *bigger);
    }
    file->members = bigger;
    file->capacity = capacity;
    return MOTH_OK;
}

moth_status moth_tensor_file_add(moth_ctx *ctx, moth_tensor_file *file, const char *name, moth_tensor *t)
{
    int64_t at;
    MOTH_NEED(ctx, file);
    MOTH_NEED(ctx, name);
    MOTH_NEED(ctx, t);
    MOTH_TRY(check_name(ctx, file, name, &at));
    if (moth_tensor_is_symbolic(t)) {
        moth_io_quoted shown;
        return moth_fail(ctx, MOTH_ERR_TRACING, "tensor \"%s\": value not known while tracing",
                         moth_io_quote(&shown, name, strlen(name)));
    }
    MOTH_TRY(grow(ctx, file));
    char *copy = moth_strdup(name);
    if (!copy) {
        return moth_fail_memory(ctx, (int64_t)strlen(name) + 1);
    }
    memmove(file->members + at + 1, file->members + at, (size_t)(file->count - at) * sizeof *file->members);
    file->members[at] = (member){ copy, moth_tensor_retain(t) };
    file->count++;
    return MOTH_OK;
}

int64_t moth_tensor_file_count(const moth_tensor_file *file)
{
    return file ? file->count : 0;
}

const char *moth_tensor_file_name(const moth_tensor_file *file, int64_t i)
{
    return file && i >= 0 && i < file->count ? file->members[i].name : NULL;
}

moth_tensor *moth_tensor_file_tensor(const moth_tensor_file *file, int64_t i)
{
    return file && i >= 0 && i < file->count ? file->members[i].tensor : NULL;
}

int64_t moth_tensor_file_index(const moth_tensor_file *file, const char *name)
{
    if (!file || !name) {
        return -1;
    }
    int64_t at = lower_bound(file, name);
    return holds(file, at, name) ? at : -1;
}

moth_tensor *moth_tensor_file_find(const moth_tensor_file *file, const char *name)
{
    int64_t at = moth_tensor_file_index(file, name);
    return at >= 0 ? file->members[at].tensor : NULL;
}

moth_status moth_tensor_file_set_metadata(moth_ctx *ctx, moth_tensor_file *file, const char *key, const char *text)
{
    moth_io_quoted shown;
    const char *problem = NULL;
    if (strcmp(key, MOTH_CHECKSUM_KEY) == 0) {
        problem = "is reserved for the writer";
    } else if (!moth_utf8_valid(key, strlen(key)) || !moth_utf8_valid(text, strlen(text))) {
        problem = "or its text is not UTF-8";
    }
    if (problem) {
        return moth_fail(ctx, MOTH_ERR_ARGUMENT, "metadata key \"%s\" %s", moth_io_quote(&shown, key, strlen(key)),
                         problem);
    }
    if (!moth_value_set(file->metadata, key, moth_value_string(text, strlen(text)))) {
        return moth_fail_memory(ctx, (int64_t)strlen(text) + 1);
    }
    return MOTH_OK;
}

const char *moth_tensor_file_get_metadata(const moth_tensor_file *file, const char *key)
{
    const moth_value *text = moth_value_get(file->metadata, key);
    return text ? moth_value_as_string(text) : NULL;
}

const moth_value *moth_tensor_file_metadata(const moth_tensor_file *file)
{
    return file->metadata;
}
