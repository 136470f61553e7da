// SPDX-License-Identifier: Apache-2.0
#include "solve/lend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

enum { BACKLOG = 16 };

void rb_loan_name(size_t i, char ret[static RB_LOAN_NAME_BYTES])
{
	(void)snprintf(ret, RB_LOAN_NAME_BYTES, "%zu", i);
}

void rb_loan_clear(struct rb_loan *l)
{
	rb_strv_wipe(&l->env);
	for (size_t i = 0; i < RB_ARRAY_LEN(l->forwarders); i++)
		rb_child_kill(&l->forwarders[i]);
	rb_closep(&l->dir_fd);
	rb_ledger_free(l->owners);
	l->owners = NULL;
}

/* --- the file system --- */

static int need_dir(struct rb_loan *l, struct rb_error **err)
{
	if (l->dir_fd >= 0)
		return 0;
	int r = rb_sys_private_tmpfs();

	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a file system for the step's secrets");
	l->dir_fd = r;
	return 0;
}

/*
 * Before the first byte is in it. An owner that this namespace does not have is recorded where the
 * kernel's tmpfs has attributes (Linux 6.6); without, the step sees root's and reads it all the
 * same, because its user is root for the kernel. Sockets never have attributes, but a table.
 */
static int set_owner(const struct rb_run_mount *m, struct rb_loan *l, const char *name,
		     bool is_socket)
{
	const struct rb_owner owner = {.uid = (uint32_t)m->uid, .gid = (uint32_t)m->gid};

	if (fchmodat(l->dir_fd, name, (mode_t)m->mode, 0) < 0)
		return -errno;
	if (fchownat(l->dir_fd, name, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (is_socket) {
		if (!l->owners)
			l->owners = rb_ledger_new(0, 0);
		rb_ledger_set(l->owners, name, &owner);
		return 0;
	}
	int r = rb_owner_write(l->dir_fd, name, &owner);
	return r == -EOPNOTSUPP ? 0 : r;
}

static int put_secret(const struct rb_run_mount *m, const struct rb_secret *secret,
		      struct rb_loan *l, const char *name, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(l->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : set_owner(m, l, name, false);

	if (r == 0)
		r = rb_write_full(fd, secret->value, secret->len);
	return r < 0 ? rb_fail_sys(err, r, "cannot make the file of the secret %s", m->id) : 0;
}

static int put_socket(const struct rb_lender *from, const struct rb_run_mount *m, struct rb_loan *l,
		      const char *name, struct rb_child *ret, struct rb_error **err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	RB_CLEANUP(rb_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -errno : 0;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", l->dir_fd, name);
	if (r == 0 && bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		r = -errno;
	if (r == 0)
		r = set_owner(m, l, name, true);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		return rb_fail_sys(err, r, "cannot make the socket of the agent %s", m->id);
	return rb_ssh_forward(from->ssh, m->id, fd, ret, err);
}

/* --- mounts --- */

static int set_variable(struct rb_loan *l, const char *name, const struct rb_secret *secret,
			struct rb_error **err)
{
	if (secret && memchr(secret->value, '\0', secret->len))
		return rb_fail(
			err, RB_ERR_UNSUPPORTED,
			"the secret %s has a zero byte and cannot be the variable %s; take it "
			"as a file",
			secret->id, name);
	rb_strv_addf(&l->env, "%s=%s", name, secret ? secret->value : "");
	return 0;
}

static int lend_secret(const struct rb_lender *from, const struct rb_run_mount *m, size_t i,
		       struct rb_loan *l, struct rb_error **err)
{
	const struct rb_secret *secret = rb_secrets_get(from->secrets, m->id);
	char name[RB_LOAN_NAME_BYTES];

	if (!secret && m->required)
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "the step requires the secret %s, which was not given; give it with "
			       "--secret id=%s,src=FILE or --secret id=%s,env=NAME",
			       m->id, m->id, m->id);
	if (m->env && set_variable(l, m->env, secret, err) < 0)
		return -1;
	if (!secret || !m->target)
		return 0;
	rb_loan_name(i, name);
	if (need_dir(l, err) < 0 || put_secret(m, secret, l, name, err) < 0)
		return -1;
	l->there[i] = true;
	return 0;
}

static int lend_agent(const struct rb_lender *from, const struct rb_run_mount *m, size_t i,
		      struct rb_loan *l, struct rb_error **err)
{
	char name[RB_LOAN_NAME_BYTES];

	if (!rb_ssh_has(from->ssh, m->id)) {
		if (!m->required)
			return 0;
		return rb_fail(
			err, RB_ERR_NOTFOUND,
			"the step requires the ssh agent %s, which was not given; give it with "
			"--ssh %s",
			m->id, m->id);
	}
	rb_loan_name(i, name);
	if (need_dir(l, err) < 0 || put_socket(from, m, l, name, &l->forwarders[i], err) < 0)
		return -1;
	l->there[i] = true;
	return 0;
}

static void set_auth_sock(const struct rb_vertex_run *run, const struct rb_strv *env,
			  struct rb_loan *l)
{
	static const char name[] = "SSH_AUTH_SOCK";
	const struct rb_vertex_mount *first = NULL;

	for (size_t i = 0; i < run->n_mounts; i++) {
		const struct rb_vertex_mount *vm = &run->mounts[i];

		if (vm->spec.type == RB_MOUNT_SSH && l->there[i] &&
		    (!first || vm->written < first->written))
			first = vm;
	}
	if (first && rb_strv_find_var(env, rb_slice_str(name)) < 0 &&
	    rb_strv_find_var(&l->env, rb_slice_str(name)) < 0)
		rb_strv_addf(&l->env, "%s=%s", name, first->spec.target);
}

int rb_lend(const struct rb_lender *from, const struct rb_vertex_run *run,
	    const struct rb_strv *env, struct rb_loan *ret, struct rb_error **err)
{
	for (size_t i = 0; i < run->n_mounts; i++) {
		const struct rb_run_mount *m = &run->mounts[i].spec;

		if (m->type == RB_MOUNT_SECRET && lend_secret(from, m, i, ret, err) < 0)
			return -1;
		if (m->type == RB_MOUNT_SSH && lend_agent(from, m, i, ret, err) < 0)
			return -1;
	}
	set_auth_sock(run, env, ret);
	return 0;
}
