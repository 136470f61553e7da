/* SPDX-License-Identifier: Apache-2.0 */
/* What bzip2 and xz become in the reader of archives. gzip and zstd are in test_layer.c. */
#include <bzlib.h>
#include <fcntl.h>
#include <lzma.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "layer/layer-internal.h"
#include "tap.h"

static void bzip2(struct rb_buf *out, const char *data, size_t len)
{
	unsigned n = (unsigned)len + 4096;
	RB_CLEANUP(rb_strp) char *room = rb_malloc(n);
	RB_CLEANUP(rb_strp) char *in = memcpy(rb_malloc(len), data, len);

	CHECK_INT(BZ2_bzBuffToBuffCompress(room, &n, in, (unsigned)len, 1, 0, 0), BZ_OK);
	rb_buf_add(out, room, n);
}

static void xz(struct rb_buf *out, const char *data, size_t len)
{
	size_t n = 0, max = lzma_stream_buffer_bound(len);
	RB_CLEANUP(rb_strp) char *room = rb_malloc(max);

	CHECK_INT(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, (const uint8_t *)data, len,
					  (uint8_t *)room, &n, max),
		  LZMA_OK);
	rb_buf_add(out, room, n);
}

static const struct {
	const char *name;
	enum rb_compression kind;
	void (*pack)(struct rb_buf *out, const char *data, size_t len);
} kinds[] = {{"bzip2", RB_COMPRESSION_BZIP2, bzip2}, {"xz", RB_COMPRESSION_XZ, xz}};

/* Everything a reader gives; 0 or -1. */
static int read_all(const struct rb_buf *data, size_t len, bool archive,
		    const struct rb_layer_limits *limits, struct rb_buf *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = memfd_create("test", MFD_CLOEXEC);
	const void *piece;
	ssize_t n;

	CHECK_INT(rb_write_full(fd, data->ptr, len), 0);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	RB_CLEANUP(rb_layer_reader_freep)
	struct rb_layer_reader *r = rb_layer_reader_new(fd, limits, archive);
	rb_buf_clear(ret);
	while ((n = rb_layer_reader_next(r, &piece, err)) > 0)
		rb_buf_add(ret, piece, (size_t)n);
	return (int)n;
}

static void check_same(const struct rb_buf *got, const char *want, size_t len)
{
	CHECK_INT(got->len, len);
	CHECK(got->len == len && memcmp(got->ptr, want, len) == 0);
}

static void fill(struct rb_buf *b, size_t lines)
{
	for (size_t i = 0; i < lines; i++)
		rb_buf_addf(b, "line %zu of many, which are alike: %zx\n", i, i * 2654435761u);
}

static void test_decode__members_and_padding(void)
{
	for (size_t k = 0; k < RB_ARRAY_LEN(kinds); k++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT, data = RB_BUF_INIT;
		RB_CLEANUP(rb_buf_clear) struct rb_buf got = RB_BUF_INIT;
		struct rb_error *err = NULL;

		fill(&text, 20000); /* more than one piece */
		kinds[k].pack(&data, text.ptr, text.len);
		CHECK_INT(rb_compression_detect(data.ptr, data.len), kinds[k].kind);
		CHECK_INT(read_all(&data, data.len, true, &rb_layer_limits_default, &got, &err), 0);
		check_same(&got, text.ptr, text.len);
		/* Several streams behind each other, and zeros. */
		rb_buf_truncate(&data, 0);
		for (size_t i = 0; i < text.len; i += 333333)
			kinds[k].pack(&data, text.ptr + i, rb_min_size(333333, text.len - i));
		for (int i = 0; i < 4096; i++)
			rb_buf_addch(&data, '\0');
		CHECK_INT(read_all(&data, data.len, true, &rb_layer_limits_default, &got, &err), 0);
		check_same(&got, text.ptr, text.len);
		rb_buf_addstr(&data, "this is not of it");
		CHECK_INT(read_all(&data, data.len, true, &rb_layer_limits_default, &got, &err),
			  -1);
		CHECK(err && err->code == RB_ERR_CORRUPT);
		rb_error_drop(&err);
		/* In a layer it is just bytes. */
		CHECK_INT(read_all(&data, data.len, false, &rb_layer_limits_default, &got, &err),
			  0);
		check_same(&got, data.ptr, data.len);
		CHECK_OK(&err);
	}
}

/* Cut anywhere it is an error; with a byte changed it ends, soon. */
static void test_decode__damaged(void)
{
	for (size_t k = 0; k < RB_ARRAY_LEN(kinds); k++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT, data = RB_BUF_INIT;
		RB_CLEANUP(rb_buf_clear) struct rb_buf got = RB_BUF_INIT;
		struct rb_error *err = NULL;

		fill(&text, 20);
		kinds[k].pack(&data, text.ptr, text.len);
		for (size_t len = 6; len < data.len; len++) {
			CHECK_INT(read_all(&data, len, true, &rb_layer_limits_default, &got, &err),
				  -1);
			CHECK(err && err->code == RB_ERR_CORRUPT);
			rb_error_drop(&err);
		}
		for (size_t i = 0; i < data.len; i++) {
			data.ptr[i] ^= 0x20;
			int r = read_all(&data, data.len, true, &rb_layer_limits_default, &got,
					 &err);
			CHECK(r == -1 || got.len <= data.len || got.len == text.len);
			rb_error_drop(&err);
			data.ptr[i] ^= 0x20;
		}
	}
}

/* Threats S32: what grows too much, and a window that takes too much memory. */
static void test_decode__bombs(void)
{
	RB_CLEANUP(rb_strp) char *zeros = rb_calloc(1, 8 << 20);
	RB_CLEANUP(rb_buf_clear) struct rb_buf got = RB_BUF_INIT;

	for (size_t k = 0; k < RB_ARRAY_LEN(kinds); k++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf data = RB_BUF_INIT;
		const struct rb_layer_limits limits = {.bytes = 4 << 20, .ratio = 1000};
		struct rb_error *err = NULL;

		kinds[k].pack(&data, zeros, 8 << 20);
		CHECK_INT(read_all(&data, data.len, true, &limits, &got, &err), -1);
		CHECK_ERR(&err, "larger than the limit");
	}
	RB_CLEANUP(rb_buf_clear) struct rb_buf data = RB_BUF_INIT;
	struct rb_error *err = NULL;
	xz(&data, zeros, 1 << 20);
	/* The byte behind the filter's id and size says how large the dictionary is; the block's
	 * header, whose size comes first, ends with its checksum. */
	uint8_t *block = (uint8_t *)data.ptr + LZMA_STREAM_HEADER_SIZE;
	size_t size = (block[0] + 1u) * 4;
	uint8_t *filter = memmem(block, size, "\x21\x01", 2);
	CHECK(filter != NULL);
	if (filter)
		filter[2] = 39;
	uint32_t crc = lzma_crc32(block, size - 4, 0);
	memcpy(block + size - 4, &crc, sizeof(crc));
	CHECK_INT(read_all(&data, data.len, true, &rb_layer_limits_default, &got, &err), -1);
	CHECK_ERR(&err, "needs more than 128 MiB of memory");
}

int main(void)
{
	return tap_run((const struct tap_test[]){TAP(test_decode__members_and_padding),
						 TAP(test_decode__damaged), TAP(test_decode__bombs),
						 TAP_END});
}
