// SPDX-License-Identifier: Apache-2.0
#include "solve/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/fd.h"
#include "base/sys.h"

#define AGENT_NAME "agent"

enum {
	KEYS_MAX = 32,
	MESSAGE_BYTES_MAX = 4096, /* of what a program says */
	/* Descriptors of a forwarder. */
	FORWARD_LISTEN = 3,
	FORWARD_AGENT = 4,
};

struct key {
	char *path; /* for messages */
	int fd;
};

struct agent {
	char *id;
	int socket_fd; /* the caller's, O_PATH; -1: an agent for `keys` */
	struct key *keys;
	size_t n_keys, cap_keys;
	struct rb_child child; /* that agent, once it is started, */
	int dir_fd;            /* and the directory of its socket */
};

struct rb_ssh {
	struct agent *v;
	size_t n, cap;
};

/* --- life --- */

static void agent_clear(struct agent *a)
{
	rb_child_kill(&a->child);
	rb_closep(&a->socket_fd);
	rb_closep(&a->dir_fd);
	for (size_t i = 0; i < a->n_keys; i++) {
		rb_closep(&a->keys[i].fd);
		free(a->keys[i].path);
	}
	free(a->keys);
	free(a->id);
}

struct rb_ssh *rb_ssh_new(void)
{
	return rb_calloc(1, sizeof(struct rb_ssh));
}

void rb_ssh_free(struct rb_ssh *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		agent_clear(&s->v[i]);
	free(s->v);
	free(s);
}

static struct agent *find(const struct rb_ssh *s, const char *id)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (rb_streq(s->v[i].id, id))
			return &s->v[i];
	return NULL;
}

bool rb_ssh_has(const struct rb_ssh *s, const char *id)
{
	return find(s, id);
}

/* --- SPEC --- */

static int need_programs(struct rb_error **err)
{
	static const char *const programs[] = {"ssh-agent", "ssh-add"};

	for (size_t i = 0; i < RB_ARRAY_LEN(programs); i++) {
		RB_CLEANUP(rb_strp) char *path = rb_find_program(programs[i]);

		if (!path)
			return rb_fail(
				err, RB_ERR_UNSUPPORTED,
				"a key as a file needs the program %s, which is not installed; "
				"install OpenSSH's client, or give the socket of an agent",
				programs[i]);
	}
	return 0;
}

static int add_key(struct agent *a, const char *path, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return rb_fail_errno(err, "cannot read the key %s", path);
	if (a->n_keys == KEYS_MAX)
		return rb_fail(err, RB_ERR_USAGE, "more than %d keys", KEYS_MAX);
	if (need_programs(err) < 0)
		return -1;
	rb_grow(a->keys, a->n_keys, &a->cap_keys);
	a->keys[a->n_keys++] = (struct key){.path = rb_strdup(path), .fd = rb_steal_fd(&fd)};
	return 0;
}

static int add_path(struct agent *a, const char *path, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "%s does not exist: neither the socket of an agent nor a key", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return rb_fail_errno(err, "cannot use %s", path);
	if (S_ISREG(st.st_mode))
		return add_key(a, path, err);
	if (!S_ISSOCK(st.st_mode))
		return rb_fail(err, RB_ERR_USAGE, "%s is neither the socket of an agent nor a key",
			       path);
	if (a->socket_fd >= 0)
		return rb_fail(err, RB_ERR_USAGE, "only one agent socket can have an id");
	a->socket_fd = rb_steal_fd(&fd);
	return 0;
}

static int add_paths(struct agent *a, const char *list, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv paths = RB_STRV_INIT;
	const char *agent = getenv("SSH_AUTH_SOCK");

	if (list && *list) {
		if (rb_csv_split(list, RB_ERR_USAGE, &paths, err) < 0)
			return -1;
	} else if (agent && *agent) {
		rb_strv_add(&paths, agent);
	} else {
		return rb_fail(
			err, RB_ERR_USAGE,
			"SSH_AUTH_SOCK is not set, so there is no agent to forward to: start "
			"one (eval $(ssh-agent); ssh-add), or name a socket or key: %s=PATH",
			a->id);
	}
	for (size_t i = 0; i < paths.n; i++)
		if (add_path(a, paths.v[i], err) < 0)
			return -1;
	if (a->socket_fd >= 0 && a->n_keys)
		return rb_fail(err, RB_ERR_USAGE,
			       "an id has either one agent socket or keys, not both");
	return 0;
}

int rb_ssh_add(struct rb_ssh *s, const char *spec, struct rb_error **err)
{
	size_t n = strcspn(spec, "=");
	struct agent a = {.socket_fd = -1, .dir_fd = -1, .child = RB_CHILD_INIT};

	if (!n)
		return rb_fail(err, RB_ERR_USAGE, "an agent needs an id, as in default=PATH");
	a.id = rb_strndup(spec, n);
	if (add_paths(&a, spec[n] ? spec + n + 1 : NULL, err) < 0) {
		agent_clear(&a);
		return -1;
	}
	struct agent *old = find(s, a.id);
	if (old) {
		agent_clear(old);
		*old = a;
		return 0;
	}
	rb_grow(s->v, s->n, &s->cap);
	s->v[s->n++] = a;
	return 0;
}

/* --- an agent for keys --- */

static void trim(struct rb_buf *b)
{
	while (b->len && b->ptr[b->len - 1] <= ' ')
		rb_buf_truncate(b, b->len - 1);
}

/* Both programs work in the directory of the socket and call it by a relative name, which the host
 * does not have. */
static int start_program(const struct agent *a, const char *const *argv, int in, int out,
			 int err_fd, struct rb_child *ret, struct rb_error **err)
{
	static const char *const envp[] = {"SSH_AUTH_SOCK=" AGENT_NAME, "SSH_ASKPASS=/bin/false",
					   "SSH_ASKPASS_REQUIRE=force",
					   "PATH=/usr/local/bin:/usr/bin:/bin", NULL};
	RB_CLEANUP(rb_strp) char *cwd = rb_asprintf("/proc/self/fd/%d", a->dir_fd);
	const struct rb_spawn spec = {.argv = argv,
				      .envp = envp,
				      .stdin_fd = in,
				      .stdout_fd = out,
				      .stderr_fd = err_fd,
				      .cwd = cwd};

	return rb_spawn(&spec, false, ret, err);
}

static int load_key(const struct agent *a, const struct key *key, struct rb_error **err)
{
	static const char *const argv[] = {"ssh-add", "-q", "-", NULL};
	RB_CLEANUP(rb_child_killp) struct rb_child child = RB_CHILD_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf said = RB_BUF_INIT;
	int p[2], r = rb_pipe(p);

	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int in = p[0];
	RB_CLEANUP(rb_closep) int out = p[1];
	/* Opened anew, because other steps may read it at the same time. */
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("/proc/self/fd/%d", key->fd);
	RB_CLEANUP(rb_closep) int key_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (key_fd < 0)
		return rb_fail_errno(err, "cannot read the key %s", key->path);
	if (start_program(a, argv, key_fd, -1, out, &child, err) < 0)
		return -1;
	rb_closep(&out);
	if (rb_read_fd(in, MESSAGE_BYTES_MAX, &said, err) < 0)
		return rb_wrap(err, "ssh-add");
	trim(&said);
	r = rb_child_wait(&child);
	if (r == 0)
		return 0;
	return rb_fail(
		err, RB_ERR_UNSUPPORTED,
		"ssh-add does not take the key %s of --ssh %s%s%s; one with a passphrase has to "
		"be in an agent of yours (ssh-add %s), given with --ssh %s",
		key->path, a->id, said.len ? ": " : "", said.ptr, key->path, a->id);
}

static int new_dir(struct rb_error **err)
{
	int r = rb_sys_private_tmpfs();

	return r < 0 ? rb_fail_sys(err, r, "cannot make a directory for the agent of --ssh") : r;
}

static int start_agent(struct agent *a, struct rb_error **err)
{
	/* -D: in the foreground; it prints how to reach it when it listens. */
	static const char *const argv[] = {"ssh-agent", "-D", "-a", AGENT_NAME, NULL};
	int p[2], r;
	char c;

	if ((a->dir_fd = new_dir(err)) < 0)
		return -1;
	if ((r = rb_pipe(p)) < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int in = p[0];
	RB_CLEANUP(rb_closep) int out = p[1];
	if (start_program(a, argv, -1, out, -1, &a->child, err) < 0)
		return -1;
	rb_closep(&out);
	if (rb_read_full(in, &c, 1) != 1)
		return rb_fail(err, RB_ERR_SYS, "ssh-agent ended at once with status %d",
			       rb_child_wait(&a->child));
	for (size_t i = 0; i < a->n_keys; i++)
		if (load_key(a, &a->keys[i], err) < 0)
			return -1;
	return 0;
}

static int need_agent(struct agent *a, struct rb_error **err)
{
	if (a->socket_fd >= 0 || (a->child.pid && !rb_pidfd_has_ended(a->child.pidfd)))
		return 0;
	rb_child_kill(&a->child);
	rb_closep(&a->dir_fd);
	if (start_agent(a, err) == 0)
		return 0;
	rb_child_kill(&a->child);
	rb_closep(&a->dir_fd);
	return -1;
}

/* --- forwarders --- */

/* It reads what a step writes: it keeps two descriptors, and no right that it could do without. */
static int confine(int listen_fd, int agent_fd)
{
	cap_t none = cap_init();
	int a = fcntl(listen_fd, F_DUPFD_CLOEXEC, FORWARD_AGENT + 1);
	int b = fcntl(agent_fd, F_DUPFD_CLOEXEC, FORWARD_AGENT + 1);

	if (!none || a < 0 || b < 0 || dup2(a, FORWARD_LISTEN) < 0 || dup2(b, FORWARD_AGENT) < 0 ||
	    rb_sys_close_from(FORWARD_AGENT + 1) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || cap_set_proc(none) < 0)
		return -1;
	(void)cap_free(none);
	return 0;
}

int rb_ssh_forward(struct rb_ssh *s, const char *id, int listen_fd, struct rb_child *ret,
		   struct rb_error **err)
{
	struct agent *a = find(s, id);
	char path[64];

	if (!a)
		rb_bug("no agent %s", id);
	if (need_agent(a, err) < 0)
		return -1;
	bool ours = a->socket_fd < 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d%s", FORWARD_AGENT,
		       ours ? "/" AGENT_NAME : "");
	pid_t pid = fork();
	if (pid < 0)
		return rb_fail_errno(err, "cannot fork");
	if (pid == 0) {
		if (confine(listen_fd, ours ? a->dir_fd : a->socket_fd) < 0)
			_exit(1);
		rb_ssh_forward_main(FORWARD_LISTEN, path);
	}
	*ret = (struct rb_child){.pid = pid, .pidfd = -1};
	return 0;
}
