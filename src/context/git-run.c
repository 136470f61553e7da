// SPDX-License-Identifier: Apache-2.0
/*
 * The git child: what it may read, whom it may talk to, and what becomes of its words (threats S38,
 * S39). No configuration but ours, no hooks, no helpers, no questions; credentials go through the
 * environment, which only the same user can read, and never through argv.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/log.h"
#include "context/git-internal.h"
#include "net/net.h"

enum { WORDS_BYTES_MAX = 64 << 10, BLOCK_BYTES = 64 << 10 };

#define FILE_BYTES_MAX (UINT64_C(16) << 30)

/* --- the environment */

/* Variables that say how to reach the net. */
static const char *const passed_on[] = {
	"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
	"all_proxy",  "ALL_PROXY",  "no_proxy",    "NO_PROXY",
};

static const char *const settings[][2] = {
	{"core.hooksPath", "/dev/null"},
	{"core.fsmonitor", "false"},
	{"core.autocrlf", "false"},
	{"core.symlinks", "true"},
	{"core.fileMode", "true"},
	{"credential.helper", ""},
	{"fetch.recurseSubmodules", "false"},
	{"gc.auto", "0"},
	{"http.lowSpeedLimit", "1"},
	{"http.lowSpeedTime", RB_STRINGIFY(RB_GIT_STALL_SEC)},
	{"init.defaultBranch", "main"},
	{"maintenance.auto", "false"},
	{"protocol.version", "2"},
	{"submodule.recurse", "false"},
};

static const char ssh_command[] =
	"ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 "
	"-o ServerAliveInterval=" RB_STRINGIFY(
		RB_GIT_STALL_SEC) " -o ServerAliveCountMax=1 "
				  "-o 'UserKnownHostsFile=\"${RBUILD_KNOWN_HOSTS}\"' -o ForwardAgent=no";

static void add_setting(struct rb_strv *env, unsigned *n, const char *key, const char *value)
{
	rb_strv_addf(env, "GIT_CONFIG_KEY_%u=%s", *n, key);
	rb_strv_addf(env, "GIT_CONFIG_VALUE_%u=%s", *n, value);
	++*n;
}

static void add_proxies(const struct rb_git *g, struct rb_strv *env)
{
	RB_CLEANUP(rb_net_clear_url) struct rb_net_url at = {0};

	/* No proxy can reach our loopback. */
	if (rb_net_split_url(g->ref->url, &at) == 0 && rb_net_is_loopback(at.host))
		return;
	for (size_t i = 0; i < RB_ARRAY_LEN(passed_on); i++) {
		const char *value = getenv(passed_on[i]);

		if (value)
			rb_strv_addf(env, "%s=%s", passed_on[i], value);
	}
}

static void add_certificates(struct rb_strv *env)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");

	if (file && *file)
		rb_strv_addf(env, "GIT_SSL_CAINFO=%s", file);
	if (dir && *dir)
		rb_strv_addf(env, "GIT_SSL_CAPATH=%s", dir);
}

static void add_ssh(const struct rb_git *g, struct rb_strv *env)
{
	const char *home = getenv("HOME");

	if (!g->env->ssh_agent)
		return;
	rb_strv_addf(env, "SSH_AUTH_SOCK=%s", g->env->ssh_agent);
	rb_strv_addf(env, "GIT_SSH_COMMAND=%s", ssh_command);
	rb_strv_add(env, "GIT_SSH_VARIANT=ssh");
	rb_strv_addf(env, "RBUILD_KNOWN_HOSTS=%s/.ssh/known_hosts", home ? home : "");
}

/* What git may speak, also where a redirect leads it: never from TLS to plain text. */
static const char *allowed_protocols(const struct rb_git *g, const struct rb_git_command *c)
{
	static const char *const rows[][2] = {
		{"https://", "https"}, {"http://", "http:https"}, {"git://", "git"}};

	if (c->from_store)
		return "file"; /* our own bare repository, asked by ourselves */
	if (!c->network)
		return "none";
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++)
		if (rb_starts_with(g->ref->url, rows[i][0]))
			return rows[i][1];
	return "ssh";
}

static void make_environment(const struct rb_git *g, const struct rb_git_command *c,
			     struct rb_strv *env)
{
	const char *path = getenv("PATH");
	unsigned n = 0;

	rb_strv_addf(env, "PATH=%s", path && *path ? path : "/usr/local/bin:/usr/bin:/bin");
	rb_strv_add(env, "HOME=/nonexistent");
	rb_strv_add(env, "LC_ALL=C");
	rb_strv_add(env, "GIT_CONFIG_NOSYSTEM=1");
	rb_strv_add(env, "GIT_CONFIG_GLOBAL=/dev/null");
	rb_strv_add(env, "GIT_ATTR_NOSYSTEM=1");
	rb_strv_add(env, "GIT_TERMINAL_PROMPT=0");
	rb_strv_add(env, "GIT_NO_REPLACE_OBJECTS=1");
	rb_strv_addf(env, "GIT_ALLOW_PROTOCOL=%s", allowed_protocols(g, c));
	if (c->index)
		rb_strv_addf(env, "GIT_INDEX_FILE=%s", c->index);
	if (c->network) {
		add_proxies(g, env);
		add_certificates(env);
		add_ssh(g, env);
	}
	if (c->network && g->auth) {
		RB_CLEANUP(rb_strp) char *header = rb_asprintf("Authorization: %s", g->auth);

		add_setting(env, &n, "http.extraHeader", header);
		/* git would take the header along. */
		add_setting(env, &n, "http.followRedirects", "false");
	}
	rb_strv_addf(env, "GIT_CONFIG_COUNT=%u", n);
}

/* --- its words */

static bool says(const struct rb_buf *words, const char *what)
{
	return memmem(words->ptr, words->len, what, strlen(what)) != NULL;
}

static int fail(const struct rb_git *g, const struct rb_git_command *c, int status,
		const struct rb_buf *words, struct rb_error **err)
{
	static const char *const auth[] = {"Authentication failed", "could not read Username",
					   "Permission denied", "returned error: 403"};
	RB_CLEANUP(rb_buf_clear) struct rb_buf line = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf shown = RB_BUF_INIT;
	const char *hint = "";
	enum rb_err code = c->network ? RB_ERR_NETWORK : RB_ERR_CORRUPT;

	for (size_t i = 0; i < words->len; i++) {
		if (words->ptr[i] != '\n')
			rb_buf_addch(&line, words->ptr[i]);
		else if (i + 1 < words->len)
			rb_buf_addstr(&line, "; ");
	}
	/* The end tells most. */
	size_t skip = line.len > RB_NET_QUOTE_MAX ? line.len - RB_NET_QUOTE_MAX : 0;
	rb_net_quote(&shown, line.ptr + skip, line.len - skip);
	for (size_t i = 0; i < RB_ARRAY_LEN(auth); i++)
		if (c->network && says(words, auth[i])) {
			code = RB_ERR_AUTH;
			if (!g->auth && !g->ref->ssh)
				hint = " (a secret GIT_AUTH_TOKEN would be sent)";
		}
	if (says(words, "unable to update url base from redirection") && g->auth)
		hint = " (redirects are not followed with credentials)";
	if (says(words, "mismatched algorithms")) {
		code = RB_ERR_UNSUPPORTED;
		hint = " (repositories of the SHA-256 format are not supported)";
	}
	if (!shown.len)
		return rb_fail(err, code, "git %s ended with status %d", c->argv[0], status);
	return rb_fail(err, code, "git: %s%s", shown.ptr, hint);
}

/* --- running */

struct pipes {
	int out, words;
};

static int take_out(const struct rb_git_command *c, const char *data, size_t len,
		    struct rb_error **err)
{
	if (c->take)
		return c->take(c->ctx, data, len, err);
	if (!c->out)
		return 0;
	if (c->out->len + len > RB_GIT_OUTPUT_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "git %s tells more than %d bytes", c->argv[0],
			       RB_GIT_OUTPUT_MAX);
	rb_buf_add(c->out, data, len);
	return 0;
}

static void keep_words(struct rb_buf *words, const char *data, size_t len)
{
	/* Of very many, the last. */
	if (words->len + len > WORDS_BYTES_MAX)
		rb_buf_truncate(words, 0);
	rb_buf_add(words, data, rb_min_size(len, WORDS_BYTES_MAX));
}

/* Until both ends are closed. */
static int read_all(const struct rb_git_command *c, struct pipes *p, struct rb_buf *words,
		    struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *block = rb_malloc(BLOCK_BYTES);

	while (p->out >= 0 || p->words >= 0) {
		struct pollfd fds[] = {{.fd = p->out, .events = POLLIN},
				       {.fd = p->words, .events = POLLIN}};

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return rb_fail_errno(err, "cannot wait for git");
		for (size_t i = 0; i < 2; i++) {
			if (!fds[i].revents)
				continue;
			ssize_t n = read(fds[i].fd, block, BLOCK_BYTES);
			if (n <= 0)
				rb_closep(i ? &p->words : &p->out);
			else if (i)
				keep_words(words, block, (size_t)n);
			else if (take_out(c, block, (size_t)n, err) < 0)
				return -1;
		}
	}
	return 0;
}

/*
 * The name of a directory, which the caller may have opened in another mount namespace: git asks
 * where it is, and from there the kernel knows no way.
 */
static char *name_of_dir(int fd)
{
	char *link = rb_asprintf("/proc/self/fd/%d", fd), name[PATH_MAX];
	ssize_t n = readlink(link, name, sizeof(name) - 1);
	struct stat by_fd, by_name;

	if (n <= 0 || fstat(fd, &by_fd) < 0)
		return link;
	name[n] = '\0';
	if (stat(name, &by_name) < 0 || by_name.st_dev != by_fd.st_dev ||
	    by_name.st_ino != by_fd.st_ino)
		return link;
	free(link);
	return rb_strdup(name);
}

static int spawn(const struct rb_git *g, const struct rb_git_command *c, int out, int words,
		 struct rb_child *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv env = RB_STRV_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv argv = RB_STRV_INIT;
	RB_CLEANUP(rb_strp) char *cwd = c->cwd_fd < 0 ? rb_strdup("/") : name_of_dir(c->cwd_fd);
	struct rlimit old, limit;

	rb_strv_add(&argv, "git");
	if (!c->own_dir)
		rb_strv_addf(&argv, "--git-dir=%s", g->dir);
	for (size_t i = 0; i < RB_ARRAY_LEN(settings); i++) {
		rb_strv_add(&argv, "-c");
		rb_strv_addf(&argv, "%s=%s", settings[i][0], settings[i][1]);
	}
	for (size_t i = 0; c->argv[i]; i++)
		rb_strv_add(&argv, c->argv[i]);
	make_environment(g, c, &env);
	const struct rb_spawn spec = {
		.argv = (const char *const *)rb_strv_argv(&argv),
		.envp = (const char *const *)rb_strv_argv(&env),
		.stdin_fd = -1,
		.stdout_fd = out,
		.stderr_fd = words,
		.cwd = cwd,
	};
	/* The child inherits both; what is sent without end ends with the largest pack. */
	mode_t mask = umask(022);
	bool limited = getrlimit(RLIMIT_FSIZE, &old) == 0;
	limit = old;
	if (limited && limit.rlim_cur > FILE_BYTES_MAX) {
		limit.rlim_cur = FILE_BYTES_MAX;
		(void)setrlimit(RLIMIT_FSIZE, &limit);
	}
	int r = rb_spawn(&spec, false, ret, err);
	if (limited)
		(void)setrlimit(RLIMIT_FSIZE, &old);
	(void)umask(mask);
	return r;
}

int rb_git_run(const struct rb_git *g, const struct rb_git_command *c, struct rb_error **err)
{
	RB_CLEANUP(rb_child_killp) struct rb_child child = RB_CHILD_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf words = RB_BUF_INIT;
	int out[2], said[2], r;

	if (c->network && g->ref->ssh && !g->env->ssh_agent)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "it is reached by ssh: lend the build an agent with --ssh default");
	r = rb_pipe(out);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int out_in = out[0];
	RB_CLEANUP(rb_closep) int out_end = out[1];
	r = rb_pipe(said);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int said_in = said[0];
	RB_CLEANUP(rb_closep) int said_end = said[1];
	rb_log_debug("git %s: %s", c->argv[0], g->ref->url);
	if (spawn(g, c, out_end, said_end, &child, err) < 0)
		return -1;
	rb_closep(&out_end);
	rb_closep(&said_end);
	struct pipes p = {.out = rb_steal_fd(&out_in), .words = rb_steal_fd(&said_in)};
	r = read_all(c, &p, &words, err);
	rb_closep(&p.out);
	rb_closep(&p.words);
	if (r < 0)
		return -1;
	r = rb_child_wait(&child);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot wait for git");
	return r ? fail(g, c, r, &words, err) : 0;
}
