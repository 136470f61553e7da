// SPDX-License-Identifier: Apache-2.0
/*
 * Contexts that are no directory of this machine become trees of the store, named by what they are
 * made from. So they need nothing of their own behind that: owners are in a ledger, COPY has the
 * keys that it has for a stage, and what is made once is there for the next build.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "layer/layer.h"
#include "solve/solve-internal.h"

/* Changes whenever a tree is made in another way from the same bytes. */
static const char scheme[] = "rbuild context 1";

void rb_context_tree_id(const char *kind, const struct rb_digest *of, int64_t more,
			char id[static RB_ID_BYTES])
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();
	char hex[RB_DIGEST_TEXT_BYTES];

	rb_hash_addstr(h, scheme);
	rb_hash_addstr(h, kind);
	rb_hash_add(h, of->bytes, sizeof(of->bytes));
	rb_hash_addu64(h, (uint64_t)more);
	struct rb_digest d = rb_hash_final(h);
	(void)snprintf(id, RB_ID_BYTES, "x-%s", rb_digest_hex(&d, hex));
}

/* --- archives */

static int unpack(struct rb_snapshotter *snapshots, int fd, const struct rb_digest *digest,
		  const char *id, struct rb_error **err)
{
	RB_CLEANUP(rb_active_freep) struct rb_active *active = NULL;
	struct rb_apply_result result;
	struct rb_snapshot_meta meta;

	if (rb_snapshot_prepare(snapshots, "", &active, err) < 0)
		return -1;
	const struct rb_apply_spec spec = {
		.src_fd = fd,
		.root_fd = rb_active_diff_fd(active),
		.upper_fd = -1,
		.ledger = rb_active_ledger(active),
		.limits = &rb_layer_limits_default,
		.want_blob = digest,
		.plain_archive = true,
		.keep_whiteouts = true,
	};
	if (lseek(fd, 0, SEEK_SET) < 0)
		return rb_fail_errno(err, "cannot rewind the archive");
	if (rb_layer_apply(&spec, &result, err) < 0)
		return -1;
	return rb_active_commit(rb_steal_ptr(&active), id, &meta, err);
}

int rb_context_tree_archive(struct rb_snapshotter *snapshots, int fd,
			    const struct rb_digest *digest, char ret_id[static RB_TREE_ID_BYTES],
			    struct rb_error **err)
{
	char id[RB_ID_BYTES];

	rb_context_tree_id("archive", digest, 0, id);
	if (!rb_snapshot_exists(snapshots, id) && unpack(snapshots, fd, digest, id, err) < 0)
		return rb_wrap(err, "the archive cannot be unpacked");
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

/* --- the time of one
 * ------------------------------------------------------------------------------------------ */

/* The time of the newest file below a directory that nobody changes. Mechanism. */
static int find_newest(int dirfd, unsigned depth, int64_t *newest)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	int r = depth > rb_layer_limits_default.depth ? -ELOOP : rb_list_names(dirfd, &names);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct stat st;

		if (fstatat(dirfd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (S_ISREG(st.st_mode) && st.st_mtim.tv_sec > *newest)
			*newest = st.st_mtim.tv_sec;
		if (!S_ISDIR(st.st_mode))
			continue;
		RB_CLEANUP(rb_closep)
		int fd = openat(dirfd, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 ? -errno : find_newest(fd, depth + 1, newest);
	}
	return r;
}

int rb_context_tree_newest(struct rb_snapshotter *snapshots, const char *id, int64_t *ret,
			   struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = rb_snapshot_view(snapshots, id, err);
	int64_t newest = -1;
	int r = fd < 0 ? -1 : find_newest(fd, 0, &newest);

	if (fd >= 0 && r < 0)
		return rb_fail_sys(err, r, "cannot read the times of the build context");
	if (r == 0)
		*ret = newest;
	return r;
}
