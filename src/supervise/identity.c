// SPDX-License-Identifier: Apache-2.0
/* Who has which credentials: numbers in RLIMIT_LOCKS, and marks on threads that differ. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "supervise/supervise-internal.h"

/* The number of equal credentials, which are taken over when new. */
static int intern(struct supervisor *s, const struct rb_cred *cred)
{
	for (size_t i = s->n_creds; i-- > 0;)
		if (rb_cred_equal(&s->creds[i], cred))
			return (int)i;
	if (s->n_creds == RB_CREDS_MAX || cred->n_groups > RB_CREDS_GROUPS_MAX - s->n_groups)
		return -EAGAIN;
	rb_grow(s->creds, s->n_creds, &s->cap_creds);
	struct rb_cred *new = &s->creds[s->n_creds];
	*new = *cred;
	if (cred->n_groups) {
		uint32_t *groups = rb_reallocarray(NULL, cred->n_groups, sizeof(*groups));

		memcpy(groups, cred->groups, cred->n_groups * sizeof(*groups));
		new->groups = groups;
		s->n_groups += cred->n_groups;
	}
	return (int)s->n_creds++;
}

static int carry(const struct supervisor *s, pid_t pid, uint32_t number)
{
	const struct rlimit64 limit = {.rlim_cur = number, .rlim_max = s->limit_max};

	return prlimit64(pid, (enum __rlimit_resource)RLIMIT_LOCKS, &limit, NULL) < 0 ? -errno : 0;
}

static int carried(const struct supervisor *s, pid_t pid, uint32_t *ret)
{
	struct rlimit64 limit;

	if (prlimit64(pid, (enum __rlimit_resource)RLIMIT_LOCKS, NULL, &limit) < 0)
		return -errno;
	if (limit.rlim_cur >= s->n_creds)
		return -EINVAL;
	*ret = (uint32_t)limit.rlim_cur;
	return 0;
}

int rb_creds_init(struct supervisor *s)
{
	const struct rb_supervise_spec *spec = s->spec;
	bool root = spec->uid == 0;
	const struct rb_cred cred = {
		.ruid = spec->uid,
		.euid = spec->uid,
		.suid = spec->uid,
		.fsuid = spec->uid,
		.rgid = spec->gid,
		.egid = spec->gid,
		.sgid = spec->gid,
		.fsgid = spec->gid,
		.groups = spec->groups,
		.n_groups = spec->n_groups,
		.permitted = root ? spec->caps : 0,
		.effective = root ? spec->caps : 0,
		.bounding = spec->caps,
		.umask = 022,
	};
	int number = intern(s, &cred);
	struct rlimit64 limit;

	if (spec->level == RB_SUPERVISE_OWNERS)
		return number < 0 ? number : 0;
	if (prlimit64(spec->pid, (enum __rlimit_resource)RLIMIT_LOCKS, NULL, &limit) < 0)
		return -errno;
	if (limit.rlim_max < RB_CREDS_MIN)
		return -EDQUOT;
	s->limit_max = limit.rlim_max;
	return number < 0 ? number : carry(s, spec->pid, (uint32_t)number);
}

/* --- threads that differ --- */

static int slack_open(const struct supervisor *s, pid_t tid, int flags)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "%d/timerslack_ns", tid);
	return openat(s->proc_fd, path, flags | O_CLOEXEC);
}

static bool marked(const struct supervisor *s, pid_t tid, uint32_t *ret)
{
	char text[32];
	uint64_t slack;

	if (!s->any_marked)
		return false;
	RB_CLEANUP(rb_closep) int fd = slack_open(s, tid, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	slack = strtoull(text, NULL, 10);
	if (slack < RB_CREDS_MARK || slack - RB_CREDS_MARK >= s->n_creds)
		return false;
	*ret = (uint32_t)(slack - RB_CREDS_MARK);
	return true;
}

static int set_slack(const struct supervisor *s, pid_t tid, uint64_t slack)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64, slack);
	RB_CLEANUP(rb_closep) int fd = slack_open(s, tid, O_WRONLY);

	return fd < 0 || write(fd, text, (size_t)n) != n ? -errno : 0;
}

static int mark(struct supervisor *s, pid_t tid, uint32_t number)
{
	s->any_marked = true;
	return set_slack(s, tid, RB_CREDS_MARK + (uint64_t)number);
}

static void unmark(const struct supervisor *s, pid_t tid)
{
	uint32_t number;

	if (marked(s, tid, &number))
		(void)set_slack(s, tid, RB_CREDS_SLACK);
}

bool rb_creds_in_slack(const struct call *c)
{
	uint32_t number;

	return marked(c->s, c->tid, &number);
}

/* The number of a thread, which may be the only one of its process. */
static int number_of(const struct supervisor *s, pid_t tid, uint32_t *ret)
{
	return marked(s, tid, ret) ? 0 : carried(s, tid, ret);
}

/* Calls f for the threads of a process until it says no, which is handed on. */
static bool each_thread(struct supervisor *s, pid_t tgid,
			bool (*f)(struct supervisor *s, pid_t tid, uint32_t number),
			uint32_t number)
{
	char path[32];
	bool yes = true;

	(void)snprintf(path, sizeof(path), "%d/task", tgid);
	int fd = openat(s->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		rb_closep(&fd);
		return false;
	}
	for (const struct dirent *e; yes && (e = readdir(dir));) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid > 0)
			yes = f(s, tid, number);
	}
	(void)closedir(dir);
	return yes;
}

static bool has_number(struct supervisor *s, pid_t tid, uint32_t number)
{
	uint32_t mine;

	return number_of(s, tid, &mine) == 0 && mine == number;
}

static bool drop_mark(struct supervisor *s, pid_t tid, uint32_t number)
{
	(void)number;
	unmark(s, tid);
	return true;
}

/* A process becomes of one number. What its threads start meanwhile has the same, either way. */
static int carry_alone(struct supervisor *s, pid_t tgid, uint32_t number)
{
	int r = carry(s, tgid, number);

	if (r == 0 && s->any_marked)
		(void)each_thread(s, tgid, drop_mark, 0);
	return r;
}

/* --- execve that has to succeed first --- */

static bool runs(const struct supervisor *s, pid_t tid, const struct pending_exec *p)
{
	char path[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%d/exe", tid);
	return fstatat(s->proc_fd, path, &st, 0) == 0 && st.st_dev == p->dev && st.st_ino == p->ino;
}

static void settle_exec(struct call *c)
{
	struct supervisor *s = c->s;
	struct caller_status st;

	if (!s->n_pending || rb_caller_status(c, &st) < 0)
		return;
	for (size_t i = 0; i < s->n_pending; i++) {
		struct pending_exec p = s->pending[i];

		if (p.tgid != st.tgid)
			continue;
		s->pending[i] = s->pending[--s->n_pending];
		if (!runs(s, c->tid, &p))
			return;
		(void)carry_alone(s, st.tgid, p.cred);
		return;
	}
}

static bool exists(const struct supervisor *s, pid_t pid)
{
	char path[16];

	(void)snprintf(path, sizeof(path), "%d", pid);
	return faccessat(s->proc_fd, path, F_OK, 0) == 0;
}

/* Who ended before its next call cannot settle what it left. */
static void pending_drop_ended(struct supervisor *s)
{
	for (size_t i = 0; i < s->n_pending;)
		if (!exists(s, s->pending[i].tgid))
			s->pending[i] = s->pending[--s->n_pending];
		else
			i++;
}

int rb_creds_after_exec(struct call *c, const struct stat *file, const struct rb_cred *cred)
{
	struct supervisor *s = c->s;
	struct caller_status st;
	int number = intern(s, cred), r = rb_caller_status(c, &st);

	if (number < 0 || r < 0)
		return number < 0 ? number : r;
	pending_drop_ended(s);
	rb_grow(s->pending, s->n_pending, &s->cap_pending);
	s->pending[s->n_pending++] = (struct pending_exec){.tgid = st.tgid,
							   .dev = file->st_dev,
							   .ino = file->st_ino,
							   .cred = (uint32_t)number};
	return 0;
}

/* --- load and store --- */

void rb_creds_load(struct call *c)
{
	struct supervisor *s = c->s;

	if (s->spec->level == RB_SUPERVISE_OWNERS) {
		if (rb_caller_creds(c, &c->cred, c->groups, RB_ARRAY_LEN(c->groups)) < 0)
			c->cred = (struct rb_cred){.fsuid = UINT32_MAX, .fsgid = UINT32_MAX};
		return;
	}
	/* Nobody has become anybody else yet. */
	if (s->n_creds > 1) {
		settle_exec(c);
		if (number_of(s, c->tid, &c->cred_index) < 0)
			c->cred_index = 0;
	}
	c->cred = s->creds[c->cred_index];
}

int rb_creds_store(struct call *c, const struct rb_cred *cred)
{
	struct supervisor *s = c->s;
	struct caller_status st;
	int number = intern(s, cred), r = rb_caller_status(c, &st);

	if (number < 0 || r < 0)
		return number < 0 ? number : r;
	c->cred = s->creds[number];
	if ((uint32_t)number == c->cred_index)
		return 0;
	if (st.threads <= 1)
		return carry_alone(s, st.tgid, (uint32_t)number);
	if ((r = mark(s, c->tid, (uint32_t)number)) < 0)
		return r;
	/* The C library tells all threads, one after the other. */
	return each_thread(s, st.tgid, has_number, (uint32_t)number)
		       ? carry_alone(s, st.tgid, (uint32_t)number)
		       : 0;
}

static int with_mask(struct supervisor *s, uint32_t number, mode_t mask)
{
	struct rb_cred cred = s->creds[number];

	cred.umask = mask;
	return intern(s, &cred);
}

static bool mask_mark(struct supervisor *s, pid_t tid, uint32_t mask)
{
	uint32_t number;
	int masked = marked(s, tid, &number) ? with_mask(s, number, mask) : 0;

	return masked <= 0 || mark(s, tid, (uint32_t)masked) == 0;
}

int rb_creds_store_umask(struct call *c, mode_t mask)
{
	struct supervisor *s = c->s;
	struct caller_status st;
	uint32_t process = 0;
	int r = rb_caller_status(c, &st), number;

	if (r < 0 || (r = carried(s, st.tgid, &process)) < 0)
		return r;
	if ((number = with_mask(s, process, mask)) < 0 ||
	    (r = carry(s, st.tgid, (uint32_t)number)) < 0)
		return number < 0 ? number : r;
	if (s->any_marked)
		(void)each_thread(s, st.tgid, mask_mark, mask);
	return 0;
}

int rb_creds_of(struct supervisor *s, pid_t pid, struct rb_cred *ret, pid_t *ret_inside)
{
	const struct call c = {.s = s, .tid = pid};
	struct caller_status st;
	uint32_t number = 0;
	int r = rb_caller_status(&c, &st);

	if (r < 0 || (r = number_of(s, pid, &number)) < 0)
		return r;
	*ret = s->creds[number];
	*ret_inside = st.tid_inside;
	return 0;
}

int rb_creds_of_inside(struct call *c, pid_t inside, struct rb_cred *ret)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(c->s->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int r = -ESRCH;

	if (!dir)
		return r;
	fd = -1; /* the stream's now */
	for (const struct dirent *e; r < 0 && (e = readdir(dir));) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10), there;
		struct rb_cred cred;

		/* Processes of others carry no number of ours, or belong to other namespaces. */
		if (pid <= 0 || !rb_caller_shares_pids(c, pid) ||
		    rb_creds_of(c->s, pid, &cred, &there) < 0 || there != inside)
			continue;
		*ret = cred;
		r = 0;
	}
	(void)closedir(dir);
	return r;
}
