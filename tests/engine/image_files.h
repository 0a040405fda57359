/* Picture files made in memory: a description that a test changes in one place, and the bytes that follow from it. */
#ifndef MOTH_IMAGE_FILES_H
#define MOTH_IMAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct file_bytes {
    uint8_t *data;
    size_t size, room;
} file_bytes;

void put_bytes(file_bytes *f, const void *data, size_t size);
void put_zeros(file_bytes *f, size_t size);
void put_be(file_bytes *f, uint32_t value, int bytes);
void put_le(file_bytes *f, uint32_t value, int bytes);
void free_bytes(file_bytes *f);

/* What a field of a description holds where the right value is meant. */
#define RIGHT (-1)

/* A PNG of constant samples. Numbers left 0 mean what a comment says. */
typedef struct png_spec {
    uint32_t width, height; /* both 0: 5 x 4 */
    int depth, colour;      /* depth 0: 8 */
    int compression, filter, interlace;
    uint8_t sample;    /* every byte of the rows */
    int row_filter;    /* filter byte of every row */
    int palette;       /* entries of PLTE; 0: none */
    int palette_extra; /* bytes more than entries * 3 */
    int transparency;  /* bytes of tRNS; 0: none */
    int extra_rows;    /* more (or fewer) rows than the height says */
    bool no_data, empty_data, no_end, no_header, twice_header, late_palette, late_transparency;
    int header_length; /* 0: 13 */
    const char *chunk; /* one more chunk of this type before the data … */
    const void *chunk_data;
    uint32_t chunk_size;
    uint32_t length_xor; /* changes the length of the first IDAT chunk, … */
    bool bad_sum;        /* … its sum, … */
    bool bad_stream;     /* … its compressed bytes */
    int pieces;          /* IDAT chunks; 0: 1 */
} png_spec;
file_bytes png_file(const png_spec *spec);

/* A JPEG whose blocks are all grey 128 (every coefficient 0). */
typedef struct jpeg_spec {
    int width, height; /* both 0: 11 x 9 */
    int components;    /* 0: 1 */
    bool progressive;
    int sampling;     /* of the first component, 0: 0x11 */
    int sampling2;    /* of the second */
    int frame_marker; /* 0: by `progressive` */
    int precision;    /* 0: 8 */
    int quantizer;    /* id of the table that is defined */
    int quantizer_used;
    int quantizer_kind; /* high half of the table's first byte */
    int dc_count;       /* codes of 8 bits more than needed in the DC table */
    int dc_value;       /* category of the first DC code */
    int dc_table, ac_table, dc_used, ac_used, dc_class;
    int scans;                      /* further scans; progressive: refinements of the first component */
    int scan_component;             /* number of the component in the first scan; 0: 1 */
    int first, last, approximation; /* of the first scan; progressive */
    int scan_components;            /* announced count; 0: all */
    bool same_ids, no_scan, no_frame, no_tables, no_end, two_frames, scan_first, garbage, fill, late_table;
    int cut_data;      /* bytes of scan data that are missing */
    int length_change; /* added to the length field of … */
    int length_marker; /* … the segment with this marker */
    int extra_marker;  /* one more segment before the frame */
    const void *extra;
    size_t extra_size;
    int marker_after; /* one more segment after the scans, 4 bytes long */
} jpeg_spec;
file_bytes jpeg_file(const jpeg_spec *spec);

/* A BMP. */
typedef struct bmp_spec {
    int64_t width, height; /* both 0: 5 x 4; a negative height is top-down */
    int header;            /* 0: 40 */
    int bits;              /* 0: 24 */
    int planes;            /* 0: 1 */
    uint32_t compression;
    uint32_t used; /* colours that the header counts */
    int palette;   /* colours that are there; RIGHT: all */
    uint32_t mask[4];
    uint32_t offset_change; /* added to the position of the pixels */
    int missing;            /* bytes cut from the end */
    uint8_t sample;
    int size_lie; /* added to the file size field, which nobody may trust */
} bmp_spec;
file_bytes bmp_file(const bmp_spec *spec);

/* A TIFF block with one orientation entry, as in EXIF. */
file_bytes exif_block(bool little, int orientation);

#endif
