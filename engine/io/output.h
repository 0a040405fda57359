/* Writing a file so that a crash, a full disk or a power cut leaves the old file or the new one, never a part of one.
 *
 * What is written goes to PATH.tmp.PID in the same directory, is synced, then renamed to PATH, and the directory is
 * synced. This is the only place of moth that renames. A file that exists keeps its mode; a symbolic link is followed.
 * Temporaries that a killed process left beside PATH are removed. Two saves of one path at the same time in one
 * process: the second fails. */
#ifndef MOTH_IO_OUTPUT_H
#define MOTH_IO_OUTPUT_H

#include "core/status.h"

typedef struct moth_output moth_output;

/* Fails with MOTH_ERR_IO when PATH cannot be written (also when it is a directory or a device), or MOTH_ERR_MEMORY.
 * On success exactly one of commit and discard must follow. */
moth_status moth_output_open(moth_ctx *ctx, const char *path, moth_output **out);

/* Adds bytes. After the first failure it does nothing: commit reports it. */
void moth_output_write(moth_output *output, const void *bytes, size_t size);

/* Makes what was written the file. On failure the old file is as before and no temporary is left, except that a failure
 * to sync the directory is reported with the new file in place. `output` is freed either way. */
moth_status moth_output_commit(moth_ctx *ctx, moth_output *output);

/* Forgets what was written and frees `output`. NULL is allowed. */
void moth_output_discard(moth_output *output);

/* All of the above for a file whose bytes are at hand. */
moth_status moth_io_write_file(moth_ctx *ctx, const char *path, const void *bytes, size_t size);

#endif
