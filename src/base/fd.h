/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors, whole reads and writes, atomic publication, tree removal. Every descriptor is born
 * CLOEXEC. */
#ifndef RB_BASE_FD_H
#define RB_BASE_FD_H

#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"

/* RB_CLEANUP(rb_closep) int fd = -1; keeps errno, sets -1, ignores -1; EBADF is a bug. */
void rb_closep(int *fd);
static inline int rb_steal_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

/* Closes what was written, and sets -1. Mechanism: a network file system may report only here that
 * the disk is full. */
int rb_close_written(int *fd);

/* Mechanism: 0 or -errno. A short write is never reported as success. Retries EINTR. */
int rb_write_full(int fd, const void *data, size_t len);
/* Reads up to len bytes until end of file: the number read, or -errno. */
ssize_t rb_read_full(int fd, void *data, size_t len);

/*
 * Copies size bytes from offset 0 of one regular file to another, in the kernel where it can; holes
 * stay holes and size is the new size. -ENODATA when the source is shorter. Mechanism.
 */
int rb_copy_data(int in, int out, uint64_t size);

/*
 * Reads a whole regular file of at most max_bytes. dirfd may be AT_FDCWD. Opens with
 * O_NONBLOCK|O_CLOEXEC, so that a FIFO cannot hang us, and refuses everything but regular files.
 * Errors: NOTFOUND (does not exist), SYS, UNSUPPORTED (not a regular file), CORRUPT (larger than
 * max_bytes).
 */
int rb_read_file_at(int dirfd, const char *path, size_t max_bytes, struct rb_buf *ret,
		    struct rb_error **err);
/* The rest of an open descriptor, at most max_bytes. */
int rb_read_fd(int fd, size_t max_bytes, struct rb_buf *ret, struct rb_error **err);

/*
 * Publishes a file: temporary in the same directory (O_EXCL), write, rename over `name`. mode e.g.
 * 0600. No fsync: what must survive power loss says so itself. Readers see the old or the new file,
 * never half of it.
 */
int rb_publish_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		  struct rb_error **err);

/* mkdir -p relative to dirfd for trusted paths (our own store, user given destinations). Mechanism.
 */
int rb_mkdirs_at(int dirfd, const char *path, mode_t mode);

/* The names in a directory without "." and "..", sorted, so that the same tree is always gone
 * through the same way. Mechanism. */
int rb_list_names(int dirfd, struct rb_strv *ret);

/*
 * Removes name and all below it, by descriptors, fixing directory modes on the way down; never
 * follows a symlink. A missing name is success. Mechanism: 0 or the first -errno (goes on with the
 * rest).
 */
int rb_remove_tree_at(int dirfd, const char *name);

/* Fills buf (at least n * 2 + 1 bytes) with 2n random lower case hex digits. */
void rb_random_hex(char *buf, size_t n);

/* pipe2(O_CLOEXEC); mechanism. */
int rb_pipe(int fds[2]);

#endif
