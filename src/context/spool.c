// SPDX-License-Identifier: Apache-2.0
/* A build context that comes as a stream: kept where it can be read again (dockerfile.md 5.4). */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "context/context.h"
#include "layer/archive.h"
#include "layer/layer.h"

enum { PIECE_BYTES = 256 << 10 };

/* A file without a name in the store's directory for temporaries. */
static int open_unnamed(struct rb_store *store, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int dir = rb_store_dir(store, "tmp", err);
	char name[RB_STORE_TEMP_NAME_BYTES];

	if (dir < 0)
		return -1;
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has that (NFS). */
	rb_store_temp_name(store, name);
	fd = openat(rb_store_fd(store), name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return rb_fail_errno(err, "cannot make a file in %s/tmp", rb_store_path(store));
	(void)unlinkat(rb_store_fd(store), name, 0);
	return fd;
}

int rb_spool_read(struct rb_store *store, int in, struct rb_spool *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *hash = rb_hash_new();
	RB_CLEANUP(rb_strp) char *piece = rb_malloc(PIECE_BYTES);
	RB_CLEANUP(rb_closep) int fd = open_unnamed(store, err);
	uint64_t size = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while ((n = rb_read_full(in, piece, PIECE_BYTES)) > 0) {
		int r = rb_write_full(fd, piece, (size_t)n);

		if (r < 0)
			return rb_fail_sys(err, r, "cannot write to %s/tmp", rb_store_path(store));
		rb_hash_add(hash, piece, (size_t)n);
		size += (uint64_t)n;
	}
	if (n < 0)
		return rb_fail_sys(err, (int)n, "cannot read the standard input");
	*ret = (struct rb_spool){
		.fd = rb_steal_fd(&fd), .size = size, .digest = rb_hash_final(hash)};
	return 0;
}

int rb_context_is_archive(int fd, const char *name, struct rb_error **err)
{
	char head[8];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return rb_fail_errno(err, "cannot read %s", name);
	/* What is compressed can be no Dockerfile, even if no tar is in it. */
	if (rb_compression_detect(head, (size_t)n) != RB_COMPRESSION_NONE)
		return 1;
	return rb_archive_detect(fd, name, err);
}
