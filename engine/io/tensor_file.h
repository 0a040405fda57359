/* What a model file holds, in memory: tensors by name, in the order of their names (these functions are in
 * moth.h: an added tensor is written with the elements it has then), and texts by key. */
#ifndef MOTH_IO_TENSOR_FILE_H
#define MOTH_IO_TENSOR_FILE_H

#include "core/value.h"
#include "tensor/tensor.h"

/* The place of that name, -1 where it is absent. */
int64_t moth_tensor_file_index(const moth_tensor_file *file, const char *name);

/* Texts. set replaces; MOTH_ERR_ARGUMENT: a key or text that is not UTF-8, or the key MOTH_CHECKSUM_KEY, which only
 * the writer sets; MOTH_ERR_MEMORY. get: borrowed, NULL where absent. */
#define MOTH_CHECKSUM_KEY "data_crc32"
moth_status moth_tensor_file_set_metadata(moth_ctx *ctx, moth_tensor_file *file, const char *key, const char *text);
const char *moth_tensor_file_get_metadata(const moth_tensor_file *file, const char *key);
const moth_value *moth_tensor_file_metadata(const moth_tensor_file *file); /* all: a map of strings; borrowed */

#endif
