/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine allows, and entering the user namespace that the rungs `range` and `single`
 * work in (design 2). Probing is by doing; results that cost more than a millisecond are cached per
 * boot.
 */
#ifndef RB_HOST_HOST_H
#define RB_HOST_HOST_H

#include "base/buf.h"
#include "base/error.h"

enum rb_rung { RB_RUNG_NONE, RB_RUNG_SINGLE, RB_RUNG_RANGE };

/* "range" */
const char *rb_rung_name(enum rb_rung rung);

struct rb_id_extent {
	uint32_t inside, outside, count;
};
enum { RB_ID_EXTENTS_MAX = 16 };
struct rb_id_map {
	struct rb_id_extent v[RB_ID_EXTENTS_MAX];
	size_t n;
};
/* Ids [0, n) that are mapped without a hole; what is beyond goes to the ownership ledger. */
uint32_t rb_id_map_limit(const struct rb_id_map *m);

/* One line of doctor. */
struct rb_host_check {
	const char *name; /* "user namespaces" */
	bool ok;
	char *found;  /* what was seen, with the reason when not ok */
	char *unlock; /* exact line that would help, or NULL */
};

struct rb_host {
	enum rb_rung rung;
	struct rb_id_map uids, gids;
	char *newuidmap,
		*newgidmap;   /* absolute paths, NULL when CAP_SETUID serves or rung is not range */
	char *why_not_range;  /* sentence, NULL when rung is range */
	char *why_not_single; /* sentence, NULL unless rung is none */
	/* The line that would open that rung, or NULL: not needed, or nobody knows one. Like the
	 * sentences they may be missing when the answer was remembered. */
	char *unlock_range, *unlock_single;
	/*
	 * What the supervisor of rung `single` needs: a listener for system calls (seccomp user
	 * notification) and a look into the memory of the caller. can_notify: both. The errnos say
	 * why not.
	 */
	bool can_notify;
	int notify_errno, inspect_errno;
	bool notify_killable; /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19 */
	bool notify_sync;     /* SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6 */
	/* Filled by rb_host_doctor() only. */
	struct rb_host_check *checks;
	size_t n_checks;
	char *store_type; /* kind of the store's file system: "ext4"; NULL: not known */
	uint64_t store_free_bytes,
		store_free_inodes; /* inodes UINT64_MAX: it does not count them */
};

/*
 * Chooses the rung. Real root without subordinate ids of its own maps all ids to themselves: its
 * steps are confined like those of a daemon that runs as root, with the ids of the host; lines for
 * root in /etc/subuid and /etc/subgid change that for all ids but 0. `mode` NULL: the highest that
 * works; "range" or "single": that one, or UNSUPPORTED with the reason and what would unlock it.
 * `cache_fd`: the store's directory for per-boot results, or -1. What is remembered holds until the
 * boot, the caller, the binary or a file that counts changes, or rb_host_forget() is called: a
 * directory service's answers change without a trace.
 */
int rb_host_probe(const char *mode, int cache_fd, struct rb_host *ret, struct rb_error **err);
void rb_host_forget(int cache_fd);
/*
 * Everything doctor prints: checks of each capability on the actual directory of the store. A NULL
 * store_path leaves those out that need one. Never uses the cache.
 */
void rb_host_doctor(const char *store_path, struct rb_host *ret);
/* Appends a check; takes found and unlock. */
void rb_host_add_check(struct rb_host *h, const char *name, bool ok, char *found, char *unlock);
void rb_host_clear(struct rb_host *h);

/*
 * Directory below /proc of a child of ours (O_PATH), found through its pidfd because our /proc may
 * show another pid namespace than the one we live in. *ret_pid (may be NULL) is the pid that /proc
 * uses. The file system is checked to be procfs (threats S16). Mechanism: descriptor or -errno.
 */
int rb_host_open_proc(int pidfd, pid_t *ret_pid);
/* Writes the file "uid_map" or "gid_map" of the process whose directory below /proc is proc_fd. 0
 * or -errno. */
int rb_id_map_write(int proc_fd, const char *file, const struct rb_id_map *map);

/*
 * Runs fn(ctx) in a forked process that is uid 0 of a new user namespace with the maps of `h`, in
 * new mount (all private) and pid namespaces (as its pid 1; fn reaps what it forks). The caller
 * must be single-threaded. The calling process waits, forwards SIGINT, SIGTERM and SIGHUP, and when
 * it dies everything in the namespace dies. A second SIGINT kills at once. Returns fn's return
 * value (0..255; 128 + signal when it was killed), or -1 with *err when the namespace cannot be
 * entered.
 *
 * fn starts with the caller's signal mask and, as a pid 1, gets a signal only when it handles or
 * blocks it; from a terminal it gets SIGINT twice, directly and forwarded, so it counts none. The
 * caller's supplementary groups stay: the build context may be readable through them only. /proc is
 * the outer one. A descriptor opened before lies in a mount of the outer mount namespace: good for
 * files, but the kernel refuses it (EINVAL) as overlay layer and for open_tree: open anew inside.
 */
int rb_host_enter(const struct rb_host *h, int (*fn)(void *ctx), void *ctx, struct rb_error **err);

#endif
