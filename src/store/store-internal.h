/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of store/ share. */
#ifndef RB_STORE_STORE_INTERNAL_H
#define RB_STORE_STORE_INTERNAL_H

#include "store/store.h"

struct rb_store {
	char *path; /* absolute, for messages */
	int fd;
	bool reaped;  /* old temporaries were removed by this process */
	char mark[9]; /* begins the names of this process's temporaries */
};

/* A file under tmp/ that will get its name by rename. */
struct rb_store_temp {
	int fd;
	char name[RB_STORE_TEMP_NAME_BYTES]; /* relative to the store; "" when there is nothing to
						remove */
};

#define RB_STORE_TEMP_INIT                                                                         \
	{                                                                                          \
		.fd = -1                                                                           \
	}

int rb_store_temp_open(struct rb_store *store, struct rb_store_temp *ret, struct rb_error **err);
/* Renames it to `rel`, making the directory of `rel` when it is missing. */
int rb_store_temp_publish(struct rb_store *store, struct rb_store_temp *t, const char *rel,
			  mode_t mode, struct rb_error **err);
void rb_store_temp_drop(struct rb_store *store, struct rb_store_temp *t);

/* Takes this process's share of the store (lock.c); waits while another one removes it. */
void rb_store_share(struct rb_store *store);

/* Writes and publishes in one go. */
int rb_store_publish(struct rb_store *store, const char *rel, const void *data, size_t len,
		     struct rb_error **err);

/* "cannot <what> in the store <path>: <strerror>", with what to do where that is known. */
int rb_store_fail(struct rb_store *store, int neg, const char *what, struct rb_error **err);

#endif
