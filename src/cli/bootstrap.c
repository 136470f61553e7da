// SPDX-License-Identifier: Apache-2.0
#include "cli/bootstrap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/apt-sources.h"
#include "host/host.h"

#define IMPORT_HINT      "a root file system made elsewhere can be imported: rbuild import rootfs.tar %s"
#define CONFIG_BYTES_MAX (4u << 20)
#define TAIL_BYTES       (64u * 1024)

struct distribution {
	const char *name, *keyring, *keyring_package;
};

static const struct distribution distributions[] = {
	{"debian", "/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"},
	{"ubuntu", "/usr/share/keyrings/ubuntu-archive-keyring.gpg", "ubuntu-keyring"},
};

struct bootstrap {
	const char *spec;
	const struct distribution *dist;
	const char *suite; /* in spec */
	struct rb_apt_sources sources;
	struct rb_strv argv;
	struct rb_buf tail; /* the last messages */
	int signal;         /* that ended it; 0: none */
};

static bool is_word(const char *s, const char *others)
{
	if (!rb_ascii_isalnum(*s))
		return false;
	for (; *s; s++)
		if (!rb_ascii_isalnum(*s) && !strchr(others, *s))
			return false;
	return true;
}

static int parse_spec(struct bootstrap *b, struct rb_error **err)
{
	const char *colon = strchr(b->spec, ':');
	size_t n = colon ? (size_t)(colon - b->spec) : strlen(b->spec);
	RB_CLEANUP(rb_strp) char *name = rb_strndup(b->spec, n);

	for (size_t i = 0; i < RB_ARRAY_LEN(distributions); i++)
		if (rb_streq(name, distributions[i].name))
			b->dist = &distributions[i];
	if (!b->dist)
		return rb_fail(err, RB_ERR_USAGE,
			       "bootstrap knows debian and ubuntu, not \"%s\"; " IMPORT_HINT, name,
			       b->spec);
	if (!colon || !is_word(colon + 1, "-+."))
		return rb_fail(err, RB_ERR_USAGE,
			       "\"%s\" lacks the suite: %s:SUITE, such as debian:bookworm", b->spec,
			       name);
	b->suite = colon + 1;
	if (access(b->dist->keyring, R_OK) < 0)
		return rb_fail_errno(
			err,
			"cannot read %s, which holds the keys of %s's archive (sudo apt-get install %s)",
			b->dist->keyring, b->dist->name, b->dist->keyring_package);
	return 0;
}

/* What the sources have, for the reader who asked for something else. */
static void list_suites(const struct rb_apt_sources *s, struct rb_buf *out)
{
	struct rb_strv seen = RB_STRV_INIT;

	for (size_t i = 0; i < s->n; i++)
		if (rb_strv_find(&s->v[i].components, "main") >= 0 && !s->v[i].own_key &&
		    rb_strv_find(&seen, s->v[i].suite) < 0) {
			rb_buf_addf(out, "%s%s", out->len ? ", " : "", s->v[i].suite);
			rb_strv_add(&seen, s->v[i].suite);
		}
	rb_strv_clear(&seen);
}

static int find_sources(struct bootstrap *b, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf suites = RB_BUF_INIT;

	if (rb_apt_sources_read("/etc/apt", &b->sources, err) < 0)
		return -1;
	list_suites(&b->sources, &suites);
	if (!rb_apt_sources_select(&b->sources, b->suite))
		return rb_fail(
			err, RB_ERR_NOTFOUND,
			"the apt sources of this machine have nothing for %s (they have %s), and bootstrap uses no other mirrors; " IMPORT_HINT,
			b->suite, suites.len ? suites.ptr : "nothing", b->spec);
	for (size_t i = 0; i < b->sources.n; i++)
		if (strchr(b->sources.v[i].uri, '@'))
			rb_log_warn(
				"the image's apt sources will hold the password in the mirror's "
				"address, as those of this machine do");
	return 0;
}

/* The keyrings of the sources, where the image would not have them through a package. */
static int add_keyrings(struct bootstrap *b, struct rb_error **err)
{
	for (size_t i = 0; i < b->sources.n; i++) {
		const char *path = b->sources.v[i].keyring;

		if (!path || rb_streq(path, b->dist->keyring))
			continue;
		/* It becomes a word of a hook, which mmdebstrap splits as a shell would. */
		if (!is_word(path + 1, "/._+-") || strstr(path, ".."))
			return rb_fail(err, RB_ERR_UNSUPPORTED,
				       "the keyring %s of the apt sources has an unusual name",
				       path);
		RB_CLEANUP(rb_strp)
		char *dir = rb_strndup(path, (size_t)(strrchr(path, '/') - path));
		rb_strv_addf(&b->argv, "--setup-hook=mkdir -p \"$1%s\"", dir);
		rb_strv_addf(&b->argv, "--setup-hook=copy-in %s %s", path, dir);
	}
	return 0;
}

/*
 * Settings of this machine's apt without which its mirrors cannot be used, here and in the image's
 * steps: snapshots of an archive have old dates, and some networks have nothing but a proxy.
 */
static int add_apt_config(struct bootstrap *b, struct rb_error **err)
{
	static const char *const dump[] = {"apt-config", "dump", NULL};
	static const char *const keys[] = {"Acquire::Check-Valid-Until \"",
					   "Acquire::Check-Date \"", "Acquire::http::Proxy \"",
					   "Acquire::https::Proxy \""};
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	int status = rb_run_capture(dump, CONFIG_BYTES_MAX, &text, err);

	if (status < 0)
		return rb_wrap(err, "cannot ask apt for its configuration");
	for (char *save = NULL, *line = strtok_r(text.ptr, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		for (size_t i = 0; i < RB_ARRAY_LEN(keys); i++) {
			const char *value = line + strlen(keys[i]);

			if (!rb_starts_with(line, keys[i]) || *value == '"')
				continue;
			if (strchr(value, '@'))
				rb_log_warn("apt's proxy has a password, which is kept out of the "
					    "image: set http_proxy for the steps that need it");
			else
				rb_strv_addf(&b->argv, "--aptopt=%s", line);
		}
	return 0;
}

static int add_packages(struct bootstrap *b, const struct rb_strv *include, struct rb_error **err)
{
	for (size_t i = 0; include && i < include->n; i++) {
		RB_CLEANUP(rb_strp) char *list = rb_strdup(include->v[i]);

		for (char *save = NULL, *name = strtok_r(list, ", ", &save); name;
		     name = strtok_r(NULL, ", ", &save)) {
			if (!is_word(name, "+-.:=~_"))
				return rb_fail(err, RB_ERR_USAGE,
					       "--include: \"%s\" is not the name of a package",
					       name);
			rb_strv_addf(&b->argv, "--include=%s", name);
		}
	}
	return 0;
}

static int make_argv(struct bootstrap *b, const struct rb_strv *include, const char *out_tar,
		     struct rb_error **err)
{
	static const char *const fixed[] = {
		"--variant=minbase",
		"--format=tar",
		/* Of this machine, not of the image. */
		"--customize-hook=rm -f \"$1/etc/resolv.conf\" \"$1/etc/hostname\"",
	};

	rb_strv_add(&b->argv, "mmdebstrap");
	/* For a real root it finds out itself what the container it may be in allows. */
	rb_strv_add(&b->argv, geteuid() == 0 ? "--mode=auto" : "--mode=unshare");
	for (size_t i = 0; i < RB_ARRAY_LEN(fixed); i++)
		rb_strv_add(&b->argv, fixed[i]);
	/* Suites are known by name only: make sure that they are those of the distribution. */
	rb_strv_addf(&b->argv,
		     "--customize-hook=grep -qx 'ID=%s' \"$1/usr/lib/os-release\" || "
		     "{ echo 'E: the packages of %s are not those of %s' >&2; exit 1; }",
		     b->dist->name, b->suite, b->dist->name);
	if (add_keyrings(b, err) < 0 || add_apt_config(b, err) < 0 ||
	    add_packages(b, include, err) < 0)
		return -1;
	rb_strv_addf(&b->argv, "--include=%s", b->dist->keyring_package);
	rb_strv_add(&b->argv, b->suite);
	rb_strv_add(&b->argv, out_tar);
	rb_strv_add(&b->argv, "-"); /* the sources are on its standard input */
	return 0;
}

static int sources_fd(const struct bootstrap *b, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_closep) int fd = memfd_create("apt-sources", MFD_CLOEXEC);

	if (fd < 0)
		return rb_fail_errno(err, "cannot make a temporary file in memory");
	rb_apt_sources_print(&b->sources, &text);
	int r = rb_write_full(fd, text.ptr, text.len);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return rb_fail_sys(err, r < 0 ? r : -errno, "cannot write the apt sources");
	return rb_steal_fd(&fd);
}

static void keep_tail(struct bootstrap *b, const char *data, size_t len)
{
	rb_buf_add(&b->tail, data, len);
	if (b->tail.len > 2 * TAIL_BYTES) {
		memmove(b->tail.ptr, b->tail.ptr + b->tail.len - TAIL_BYTES, TAIL_BYTES);
		rb_buf_truncate(&b->tail, TAIL_BYTES);
	}
}

/* A signal from the terminal has reached mmdebstrap too; a second one does no harm. */
static void pass_signal(struct bootstrap *b, int signal_fd, const struct rb_child *child)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	b->signal = (int)info.ssi_signo;
	(void)kill(child->pid, b->signal);
}

/* Copies the messages to stderr until mmdebstrap and all it started have closed the pipe. */
static int follow(struct bootstrap *b, int messages, int signal_fd, const struct rb_child *child,
		  struct rb_error **err)
{
	struct pollfd fds[] = {{.fd = messages, .events = POLLIN},
			       {.fd = signal_fd, .events = POLLIN}};
	char data[4096];

	for (;;) {
		if (poll(fds, RB_ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return rb_fail_errno(err, "poll");
		if (fds[1].revents)
			pass_signal(b, signal_fd, child);
		if (!fds[0].revents)
			continue;
		ssize_t n = read(messages, data, sizeof(data));
		if (n < 0 && errno != EINTR)
			return rb_fail_errno(err, "cannot read the messages of mmdebstrap");
		if (n == 0)
			return 0;
		if (n > 0) {
			/* Nobody may be reading them: no reason to stop. */
			(void)rb_write_full(STDERR_FILENO, data, (size_t)n);
			keep_tail(b, data, (size_t)n);
		}
	}
}

/* Why it failed, as far as its messages tell: they are on the screen already. */
static int explain(const struct bootstrap *b, int status, struct rb_error **err)
{
	static const struct {
		const char *message;
		enum rb_err code;
		const char *text;
	} causes[] = {
		{"Unable to locate package", RB_ERR_NOTFOUND,
		 "a package of --include is not in the archive"},
		{"No space left on device", RB_ERR_SYS,
		 "the disk is full; mmdebstrap unpacks below $TMPDIR, else /tmp"},
		/* It works as a subordinate id, whom a directory of the caller's own keeps out. */
		{"E: cannot create /", RB_ERR_SYS,
		 "$TMPDIR is closed to the subordinate ids that mmdebstrap works as; "
		 "set TMPDIR=/var/tmp"},
		{"NO_PUBKEY", RB_ERR_CORRUPT,
		 "the signature of the mirror's index has no known key"},
		{"is not valid yet", RB_ERR_NETWORK,
		 "the mirror's index is newer than the clock of this machine"},
		{"is expired", RB_ERR_NETWORK, "the mirror's index is too old"},
		{"Could not resolve", RB_ERR_NETWORK, "the name of the mirror cannot be resolved"},
		{"Temporary failure resolving", RB_ERR_NETWORK,
		 "the name of the mirror cannot be resolved"},
		{"onnect to", RB_ERR_NETWORK, "the mirror cannot be reached"},
		{"onnection failed", RB_ERR_NETWORK, "the mirror cannot be reached"},
		{"onnection timed out", RB_ERR_NETWORK, "the mirror cannot be reached"},
		{"Failed to fetch", RB_ERR_NETWORK,
		 "the mirror does not have what its index names"},
	};

	if (b->signal)
		return rb_fail(err, RB_ERR_CANCELLED, "stopped by signal %d", b->signal);
	for (size_t i = 0; i < RB_ARRAY_LEN(causes); i++)
		if (strstr(b->tail.ptr, causes[i].message))
			return rb_fail(err, causes[i].code,
				       "bootstrap of %s: %s (%s); mmdebstrap's messages are above",
				       b->spec, causes[i].text, b->sources.v[0].uri);
	return rb_fail(err, RB_ERR_RUN,
		       "bootstrap of %s: mmdebstrap ended with status %d; its messages are above",
		       b->spec, status);
}

static int run(struct bootstrap *b, struct rb_error **err)
{
	RB_CLEANUP(rb_child_killp) struct rb_child child = RB_CHILD_INIT;
	RB_CLEANUP(rb_closep) int sources = sources_fd(b, err);
	int p[2], r = sources < 0 ? -1 : rb_pipe(p);
	sigset_t signals, before;

	if (sources < 0)
		return -1;
	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int in = p[0];
	RB_CLEANUP(rb_closep) int out = p[1];
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	RB_CLEANUP(rb_closep) int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		return rb_fail_errno(err, "signalfd");
	struct rb_spawn spawn = {.argv = (const char *const *)rb_strv_argv(&b->argv),
				 .stdin_fd = sources,
				 .stdout_fd = out,
				 .stderr_fd = out};
	(void)sigprocmask(SIG_BLOCK, &signals, &before);
	/* newuidmap, which it calls, needs its privilege. */
	r = rb_spawn(&spawn, true, &child, err);
	rb_closep(&out);
	if (r == 0)
		r = follow(b, in, signal_fd, &child, err);
	if (r == 0)
		r = rb_child_wait(&child);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (*err)
		return -1;
	if (r < 0)
		return rb_fail_sys(err, r, "cannot wait for mmdebstrap");
	return r ? explain(b, r, err) : 0;
}

static int check_host(const struct bootstrap *b, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *program = rb_find_program("mmdebstrap");
	struct rb_host host = {0};

	if (!program)
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "bootstrap needs mmdebstrap: sudo apt-get install mmdebstrap; "
			       "or " IMPORT_HINT,
			       b->spec);
	if (geteuid() == 0)
		return 0;
	if (rb_host_probe("range", -1, &host, err) < 0)
		return rb_wrap(err, "bootstrap needs subordinate ids, but " IMPORT_HINT, b->spec);
	rb_host_clear(&host);
	return 0;
}

int rb_bootstrap(const char *spec, const struct rb_strv *include, const char *out_tar,
		 struct rb_error **err)
{
	struct bootstrap b = {.spec = spec, .tail = RB_BUF_INIT};
	int r = -1;

	if (parse_spec(&b, err) == 0 && check_host(&b, err) == 0 && find_sources(&b, err) == 0 &&
	    make_argv(&b, include, out_tar, err) == 0)
		r = run(&b, err);
	rb_apt_sources_clear(&b.sources);
	rb_strv_clear(&b.argv);
	rb_buf_clear(&b.tail);
	return r;
}
