/* The header of a safetensors file, parsed and checked. */
#ifndef MOTH_IO_SAFETENSORS_HEADER_H
#define MOTH_IO_SAFETENSORS_HEADER_H

#include "io/element.h"

typedef struct moth_st_tensor {
    const char *name;
    moth_element element;
    int rank;
    int64_t shape[MOTH_MAX_RANK];
    int64_t begin, end; /* in the data */
} moth_st_tensor;

typedef struct moth_st_text {
    const char *key, *text;
} moth_st_text;

typedef struct moth_st_header {
    moth_st_tensor *tensors; /* in the order of names; owned */
    int64_t count, capacity;
    moth_st_tensor **by_data; /* the same in the order of data; owned */
    moth_st_text *texts;      /* in the order of keys; owned */
    int64_t text_count, text_capacity;
    bool has_metadata;
} moth_st_header; /* start with { 0 } */

/* Parses `size` bytes at `text` that start at byte 8 of the file, and checks that the tensors fill exactly
 * `data_size` bytes. Strings are unescaped in place: names and texts point into `text`, which must outlive the header.
 * To be freed on failure too. MOTH_ERR_FORMAT, MOTH_ERR_UNSUPPORTED, MOTH_ERR_MEMORY. */
moth_status moth_st_parse_header(moth_ctx *ctx, const char *path, char *text, int64_t size, int64_t data_size,
                                 moth_st_header *header);
void moth_st_free_header(moth_st_header *header);

/* "F32" of an element type that has a name in this format. */
const char *moth_st_dtype_name(moth_element element);

#endif
