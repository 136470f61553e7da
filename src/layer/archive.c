// SPDX-License-Identifier: Apache-2.0
#include "layer/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/fd.h"
#include "layer/layer-internal.h"

enum { PROBE_BYTES = 64 << 10, BLOCK_BYTES = 512, CHECKSUM_AT = 148, CHECKSUM_BYTES = 8 };

/* The first block of the stream behind gzip: its size, at most BLOCK_BYTES. */
static size_t gunzip_start(const uint8_t *data, size_t len, uint8_t block[static BLOCK_BYTES])
{
	union {
		const uint8_t *in;
		Bytef *out;
	} next = {.in = data};
	z_stream z = {.next_in = next.out,
		      .avail_in = (uInt)len,
		      .next_out = block,
		      .avail_out = BLOCK_BYTES};

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		rb_bug("cannot start zlib");
	/* An error here means that it is no gzip stream after all: then it has no tar header. */
	(void)inflate(&z, Z_SYNC_FLUSH);
	(void)inflateEnd(&z);
	return BLOCK_BYTES - z.avail_out;
}

static size_t unzstd_start(const uint8_t *data, size_t len, uint8_t block[static BLOCK_BYTES])
{
	ZSTD_DStream *s = ZSTD_createDStream();
	ZSTD_inBuffer in = {.src = data, .size = len};
	ZSTD_outBuffer out = {.dst = block, .size = BLOCK_BYTES};

	if (!s)
		rb_bug("cannot start zstd");
	while (out.pos < out.size && in.pos < in.size)
		if (ZSTD_isError(ZSTD_decompressStream(s, &out, &in)))
			break;
	(void)ZSTD_freeDStream(s);
	return out.pos;
}

/* Whether a block is a tar header: its checksum (octal, itself counted as blanks) is right. */
static bool is_tar_header(const uint8_t block[static BLOCK_BYTES])
{
	struct rb_slice digits = {(const char *)block + CHECKSUM_AT, 0};
	uint64_t want, sum = 0;

	while (*digits.ptr == ' ')
		digits.ptr++;
	while (digits.len < 7 && digits.ptr[digits.len] >= '0' && digits.ptr[digits.len] <= '7')
		digits.len++;
	if (rb_parse_octal(digits, UINT32_MAX, &want) < 0)
		return false;
	for (size_t i = 0; i < BLOCK_BYTES; i++)
		sum += i >= CHECKSUM_AT && i < CHECKSUM_AT + CHECKSUM_BYTES ? ' ' : block[i];
	return sum == want && block[0] != '\0';
}

static bool has_magic(const uint8_t *data, size_t len, const char *magic, size_t n)
{
	return len >= n && memcmp(data, magic, n) == 0;
}

int rb_archive_detect(int fd, const char *name, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *mem = rb_malloc(PROBE_BYTES);
	uint8_t block[BLOCK_BYTES] = {0}, *data = (uint8_t *)mem;
	ssize_t n = pread(fd, data, PROBE_BYTES, 0);
	size_t got = 0, len = n < 0 ? 0 : (size_t)n;

	if (n < 0)
		return errno == EISDIR ? 0 : rb_fail_errno(err, "cannot read %s", name);
	if (has_magic(data, len,
		      "\xfd"
		      "7zXZ\0",
		      6) ||
	    has_magic(data, len, "BZh", 3))
		return rb_fail(
			err, RB_ERR_UNSUPPORTED,
			"ADD of %s, which is compressed with xz or bzip2, is not supported yet by this version of "
			"rbuild; use COPY to copy it as it is, or a gzip or zstd archive",
			name);
	switch (rb_compression_detect(data, len)) {
	case RB_COMPRESSION_GZIP:
		got = gunzip_start(data, len, block);
		break;
	case RB_COMPRESSION_ZSTD:
		got = unzstd_start(data, len, block);
		break;
	case RB_COMPRESSION_NONE:
		got = rb_min_size(len, BLOCK_BYTES);
		memcpy(block, data, got);
		break;
	}
	return got == BLOCK_BYTES && is_tar_header(block);
}

int rb_archive_unpack(int fd, const struct rb_copy_spec *spec, struct rb_error **err)
{
	const struct rb_layer_made made = {.ledger = spec->dst_ledger, .mode = 0755};
	RB_CLEANUP(rb_buf_clear) struct rb_buf real = RB_BUF_INIT;
	struct rb_apply_result result;

	if (spec->chown_uid >= 0)
		return rb_fail(
			err, RB_ERR_UNSUPPORTED,
			"--chown for an archive that ADD unpacks is not supported yet by this version of "
			"rbuild");
	int r = rb_layer_resolve(spec->dst_root_fd, spec->dest, &real);
	RB_CLEANUP(rb_closep)
	int dir = r < 0 ? r : rb_layer_mkdirs(spec->dst_root_fd, real.ptr, &made);
	if (dir == -ENOTDIR || dir == -EEXIST)
		return rb_fail(err, RB_ERR_CONTEXT, "cannot copy to non-directory: %s", spec->dest);
	if (dir < 0) {
		r = rb_steal_fd(&dir);
		return rb_fail_sys(err, r, "cannot make the directory %s in the image", spec->dest);
	}
	const struct rb_apply_spec apply = {
		.src_fd = fd,
		.root_fd = spec->dst_root_fd,
		.upper_fd = -1,
		.ledger = spec->dst_ledger,
		.limits = &rb_layer_limits_default,
		.plain_archive = true,
	};
	return rb_layer_apply_below(&apply, real.ptr, &result, err);
}
