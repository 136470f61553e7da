// SPDX-License-Identifier: Apache-2.0
/*
 * A layer unpacked into a directory beside a sentinel that must survive: unchanged, with one name,
 * and with nothing new next to it. What was unpacked must also be writable as a layer again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "layer/layer-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
/* The engine's; not there when files are replayed. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

static char top[] = "/tmp/rbuild-fuzz-apply-XXXXXX";
static int top_fd = -1;
static struct stat sentinel;

static const struct rb_layer_limits limits = {
	.bytes = 8 << 20,
	.entries = 200,
	.depth = 20,
	.file_bytes = 1 << 20,
	.ratio = 1000,
};

static void ignore_line(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
}

static void clean_up(void)
{
	(void)rb_remove_tree_at(AT_FDCWD, top);
}

static void set_up(void)
{
	if (!mkdtemp(top))
		abort();
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	RB_CLEANUP(rb_closep)
	int fd = openat(top_fd, "sentinel", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0 || rb_write_full(fd, "alive", 5) < 0 || fstat(fd, &sentinel) < 0)
		abort();
	(void)atexit(clean_up);
	rb_log_set_sink(ignore_line, NULL);
}

static void check_sentinel(void)
{
	struct rb_strv names = RB_STRV_INIT;
	struct stat st;

	if (fstatat(top_fd, "sentinel", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_ino != sentinel.st_ino || st.st_mode != sentinel.st_mode || st.st_size != 5 ||
	    st.st_uid != sentinel.st_uid || st.st_nlink != 1 ||
	    memcmp(&st.st_ctim, &sentinel.st_ctim, sizeof(st.st_ctim)) != 0)
		abort();
	/* "root" and "sentinel" */
	if (rb_layer_list(top_fd, &names) < 0 || names.n != 2)
		abort();
	rb_strv_clear(&names);
}

static void write_again(int root, struct rb_ledger *l)
{
	const struct rb_layer_write_spec spec = {.diff_fd = root, .ledger = l, .parent_fd = -1};
	struct rb_layer_write_result res;
	struct rb_error *err = NULL;

	/* An attribute with "=" in its name is what a tree may have and a layer cannot. */
	if (rb_layer_write(&spec, &res, &err) < 0 && err->code != RB_ERR_CORRUPT && geteuid() == 0)
		abort();
	rb_error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rb_apply_result res;
	struct rb_error *err = NULL;

	if (top_fd < 0)
		set_up();
	if (rb_remove_tree_at(top_fd, "root") < 0 || mkdirat(top_fd, "root", 0755) < 0)
		abort();
	RB_CLEANUP(rb_closep) int root = openat(top_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	RB_CLEANUP(rb_closep) int src = memfd_create("layer", MFD_CLOEXEC);
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(0, 0);
	if (root < 0 || src < 0 || rb_write_full(src, data, size) < 0 ||
	    lseek(src, 0, SEEK_SET) != 0)
		abort();
	const struct rb_apply_spec spec = {
		.src_fd = src,
		.root_fd = root,
		.upper_fd = -1,
		.ledger = l,
		.limits = &limits,
		/* What no layer is compressed with is an archive of ADD. */
		.plain_archive = rb_compression_detect(data, size) >= RB_COMPRESSION_BZIP2,
	};
	if (rb_layer_apply(&spec, &res, &err) == 0)
		write_again(root, l);
	else if (!err)
		abort();
	rb_error_free(err);
	check_sentinel();
	return 0;
}

/* Mends the checksums of what looks like headers, which no mutation hits by itself. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	enum { BLOCK = 512, SUM_AT = 148, SUM_BYTES = 8, MAGIC_AT = 257 };

	size = LLVMFuzzerMutate(data, size, max_size);
	for (size_t at = 0; seed % 8 && at + BLOCK <= size; at += BLOCK) {
		uint8_t *block = data + at;
		unsigned sum = 0;
		char text[SUM_BYTES + 1];

		if (memcmp(block + MAGIC_AT, "ustar", 5) != 0)
			continue;
		memset(block + SUM_AT, ' ', SUM_BYTES);
		for (size_t i = 0; i < BLOCK; i++)
			sum += block[i];
		(void)snprintf(text, sizeof(text), "%06o", sum);
		memcpy(block + SUM_AT, text, 7);
	}
	return size;
}
