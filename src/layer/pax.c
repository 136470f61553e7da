// SPDX-License-Identifier: Apache-2.0
/*
 * Tar headers: POSIX.1-1988 ustar, behind a pax extended header (POSIX.1-2001) for what that cannot
 * say. Everything is a function of the entry, so that the same tree gives the same bytes: no user
 * names, no process numbers, no clock.
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/unicode.h"
#include "layer/layer-internal.h"

enum {
	BLOCK_BYTES = 512,
	NAME_BYTES = 100,
	PREFIX_BYTES = 155,
	PAX_BYTES_MAX = 1 << 20, /* readers, ours included, refuse longer pax headers */
};

struct ustar {
	char name[NAME_BYTES];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char linkname[NAME_BYTES];
	char magic[6], version[2];
	char uname[32], gname[32];
	char devmajor[8], devminor[8];
	char prefix[PREFIX_BYTES];
	char pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK_BYTES, "a tar header is one block");

/* Largest numbers of seven and eleven octal digits. */
#define OCTAL_7_MAX  07777777u
#define OCTAL_11_MAX 077777777777ull

/* Digits and a NUL; the caller has checked that the value fits. */
static void put_octal(char *field, int width, uint64_t value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%0*llo", width - 1, (unsigned long long)value);
	memcpy(field, text, (size_t)width);
}

static void put_text(char *field, size_t width, const char *text, size_t len)
{
	memcpy(field, text, rb_min_size(len, width));
}

/* Splits at a slash so that prefix and name fit; false when no slash does. */
static bool put_name(struct ustar *h, const char *path)
{
	size_t len = strlen(path);

	put_text(h->name, NAME_BYTES, path, len);
	if (len <= NAME_BYTES)
		return true;
	for (size_t i = rb_min_size(len - 1, PREFIX_BYTES); i > 0; i--) {
		/* Neither part may be empty; the slash of a directory stays with the name. */
		if (path[i] != '/' || i + 1 == len || len - i - 1 > NAME_BYTES)
			continue;
		memset(h->name, 0, NAME_BYTES);
		put_text(h->name, NAME_BYTES, path + i + 1, len - i - 1);
		put_text(h->prefix, PREFIX_BYTES, path, i);
		return true;
	}
	return false;
}

static void finish_header(struct rb_buf *out, struct ustar *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned sum = 0;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < BLOCK_BYTES; i++)
		sum += p[i];
	put_octal(h->checksum, 7, sum);
	h->checksum[7] = ' ';
	rb_buf_add(out, h, BLOCK_BYTES);
}

/* "<length> <key>=<value>\n", where the length counts its own digits. */
static void add_record(struct rb_buf *out, const char *prefix, const char *key, const void *value,
		       size_t len)
{
	size_t body = strlen(prefix) + strlen(key) + len + 3, total = body + 1;
	char digits[24];

	for (;;) {
		size_t n = (size_t)snprintf(digits, sizeof(digits), "%zu", total);

		if (body + n == total)
			break;
		total = body + n;
	}
	rb_buf_addf(out, "%s %s%s=", digits, prefix, key);
	rb_buf_add(out, value, len);
	rb_buf_addch(out, '\n');
}

static void add_text(struct rb_buf *out, const char *key, const char *value)
{
	add_record(out, "", key, value, strlen(value));
}

static void add_number(struct rb_buf *out, const char *key, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	add_text(out, key, text);
}

/* Decimal seconds with as many digits as needed; -1.5 is tv_sec -2 and tv_nsec 500000000. */
static void add_time(struct rb_buf *out, const char *key, struct timespec t)
{
	bool negative = t.tv_sec < 0;
	uint64_t sec = (uint64_t)t.tv_sec;
	long ns = t.tv_nsec;
	char text[48];

	if (negative) {
		sec = -sec - (ns > 0);
		ns = ns > 0 ? 1000000000 - ns : 0;
	}
	int n = snprintf(text, sizeof(text), "%s%llu", negative ? "-" : "",
			 (unsigned long long)sec);
	if (ns) {
		n += snprintf(text + n, sizeof(text) - (size_t)n, ".%09ld", ns);
		while (text[n - 1] == '0')
			text[--n] = '\0';
	}
	add_text(out, key, text);
}

static int add_xattrs(struct rb_buf *out, const struct rb_tar_entry *e, struct rb_error **err)
{
	for (size_t i = 0; i < e->n_xattrs; i++) {
		const struct rb_xattr *x = &e->xattrs[i];

		if (strchr(x->name, '='))
			return rb_fail(
				err, RB_ERR_CORRUPT,
				"%s: a layer cannot hold the attribute %s with = in its name",
				e->path, x->name);
		add_record(out, "SCHILY.xattr.", x->name, x->value, x->len);
	}
	return 0;
}

/* A pax header in front of the entry's own, named after its base name. */
static void add_pax_header(struct rb_buf *out, const char *path, const struct rb_buf *records)
{
	static const char zeros[BLOCK_BYTES];
	struct ustar h = {.type = 'x'};
	char name[NAME_BYTES + 1];
	size_t len = strlen(path);

	while (len && path[len - 1] == '/')
		len--;
	const char *slash = memrchr(path, '/', len);
	const char *base = slash ? slash + 1 : path;
	(void)snprintf(name, sizeof(name), "PaxHeaders.0/%.*s", (int)(path + len - base), base);
	put_text(h.name, NAME_BYTES, name, strlen(name));
	put_octal(h.mode, 8, 0644);
	put_octal(h.uid, 8, 0);
	put_octal(h.gid, 8, 0);
	put_octal(h.size, 12, records->len);
	put_octal(h.mtime, 12, 0);
	finish_header(out, &h);
	rb_buf_add(out, records->ptr, records->len);
	rb_buf_add(out, zeros, -records->len % BLOCK_BYTES);
}

/* Fills the ustar fields; what does not fit stays 0 and becomes a record. */
static void put_numbers(struct ustar *h, struct rb_buf *records, const struct rb_tar_entry *e)
{
	const struct {
		const char *key;
		char *field;
		int width;
		uint64_t value, max;
	} numbers[] = {
		{"size", h->size, 12, e->size, OCTAL_11_MAX},
		{"uid", h->uid, 8, e->uid, OCTAL_7_MAX},
		{"gid", h->gid, 8, e->gid, OCTAL_7_MAX},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(numbers); i++) {
		bool fits = numbers[i].value <= numbers[i].max;

		put_octal(numbers[i].field, numbers[i].width, fits ? numbers[i].value : 0);
		if (!fits)
			add_number(records, numbers[i].key, numbers[i].value);
	}
	bool fits = e->mtime.tv_sec >= 0 && (uint64_t)e->mtime.tv_sec <= OCTAL_11_MAX;
	put_octal(h->mtime, 12, fits ? (uint64_t)e->mtime.tv_sec : 0);
	if (!fits || e->mtime.tv_nsec)
		add_time(records, "mtime", e->mtime);
	put_octal(h->mode, 8, e->mode & 07777);
	/* Linux has 12 and 20 bits. What an image claims beyond them names no device anywhere. */
	put_octal(h->devmajor, 8, major(e->rdev) & OCTAL_7_MAX);
	put_octal(h->devminor, 8, minor(e->rdev) & OCTAL_7_MAX);
}

int rb_tar_header(struct rb_buf *out, const struct rb_tar_entry *e, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf records = RB_BUF_INIT;
	struct ustar h = {.type = e->type};
	bool long_name = !put_name(&h, e->path);
	bool long_link = e->linkname && strlen(e->linkname) > NAME_BYTES;

	if (e->linkname)
		put_text(h.linkname, NAME_BYTES, e->linkname, strlen(e->linkname));
	if ((long_name && !rb_is_utf8(e->path)) || (long_link && !rb_is_utf8(e->linkname)))
		add_text(&records, "hdrcharset", "BINARY");
	if (long_name)
		add_text(&records, "path", e->path);
	if (long_link)
		add_text(&records, "linkpath", e->linkname);
	put_numbers(&h, &records, e);
	if (add_xattrs(&records, e, err) < 0)
		return -1;
	if (records.len > PAX_BYTES_MAX)
		return rb_fail(
			err, RB_ERR_CORRUPT,
			"%s: its extended attributes need more than the %d bytes that readers "
			"of layers take",
			e->path, PAX_BYTES_MAX);
	if (records.len)
		add_pax_header(out, e->path, &records);
	finish_header(out, &h);
	return 0;
}
