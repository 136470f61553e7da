// SPDX-License-Identifier: Apache-2.0
/* The process: its start, its loop, and what it leaves behind. */
#include "supervise/supervise.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "supervise/supervise-internal.h"

/* Of Linux 6.6; headers lag behind. */
#define NOTIF_SET_FLAGS   SECCOMP_IOW(4, __u64)
#define NOTIF_SYNC_WAKEUP 1ULL

/* What a supervisor leaves: owners by inode number, as layer/ledger.h takes them. */
enum { END_MS = 20000, RESULT_BYTES_MAX = 256 << 20, THREADS_MAX = 512, STACK_BYTES = 256 << 10 };

/* --- start --- */

/* A procfs of our own pid namespace, where the outer one has other numbers: made once, for all
 * supervisors that this process starts. */
static int proc_fd = -1;

static int open_proc(void)
{
	if (proc_fd >= 0)
		return 0;
	RB_CLEANUP(rb_closep) int fs = rb_sys_fsopen("proc");
	int r = fs < 0 ? fs : rb_sys_fsconfig_create(fs);

	if (r == 0)
		r = proc_fd = rb_sys_fsmount(fs, RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_NODEV |
							 RB_MOUNT_ATTR_NOEXEC);
	return r < 0 ? r : 0;
}

/*
 * Into the step's user namespace: nothing outside of it can be done from here any more. Of what
 * that gives, the step's own capabilities stay, and those to read its processes with and to mark
 * its threads.
 */
static int lower_rights(const struct rb_supervise_spec *spec)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	uint64_t caps = spec->caps | (uint64_t)1 << CAP_SYS_PTRACE | (uint64_t)1 << CAP_SYS_NICE;

	if (setns(spec->pidfd, CLONE_NEWUSER) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){
			.permitted = (uint32_t)(caps >> (32 * i)),
			.effective = (uint32_t)(caps >> (32 * i)),
		};
	if (syscall(SYS_capset, &head, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static void give_output(struct supervisor *s)
{
	const struct call first = {.s = s, .tid = s->spec->pid};

	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
		RB_CLEANUP(rb_closep) int fd = rb_caller_fd(&first, i);

		if (fd >= 0)
			rb_entry_give_pipe(s, fd);
	}
}

/* Both sides wake each other on the processor they are on, instead of where there is room. */
static int wake_here(const struct supervisor *s, bool here)
{
	return ioctl(s->listener, NOTIF_SET_FLAGS, here ? NOTIF_SYNC_WAKEUP : 0ULL);
}

static int prepare(struct supervisor *s)
{
	int r;

	/*
	 * A signal for the group of the terminal ends the build, and us with it: in this order.
	 * And /dev/tty is whose it is who opens it: without a terminal of ours no step gets the
	 * caller's.
	 */
	if (setsid() < 0)
		return -errno;
	(void)signal(SIGPIPE, SIG_IGN);
	if (fstat(s->root_fd, &s->root) < 0)
		return -errno;
	if ((r = lower_rights(s->spec)) < 0 || (r = rb_creds_init(s)) < 0 ||
	    (r = rb_entry_load(s, s->root_fd, s->spec->ledger)) < 0)
		return r;
	for (size_t i = 0; i < s->spec->n_trees; i++)
		if ((r = rb_entry_load(s, s->spec->trees[i].fd, s->spec->trees[i].ledger)) < 0)
			return r;
	/* Linux 6.6; costs more without, nothing else. */
	s->wakes_here = wake_here(s, true) == 0;
	return 0;
}

/* --- one call --- */

static void answer(struct supervisor *s, const struct seccomp_notif *n, int64_t r)
{
	struct seccomp_notif_resp resp = {.id = n->id};

	if (r == RB_CALL_ANSWERED)
		return;
	if (r == RB_CALL_CONTINUE)
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (r < 0)
		resp.error = (int32_t)r;
	else
		resp.val = r;
	if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 && errno == ENOENT && r >= 0 &&
	    s->may_repeat)
		rb_replay_keep(s, n, r);
}

/* Alone, unless the call only looks and nobody's identity is in the balance. */
static void lock_for(struct supervisor *s, bool only_looks)
{
	if (only_looks && !s->may_repeat) {
		(void)pthread_rwlock_rdlock(s->lock);
		if (!s->n_pending)
			return;
		(void)pthread_rwlock_unlock(s->lock);
	}
	(void)pthread_rwlock_wrlock(s->lock);
}

/*
 * A caller and we take turns on one processor: nothing is faster while the caller has it for
 * itself. But who called while we were busy for somebody else elsewhere would be drawn over to
 * where we are, and two compilers on one processor stay there for many milliseconds while another
 * one idles. So who finds the seat of somebody who called a moment ago is woken where there is
 * room; there it finds a seat of its own at its next call.
 */
enum { SEATS = 1024, SEAT_NS = 1000000 };

static bool has_seat(struct supervisor *s, pid_t tid)
{
	int cpu = sched_getcpu();

	if (cpu < 0 || !s->wakes_here)
		return true;
	struct seat *seat = &s->seats[cpu % SEATS];
	int64_t now = rb_monotonic_ns();

	if (atomic_load(&seat->tid) != tid && now - atomic_load(&seat->used_ns) < SEAT_NS)
		return false;
	atomic_store(&seat->tid, tid);
	atomic_store(&seat->used_ns, now);
	return true;
}

static void handle(struct supervisor *s, const struct seccomp_notif *n, struct call *c)
{
	bool seated = has_seat(s, (pid_t)n->pid);
	struct call_entry e = rb_call_find(n->data.arch, (uint32_t)n->data.nr, &c->compat);
	int64_t r;

	c->s = s;
	c->id = n->id;
	c->tid = (pid_t)n->pid;
	for (int i = 0; i < 6; i++)
		c->a[i] = n->data.args[i];
	c->changes = !e.only_looks;
	lock_for(s, e.only_looks);
	if (!rb_replay_take(s, n, &r)) {
		rb_creds_load(c);
		r = e.handler(c);
	}
	if (!seated)
		(void)wake_here(s, false);
	answer(s, n, r);
	if (!seated)
		(void)wake_here(s, true);
	(void)pthread_rwlock_unlock(s->lock);
}

/* --- what is left --- */

static int leave_result(struct supervisor *s, int fd)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf out = RB_BUF_INIT;
	struct node *n, *tmp;

	/* A row of no inode says that there were owners at all. */
	if (s->has_owners) {
		const struct rb_ledger_node mark = {0};

		rb_buf_add(&out, &mark, sizeof(mark));
	}
	HASH_ITER (hh, s->nodes, n, tmp) {
		const struct rb_ledger_node row = {.ino = n->key.ino, .owner = n->owner};

		if (n->key.dev == s->root.st_dev)
			rb_buf_add(&out, &row, sizeof(row));
	}
	return rb_write_full(fd, out.ptr, out.len);
}

/* --- threads --- */

/* A short slice makes the scheduler prefer us when we wake up (Linux 6.12). A lower nice value than
 * we have would be refused, and the slice with it. */
static void be_quick(void)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime_ns, deadline, period;
	} attr = {.size = sizeof(attr), .nice = getpriority(PRIO_PROCESS, 0), .runtime_ns = 100000};

	(void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

static bool kernel_is(unsigned want_major, unsigned want_minor)
{
	struct utsname u;
	unsigned major, minor;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > want_major || (major == want_major && minor >= want_minor));
}

/* Whether somebody is still there to call; waits for a call, or only looks. */
static bool has_callers(int listener, bool wait)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	while (poll(&p, 1, wait ? -1 : 0) < 0)
		;
	return p.revents & POLLIN || !(p.revents & (POLLHUP | POLLERR));
}

/*
 * A signal interrupts a caller until its call has been received (then no more, since Linux 5.19),
 * and where its handler does not restart calls it sees EINTR from calls that never give it. So who
 * is about to do something that may take long lets somebody else receive first. Other calls are
 * over sooner than another thread is awake: their thread keeps its place, and the caches of its
 * processor. A place for each four processors serves many callers at once.
 */
struct pool {
	struct supervisor *s;
	pthread_rwlock_t lock;
	pthread_mutex_t receiving; /* where one thread has to wait and receive */
	size_t room;               /* of a notification */
	bool must_wait; /* before Linux 6.11 receiving does not end with the last caller */
	int result_fd;
	sem_t places; /* to receive */
	atomic_int threads, idle;
};

static void add_thread(struct pool *pool);

/* 0, or -errno; -ENOTCONN at the end. */
static int receive_one(struct pool *pool, struct seccomp_notif *n)
{
	int listener = pool->s->listener;

	for (;;) {
		if (pool->must_wait && !has_callers(listener, true))
			return -ENOTCONN;
		memset(n, 0, pool->room);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, n) == 0)
			return 0;
		/* The caller was killed or interrupted meanwhile, or there are no more. */
		if (errno == ENOENT && !has_callers(listener, false))
			return -ENOTCONN;
		if (errno != ENOENT && errno != EINTR)
			return -errno;
	}
}

static int receive(struct pool *pool, struct seccomp_notif *n)
{
	/* Who polled and was not first would wait for ever. */
	if (pool->must_wait)
		(void)pthread_mutex_lock(&pool->receiving);
	int r = receive_one(pool, n);
	if (pool->must_wait)
		(void)pthread_mutex_unlock(&pool->receiving);
	return r;
}

static void give_place(struct pool *pool)
{
	if (atomic_load(&pool->idle) == 0)
		add_thread(pool);
	(void)sem_post(&pool->places);
}

enum { LONG_BYTES = 1 << 20 };

void rb_call_may_take_long(struct call *c, const struct stat *st)
{
	if (S_ISFIFO(st->st_mode) || st->st_size >= LONG_BYTES)
		rb_call_takes_long(c);
}

void rb_call_takes_long(struct call *c)
{
	if (c->gave_place)
		return;
	c->gave_place = true;
	give_place(c->pool);
}

static void take_place(struct pool *pool)
{
	atomic_fetch_add(&pool->idle, 1);
	while (sem_wait(&pool->places) < 0)
		;
	atomic_fetch_sub(&pool->idle, 1);
}

static void RB_NORETURN end(struct pool *pool, int r)
{
	(void)pthread_rwlock_wrlock(&pool->lock);
	if (r == -ENOTCONN)
		r = leave_result(pool->s, pool->result_fd);
	_exit(r < 0 ? 1 : 0);
}

static void *thread_main(void *arg)
{
	struct pool *pool = arg;
	struct seccomp_notif *n = rb_calloc(1, pool->room);
	mode_t mask = 022;
	int r;

	be_quick();
	/* A umask and a working directory of its own. */
	if (unshare(CLONE_FS) < 0)
		_exit(1);
	(void)umask(mask);
	take_place(pool);
	while ((r = receive(pool, n)) == 0) {
		struct call c = {.mask = &mask, .pool = pool};

		handle(pool->s, n, &c);
		if (c.gave_place)
			take_place(pool);
	}
	end(pool, r);
}

static void add_thread(struct pool *pool)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (atomic_load(&pool->threads) >= THREADS_MAX)
		return;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, thread_main, pool) == 0)
		atomic_fetch_add(&pool->threads, 1);
	(void)pthread_attr_destroy(&attr);
}

/* Until the last process that has the filter is gone; ends the process. */
static void RB_NORETURN serve(struct supervisor *s, int result_fd)
{
	struct pool pool = {.s = s,
			    .lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP,
			    .receiving = PTHREAD_MUTEX_INITIALIZER,
			    .room = sizeof(struct seccomp_notif),
			    .must_wait = !kernel_is(6, 11),
			    .result_fd = result_fd,
			    .threads = 1};
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		_exit(1);
	if (sizes.seccomp_notif > pool.room)
		pool.room = sizes.seccomp_notif;
	rb_call_table_init();
	s->lock = &pool.lock;
	s->may_repeat = !kernel_is(5, 19);
	if (sem_init(&pool.places, 0, processors > 4 ? (unsigned)processors / 4 : 1) < 0)
		_exit(1);
	for (long i = 4; i < processors; i += 4)
		add_thread(&pool);
	(void)thread_main(&pool);
	_exit(1);
}

/* Descriptors of other steps and workers are none of ours: their ends must show. */
static void close_others(const int *keep, size_t n)
{
	for (unsigned from = STDERR_FILENO + 1; from <= INT_MAX;) {
		unsigned next = INT_MAX;

		for (size_t i = 0; i < n; i++)
			if ((unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			(void)syscall(SYS_close_range, from, next - 1, 0);
		from = next + 1;
	}
}

static void RB_NORETURN supervisor_main(const struct rb_supervise_spec *spec, int ready_fd,
					int result_fd)
{
	static struct seat seats[SEATS];
	struct supervisor s = {.spec = spec,
			       .listener = spec->listener,
			       .proc_fd = proc_fd,
			       .root_fd = spec->root_fd,
			       .seats = seats};
	int32_t r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = prepare(&s);
	if (rb_write_full(ready_fd, &r, sizeof(r)) < 0 || r < 0)
		_exit(1);
	const int keep[] = {s.listener,    s.proc_fd, s.root_fd,
			    spec->diff_fd, result_fd, spec->network_fd};
	close_others(keep, RB_ARRAY_LEN(keep));
	if (spec->level == RB_SUPERVISE_ALL)
		give_output(&s);
	serve(&s, result_fd);
}

bool rb_supervise_is_possible(void)
{
	return open_proc() == 0;
}

int rb_supervise_start(const struct rb_supervise_spec *spec, struct rb_supervisor *ret,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int result = memfd_create("rbuild-owners", MFD_CLOEXEC);
	int p[2], pidfd = -1;
	int32_t r = open_proc();

	if (r < 0)
		return rb_fail_sys(
			err, r,
			"cannot mount a procfs for the supervisor of the step (a container that masks "
			"/proc forbids it: unmask it, or use subordinate ids: see rbuild doctor)");
	r = result < 0 ? -errno : rb_pipe(p);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot start the supervisor of the step");
	RB_CLEANUP(rb_closep) int in = p[0];
	RB_CLEANUP(rb_closep) int out = p[1];
	pid_t pid = rb_sys_clone(0, &pidfd);
	if (pid == 0) {
		(void)close(in);
		supervisor_main(spec, out, result);
	}
	if (pid < 0)
		return rb_fail_sys(err, pid, "cannot start the supervisor of the step");
	struct rb_supervisor s = {.child = {.pid = pid, .pidfd = pidfd}, .result_fd = -1};
	rb_closep(&out);
	if (rb_read_full(in, &r, sizeof(r)) != (ssize_t)sizeof(r))
		r = -EPIPE;
	if (r < 0) {
		rb_child_kill(&s.child);
		return r == -EDQUOT
			       ? rb_fail(err, RB_ERR_SYS,
					 "cannot supervise the step: the hard limit of file locks "
					 "(ulimit -H -x), which numbers its users, is below %d; "
					 "raise it, or build where it is unlimited",
					 RB_CREDS_MIN)
			       : rb_fail_sys(err, r, "cannot supervise the step");
	}
	s.result_fd = rb_steal_fd(&result);
	*ret = s;
	return 0;
}

/* --- end --- */

int rb_supervise_finish(struct rb_supervisor *s, struct rb_ledger *ledger, int diff_fd,
			struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf rows = RB_BUF_INIT;
	RB_CLEANUP(rb_closep) int result = rb_steal_fd(&s->result_fd);
	struct pollfd p = {.fd = s->child.pidfd, .events = POLLIN};

	/* It ends with the step. */
	if (poll(&p, 1, END_MS) == 0)
		(void)rb_sys_pidfd_send_signal(s->child.pidfd, SIGKILL);
	int status = rb_child_wait(&s->child);

	if (status != 0)
		return rb_fail(err, RB_ERR_SYS,
			       "the supervisor of the step ended with status %d: the owners of its "
			       "files are not known, so nothing of it is kept; build again",
			       status);
	if (lseek(result, 0, SEEK_SET) < 0)
		return rb_fail_errno(err, "cannot read the owners that the step gave");
	if (rb_read_fd(result, RESULT_BYTES_MAX, &rows, err) < 0)
		return rb_wrap(err, "owners that the step gave");
	union {
		const char *bytes;
		const struct rb_ledger_node *v;
	} u = {.bytes = rows.ptr};
	size_t n = rows.len / sizeof(*u.v);
	if (n && u.v[0].ino == 0) {
		rb_ledger_note_owners(ledger);
		u.v++;
		n--;
	}
	int r = rb_ledger_take(ledger, diff_fd, u.v, n);
	return r < 0 ? rb_fail_sys(err, r, "cannot record the owners of links and pipes") : 0;
}

void rb_supervise_kill(struct rb_supervisor *s)
{
	rb_child_kill(&s->child);
	rb_closep(&s->result_fd);
}
