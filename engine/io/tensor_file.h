/* What a model file holds, in memory: tensors by name, in the order of their names, and texts by key. */
#ifndef MOTH_IO_TENSOR_FILE_H
#define MOTH_IO_TENSOR_FILE_H

#include "core/value.h"
#include "tensor/tensor.h"

typedef struct moth_tensor_file moth_tensor_file;

/* An empty one; the caller frees it. MOTH_ERR_MEMORY. */
moth_status moth_tensor_file_new(moth_ctx *ctx, moth_tensor_file **out);
void moth_tensor_file_free(moth_tensor_file *file); /* NULL is allowed */

/* Adds a tensor, of which the file keeps a reference: what is written later are the elements of that time. The name is
 * copied. MOTH_ERR_ARGUMENT: a name that is there already, is not UTF-8, or is "__metadata__"; MOTH_ERR_TRACING: a
 * symbolic tensor; MOTH_ERR_MEMORY. */
moth_status moth_tensor_file_add(moth_ctx *ctx, moth_tensor_file *file, const char *name, moth_tensor *t);

/* The i-th (from 0) in the order of the names' bytes. Borrowed; valid until the next add, or free. */
int64_t moth_tensor_file_count(const moth_tensor_file *file);
const char *moth_tensor_file_name(const moth_tensor_file *file, int64_t i);
moth_tensor *moth_tensor_file_tensor(const moth_tensor_file *file, int64_t i);

/* Borrowed; NULL where absent. */
moth_tensor *moth_tensor_file_find(const moth_tensor_file *file, const char *name);

/* Texts. set replaces; MOTH_ERR_ARGUMENT: a key or text that is not UTF-8, or the key MOTH_CHECKSUM_KEY, which only
 * the writer sets; MOTH_ERR_MEMORY. get: borrowed, NULL where absent. */
#define MOTH_CHECKSUM_KEY "data_crc32"
moth_status moth_tensor_file_set_metadata(moth_ctx *ctx, moth_tensor_file *file, const char *key, const char *text);
const char *moth_tensor_file_get_metadata(const moth_tensor_file *file, const char *key);
const moth_value *moth_tensor_file_metadata(const moth_tensor_file *file); /* all: a map of strings; borrowed */

#endif
