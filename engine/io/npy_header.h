/* The dict literal in an .npy file. */
#ifndef MOTH_IO_NPY_HEADER_H
#define MOTH_IO_NPY_HEADER_H

#include "io/element.h"

typedef struct moth_npy_header {
    moth_element element;
    bool big_endian;
    bool fortran_order; /* the first dimension is the innermost */
    int rank;
    int64_t shape[MOTH_MAX_RANK];
} moth_npy_header;

/* Parses `size` bytes of header text that start at byte `offset` of the file. MOTH_ERR_FORMAT, MOTH_ERR_UNSUPPORTED. */
moth_status moth_npy_parse_header(moth_ctx *ctx, const char *path, int64_t offset, const char *text, size_t size,
                                  moth_npy_header *header);

#endif
