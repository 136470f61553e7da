// SPDX-License-Identifier: Apache-2.0
#include "layer/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/layer-internal.h"

/* Whether a tar begins in the stream with an entry: a file of zeros is a file of zeros. */
static bool begins_as_tar(int fd)
{
	RB_CLEANUP(rb_layer_reader_freep)
	struct rb_layer_reader *reader = rb_layer_reader_new(fd, &rb_layer_limits_default, true);
	RB_CLEANUP(rb_tar_freep) struct rb_tar *tar = rb_tar_new(reader, &rb_layer_limits_default);
	struct archive_entry *e;
	struct rb_error *error = NULL;
	int r = rb_tar_next(tar, &e, &error);

	/* Not an error: the file is copied as it is then. */
	rb_error_free(error);
	return r > 0;
}

int rb_archive_detect(int fd, const char *name, struct rb_error **err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return rb_fail_errno(err, "cannot stat %s", name);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return rb_fail_errno(err, "cannot rewind %s", name);
	bool tar = begins_as_tar(fd);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return rb_fail_errno(err, "cannot rewind %s", name);
	return tar;
}

int rb_archive_unpack(int fd, const struct rb_copy_spec *spec, struct rb_error **err)
{
	bool chown = spec->chown_uid >= 0;
	const struct rb_layer_owner owner = {chown ? (uint32_t)spec->chown_uid : 0,
					     chown ? (uint32_t)spec->chown_gid : 0};
	const struct rb_layer_made made = {spec->dst_ledger, 0755, owner.uid, owner.gid};
	RB_CLEANUP(rb_buf_clear) struct rb_buf dest = RB_BUF_INIT;
	struct rb_apply_result result;

	int r = rb_layer_resolve(spec->dst_root_fd, spec->dest, &dest);
	if (r == 0)
		r = rb_layer_mkdirs(spec->dst_root_fd, dest.ptr, &made);
	if (r == -ENOTDIR || r == -ELOOP)
		return rb_fail(err, RB_ERR_CONTEXT, "cannot copy to non-directory: /%s", dest.ptr);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot make the directory /%s", dest.ptr);
	close(r);
	const struct rb_apply_spec apply = {
		.src_fd = fd,
		.root_fd = spec->dst_root_fd,
		.upper_fd = -1,
		.ledger = spec->dst_ledger,
		.owner = chown ? &owner : NULL,
		.limits = &rb_layer_limits_default,
		.plain_archive = true,
	};
	return rb_layer_apply_below(&apply, dest.ptr, &result, err);
}
