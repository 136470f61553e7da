// SPDX-License-Identifier: Apache-2.0
/* Who has which credentials: numbers in RLIMIT_LOCKS, and a list of threads that differ. */
#include <dirent.h>
#include <errno.h>
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

static uint64_t start_time(const struct supervisor *s, pid_t tid)
{
	char path[32], text[1024];
	unsigned long long ticks;

	(void)snprintf(path, sizeof(path), "%d/stat", tid);
	RB_CLEANUP(rb_closep) int fd = openat(s->proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : rb_read_full(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* Behind the name, which may hold anything: field 3 and on; the start is field 22. */
	const char *p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, " %llu", &ticks) == 1 ? ticks : 0;
}

static struct thread *thread_find(struct supervisor *s, pid_t tid)
{
	for (size_t i = 0; i < s->n_threads; i++) {
		struct thread *t = &s->threads[i];

		if (t->tid != tid)
			continue;
		if (t->start == start_time(s, tid))
			return t;
		*t = s->threads[--s->n_threads];
		return NULL;
	}
	return NULL;
}

static void threads_drop(struct supervisor *s, pid_t tgid)
{
	for (size_t i = 0; i < s->n_threads;)
		if (s->threads[i].tgid == tgid)
			s->threads[i] = s->threads[--s->n_threads];
		else
			i++;
}

/* Lists every thread of the process that is not listed, with what the process carries. */
static void threads_list(struct supervisor *s, pid_t tgid, uint32_t number)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "%d/task", tgid);
	int fd = openat(s->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		rb_closep(&fd);
		return;
	}
	for (const struct dirent *e; (e = readdir(dir));) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid <= 0 || thread_find(s, tid))
			continue;
		rb_grow(s->threads, s->n_threads, &s->cap_threads);
		s->threads[s->n_threads++] = (struct thread){
			.tid = tid, .tgid = tgid, .start = start_time(s, tid), .cred = number};
	}
	(void)closedir(dir);
}

static bool threads_agree(const struct supervisor *s, pid_t tgid, uint32_t number)
{
	for (size_t i = 0; i < s->n_threads; i++)
		if (s->threads[i].tgid == tgid && s->threads[i].cred != number)
			return false;
	return true;
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
		threads_drop(s, st.tgid);
		(void)carry(s, st.tgid, p.cred);
		return;
	}
}

/* Who ended before its next call cannot settle what it left. */
static void pending_drop_ended(struct supervisor *s)
{
	for (size_t i = 0; i < s->n_pending;)
		if (start_time(s, s->pending[i].tgid) == 0)
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
	const struct thread *t;

	if (s->spec->level == RB_SUPERVISE_OWNERS) {
		if (rb_caller_creds(c, &c->cred, c->groups, RB_ARRAY_LEN(c->groups)) < 0)
			c->cred = (struct rb_cred){.fsuid = UINT32_MAX, .fsgid = UINT32_MAX};
		return;
	}
	/* Nobody has become anybody else yet. */
	if (s->n_creds > 1) {
		settle_exec(c);
		if (s->n_threads && (t = thread_find(s, c->tid)))
			c->cred_index = t->cred;
		else if (carried(s, c->tid, &c->cred_index) < 0)
			c->cred_index = 0;
	}
	c->cred = s->creds[c->cred_index];
}

int rb_creds_store(struct call *c, const struct rb_cred *cred)
{
	struct supervisor *s = c->s;
	struct caller_status st;
	struct thread *t;
	int number = intern(s, cred), r = rb_caller_status(c, &st);

	if (number < 0 || r < 0)
		return number < 0 ? number : r;
	c->cred = s->creds[number];
	if ((uint32_t)number == c->cred_index)
		return 0;
	if (st.threads <= 1) {
		threads_drop(s, st.tgid);
		return carry(s, st.tgid, (uint32_t)number);
	}
	uint32_t process = 0;
	if ((r = carried(s, st.tgid, &process)) < 0)
		return r;
	threads_list(s, st.tgid, process);
	if ((t = thread_find(s, c->tid)))
		t->cred = (uint32_t)number;
	/* The C library tells all threads, one after the other. */
	if (threads_agree(s, st.tgid, (uint32_t)number))
		threads_drop(s, st.tgid);
	/* While they differ, children and new threads follow the one that changed last. Asking at
	 * each clone who makes it would be exact, and let signals interrupt fork. */
	return carry(s, st.tgid, (uint32_t)number);
}

int rb_creds_store_umask(struct call *c, mode_t mask)
{
	struct supervisor *s = c->s;
	struct rb_cred cred = c->cred;
	struct caller_status st;
	uint32_t process = 0;
	int r = rb_caller_status(c, &st), number;

	if (r < 0 || (r = carried(s, st.tgid, &process)) < 0)
		return r;
	cred = s->creds[process];
	cred.umask = mask;
	if ((number = intern(s, &cred)) < 0 || (r = carry(s, st.tgid, (uint32_t)number)) < 0)
		return number < 0 ? number : r;
	for (size_t i = 0; i < s->n_threads; i++) {
		if (s->threads[i].tgid != st.tgid)
			continue;
		cred = s->creds[s->threads[i].cred];
		cred.umask = mask;
		if ((number = intern(s, &cred)) < 0)
			return number;
		s->threads[i].cred = (uint32_t)number;
	}
	return 0;
}

int rb_creds_of(struct supervisor *s, pid_t pid, struct rb_cred *ret, pid_t *ret_inside)
{
	const struct call c = {.s = s, .tid = pid};
	const struct thread *t = s->n_threads ? thread_find(s, pid) : NULL;
	struct caller_status st;
	uint32_t number = 0;
	int r = rb_caller_status(&c, &st);

	if (r == 0 && !t)
		r = carried(s, pid, &number);
	if (r < 0)
		return r;
	*ret = s->creds[t ? t->cred : number];
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
