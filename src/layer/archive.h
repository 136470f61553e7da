/* SPDX-License-Identifier: Apache-2.0 */
/* Local archives as sources of ADD (dockerfile.md 3.10 item 3). */
#ifndef RB_LAYER_ARCHIVE_H
#define RB_LAYER_ARCHIVE_H

#include "layer/copy.h"

/*
 * Whether a file is an archive that ADD unpacks, told by content alone: a tar header at the start
 * of the stream, plain or behind gzip, bzip2, xz or zstd. 1 or 0, -1 with SYS. The file offset is 0
 * afterwards.
 */
int rb_archive_detect(int fd, const char *name, struct rb_error **err);

/*
 * Unpacks into spec->dest, which is made (0755) when missing; names stay below it. Owner from the
 * archive unless --chown is given (spec->chown_*). An entry that climbs out is CORRUPT.
 */
int rb_archive_unpack(int fd, const struct rb_copy_spec *spec, struct rb_error **err);

#endif
