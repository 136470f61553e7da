// SPDX-License-Identifier: Apache-2.0
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void rb_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0 && close(*fd) < 0 && errno == EBADF)
		rb_bug("descriptor %d closed twice", *fd);
	*fd = -1;
	errno = saved;
}

int rb_close_written(int *fd)
{
	return close(rb_steal_fd(fd)) < 0 ? -errno : 0;
}

int rb_write_full(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t rb_read_full(int fd, void *data, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)data + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* Where the kernel cannot copy between these two files (EXDEV before Linux 5.19, and others). */
static int copy_by_hand(int in, int out, uint64_t pos, uint64_t end)
{
	char buf[64 * 1024];

	while (pos < end) {
		size_t want = rb_min_size(sizeof(buf), (size_t)(end - pos));
		ssize_t n = pread(in, buf, want, (off_t)pos), done = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		while (done < n) {
			ssize_t w = pwrite(out, buf + done, (size_t)(n - done), (off_t)pos + done);

			if (w < 0 && errno != EINTR)
				return -errno;
			done += w > 0 ? w : 0;
		}
		pos += (uint64_t)n;
	}
	return 0;
}

static int copy_range(int in, int out, uint64_t pos, uint64_t end)
{
	while (pos < end) {
		off_t from = (off_t)pos, to = (off_t)pos;
		ssize_t n = copy_file_range(in, &from, out, &to, (size_t)(end - pos), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO))
			return -errno;
		if (n <= 0) /* 0: also what some file systems say instead of an error */
			return copy_by_hand(in, out, pos, end);
		pos += (uint64_t)n;
	}
	return 0;
}

/* What lies behind the end of a file looks like a hole: it was cut short meanwhile. */
static int check_size(int in, uint64_t size)
{
	struct stat st;

	if (fstat(in, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size < size ? -ENODATA : 0;
}

int rb_copy_data(int in, int out, uint64_t size)
{
	uint64_t pos = 0;

	if (ftruncate(out, (off_t)size) < 0)
		return -errno;
	while (pos < size) {
		off_t data = lseek(in, (off_t)pos, SEEK_DATA), hole = (off_t)size;

		if (data < 0 && errno == ENXIO)
			break; /* nothing but a hole from here on */
		if (data < 0)
			data = (off_t)pos; /* a file system that does not know holes */
		else if ((hole = lseek(in, data, SEEK_HOLE)) < 0 || hole > (off_t)size)
			hole = (off_t)size;
		if (data >= (off_t)size)
			break;
		int r = copy_range(in, out, (uint64_t)data, (uint64_t)hole);
		if (r < 0)
			return r;
		pos = (uint64_t)hole;
	}
	return check_size(in, size);
}

int rb_read_fd(int fd, size_t max_bytes, struct rb_buf *ret, struct rb_error **err)
{
	size_t chunk = 4096;

	rb_buf_clear(ret);
	for (;;) {
		rb_buf_reserve(ret, chunk);
		ssize_t n = read(fd, ret->ptr + ret->len, chunk);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rb_buf_clear(ret);
			return rb_fail_errno(err, "cannot read");
		}
		if (n == 0)
			return 0;
		ret->len += (size_t)n;
		ret->ptr[ret->len] = '\0';
		if (ret->len > max_bytes) {
			rb_buf_clear(ret);
			return rb_fail(err, RB_ERR_CORRUPT, "larger than the limit of %zu bytes",
				       max_bytes);
		}
		if (chunk < 1 << 20)
			chunk *= 2;
	}
}

int rb_read_file_at(int dirfd, const char *path, size_t max_bytes, struct rb_buf *ret,
		    struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return rb_error_push(err, RB_ERR_NOTFOUND, errno, RB_HERE, "%s: %s", path,
				     strerrordesc_np(errno));
	if (fd < 0)
		return rb_fail_errno(err, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		return rb_fail_errno(err, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode))
		return rb_fail(err, RB_ERR_UNSUPPORTED, "%s is not a regular file", path);
	if (st.st_size > 0 && (uint64_t)st.st_size > max_bytes)
		return rb_fail(err, RB_ERR_CORRUPT, "%s is larger than the limit of %zu bytes",
			       path, max_bytes);
	if (rb_read_fd(fd, max_bytes, ret, err) < 0)
		return rb_wrap(err, "%s", path);
	return 0;
}

void rb_random_hex(char *buf, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		unsigned char c;

		while (getrandom(&c, 1, 0) != 1)
			if (errno != EINTR)
				rb_bug("getrandom failed");
		buf[2 * i] = digits[c >> 4];
		buf[2 * i + 1] = digits[c & 15];
	}
	buf[2 * n] = '\0';
}

int rb_publish_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		  struct rb_error **err)
{
	char rnd[17];

	rb_random_hex(rnd, 8);
	RB_CLEANUP(rb_strp) char *tmp = rb_asprintf("%s.tmp-%s", name, rnd);
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return rb_fail_errno(err, "cannot create %s", tmp);
	int r = rb_write_full(fd, data, len);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0)
		r = rb_close_written(&fd);
	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, tmp, 0);
		return rb_fail_sys(err, r, "cannot write %s", name);
	}
	return 0;
}

int rb_mkdirs_at(int dirfd, const char *path, mode_t mode)
{
	RB_CLEANUP(rb_strp) char *p = rb_strdup(path);

	for (char *s = p + 1; *p; s++) {
		if (*s != '/' && *s != '\0')
			continue;
		char c = *s;

		*s = '\0';
		if (mkdirat(dirfd, p, mode) < 0 && errno != EEXIST) {
			/* A read-only or foreign ancestor that exists answers EROFS or EACCES. */
			int saved = errno;
			struct stat st;

			if (fstatat(dirfd, p, &st, 0) < 0 || !S_ISDIR(st.st_mode))
				return -saved;
		}
		*s = c;
		if (c == '\0')
			break;
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int rb_list_names(int dirfd, struct rb_strv *ret)
{
	RB_CLEANUP(rb_closep) int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return -errno;
	(void)rb_steal_fd(&fd);
	while ((errno = 0, e = readdir(d)))
		if (!rb_streq(e->d_name, ".") && !rb_streq(e->d_name, ".."))
			rb_strv_add(ret, e->d_name);
	int r = -errno;
	(void)closedir(d);
	if (r == 0 && ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_names);
	return r;
}

int rb_pipe(int fds[2])
{
	return pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
}

/*
 * Depth of hostile trees may exceed what descriptors allow, so only a bounded number of levels is
 * held open; below that a directory is moved up to the top before it is removed.
 */
enum { REMOVE_DEPTH_MAX = 256 };

static int remove_below(int top_fd, int dirfd, unsigned depth);

static int remove_entry(int top_fd, int dirfd, const char *name, unsigned depth)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM && errno != EBUSY && errno != EACCES)
		return -errno;
	int saved = errno;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTDIR)
		return -saved;
	if (depth >= REMOVE_DEPTH_MAX) {
		char tmp[40] = ".rm-";

		rb_random_hex(tmp + 4, 16);
		return renameat(dirfd, name, top_fd, tmp) < 0 ? -errno : 0;
	}
	/* O_PATH first: a directory of mode 0 cannot be opened for reading before its mode is
	 * mended. */
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = remove_below(top_fd < 0 ? fd : top_fd, fd, depth + 1); /* takes fd */
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT && r == 0)
		r = -errno;
	return r;
}

/* Takes dirfd. */
static int remove_below(int top_fd, int dirfd, unsigned depth)
{
	struct stat st;
	int first = 0;

	if (fstat(dirfd, &st) == 0 && (st.st_mode & 0700) != 0700)
		(void)fchmod(dirfd, 0700);
	DIR *d = fdopendir(dirfd);
	if (!d) {
		int r = -errno;

		close(dirfd);
		return r;
	}
	for (bool again = true; again;) {
		struct dirent *e;

		again = false;
		rewinddir(d);
		while ((e = readdir(d))) {
			if (rb_streq(e->d_name, ".") || rb_streq(e->d_name, ".."))
				continue;
			int r = remove_entry(top_fd, dirfd, e->d_name, depth);
			if (r < 0 && first == 0)
				first = r;
			/* At the top, deep directories may have been moved in behind our back. */
			if (r == 0 && depth == 1)
				again = true;
		}
		if (first)
			break;
	}
	closedir(d);
	return first;
}

int rb_remove_tree_at(int dirfd, const char *name)
{
	return remove_entry(-1, dirfd, name, 0);
}
