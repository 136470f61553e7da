// SPDX-License-Identifier: Apache-2.0
/* Table rows from inode numbers: who wrote into a mounted tree knew its files by those. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "layer/layer-internal.h"

struct take {
	struct rb_ledger *ledger;
	int diff_fd;
	const struct rb_ledger_node *v;
	size_t n;
	struct rb_buf path;
};

static int by_number(const void *a, const void *b)
{
	const struct rb_ledger_node *x = a, *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

static int take_dir(struct take *t);

static int take_entry(struct take *t, int dirfd, const char *name)
{
	struct rb_ledger_node key = {0};
	struct stat st;
	size_t before;
	int r = 0;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	before = rb_layer_push(&t->path, name);
	if (S_ISDIR(st.st_mode)) {
		r = take_dir(t);
	} else if (rb_owner_in_table(st.st_mode)) {
		key.ino = st.st_ino;
		const struct rb_ledger_node *found =
			bsearch(&key, t->v, t->n, sizeof(key), by_number);
		if (found)
			rb_ledger_set(t->ledger, t->path.ptr, &found->owner);
	}
	rb_buf_truncate(&t->path, before);
	return r;
}

/* Each directory is opened from the top, so that depth costs no descriptors. */
static int take_dir(struct take *t)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	RB_CLEANUP(rb_closep)
	int fd = rb_layer_open(t->diff_fd, t->path.ptr, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	int r = fd < 0 ? fd : rb_layer_list(fd, &names);

	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = take_entry(t, fd, names.v[i]);
	return r;
}

int rb_ledger_take(struct rb_ledger *l, int diff_fd, const struct rb_ledger_node *v, size_t n)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf sorted = RB_BUF_INIT;
	union {
		char *bytes;
		struct rb_ledger_node *v;
	} u;

	if (n == 0)
		return 0;
	rb_buf_add(&sorted, v, n * sizeof(*v));
	u.bytes = sorted.ptr;
	qsort(u.v, n, sizeof(*u.v), by_number);
	struct take t = {.ledger = l, .diff_fd = diff_fd, .v = u.v, .n = n, .path = RB_BUF_INIT};
	rb_buf_addstr(&t.path, "");
	int r = take_dir(&t);
	rb_buf_clear(&t.path);
	return r;
}
