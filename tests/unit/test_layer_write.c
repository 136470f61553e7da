// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"
#include "base/sys.h"
#include "layer/layer-internal.h"

#define LONG_NAME                                                                                  \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"8901234567890"

/* --- a tree to write and what came out */

struct fixture {
	char dir[64];
	int tmp, diff;
	struct rb_ledger *ledger;
	struct rb_buf tar; /* or whatever compression made of it */
	struct rb_layer_write_result result;
	struct rb_error *err;
};

static int collect(void *ctx, const void *data, size_t len, struct rb_error **err)
{
	(void)err;
	rb_buf_add(ctx, data, len);
	return 0;
}

static void setup(struct fixture *f)
{
	*f = (struct fixture){.dir = "/tmp/rbuild-test-XXXXXX", .tar = RB_BUF_INIT};
	if (!mkdtemp(f->dir))
		abort();
	f->tmp = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_INT(mkdirat(f->tmp, "diff", 0755), 0);
	f->diff = openat(f->tmp, "diff", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* No id is real: the tests see the same owners as root and as a user. */
	f->ledger = rb_ledger_new(0, 0);
	CHECK_INT(rb_ledger_chown(f->ledger, f->diff, "", "", 0, 0), 0);
}

static void teardown(struct fixture *f)
{
	rb_buf_clear(&f->tar);
	rb_ledger_free(f->ledger);
	close(f->diff);
	close(f->tmp);
	CHECK_INT(rb_remove_tree_at(AT_FDCWD, f->dir), 0);
	rb_error_drop(&f->err);
}

static int write_layer(struct fixture *f, enum rb_compression compression, unsigned threads)
{
	struct rb_layer_write_spec spec = {
		.diff_fd = f->diff,
		.ledger = f->ledger,
		.parent_fd = -1,
		.compression = compression,
		.level = -1,
		.write = collect,
		.ctx = &f->tar,
		.threads = threads,
	};

	rb_buf_truncate(&f->tar, 0);
	return rb_layer_write(&spec, &f->result, &f->err);
}

static void make(struct fixture *f, const char *path, const void *data, size_t len)
{
	int fd = openat(f->diff, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK_INT(rb_write_full(fd, data, len), 0);
	CHECK_INT(futimens(fd, (struct timespec[]){{100, 0}, {100, 0}}), 0);
	close(fd);
	CHECK_INT(rb_ledger_chown(f->ledger, f->diff, path, path, 0, 0), 0);
}

static void set_time(struct fixture *f, const char *path, struct timespec t)
{
	CHECK_INT(utimensat(f->diff, path, (struct timespec[]){t, t}, AT_SYMLINK_NOFOLLOW), 0);
}

static uint64_t octal(const char *field, size_t len)
{
	uint64_t v = 0;

	(void)rb_parse_octal((struct rb_slice){field, strnlen(field, len)}, UINT64_MAX, &v);
	return v;
}

/* "<type> <name>[ <linkname>]" of each header, one a line. */
static char *listing(const struct rb_buf *tar)
{
	struct rb_buf text = RB_BUF_INIT;

	for (size_t pos = 0; pos + 512 <= tar->len;) {
		const char *h = tar->ptr + pos;

		if (!*h)
			break;
		rb_buf_addf(&text, "%c ", h[156]);
		if (h[345])
			rb_buf_addf(&text, "%.155s/", h + 345);
		rb_buf_addf(&text, "%.100s", h);
		if (h[157])
			rb_buf_addf(&text, " %.100s", h + 157);
		rb_buf_addch(&text, '\n');
		pos += 512 + (octal(h + 124, 12) + 511) / 512 * 512;
	}
	return rb_buf_steal(&text);
}

/* --- headers */

static void check_header(const struct rb_tar_entry *e, const char *records)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf out = RB_BUF_INIT;
	struct rb_error *err = NULL;
	unsigned sum = 0;

	CHECK_INT(rb_tar_header(&out, e, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(out.len, records ? 1536 : 512);
	if (records) {
		CHECK_INT(out.ptr[156], 'x');
		CHECK_INT(octal(out.ptr + 124, 12), strlen(records));
		CHECK_STR(out.ptr + 512, records);
	}
	const char *h = out.ptr + out.len - 512;
	for (size_t i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)h[i];
	CHECK_INT(octal(h + 148, 8), sum);
	CHECK_INT(memcmp(h + 257, "ustar\00000", 8), 0);
	CHECK_INT(h[156], e->type);
}

static void test_pax__only_says_what_ustar_cannot(void)
{
	static char caps[] = "security.capability", caps_value[] = "\1\0\2";
	static char user[] = "user.a", user_value[] = "b";
	static const struct rb_xattr xattrs[] = {{caps, caps_value, 3}, {user, user_value, 1}};
	static const struct {
		struct rb_tar_entry e;
		const char *records;
	} cases[] = {
		{{.path = "a", .type = '0', .size = 077777777777, .mtime = {077777777777, 0}},
		 NULL},
		{{.path = "a/" LONG_NAME, .type = '0'}, "113 path=a/" LONG_NAME "\n"},
		{{.path = LONG_NAME, .type = '0'}, "111 path=" LONG_NAME "\n"},
		{{.path = "a", .linkname = "/" LONG_NAME, .type = '2'},
		 "116 linkpath=/" LONG_NAME "\n"},
		{{.path = "a", .type = '0', .size = 0100000000000}, "19 size=8589934592\n"},
		{{.path = "a", .type = '0', .uid = 2097152, .gid = UINT32_MAX - 1},
		 "15 uid=2097152\n18 gid=4294967294\n"},
		{{.path = "a", .type = '0', .mtime = {1, 500000000}}, "13 mtime=1.5\n"},
		{{.path = "a", .type = '0', .mtime = {1, 1}}, "21 mtime=1.000000001\n"},
		{{.path = "a", .type = '0', .mtime = {-2, 0}}, "12 mtime=-2\n"},
		{{.path = "a", .type = '0', .mtime = {-2, 500000000}}, "14 mtime=-1.5\n"},
		{{.path = "a", .type = '0', .mtime = {-1, 250000000}}, "15 mtime=-0.75\n"},
		{{.path = "a", .type = '0', .mtime = {0100000000000, 0}}, "20 mtime=8589934592\n"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++)
		check_header(&cases[i].e, cases[i].records);

	RB_CLEANUP(rb_buf_clear) struct rb_buf out = RB_BUF_INIT;
	struct rb_tar_entry e = {.path = "a", .type = '0', .xattrs = xattrs, .n_xattrs = 2};
	static const char want[] = "40 SCHILY.xattr.security.capability=\1\0\2\n"
				   "25 SCHILY.xattr.user.a=b\n";
	struct rb_error *err = NULL;
	CHECK_INT(rb_tar_header(&out, &e, &err), 0);
	CHECK_INT(out.len, 1536);
	CHECK_INT(memcmp(out.ptr + 512, want, sizeof(want)), 0);
}

static void test_pax__splits_long_paths(void)
{
	/* 155 + '/' + 100 bytes is the most that ustar holds, with a cut where a slash is. */
	RB_CLEANUP(rb_strp)
	char *fits = rb_asprintf("%.100s/%.54s/%.99s/", LONG_NAME LONG_NAME, LONG_NAME, LONG_NAME);
	RB_CLEANUP(rb_strp) char *dir = rb_asprintf("%.100s/", LONG_NAME "0123456789");
	RB_CLEANUP(rb_strp) char *dir_record = rb_asprintf("111 path=%s\n", dir);

	check_header(&(struct rb_tar_entry){.path = fits, .type = '5'}, NULL);
	check_header(&(struct rb_tar_entry){.path = dir, .type = '5'}, dir_record);
}

static void test_pax__refuses(void)
{
	static char big[1 << 20], user[] = "user.a", equals[] = "user.a=b";
	const struct {
		struct rb_xattr x;
		const char *message;
	} cases[] = {
		{{equals, big, 0}, "cannot hold the attribute user.a=b"},
		{{user, big, sizeof(big)}, "more than the 1048576 bytes"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf out = RB_BUF_INIT;
		struct rb_tar_entry e = {
			.path = "a", .type = '0', .xattrs = &cases[i].x, .n_xattrs = 1};
		struct rb_error *err = NULL;

		CHECK_INT(rb_tar_header(&out, &e, &err), -1);
		CHECK_ERR(&err, cases[i].message);
	}
}

/* --- trees */

static void make_tree(struct fixture *f)
{
	static const char data[600] = "hello";

	make(f, "b", data, sizeof(data));
	make(f, "a-file", "", 0);
	CHECK_INT(mkdirat(f->diff, "a", 0750), 0);
	CHECK_INT(mkdirat(f->diff, "a/sub", 0755), 0);
	CHECK_INT(rb_ledger_chown(f->ledger, f->diff, "a", "a", 0, 0), 0);
	CHECK_INT(rb_ledger_chown(f->ledger, f->diff, "a/sub", "a/sub", 3000000, 7), 0);
	make(f, "a/\xff name", "x", 1);
	CHECK_INT(linkat(f->diff, "b", f->diff, "a/zlink", 0), 0);
	CHECK_INT(linkat(f->diff, "b", f->diff, "c", 0), 0);
	CHECK_INT(symlinkat("../elsewhere", f->diff, "link"), 0);
	CHECK_INT(linkat(f->diff, "link", f->diff, "link2", 0), 0);
	CHECK_INT(rb_ledger_chown(f->ledger, f->diff, "link", "link", 12, 34), 0);
	CHECK_INT(mkfifoat(f->diff, "pipe", 0600), 0);
	CHECK_INT(rb_ledger_chown(f->ledger, f->diff, "pipe", "pipe", 0, 0), 0);
	CHECK_INT(rb_ledger_mknod(f->ledger, f->diff, "null", "null", S_IFCHR | 0666, 0), 0);
	CHECK_INT(
		rb_ledger_mknod(f->ledger, f->diff, "disk", "disk", S_IFBLK | 0600, makedev(8, 1)),
		0);
	/* A socket, which no builder keeps. */
	CHECK_INT(mknodat(f->diff, "socket", S_IFSOCK | 0600, 0), 0);
	for (const char *const *p =
		     (const char *const[]){"a/sub", "a", "link", "pipe", "null", "disk", NULL};
	     *p; p++)
		set_time(f, *p, (struct timespec){200, 0});
}

static void test_write__lists_in_order(void)
{
	struct fixture f;

	setup(&f);
	make_tree(&f);
	CHECK_INT(write_layer(&f, RB_COMPRESSION_NONE, 1), 0);
	CHECK_OK(&f.err);
	RB_CLEANUP(rb_strp) char *list = listing(&f.tar);
	CHECK_STR(list, "5 a/\n"
			"x PaxHeaders.0/sub\n"
			"5 a/sub/\n"
			"0 a/zlink\n"
			"0 a/\xff name\n"
			"0 a-file\n"
			"1 b a/zlink\n"
			"1 c a/zlink\n"
			"4 disk\n"
			"2 link ../elsewhere\n"
			"1 link2 link\n"
			"3 null\n"
			"6 pipe\n");
	CHECK_INT(f.tar.len % 512, 0);
	CHECK(rb_layer_is_zero(f.tar.ptr + f.tar.len - 1024, 1024));
	CHECK_INT(f.result.diff_size, f.tar.len);
	CHECK_INT(f.result.blob_size, f.tar.len);
	struct rb_digest d = rb_digest_of(f.tar.ptr, f.tar.len);
	CHECK(rb_digest_eq(&d, &f.result.diff));
	CHECK(rb_digest_eq(&d, &f.result.blob));
	teardown(&f);
}

/* Another directory, made in another order, gives the same bytes. */
static void test_write__is_deterministic(void)
{
	struct fixture f, g;

	setup(&f);
	setup(&g);
	make_tree(&f);
	make(&g, "zz", "", 0);
	make_tree(&g);
	CHECK_INT(unlinkat(g.diff, "zz", 0), 0);
	CHECK_INT(write_layer(&f, RB_COMPRESSION_GZIP, 1), 0);
	CHECK_INT(write_layer(&g, RB_COMPRESSION_GZIP, 3), 0);
	CHECK(rb_digest_eq(&f.result.diff, &g.result.diff));
	CHECK(rb_digest_eq(&f.result.blob, &g.result.blob));
	CHECK_INT(f.result.blob_size, f.tar.len);
	teardown(&f);
	teardown(&g);
}

static void test_write__tells_the_root_only_when_it_differs(void)
{
	struct fixture f;
	struct rb_layer_write_spec spec;

	setup(&f);
	CHECK_INT(write_layer(&f, RB_COMPRESSION_NONE, 1), 0);
	CHECK_INT(f.tar.len, 1024);
	CHECK_INT(fchmod(f.diff, 0700), 0);
	CHECK_INT(write_layer(&f, RB_COMPRESSION_NONE, 1), 0);
	RB_CLEANUP(rb_strp) char *list = listing(&f.tar);
	CHECK(strstr(list, "5 ./\n"));

	/* Against a parent of the same mode and owner. */
	spec = (struct rb_layer_write_spec){
		.diff_fd = f.diff, .ledger = f.ledger, .parent_fd = f.diff, .level = -1};
	CHECK_INT(rb_layer_write(&spec, &f.result, &f.err), 0);
	CHECK_INT(f.result.diff_size, 1024);
	CHECK(rb_digest_is_zero(&f.result.blob));
	CHECK_INT(f.result.blob_size, 0);
	teardown(&f);
}

static void test_write__turns_overlay_marks_into_names(void)
{
	struct fixture f;

	setup(&f);
	make(&f, "gone", "", 0);
	CHECK_INT(mkdirat(f.diff, "d", 0755), 0);
	CHECK_INT(rb_ledger_chown(f.ledger, f.diff, "d", "d", 0, 0), 0);
	make(&f, "d/kept", "", 0);
	make(&f, "d/gone", "", 0);
	set_time(&f, "d", (struct timespec){1, 0});
	CHECK_INT(rb_sys_setxattr(f.diff, "gone", "user.overlay.whiteout", "", 0), 0);
	CHECK_INT(rb_sys_setxattr(f.diff, "d/gone", "user.overlay.whiteout", "y", 1), 0);
	CHECK_INT(rb_sys_setxattr(f.diff, "d", "user.overlay.opaque", "y", 1), 0);
	/* A real 0:0 device needs root: then it is the same mark. */
	bool device = mknodat(f.diff, "hole", S_IFCHR, 0) == 0;
	CHECK_INT(write_layer(&f, RB_COMPRESSION_NONE, 1), 0);
	CHECK_OK(&f.err);
	RB_CLEANUP(rb_strp) char *list = listing(&f.tar);
	RB_CLEANUP(rb_strp)
	char *want = rb_asprintf("5 d/\n0 d/.wh..wh..opq\n0 d/.wh.gone\n0 d/kept\n0 .wh.gone\n%s",
				 device ? "0 .wh.hole\n" : "");
	CHECK_STR(list, want);

	CHECK_INT(rb_sys_setxattr(f.diff, "", "user.overlay.opaque", "y", 1), 0);
	CHECK_INT(write_layer(&f, RB_COMPRESSION_NONE, 1), 0);
	CHECK_STR(f.tar.ptr, ".wh..wh..opq");
	teardown(&f);
}

static void test_write__refuses_whiteout_names(void)
{
	struct fixture f;

	setup(&f);
	CHECK_INT(mkdirat(f.diff, "d", 0755), 0);
	make(&f, "d/.wh.x", "", 0);
	CHECK_INT(write_layer(&f, RB_COMPRESSION_NONE, 1), -1);
	CHECK_INT(f.err->code, RB_ERR_CORRUPT);
	CHECK_ERR(&f.err, "d/.wh.x: names that begin with .wh.");
	teardown(&f);
}

static void test_write__refuses_deep_trees(void)
{
	struct fixture f;
	unsigned depth = rb_layer_limits_default.depth + 1;
	int fd;

	setup(&f);
	fd = dup(f.diff);
	for (unsigned i = 0; i < depth; i++) {
		CHECK_INT(mkdirat(fd, "d", 0755), 0);
		int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	CHECK_INT(write_layer(&f, RB_COMPRESSION_NONE, 1), -1);
	CHECK_ERR(&f.err, "deeper than 512 directories");
	teardown(&f);
}

static void test_write__keeps_holes_as_zeros(void)
{
	enum { MIB = 1 << 20, SIZE = 5 * MIB + 3 };
	struct fixture f;
	int fd;

	setup(&f);
	fd = openat(f.diff, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK_INT(pwrite(fd, "begin", 5, MIB), 5);
	CHECK_INT(pwrite(fd, "end", 3, 3 * MIB), 3);
	CHECK_INT(ftruncate(fd, SIZE), 0);
	CHECK_INT(futimens(fd, (struct timespec[]){{1, 0}, {1, 0}}), 0);
	close(fd);
	CHECK_INT(rb_ledger_chown(f.ledger, f.diff, "sparse", "sparse", 0, 0), 0);
	CHECK_INT(write_layer(&f, RB_COMPRESSION_NONE, 1), 0);
	CHECK_OK(&f.err);
	CHECK_INT(f.tar.len, 512 + (SIZE + 511) / 512 * 512 + 1024);
	const char *data = f.tar.ptr + 512;
	CHECK(rb_layer_is_zero(data, MIB));
	CHECK_STR(data + MIB, "begin");
	CHECK_STR(data + 3 * MIB, "end");
	CHECK(rb_layer_is_zero(data + 3 * MIB + 3, 2 * MIB));
	teardown(&f);
}

static void test_write__refuses_unknown_levels(void)
{
	static const struct {
		enum rb_compression kind;
		int level;
	} cases[] = {{RB_COMPRESSION_GZIP, 13}, {RB_COMPRESSION_ZSTD, 23}};
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_layer_write_spec spec = {
			.diff_fd = f.diff,
			.ledger = f.ledger,
			.parent_fd = -1,
			.compression = cases[i].kind,
			.level = cases[i].level,
			.write = collect,
			.ctx = &f.tar,
			.threads = 2,
		};
		CHECK_INT(rb_layer_write(&spec, &f.result, &f.err), -1);
		CHECK_INT(f.err->code, RB_ERR_USAGE);
		CHECK_ERR(&f.err, "compression level");
	}
	teardown(&f);
}

/* --- compression */

static int refuse(void *ctx, const void *data, size_t len, struct rb_error **err)
{
	(void)ctx, (void)data, (void)len;
	return rb_fail(err, RB_ERR_SYS, "disk is full");
}

/* Bytes that compress, but not to nothing. */
static void fill(uint8_t *p, size_t len)
{
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (uint8_t)((x >> 28) * 3);
	}
}

static int scan(const struct rb_buf *blob, struct rb_apply_result *ret, struct rb_error **err)
{
	FILE *file = tmpfile();

	if (!file || rb_write_full(fileno(file), blob->ptr, blob->len) < 0 ||
	    lseek(fileno(file), 0, SEEK_SET) < 0)
		abort();
	int r = rb_layer_scan(fileno(file), &rb_layer_limits_default, false, ret, err);
	(void)fclose(file);
	return r;
}

/* What the reader says of the blob is what the writer said, whatever the number of threads. */
static void test_sink__round_trips(void)
{
	enum { SIZE = (9 << 20) + 5 };
	static const enum rb_compression kinds[] = {RB_COMPRESSION_NONE, RB_COMPRESSION_GZIP,
						    RB_COMPRESSION_ZSTD};
	struct fixture f;

	setup(&f);
	RB_CLEANUP(rb_strp) char *data = rb_malloc(SIZE);
	fill((uint8_t *)data, SIZE);
	make(&f, "big", data, SIZE);
	for (size_t i = 0; i < RB_ARRAY_LEN(kinds); i++) {
		struct rb_layer_write_result first = {0};

		for (unsigned threads = 1; threads < 5; threads += 3) {
			struct rb_apply_result seen = {0};

			CHECK_INT(write_layer(&f, kinds[i], threads), 0);
			CHECK_OK(&f.err);
			CHECK_INT(scan(&f.tar, &seen, &f.err), 0);
			CHECK_OK(&f.err);
			CHECK_INT(seen.compression, kinds[i]);
			CHECK_INT(seen.entries, 1);
			CHECK(rb_digest_eq(&seen.diff, &f.result.diff));
			CHECK(rb_digest_eq(&seen.blob, &f.result.blob));
			CHECK_INT(seen.diff_size, f.result.diff_size);
			if (threads == 1)
				first = f.result;
			CHECK(rb_digest_eq(&first.blob, &f.result.blob));
		}
	}
	teardown(&f);
}

static void test_sink__makes_gzip_members_for_zlib(void)
{
	enum { MIB = 1 << 20, SIZE = 3 * MIB };
	struct fixture f;
	unsigned members = 0;
	size_t total = 0;
	z_stream z = {0};

	setup(&f);
	RB_CLEANUP(rb_strp) char *data = rb_malloc(SIZE);
	RB_CLEANUP(rb_strp) char *back = rb_malloc(SIZE + 2 * MIB);
	fill((uint8_t *)data, SIZE);
	make(&f, "big", data, SIZE);
	CHECK_INT(write_layer(&f, RB_COMPRESSION_GZIP, 2), 0);
	/* No time and no name in the header (RFC 1952 2.3). */
	CHECK(rb_layer_is_zero(f.tar.ptr + 3, 5));
	CHECK_INT(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (Bytef *)f.tar.ptr;
	z.avail_in = (uInt)f.tar.len;
	while (z.avail_in) {
		z.next_out = (Bytef *)back + total;
		z.avail_out = (uInt)(SIZE + 2 * MIB - total);
		int r = inflate(&z, Z_FINISH);
		CHECK_INT(r, Z_STREAM_END);
		if (r != Z_STREAM_END)
			break;
		total = (size_t)((char *)z.next_out - back);
		members++;
		(void)inflateReset(&z);
	}
	(void)inflateEnd(&z);
	CHECK_INT(members, 4);
	CHECK_INT(total, f.result.diff_size);
	CHECK_INT(memcmp(back + 512, data, SIZE), 0);
	struct rb_digest d = rb_digest_of(back, total);
	CHECK(rb_digest_eq(&d, &f.result.diff));
	teardown(&f);
}

static void test_sink__passes_on_errors_and_joins(void)
{
	struct rb_layer_write_spec spec = {
		.compression = RB_COMPRESSION_GZIP, .level = 1, .write = refuse};

	for (spec.threads = 1; spec.threads < 4; spec.threads++) {
		struct rb_error *err = NULL;
		RB_CLEANUP(rb_layer_sink_freep)
		struct rb_layer_sink *s = rb_layer_sink_new(&spec, &err);

		CHECK_OK(&err);
		CHECK_INT(rb_layer_sink_add(s, NULL, 32 << 20, &err), -1);
		CHECK_ERR(&err, "disk is full");
	}
}

static void test_sink__takes_nothing_at_all(void)
{
	static const struct {
		enum rb_compression kind;
		bool empty;
	} cases[] = {{RB_COMPRESSION_NONE, true},
		     {RB_COMPRESSION_GZIP, false},
		     {RB_COMPRESSION_ZSTD, false}};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf out = RB_BUF_INIT;
		struct rb_layer_write_spec spec = {.compression = cases[i].kind,
						   .level = -1,
						   .write = collect,
						   .ctx = &out,
						   .threads = 2};
		struct rb_layer_write_result result;
		struct rb_error *err = NULL;
		RB_CLEANUP(rb_layer_sink_freep)
		struct rb_layer_sink *s = rb_layer_sink_new(&spec, &err);

		CHECK_INT(rb_layer_sink_finish(s, &result, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(out.len == 0, cases[i].empty);
		CHECK_INT(rb_compression_detect(out.ptr, out.len), cases[i].kind);
		CHECK_INT(result.diff_size, 0);
	}
}

/* --- others read it */

static void test_write__is_read_by_python(void)
{
	static const char script[] =
		"python3 -c '\n"
		"import sys, tarfile\n"
		"for m in tarfile.open(sys.argv[1], \"r:*\", errors=\"surrogateescape\"):\n"
		"  print(m.type.decode(), ascii(m.name), ascii(m.linkname), oct(m.mode), m.uid,\n"
		"        m.gid, m.size, m.mtime, m.devmajor, m.devminor,\n"
		"        m.pax_headers.get(\"SCHILY.xattr.user.k\", \"-\"))\n"
		"' %s/tar 2>/dev/null";
	static const char want[] = "5 'a' '' 0o750 0 0 0 200 0 0 -\n"
				   "5 'a/sub' '' 0o755 3000000 7 0 200 0 0 -\n"
				   "0 'a/zlink' '' 0o644 0 0 600 100 0 0 -\n"
				   "0 'a/\\udcff name' '' 0o644 0 0 1 100 0 0 -\n"
				   "0 'a-file' '' 0o644 0 0 0 -0.75 0 0 v\n"
				   "1 'b' 'a/zlink' 0o644 0 0 0 100 0 0 -\n"
				   "1 'c' 'a/zlink' 0o644 0 0 0 100 0 0 -\n"
				   "4 'disk' '' 0o600 0 0 0 200 8 1 -\n"
				   "2 'link' '../elsewhere' 0o777 12 34 0 200 0 0 -\n"
				   "1 'link2' 'link' 0o777 12 34 0 200 0 0 -\n"
				   "3 'null' '' 0o666 0 0 0 200 0 0 -\n"
				   "6 'pipe' '' 0o600 0 0 0 200 0 0 -\n";
	struct fixture f;
	char out[4096] = "";

	if (system("python3 -c 'import tarfile' >/dev/null 2>&1") != 0) {
		printf("# skipped: no python3\n");
		return;
	}
	setup(&f);
	make_tree(&f);
	CHECK_INT(rb_sys_setxattr(f.diff, "a-file", "user.k", "v", 1), 0);
	set_time(&f, "a-file", (struct timespec){-1, 250000000});
	CHECK_INT(write_layer(&f, RB_COMPRESSION_GZIP, 1), 0);
	CHECK_INT(rb_publish_at(f.tmp, "tar", f.tar.ptr, f.tar.len, 0600, &f.err), 0);
	RB_CLEANUP(rb_strp) char *command = rb_asprintf(script, f.dir);
	FILE *pipe = popen(command, "re");
	CHECK(pipe);
	out[fread(out, 1, sizeof(out) - 1, pipe)] = '\0';
	CHECK_INT(pclose(pipe), 0);
	CHECK_STR(out, want);
	teardown(&f);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_pax__only_says_what_ustar_cannot),
		TAP(test_pax__splits_long_paths),
		TAP(test_pax__refuses),
		TAP(test_write__lists_in_order),
		TAP(test_write__is_deterministic),
		TAP(test_write__tells_the_root_only_when_it_differs),
		TAP(test_write__turns_overlay_marks_into_names),
		TAP(test_write__refuses_whiteout_names),
		TAP(test_write__refuses_deep_trees),
		TAP(test_write__keeps_holes_as_zeros),
		TAP(test_write__refuses_unknown_levels),
		TAP(test_sink__round_trips),
		TAP(test_sink__makes_gzip_members_for_zlib),
		TAP(test_sink__passes_on_errors_and_joins),
		TAP(test_sink__takes_nothing_at_all),
		TAP(test_write__is_read_by_python),
		TAP_END,
	});
}
