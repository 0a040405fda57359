/* Build tool: writes the given Lua files as one C file (see embed.h) to standard output. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_PER_LINE = 24 };

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool write_bytes(const char *path, int index)
{
    FILE *in = fopen(path, "rb");
    if (!in) {
        perror(path);
        return false;
    }
    printf("static const unsigned char source_%d[] = {", index);
    size_t count = 0;
    for (int c; (c = getc(in)) != EOF; count++) {
        printf("%s%d,", count % BYTES_PER_LINE == 0 ? "\n" : "", c);
    }
    /* The closing zero keeps an empty file legal C; it is not counted in the size. */
    printf("0};\n");
    bool ok = !ferror(in);
    fclose(in);
    if (!ok) {
        perror(path);
    }
    return ok;
}

static void write_entry(const char *path, int index)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    const char *dot = strrchr(file, '.');
    int length = (int)(dot ? (size_t)(dot - file) : strlen(file));
    if (strcmp(file, "init.lua") == 0) {
        printf("    {\"moth\", source_%d, sizeof source_%d - 1},\n", index, index);
    } else {
        printf("    {\"moth.%.*s\", source_%d, sizeof source_%d - 1},\n", length, file, index, index);
    }
}

int main(int argc, char **argv)
{
    /* The order of a wildcard is not defined; the built file must not depend on it. */
    qsort(argv + 1, (size_t)(argc - 1), sizeof *argv, compare_paths);
    printf("#include \"embed.h\"\n");
    for (int i = 1; i < argc; i++) {
        if (!write_bytes(argv[i], i)) {
            return EXIT_FAILURE;
        }
    }
    printf("const moth_embedded moth_embedded_sources[] = {\n");
    for (int i = 1; i < argc; i++) {
        write_entry(argv[i], i);
    }
    printf("    {NULL, NULL, 0},\n};\n");
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
