// SPDX-License-Identifier: Apache-2.0
/*
 * The bytes of a layer blob. libarchive could decompress by itself, but it stops where the tar ends
 * and does not give away what it read; both digests must cover every byte (design 3.7).
 */
#include <bzlib.h>
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/fd.h"
#include "layer/layer-internal.h"

enum {
	PIECE_BYTES = 256 << 10,
	ZERO_BLOCK_BYTES = 4096,
	RATIO_FROM_BYTES = 64 << 20,
	ZSTD_WINDOW_LOG_MAX = 27,  /* 128 MiB: the most that zstd writes without --long */
	XZ_MEMORY_MAX = 128 << 20, /* xz -9 takes half of that */
};

const struct rb_layer_limits rb_layer_limits_default = {
	.bytes = 256ull << 30,
	.entries = 5000000,
	.depth = 512,
	.file_bytes = 256ull << 30,
	.ratio = 1000,
};

struct rb_layer_reader {
	int fd; /* borrowed */
	struct rb_layer_limits limits;
	bool archive;
	enum rb_compression kind;
	bool started, eof, ended; /* ended: the checked end of the decompressed stream */
	struct rb_hash *blob, *diff;
	uint64_t in_bytes, out_bytes;
	uint64_t solid_bytes; /* of out_bytes those outside zero blocks */
	uint8_t *in, *out;
	size_t in_pos, in_len;
	bool inside; /* a member, stream or frame has begun and not ended */
	z_stream gz;
	bz_stream bz;
	lzma_stream xz;
	ZSTD_DCtx *zstd;
};

enum rb_compression rb_compression_detect(const void *data, size_t len)
{
	const uint8_t *p = data;

	if (len < 4)
		return RB_COMPRESSION_NONE;
	if (p[0] == 0x1f && p[1] == 0x8b)
		return RB_COMPRESSION_GZIP;
	/* RFC 8878 3.1.1 and 3.1.2: a frame, or a skippable frame in front of it */
	if ((p[0] == 0x28 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd) ||
	    ((p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18))
		return RB_COMPRESSION_ZSTD;
	if (p[0] == 'B' && p[1] == 'Z' && p[2] == 'h' && p[3] >= '1' && p[3] <= '9')
		return RB_COMPRESSION_BZIP2;
	if (len >= 6 && memcmp(p, "\xfd\x37zXZ\0", 6) == 0)
		return RB_COMPRESSION_XZ;
	return RB_COMPRESSION_NONE;
}

struct rb_layer_reader *rb_layer_reader_new(int fd, const struct rb_layer_limits *limits,
					    bool archive)
{
	struct rb_layer_reader *r = rb_calloc(1, sizeof(*r));

	r->fd = fd;
	r->archive = archive;
	r->xz = (lzma_stream)LZMA_STREAM_INIT;
	r->limits = *limits;
	r->blob = rb_hash_new();
	r->diff = rb_hash_new();
	r->in = rb_malloc(PIECE_BYTES);
	return r;
}

void rb_layer_reader_free(struct rb_layer_reader *r)
{
	if (!r)
		return;
	if (r->kind == RB_COMPRESSION_GZIP)
		(void)inflateEnd(&r->gz);
	if (r->kind == RB_COMPRESSION_BZIP2)
		(void)BZ2_bzDecompressEnd(&r->bz);
	lzma_end(&r->xz);
	ZSTD_freeDCtx(r->zstd);
	rb_hash_free(r->blob);
	rb_hash_free(r->diff);
	free(r->in);
	free(r->out);
	free(r);
}

/* Refills the empty input buffer; eof is set when there is no more. */
static int fill(struct rb_layer_reader *r, struct rb_error **err)
{
	ssize_t n = rb_read_full(r->fd, r->in, PIECE_BYTES);

	if (n < 0)
		return rb_fail_sys(err, (int)n, "cannot read the layer");
	r->eof = n == 0;
	r->in_pos = 0;
	r->in_len = (size_t)n;
	r->in_bytes += (uint64_t)n;
	rb_hash_add(r->blob, r->in, (size_t)n);
	return 0;
}

/*
 * Between two members of gzip or bzip2: another one (1), or zero padding to the end, as tapes and
 * some registries leave it (0).
 */
static int between(struct rb_layer_reader *r, uint8_t magic, const char *name,
		   struct rb_error **err)
{
	if (r->in[r->in_pos] == magic)
		return 1;
	while (!r->eof) {
		if (!rb_layer_is_zero(r->in + r->in_pos, r->in_len - r->in_pos))
			return rb_fail(err, RB_ERR_CORRUPT, "garbage behind the %s stream", name);
		if (fill(r, err) < 0)
			return -1;
	}
	return 0;
}

/* Makes sure that there is input inside of a member. 1, or 0 at the end of the last one. */
static int need_member(struct rb_layer_reader *r, uint8_t magic, const char *name,
		       void (*restart)(struct rb_layer_reader *r), struct rb_error **err)
{
	if (r->in_pos == r->in_len && !r->eof && fill(r, err) < 0)
		return -1;
	if (r->inside)
		return 1;
	int more = r->eof ? 0 : between(r, magic, name, err);
	if (more > 0) {
		r->inside = true;
		restart(r);
	}
	return more;
}

static int ends_early(const char *name, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_CORRUPT, "the %s stream ends too early", name);
}

/* --- gzip */

static void gzip_start(struct rb_layer_reader *r)
{
	if (inflateInit2(&r->gz, 15 + 16) != Z_OK) /* 16: gzip framing only */
		rb_bug("cannot start zlib");
}

static void gzip_restart(struct rb_layer_reader *r)
{
	(void)inflateReset(&r->gz);
}

static ssize_t gzip_next(struct rb_layer_reader *r, struct rb_error **err)
{
	r->gz.next_out = r->out;
	r->gz.avail_out = PIECE_BYTES;
	while (r->gz.avail_out == PIECE_BYTES) {
		int more = need_member(r, 0x1f, "gzip", gzip_restart, err);

		if (more <= 0)
			return more;
		r->gz.next_in = r->in + r->in_pos;
		r->gz.avail_in = (unsigned)(r->in_len - r->in_pos);
		/* Without input, too: a full output buffer may leave more inside. */
		int z = inflate(&r->gz, Z_NO_FLUSH);
		r->in_pos = r->in_len - r->gz.avail_in;
		if (z == Z_STREAM_END)
			r->inside = false;
		else if (z != Z_OK && z != Z_BUF_ERROR)
			return rb_fail(err, RB_ERR_CORRUPT, "damaged gzip stream: %s",
				       r->gz.msg ? r->gz.msg : "unknown fault");
		else if (r->eof && r->gz.avail_out == PIECE_BYTES)
			return ends_early("gzip", err);
	}
	return PIECE_BYTES - (ssize_t)r->gz.avail_out;
}

/* --- bzip2 */

static void bzip2_start(struct rb_layer_reader *r)
{
	if (BZ2_bzDecompressInit(&r->bz, 0, 0) != BZ_OK)
		rb_bug("cannot start bzip2");
}

static void bzip2_restart(struct rb_layer_reader *r)
{
	char *out = r->bz.next_out;
	unsigned room = r->bz.avail_out;

	(void)BZ2_bzDecompressEnd(&r->bz);
	r->bz = (bz_stream){.next_out = out, .avail_out = room};
	bzip2_start(r);
}

static ssize_t bzip2_next(struct rb_layer_reader *r, struct rb_error **err)
{
	r->bz.next_out = (char *)r->out;
	r->bz.avail_out = PIECE_BYTES;
	while (r->bz.avail_out == PIECE_BYTES) {
		int more = need_member(r, 'B', "bzip2", bzip2_restart, err);

		if (more <= 0)
			return more;
		r->bz.next_in = (char *)r->in + r->in_pos;
		r->bz.avail_in = (unsigned)(r->in_len - r->in_pos);
		int z = BZ2_bzDecompress(&r->bz);
		r->in_pos = r->in_len - r->bz.avail_in;
		if (z == BZ_STREAM_END)
			r->inside = false;
		else if (z != BZ_OK)
			return rb_fail(err, RB_ERR_CORRUPT, "damaged bzip2 stream");
		else if (r->eof && r->bz.avail_out == PIECE_BYTES)
			return ends_early("bzip2", err);
	}
	return PIECE_BYTES - (ssize_t)r->bz.avail_out;
}

/* --- xz */

static void xz_start(struct rb_layer_reader *r)
{
	if (lzma_stream_decoder(&r->xz, XZ_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK)
		rb_bug("cannot start xz");
	r->inside = true;
}

static ssize_t xz_next(struct rb_layer_reader *r, struct rb_error **err)
{
	r->xz.next_out = r->out;
	r->xz.avail_out = PIECE_BYTES;
	while (r->inside && r->xz.avail_out == PIECE_BYTES) {
		if (r->in_pos == r->in_len && !r->eof && fill(r, err) < 0)
			return -1;
		r->xz.next_in = r->in + r->in_pos;
		r->xz.avail_in = r->in_len - r->in_pos;
		lzma_ret z = lzma_code(&r->xz, r->eof ? LZMA_FINISH : LZMA_RUN);
		r->in_pos = r->in_len - r->xz.avail_in;
		if (z == LZMA_STREAM_END)
			r->inside = false;
		else if (z == LZMA_MEMLIMIT_ERROR)
			return rb_fail(err, RB_ERR_CORRUPT,
				       "the xz stream needs more than %d MiB of memory",
				       XZ_MEMORY_MAX >> 20);
		else if (z == LZMA_BUF_ERROR)
			return ends_early("xz", err);
		else if (z != LZMA_OK)
			return rb_fail(err, RB_ERR_CORRUPT, "damaged xz stream");
	}
	return PIECE_BYTES - (ssize_t)r->xz.avail_out;
}

/* --- zstd */

static void zstd_start(struct rb_layer_reader *r)
{
	r->zstd = ZSTD_createDCtx();
	if (!r->zstd ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(r->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
		rb_bug("cannot start zstd");
}

static ssize_t zstd_next(struct rb_layer_reader *r, struct rb_error **err)
{
	ZSTD_outBuffer out = {r->out, PIECE_BYTES, 0};

	while (out.pos == 0) {
		if (r->in_pos == r->in_len && !r->eof && fill(r, err) < 0)
			return -1;
		if (r->eof && !r->inside)
			return 0;
		ZSTD_inBuffer in = {r->in, r->in_len, r->in_pos};
		size_t z = ZSTD_decompressStream(r->zstd, &out, &in);
		if (ZSTD_isError(z))
			return rb_fail(err, RB_ERR_CORRUPT, "damaged zstd stream: %s",
				       ZSTD_getErrorName(z));
		r->in_pos = in.pos;
		r->inside = z != 0;
		if (r->eof && z != 0 && out.pos == 0)
			return ends_early("zstd", err);
	}
	return (ssize_t)out.pos;
}

/* --- all of them */

static const struct {
	void (*start)(struct rb_layer_reader *r);
	ssize_t (*next)(struct rb_layer_reader *r, struct rb_error **err);
	bool layer; /* a layer may have it */
} decoders[] = {
	[RB_COMPRESSION_NONE] = {NULL, NULL, true},
	[RB_COMPRESSION_GZIP] = {gzip_start, gzip_next, true},
	[RB_COMPRESSION_ZSTD] = {zstd_start, zstd_next, true},
	[RB_COMPRESSION_BZIP2] = {bzip2_start, bzip2_next, false},
	[RB_COMPRESSION_XZ] = {xz_start, xz_next, false},
};

static int start(struct rb_layer_reader *r, struct rb_error **err)
{
	r->started = true;
	if (fill(r, err) < 0)
		return -1;
	enum rb_compression kind = rb_compression_detect(r->in, r->in_len);
	if (kind == RB_COMPRESSION_NONE || !(r->archive || decoders[kind].layer))
		return 0;
	r->out = rb_malloc(PIECE_BYTES);
	r->kind = kind;
	decoders[kind].start(r);
	return 0;
}

bool rb_layer_is_zero(const void *data, size_t len)
{
	const char *p = data;

	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/*
 * The ratio counts what costs disk: zero blocks become holes, and a megabyte of them is a kilobyte
 * of our own gzip, so that a sparse file must not make its layer unreadable. They count against
 * `bytes` all the same.
 */
static int account(struct rb_layer_reader *r, const uint8_t *p, size_t len, struct rb_error **err)
{
	r->out_bytes += len;
	if (r->out_bytes > r->limits.bytes)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "the layer is larger than the limit of %llu bytes",
			       (unsigned long long)r->limits.bytes);
	if (r->kind == RB_COMPRESSION_NONE)
		return 0;
	for (size_t i = 0; i < len; i += ZERO_BLOCK_BYTES) {
		size_t n = rb_min_size(len - i, ZERO_BLOCK_BYTES);

		if (!rb_layer_is_zero(p + i, n))
			r->solid_bytes += n;
	}
	if (r->solid_bytes > RATIO_FROM_BYTES && r->solid_bytes / r->limits.ratio > r->in_bytes)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "the layer grows to more than %u times its size when unpacked",
			       r->limits.ratio);
	return 0;
}

ssize_t rb_layer_reader_next(struct rb_layer_reader *r, const void **ret, struct rb_error **err)
{
	ssize_t n;

	if (r->ended)
		return 0;
	if (!r->started && start(r, err) < 0)
		return -1;
	if (r->kind == RB_COMPRESSION_NONE) {
		if (r->in_pos == r->in_len && !r->eof && fill(r, err) < 0)
			return -1;
		*ret = r->in;
		n = (ssize_t)r->in_len;
		r->in_pos = r->in_len;
	} else {
		*ret = r->out;
		n = decoders[r->kind].next(r, err);
	}
	if (n < 0)
		return -1;
	r->ended = n == 0;
	/* An uncompressed layer is its own diff: hashed once. */
	if (r->kind != RB_COMPRESSION_NONE)
		rb_hash_add(r->diff, *ret, (size_t)n);
	return account(r, *ret, (size_t)n, err) < 0 ? -1 : n;
}

static int compare(const char *what, const struct rb_digest *got, const struct rb_digest *want,
		   struct rb_error **err)
{
	char a[RB_DIGEST_TEXT_BYTES], b[RB_DIGEST_TEXT_BYTES];

	if (!want || rb_digest_eq(got, want))
		return 0;
	return rb_fail(err, RB_ERR_CORRUPT, "the %s is %s, expected %s", what,
		       rb_digest_text(got, a), rb_digest_text(want, b));
}

int rb_layer_reader_finish(struct rb_layer_reader *r, const struct rb_digest *want_blob,
			   const struct rb_digest *want_diff, struct rb_apply_result *ret,
			   struct rb_error **err)
{
	struct rb_apply_result res = {0};
	const void *piece;
	ssize_t n;

	while ((n = rb_layer_reader_next(r, &piece, err)) > 0)
		;
	if (n < 0)
		return -1;
	res.compression = r->kind;
	res.blob = rb_hash_final(r->blob);
	res.blob_size = r->in_bytes;
	res.diff = r->kind == RB_COMPRESSION_NONE ? res.blob : rb_hash_final(r->diff);
	res.diff_size = r->out_bytes;
	if (compare("digest of the blob", &res.blob, want_blob, err) < 0 ||
	    compare("diff ID of the layer", &res.diff, want_diff, err) < 0)
		return -1;
	*ret = res;
	return 0;
}
