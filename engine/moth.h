/* moth: tensors, layers, models and training in C. This header alone is what an embedding program includes.
 *
 *     moth_ctx *ctx = moth_ctx_new();
 *     moth_model *model = NULL;
 *     moth_sequential_new(ctx, NULL, &model);
 *     moth_model_add(ctx, model, "Dense", "{\"units\":10,\"activation\":\"softmax\",\"input_shape\":[784]}");
 *     moth_model_compile(ctx, model, "{\"optimizer\":\"adam\",\"loss\":\"sparse_categorical_crossentropy\"}");
 *     moth_samples data = { 1, 1, &x, &y, NULL };
 *     if (moth_model_fit(ctx, model, &data, NULL, "{\"epochs\":5}", NULL, NULL) != MOTH_OK) puts(moth_error(ctx));
 *
 * Every function that can fail returns a moth_status and leaves a one-line message on the context (moth_error). An
 * out-parameter is written on success only. Objects are reference-counted or have one owner, as said at each function;
 * what is borrowed is never to be released. NULL where an object is needed is MOTH_ERR_ARGUMENT, and 0 or NULL from
 * functions that have no status. A context and all that was made with it belong to one thread at a time; objects are
 * used with the context that made them, and are released before it is freed.
 *
 * Options are the text of a JSON object, in the words of the saved architecture, of Keras and of moth's Lua side; NULL
 * is an empty object. What stands for a layer's parts, a loss, a metric or an optimizer is a name ("adam") or an object
 * with "class" and options: {"class":"Adam","learning_rate":0.001}. Text that is no JSON is MOTH_ERR_FORMAT; an unknown
 * option is MOTH_ERR_ARGUMENT, and the message suggests the nearest. Numbers are read whatever the locale is. */
#ifndef MOTH_H
#define MOTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moth_version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTH_API __attribute__((visibility("default")))
#define MOTH_MAX_RANK 8
#define MOTH_ERROR_SIZE 1024

typedef struct moth_ctx moth_ctx;
typedef struct moth_tensor moth_tensor;
typedef struct moth_tensor_file moth_tensor_file;
typedef struct moth_model moth_model;

typedef enum moth_status {
    MOTH_OK,
    MOTH_ERR_ARGUMENT,    /* a value outside what the function takes */
    MOTH_ERR_SHAPE,       /* shapes that do not fit together */
    MOTH_ERR_DTYPE,       /* a type that the op does not take */
    MOTH_ERR_INDEX,       /* a position outside the tensor */
    MOTH_ERR_MEMORY,      /* no memory */
    MOTH_ERR_IO,          /* a file could not be read or written */
    MOTH_ERR_FORMAT,      /* a file that breaks its format */
    MOTH_ERR_STATE,       /* a call at the wrong time (not compiled, closed, changed in place) */
    MOTH_ERR_NONFINITE,   /* a loss or gradient that is NaN or infinite */
    MOTH_ERR_INTERRUPTED, /* stopped by moth_ctx_interrupt */
    MOTH_ERR_UNSUPPORTED, /* legal elsewhere, not offered here */
    MOTH_ERR_TRACING,     /* a value was asked of a symbolic tensor */
    MOTH_ERR_EXACT_BATCH, /* this graph needs the exact number of rows; the caller traces again with it */
    MOTH_ERR_CALLBACK     /* a function given by the caller failed */
} moth_status;

typedef enum moth_dtype { MOTH_FLOAT32, MOTH_INT32, MOTH_UINT8 } moth_dtype;

/* "ok", "argument", "shape", … Static storage. */
MOTH_API const char *moth_status_name(moth_status status);

/* A new context; NULL when there is no memory. Free it last. */
MOTH_API moth_ctx *moth_ctx_new(void);
MOTH_API void moth_ctx_free(moth_ctx *ctx); /* NULL is allowed */

/* Text and code of the last failure on ctx; valid until the next call with it. */
MOTH_API const char *moth_error(const moth_ctx *ctx);
MOTH_API moth_status moth_error_status(const moth_ctx *ctx);

/* Fixes the key of all random draws and starts their counters anew. */
MOTH_API void moth_seed(moth_ctx *ctx, uint64_t seed);

/* Number of threads (1..64) that calls with ctx use. */
MOTH_API moth_status moth_ctx_set_threads(moth_ctx *ctx, int threads);
MOTH_API int moth_ctx_threads(const moth_ctx *ctx);

/* Chooses the kernel variant by name: "portable", "avx2", "avx512". */
MOTH_API moth_status moth_ctx_set_cpu(moth_ctx *ctx, const char *name);
MOTH_API const char *moth_ctx_cpu(const moth_ctx *ctx);

/* Receives one line of information at a time; none by default. */
MOTH_API void moth_ctx_set_log(moth_ctx *ctx, void (*log)(void *user, const char *line), void *user);

/* Makes the running call stop with MOTH_ERR_INTERRUPTED soon: a fit between two steps, with all that it learned so far.
 * Where none is running, the next one that takes long stops. Safe in a signal handler and from other threads. */
MOTH_API void moth_ctx_interrupt(moth_ctx *ctx);

/* ---- tensors ---- */

/* A new tensor (one reference) with the given elements in row-major order, copied; shape has `rank` entries. */
MOTH_API moth_status moth_tensor_from_floats(moth_ctx *ctx, int rank, const int64_t *shape, const float *data,
                                             moth_tensor **out);
MOTH_API moth_status moth_tensor_from_ints(moth_ctx *ctx, int rank, const int64_t *shape, const int32_t *data,
                                           moth_tensor **out);
MOTH_API moth_status moth_tensor_from_bytes(moth_ctx *ctx, int rank, const int64_t *shape, const uint8_t *data,
                                            moth_tensor **out);

/* One more / one less reference; release frees at zero. Both take NULL. */
MOTH_API moth_tensor *moth_tensor_retain(moth_tensor *t);
MOTH_API void moth_tensor_release(moth_tensor *t);

MOTH_API int moth_tensor_rank(const moth_tensor *t);
MOTH_API int64_t moth_tensor_dim(const moth_tensor *t, int dim); /* dim counts from 0 */
MOTH_API moth_dtype moth_tensor_dtype(const moth_tensor *t);
MOTH_API int64_t moth_tensor_count(const moth_tensor *t);

/* Zeros. */
MOTH_API moth_status moth_tensor_zeros(moth_ctx *ctx, moth_dtype dtype, int rank, const int64_t *shape,
                                       moth_tensor **out);

/* Copies the elements in row-major order; `count` must equal moth_tensor_count. Floats are given of any tensor, ints of
 * int32 and uint8, bytes of uint8; of others MOTH_ERR_DTYPE. */
MOTH_API moth_status moth_tensor_to_floats(moth_ctx *ctx, const moth_tensor *t, float *out, int64_t count);
MOTH_API moth_status moth_tensor_to_ints(moth_ctx *ctx, const moth_tensor *t, int32_t *out, int64_t count);
MOTH_API moth_status moth_tensor_to_bytes(moth_ctx *ctx, const moth_tensor *t, uint8_t *out, int64_t count);

/* ---- files of tensors ---- */

/* Each reads a file into a new tensor (one reference). A file that cannot be opened is MOTH_ERR_IO, one that breaks its
 * format MOTH_ERR_FORMAT, one beyond the limits MOTH_ERR_UNSUPPORTED; messages name the file. Written files replace the
 * old one whole or not at all.
 * idx: the format of MNIST, plain or .gz. npy: NumPy's; 64-bit integers must fit int32, float64 is rounded.
 * digit: a PNG, JPEG or BMP picture of a handwritten digit as MNIST would have it, float (28, 28) in 0..1. */
MOTH_API moth_status moth_tensor_read_idx(moth_ctx *ctx, const char *path, moth_tensor **out);
MOTH_API moth_status moth_tensor_read_npy(moth_ctx *ctx, const char *path, moth_tensor **out);
MOTH_API moth_status moth_tensor_write_npy(moth_ctx *ctx, const char *path, const moth_tensor *t);
MOTH_API moth_status moth_tensor_read_digit(moth_ctx *ctx, const char *path, moth_tensor **out);

/* Tensors by name, as a safetensors file holds them: read from one, or new and empty. One owner; free takes NULL. */
MOTH_API moth_status moth_tensor_file_read(moth_ctx *ctx, const char *path, moth_tensor_file **out);
MOTH_API moth_status moth_tensor_file_new(moth_ctx *ctx, moth_tensor_file **out);
MOTH_API void moth_tensor_file_free(moth_tensor_file *file);

/* Number i from 0 in the order of the names' bytes, or by name: borrowed, NULL where there is none. */
MOTH_API int64_t moth_tensor_file_count(const moth_tensor_file *file);
MOTH_API const char *moth_tensor_file_name(const moth_tensor_file *file, int64_t i);
MOTH_API moth_tensor *moth_tensor_file_tensor(const moth_tensor_file *file, int64_t i);
MOTH_API moth_tensor *moth_tensor_file_find(const moth_tensor_file *file, const char *name);

/* Adds a tensor, of which the file keeps a reference, under a name that is UTF-8 and not there yet; writes all. */
MOTH_API moth_status moth_tensor_file_add(moth_ctx *ctx, moth_tensor_file *file, const char *name, moth_tensor *t);
MOTH_API moth_status moth_tensor_file_write(moth_ctx *ctx, const char *path, const moth_tensor_file *file);

/* ---- models: making ---- */

/* An empty stack of layers (one reference). name may be NULL. */
MOTH_API moth_status moth_sequential_new(moth_ctx *ctx, const char *name, moth_model **out);

/* Puts a layer of this type ("Dense", "Conv2D", "LSTM", …) on top. The options of the first one say the shape of a
 * sample: "input_shape":[28,28,1], without the batch. Draws the layer's weights. Not after compile. */
MOTH_API moth_status moth_model_add(moth_ctx *ctx, moth_model *model, const char *type, const char *options);

/* A model (one reference) with new weights from its architecture: what moth_model_to_json and Lua's model:to_json()
 * write, or the same by hand, where name, dtype, seed, step and stream may be left out:
 *     {"class":"Sequential","layers":[{"class":"Dense","config":{"units":1,"input_shape":[4]}}]}
 * or any graph without cycles: a use is a layer called on outputs of earlier uses, [use, output]; inputs come first:
 *     {"class":"Model","inputs":[{"shape":[4]}],"layers":[{"class":"Dense","config":{"units":1}}],
 *      "uses":[{"layer":0,"from":[[0,0]]}],"outputs":[{"use":1,"output":0}]} */
MOTH_API moth_status moth_model_from_json(moth_ctx *ctx, const char *text, moth_model **out);

/* The architecture; indent 0..16 spaces a level, 0: one line. The text is freed by moth_text_free (NULL is allowed). */
MOTH_API moth_status moth_model_to_json(moth_ctx *ctx, moth_model *model, int indent, char **out);
MOTH_API void moth_text_free(char *text);

/* One more / one less reference; release frees at zero. Both take NULL. */
MOTH_API moth_model *moth_model_retain(moth_model *model);
MOTH_API void moth_model_release(moth_model *model);

/* Number of inputs and outputs, and the shape of one sample of number k from 0, for which `shape` has room for
 * MOTH_MAX_RANK. MOTH_ERR_STATE before the shape of the input is known. */
MOTH_API int moth_model_inputs(const moth_model *model);
MOTH_API int moth_model_outputs(const moth_model *model);
MOTH_API moth_status moth_model_input_shape(moth_ctx *ctx, const moth_model *model, int k, int *rank, int64_t *shape);
MOTH_API moth_status moth_model_output_shape(moth_ctx *ctx, const moth_model *model, int k, int *rank, int64_t *shape);

/* Number of all weights, and in *trainable (may be NULL) of those that training changes: the totals of a summary. */
MOTH_API int64_t moth_model_count_params(const moth_model *model, int64_t *trainable);

/* Copies of all weights as new tensors (one reference each), layer by layer, and back: nothing changes when one does
 * not fit. `count` must equal moth_model_weight_count. */
MOTH_API int moth_model_weight_count(const moth_model *model);
MOTH_API moth_status moth_model_get_weights(moth_ctx *ctx, moth_model *model, int count, moth_tensor **out);
MOTH_API moth_status moth_model_set_weights(moth_ctx *ctx, moth_model *model, int count, moth_tensor *const *weights);

/* New weights drawn from `seed`; steps and the optimizer start anew. */
MOTH_API moth_status moth_model_reset(moth_ctx *ctx, moth_model *model, uint64_t seed);

/* ---- models: training and use ---- */

/* Samples in the first dimension of every tensor, one tensor for each input and output of the model. y is float32 like
 * the output, or class ids (samples) for the sparse losses. uint8 input counts as value x input_scale. weight: for each
 * output float32 (samples), the factors of the samples' loss, or NULL: 1; or NULL for all. All borrowed for the length
 * of a call. */
typedef struct moth_samples {
    int n_x, n_y;
    moth_tensor *const *x;
    moth_tensor *const *y;
    moth_tensor *const *weight;
} moth_samples;

/* Options: loss (needed), optimizer ("RMSprop"; null: for evaluation only), metrics (a name or a list), loss_weights,
 * input_scale (1/255). With several outputs loss, loss_weights and metrics may be lists in their order, or objects by
 * output name. Weights stay as they are; the optimizer starts anew. */
MOTH_API moth_status moth_model_compile(moth_ctx *ctx, moth_model *model, const char *options);

/* What is measured: "loss" first, then the losses of outputs where there are several, then the metrics. The name is
 * borrowed until the next compile; NULL outside 0 .. count - 1. Values of them come in this order; that of a table
 * (confusion_matrix) is NaN. */
MOTH_API int moth_model_metric_count(const moth_model *model);
MOTH_API const char *moth_model_metric_name(const moth_model *model, int k);

/* What an epoch came to: names ("loss", "accuracy", "val_loss", …) and values, borrowed for the length of the call. */
typedef struct moth_epoch {
    int64_t epoch, epochs; /* counted from 1 */
    int count;
    const char *const *names;
    const double *values;
} moth_epoch;

/* Called after each epoch; false ends the training. It may evaluate, predict, save and set the learning rate. */
typedef bool (*moth_epoch_fn)(void *user, const moth_epoch *epoch);

/* Trains. Options as in Lua: batch_size (32), epochs (1), initial_epoch (0), validation_split (0: the last part of data
 * that is held back), validation_batch_size, validation_freq (1), validation_steps, steps_per_epoch, shuffle (true),
 * class_weight ({"0":1,"1":3}, for one output), nan ("stop", or "continue"). `validation` (NULL: none) takes the place
 * of validation_split. on_epoch may be NULL. The same seed and options give the same bits, here, in Lua, and on any
 * number of threads. MOTH_ERR_NONFINITE: a loss is NaN or infinite; MOTH_ERR_INTERRUPTED: moth_ctx_interrupt; both
 * leave the model as it was after the last whole step. */
MOTH_API moth_status moth_model_fit(moth_ctx *ctx, moth_model *model, const moth_samples *data,
                                    const moth_samples *validation, const char *options, moth_epoch_fn on_epoch,
                                    void *user);

/* Loss and metrics over data. Options: batch_size (32), steps. `count` must equal moth_model_metric_count. */
MOTH_API moth_status moth_model_evaluate(moth_ctx *ctx, moth_model *model, const moth_samples *data,
                                         const char *options, int count, double *values);

/* The model's outputs for data->x (y is not looked at): `count`, which must equal moth_model_outputs, new tensors (one
 * reference each), samples first. Options: batch_size (32). Needs no compile. */
MOTH_API moth_status moth_model_predict(moth_ctx *ctx, moth_model *model, const moth_samples *data, const char *options,
                                        int count, moth_tensor **out);

/* One training step on all samples of data; values as they were before the update, as in moth_model_evaluate. */
MOTH_API moth_status moth_model_train_on_batch(moth_ctx *ctx, moth_model *model, const moth_samples *data, int count,
                                               double *values);

/* The learning rate of the coming step (NaN: not compiled); setting it, above 0 or 0, replaces a schedule. */
MOTH_API double moth_model_learning_rate(const moth_model *model);
MOTH_API moth_status moth_model_set_learning_rate(moth_ctx *ctx, moth_model *model, double rate);

/* ---- models: files ---- */

/* Writes architecture, weights, what compile was given, optimizer and counters as a safetensors file without code,
 * whole or not at all. Loading gives a model (one reference) that goes on training to the same bits as one that was
 * never saved; compile false: for inference. Lua's model:save and moth.load_model write and read the same files. A file
 * that is no model, or a broken one, is MOTH_ERR_FORMAT. */
MOTH_API moth_status moth_model_save(moth_ctx *ctx, moth_model *model, const char *path);
MOTH_API moth_status moth_model_load(moth_ctx *ctx, const char *path, bool compile, moth_model **out);

/* The weights alone; loading fills a model of the same layers, or changes nothing. */
MOTH_API moth_status moth_model_save_weights(moth_ctx *ctx, moth_model *model, const char *path);
MOTH_API moth_status moth_model_load_weights(moth_ctx *ctx, moth_model *model, const char *path);

#ifdef __cplusplus
}
#endif

#endif
