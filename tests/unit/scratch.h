/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of its own for a test program, and stores in it. */
#ifndef RB_TESTS_SCRATCH_H
#define RB_TESTS_SCRATCH_H

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "store/store.h"
#include "tap.h"

static char scratch[] = "/tmp/rbuild-test-XXXXXX";
static int scratch_fd = -1;

static inline char *place(const char *name)
{
	return rb_asprintf("%s/%s", scratch, name);
}

static inline struct rb_store *open_store(const char *name)
{
	RB_CLEANUP(rb_strp) char *root = place(name);
	struct rb_store *store = NULL;
	struct rb_error *err = NULL;

	CHECK_INT(rb_store_open(root, &store, &err), 0);
	CHECK_OK(&err);
	if (!store)
		exit(1);
	return store;
}

/* For main. */
static inline int run_in_scratch(const struct tap_test *tests)
{
	(void)umask(022);
	if (!mkdtemp(scratch))
		return 1;
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = scratch_fd < 0 ? 1 : tap_run(tests);
	rb_closep(&scratch_fd);
	(void)rb_remove_tree_at(AT_FDCWD, scratch);
	return r;
}

#endif
