// SPDX-License-Identifier: Apache-2.0
/* `rbuild import`: a root file system tar becomes an image of one layer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/manifest.h"
#include "output/import.h"
#include "output/output-internal.h"

enum { COPY_BYTES = 256 << 10 };

static const struct {
	const char *magic;
	size_t len;
	const char *name;
} refused_formats[] = {
	{"\xfd"
	 "7zXZ",
	 5, "xz"},
	{"BZh", 3, "bzip2"},
	{"\x5d\0\0", 3, "lzma"},
	{"LZIP", 4, "lzip"},
	{"\x1f\x9d", 2, "compress"},
	{"PK\x03\x04", 4, "zip"},
	{"hsqs", 4, "squashfs"},
};

int rb_output_open_source(const char *path, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char magic[8];
	struct stat st;

	if (fd < 0)
		return rb_error_push(err, errno == ENOENT ? RB_ERR_NOTFOUND : RB_ERR_SYS, errno,
				     RB_HERE, "cannot open %s: %s", path, strerrordesc_np(errno));
	if (fstat(fd, &st) < 0)
		return rb_fail_errno(err, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return rb_fail(err, RB_ERR_UNSUPPORTED, "%s is not a regular file", path);
	ssize_t n = S_ISREG(st.st_mode) ? pread(fd, magic, sizeof(magic), 0) : 0;
	for (size_t i = 0; i < RB_ARRAY_LEN(refused_formats); i++)
		if (n >= (ssize_t)refused_formats[i].len &&
		    memcmp(magic, refused_formats[i].magic, refused_formats[i].len) == 0)
			return rb_fail(err, RB_ERR_UNSUPPORTED,
				       "%s: %s is not supported: give a tar file, plain or "
				       "compressed with gzip or zstd",
				       path, refused_formats[i].name);
	return rb_steal_fd(&fd);
}

/* Copies the file into the store; its bytes must still be those that were looked through. */
static int store_file(struct rb_store *store, int fd, const struct rb_apply_result *scanned,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_blob_writer_freep) struct rb_blob_writer *w = NULL;
	RB_CLEANUP(rb_strp) char *buf = rb_malloc(COPY_BYTES);
	uint64_t size;
	ssize_t n;

	if (rb_store_has_blob(store, &scanned->blob, &size) && size == scanned->blob_size)
		return 0;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return rb_fail_errno(err, "cannot read it a second time");
	if (rb_blob_writer_new(store, &w, err) < 0)
		return -1;
	while ((n = rb_read_full(fd, buf, COPY_BYTES)) > 0)
		if (rb_blob_writer_add(w, buf, (size_t)n, err) < 0)
			return -1;
	if (n < 0)
		return rb_fail_sys(err, (int)n, "cannot read");
	if (rb_blob_writer_commit(w, &scanned->blob, scanned->blob_size, NULL, err) < 0)
		return rb_wrap(err, "the file changed while it was read");
	return 0;
}

static void fill_config(struct rb_image_config *c, const struct rb_digest *diff_id,
			const char *origin)
{
	RB_CLEANUP(rb_strp) char *created_by = rb_asprintf("rbuild %s", origin);
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	c->platform = rb_platform_host();
	c->created = rb_rfc3339(now.tv_sec, (uint32_t)now.tv_nsec);
	rb_strv_add(&c->env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	rb_image_config_add_diff(c, diff_id);
	rb_image_config_add_history(c, c->created, created_by, NULL, "rbuild", false);
}

static int put_image(struct rb_store *store, const struct rb_apply_result *scanned,
		     const char *name, const char *origin, struct rb_digest *ret_image_id,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	struct rb_solved_layer layer = {
		.has_diff = true,
		.diff_id = scanned->diff,
		.has_blob = true,
		.blob = scanned->blob,
		.blob_size = scanned->blob_size,
	};
	struct rb_solved_image im = {.layers = &layer, .n_layers = 1};

	(void)snprintf(layer.media_type, sizeof(layer.media_type), "%s",
		       rb_output_layer_type(scanned->compression));
	fill_config(&im.config, &scanned->diff, origin);
	rb_strv_add(&names, name);
	int r = rb_output_record(store, &im, &names, NULL, origin, ret_image_id, err);
	rb_image_config_clear(&im.config);
	return r;
}

int rb_import_rootfs(struct rb_store *store, const char *path, const char *name, const char *origin,
		     struct rb_digest *ret_image_id, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = rb_output_open_source(path, err);
	struct rb_apply_result layer;
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "%s is a directory: make a tar file of it first", path);
	if (rb_layer_scan(fd, &rb_layer_limits_default, true, &layer, err) < 0 ||
	    store_file(store, fd, &layer, err) < 0)
		return rb_wrap(err, "%s", path);
	return put_image(store, &layer, name, origin, ret_image_id, err);
}
