/* Names of layers: given by the user, or "dense_1", "dense_2" … by type. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/internal.h"

/* "MaxPooling2D" -> "max_pooling2d", as Keras names layers. */
static void snake_name(const char *type, char *out, size_t size)
{
    size_t n = 0;
    for (const char *c = type; *c && n + 2 < size; c++) {
        bool starts_word =
            c > type && isupper((unsigned char)*c) &&
            (islower((unsigned char)c[-1]) || (islower((unsigned char)c[1]) && !isdigit((unsigned char)c[-1])));
        if (starts_word) {
            out[n++] = '_';
        }
        out[n++] = (char)tolower((unsigned char)*c);
    }
    out[n] = '\0';
}

moth_status moth_check_name(moth_ctx *ctx, const char *what, const char *name)
{
    bool plain = strlen(name) <= MOTH_MAX_NAME;
    for (const unsigned char *c = (const unsigned char *)name; *c && plain; c++) {
        bool c1 = *c == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0; /* controls beyond ASCII, as UTF-8 */
        plain = *c >= 0x20 && *c != 0x7F && !c1;
    }
    return plain ? MOTH_OK
                 : moth_fail(ctx, MOTH_ERR_ARGUMENT,
                             "%s: a name has at most %d bytes and no control characters, got '%.40s'", what,
                             MOTH_MAX_NAME, name);
}

moth_layer *moth_model_layer(const moth_model *model, const char *name)
{
    for (int i = 0; i < model->n_layers; i++) {
        if (model->layers[i]->name && strcmp(model->layers[i]->name, name) == 0) {
            return model->layers[i];
        }
    }
    return NULL;
}

/* The k of a name "base_k"; 0 for other names. */
static long number_in_name(const char *name, const char *base)
{
    size_t length = strlen(base);
    if (!name || strncmp(name, base, length) != 0 || name[length] != '_') {
        return 0;
    }
    const char *digits = name + length + 1;
    bool plain = *digits >= '1' && *digits <= '9' && strspn(digits, "0123456789") == strlen(digits);
    return plain ? strtol(digits, NULL, 10) : 0;
}

static void mark_numbers(moth_layer *const *layers, int n, const char *base, bool *taken, long limit)
{
    for (int i = 0; i < n; i++) {
        long k = number_in_name(layers[i]->name, base);
        if (k > 0 && k <= limit) {
            taken[k] = true;
        }
    }
}

/* The first k above 0 for which no layer of the model and none of the others is named "base_k". */
static moth_status first_free_number(const moth_model *model, moth_layer *const *others, int n_others, const char *base,
                                     long *out)
{
    long limit = (long)model->n_layers + n_others;
    bool *taken = moth_calloc((size_t)limit + 2);
    if (!taken) {
        return moth_fail_memory(model->ctx, limit);
    }
    mark_numbers(model->layers, model->n_layers, base, taken, limit);
    mark_numbers(others, n_others, base, taken, limit);
    *out = 1;
    while (taken[*out]) {
        ++*out;
    }
    moth_free(taken);
    return MOTH_OK;
}

moth_status moth_model_name_layer(moth_model *model, moth_layer *layer, moth_layer *const *others, int n_others)
{
    char base[96], name[128];
    long number = 1;
    if (layer->name && !moth_model_layer(model, layer->name)) {
        return MOTH_OK;
    }
    if (layer->name && moth_config_has(layer->config, "name")) {
        return moth_fail(model->ctx, MOTH_ERR_ARGUMENT, "two layers are named '%s'; names must differ", layer->name);
    }
    snake_name(moth_layer_kind(layer), base, sizeof base);
    MOTH_TRY(first_free_number(model, others, n_others, base, &number));
    snprintf(name, sizeof name, "%s_%ld", base, number);
    char *copy = moth_strdup(name);
    if (!copy) {
        return moth_fail_memory(model->ctx, 64);
    }
    moth_free(layer->name);
    layer->name = copy;
    return MOTH_OK;
}
