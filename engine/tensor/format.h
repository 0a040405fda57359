/* A tensor as text that a person reads. */
#ifndef MOTH_TENSOR_FORMAT_H
#define MOTH_TENSOR_FORMAT_H

#include "tensor/tensor.h"

/* Writes at most size bytes (with the closing zero) and returns the length of the whole text, as snprintf does:
 *
 *     {{ 1.0000, -2.5000},
 *      { 3.2500,  4.0000}}  float32 (2, 2)
 *
 * Numbers are aligned; of more than 1000 elements only the first and last three of each dim are shown. Without data
 * (symbolic) only type and shape. */
size_t moth_tensor_format(const moth_tensor *t, char *buffer, size_t size);

#endif
