// SPDX-License-Identifier: Apache-2.0
#include "base/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

int rb_open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	for (int tries = 0; tries < 128; tries++) {
		int fd = rb_sys_openat2(rootfd, *path ? path : ".", flags | O_CLOEXEC, mode,
					RB_RESOLVE_IN_ROOT | RB_RESOLVE_NO_MAGICLINKS);

		if (fd != -EAGAIN && fd != -EINTR)
			return fd;
	}
	return -EAGAIN;
}

int rb_open_parent_in_root(int rootfd, const char *path, int flags, char **ret_name)
{
	RB_CLEANUP(rb_strp) char *p = rb_strdup(path);
	size_t n = strlen(p);

	while (n && p[n - 1] == '/')
		p[--n] = '\0';
	char *slash = strrchr(p, '/');
	const char *base = slash ? slash + 1 : p;
	if (!*base || rb_streq(base, ".") || rb_streq(base, ".."))
		return -EINVAL;
	char *name = rb_strdup(base);
	if (slash)
		slash[1] = '\0';
	int fd = rb_open_in_root(rootfd, slash ? p : ".", flags | O_DIRECTORY, 0);
	if (fd < 0) {
		free(name);
		return fd;
	}
	*ret_name = name;
	return fd;
}

int rb_mkdirs_in_root(int rootfd, const char *path, mode_t mode, rb_made_dir_fn *made, void *ctx)
{
	RB_CLEANUP(rb_strp) char *clean = rb_path_join_abs("/", path);
	size_t n = strlen(clean);

	for (size_t i = 1; i <= n; i++) {
		if (clean[i] != '/' && clean[i] != '\0')
			continue;
		char c = clean[i];
		int dirfd, r;

		clean[i] = '\0';
		dirfd = rb_open_in_root(rootfd, clean, O_PATH | O_DIRECTORY, 0);
		if (dirfd == -ENOENT) {
			RB_CLEANUP(rb_strp) char *name = NULL;
			RB_CLEANUP(rb_closep)
			int parent = rb_open_parent_in_root(rootfd, clean, O_PATH, &name);

			if (parent < 0)
				return rb_steal_fd(&parent);
			/* A dangling link in the way is EEXIST here: nothing is made through it. */
			if (mkdirat(parent, name, mode) < 0)
				return -errno;
			dirfd = rb_open_in_root(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
						0);
			if (dirfd < 0)
				return dirfd;
			if (fchmod(dirfd, mode) < 0) {
				r = -errno;
				close(dirfd);
				return r;
			}
			r = made ? made(ctx, dirfd, clean) : 0;
			if (r < 0) {
				close(dirfd);
				return r;
			}
		}
		if (dirfd < 0)
			return dirfd;
		clean[i] = c;
		if (c == '\0')
			return dirfd;
		close(dirfd);
	}
	return rb_open_in_root(rootfd, "/", O_PATH | O_DIRECTORY, 0);
}

char *rb_path_clean(const char *path)
{
	bool rooted = path[0] == '/';
	char *out = rb_malloc(strlen(path) + 2);
	size_t n = 0, floor = 0;

	if (rooted) {
		out[n++] = '/';
		floor = 1;
	}
	for (const char *p = path; *p;) {
		while (*p == '/')
			p++;
		size_t len = strcspn(p, "/");

		if (len == 0 || (len == 1 && p[0] == '.')) {
			/* nothing */
		} else if (len == 2 && p[0] == '.' && p[1] == '.') {
			if (n > floor) {
				while (n > floor && out[n - 1] != '/')
					n--;
				if (n > floor)
					n--;
			} else if (!rooted) {
				if (n)
					out[n++] = '/';
				memcpy(out + n, "..", 2);
				n += 2;
				floor = n;
			}
		} else {
			if (n > (rooted ? 1u : 0u))
				out[n++] = '/';
			memcpy(out + n, p, len);
			n += len;
		}
		p += len;
	}
	if (n == 0)
		out[n++] = '.';
	out[n] = '\0';
	return out;
}

char *rb_path_join_abs(const char *a, const char *b)
{
	if (b[0] == '/')
		return rb_path_clean(b);
	RB_CLEANUP(rb_strp) char *joined = rb_asprintf("%s/%s", a, b);
	return rb_path_clean(joined);
}

const char *rb_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}
