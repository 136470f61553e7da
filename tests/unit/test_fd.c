// SPDX-License-Identifier: Apache-2.0
#include "base/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"

enum { PAGE = 4096 };

/* A file of `size` bytes: 'x' in the pages that `pages` marks so, holes elsewhere. */
static int make_file(const char *pages, off_t size)
{
	static char page[PAGE];
	int fd = memfd_create("file", MFD_CLOEXEC);

	memset(page, 'x', sizeof(page));
	for (size_t i = 0; pages[i]; i++)
		if (pages[i] == 'x')
			CHECK_INT(pwrite(fd, page, PAGE, (off_t)(i * PAGE)), PAGE);
	CHECK_INT(ftruncate(fd, size), 0);
	return fd;
}

static bool same(int a, int b)
{
	char x[PAGE], y[PAGE];
	ssize_t n;

	for (off_t at = 0; (n = pread(a, x, PAGE, at)) > 0; at += n)
		if (pread(b, y, PAGE, at) != n || memcmp(x, y, (size_t)n) != 0)
			return false;
	return lseek(a, 0, SEEK_END) == lseek(b, 0, SEEK_END);
}

static void test_fd__copy_data(void)
{
	static const struct {
		const char *name, *pages;
		off_t size; /* of the source */
		uint64_t wanted;
		int result;
	} rows[] = {
		{"all", "xxx", 3 * PAGE, 3 * PAGE, 0},
		{"nothing", "", 0, 0, 0},
		{"holes", "-x--x-", 6 * PAGE, 6 * PAGE, 0},
		{"a hole alone", "", 5 * PAGE, 5 * PAGE, 0},
		{"a part", "xx-x", 4 * PAGE, 2 * PAGE, 0},
		{"cut short", "xx", 2 * PAGE, 3 * PAGE, -ENODATA},
		{"cut short in a hole", "x", 2 * PAGE, 3 * PAGE, -ENODATA},
		{"emptied", "", 0, 3 * PAGE, -ENODATA},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_closep) int in = make_file(rows[i].pages, rows[i].size);
		RB_CLEANUP(rb_closep) int out = make_file("", 0);

		int r = rb_copy_data(in, out, rows[i].wanted);
		if (r != rows[i].result)
			(void)printf("# %s\n", rows[i].name);
		CHECK_INT(r, rows[i].result);
		if (rows[i].result == 0 && (uint64_t)rows[i].size == rows[i].wanted)
			CHECK(same(in, out));
		else if (rows[i].result == 0)
			CHECK_INT(lseek(out, 0, SEEK_END), (off_t)rows[i].wanted);
	}
}

int main(void)
{
	return tap_run((const struct tap_test[]){TAP(test_fd__copy_data), TAP_END});
}
