// SPDX-License-Identifier: Apache-2.0
/* Who works in a store: every rbuild shares its directory (flock), one that removes it has it
 * alone. The kernel forgets the locks of those that are killed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "store/store-internal.h"

void rb_store_share(struct rb_store *store)
{
	/* Where the file system has no locks, only the protection from reset is missing. */
	if (flock(store->fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return;
	rb_log_warn("waiting until the rbuild reset of the store %s is over", store->path);
	while (flock(store->fd, LOCK_SH) < 0 && errno == EINTR)
		;
}

/* Adds " (pid 12, 34)": who holds a lock on the directory, as far as proc_locks(5) shows it. */
static void add_holders(int fd, struct rb_buf *text)
{
	enum { LOCKS_BYTES_MAX = 1 << 20 };
	RB_CLEANUP(rb_buf_clear) struct rb_buf locks = RB_BUF_INIT;
	struct rb_error *why = NULL;
	const char *before = " (pid ";
	struct stat st;

	if (fstat(fd, &st) < 0 ||
	    rb_read_file_at(AT_FDCWD, "/proc/locks", LOCKS_BYTES_MAX, &locks, &why) < 0) {
		rb_error_drop(&why); /* then they are not named */
		return;
	}
	for (const char *line = locks.ptr; line && *line; line = strchr(line, '\n')) {
		unsigned maj, min;
		unsigned long long ino;
		int pid;

		line += *line == '\n';
		if (sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%llu", &pid, &maj, &min, &ino) != 4 ||
		    maj != major(st.st_dev) || min != minor(st.st_dev) || ino != st.st_ino ||
		    pid <= 0 || pid == getpid())
			continue;
		rb_buf_addf(text, "%s%d", before, pid);
		before = ", ";
	}
	if (text->len)
		rb_buf_addch(text, ')');
}

int rb_store_seize(struct rb_store *store, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf holders = RB_BUF_INIT;

	if (flock(store->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return rb_store_fail(store, -errno, "lock a directory", err);
	add_holders(store->fd, &holders);
	return rb_fail(err, RB_ERR_SYS,
		       "another rbuild%s is at work in the store %s: wait for its end, or end it",
		       holders.len ? holders.ptr : "", store->path);
}
