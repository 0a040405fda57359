/* Build tool: writes the given Lua files as one C file (see embed.h) to standard output. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum { BYTES_PER_LINE = 24 };

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The whole file, allocated; NULL with a message where it cannot be read. */
static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *in = fopen(path, "rb");
    if (!in) {
        perror(path);
        return NULL;
    }
    bool seekable = fseek(in, 0, SEEK_END) == 0;
    long length = seekable ? ftell(in) : -1;
    unsigned char *text = length >= 0 && fseek(in, 0, SEEK_SET) == 0 ? malloc((size_t)length + 1) : NULL;
    *size = text ? fread(text, 1, (size_t)length, in) : 0;
    fclose(in);
    if (!text || *size != (size_t)length) {
        perror(path);
        free(text);
        return NULL;
    }
    return text;
}

static bool write_bytes(const char *path, int index, size_t *packed, size_t *size)
{
    unsigned char *text = read_file(path, size);
    uLongf length = text ? compressBound((uLong)*size) : 0;
    unsigned char *data = text ? malloc(length) : NULL;
    bool ok = data && compress2(data, &length, text, (uLong)*size, Z_BEST_COMPRESSION) == Z_OK;
    if (ok) {
        printf("static const unsigned char source_%d[] = {", index);
        for (size_t i = 0; i < length; i++) {
            printf("%s%d,", i % BYTES_PER_LINE == 0 ? "\n" : "", data[i]);
        }
        printf("};\n");
    }
    *packed = length;
    free(data);
    free(text);
    return ok;
}

static void write_entry(const char *path, int index, size_t packed, size_t size)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    const char *dot = strrchr(file, '.');
    int length = (int)(dot ? (size_t)(dot - file) : strlen(file));
    if (strcmp(file, "init.lua") == 0) {
        printf("    {\"moth\", source_%d, %zu, %zu},\n", index, packed, size);
    } else {
        printf("    {\"moth.%.*s\", source_%d, %zu, %zu},\n", length, file, index, packed, size);
    }
}

int main(int argc, char **argv)
{
    /* The order of a wildcard is not defined; the built file must not depend on it. */
    qsort(argv + 1, (size_t)(argc - 1), sizeof *argv, compare_paths);
    size_t *sizes = calloc(2 * (size_t)argc, sizeof *sizes);
    if (!sizes) {
        return EXIT_FAILURE;
    }
    printf("#include \"embed.h\"\n");
    for (int i = 1; i < argc; i++) {
        if (!write_bytes(argv[i], i, &sizes[2 * i], &sizes[2 * i + 1])) {
            free(sizes);
            return EXIT_FAILURE;
        }
    }
    printf("const moth_embedded moth_embedded_sources[] = {\n");
    for (int i = 1; i < argc; i++) {
        write_entry(argv[i], i, sizes[2 * i], sizes[2 * i + 1]);
    }
    free(sizes);
    printf("    {NULL, NULL, 0, 0},\n};\n");
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
