// SPDX-License-Identifier: Apache-2.0
/* The forwarder as a process between a client and an agent that are both here. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "solve/ssh.h"
#include "tap.h"

enum { WAIT_MS = 5000, QUIET_MS = 50 };

static int agent_listen_fd, forwarder_listen_fd;
static pid_t forwarder;

static int serve_at(const char *path, int flags)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 128) < 0)
		abort();
	return fd;
}

static int connect_to(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		abort();
	return fd;
}

static bool is_readable(int fd, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, wait_ms) == 1;
}

/* Exactly these bytes arrive. */
static void check_receives(int fd, const void *want, size_t len)
{
	char *got = rb_calloc(1, len + 1);
	size_t n = 0;

	while (n < len && is_readable(fd, WAIT_MS)) {
		ssize_t r = read(fd, got + n, len - n);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	CHECK_INT(n, len);
	CHECK(memcmp(got, want, len) == 0);
	CHECK(!is_readable(fd, 0));
	free(got);
}

static void check_ends(int fd)
{
	char c;

	CHECK(is_readable(fd, WAIT_MS));
	CHECK(read(fd, &c, 1) <= 0);
}

static void put(int fd, const void *data, size_t len)
{
	CHECK_INT(rb_write_full(fd, data, len), 0);
}

static int accept_agent(void)
{
	CHECK(is_readable(agent_listen_fd, WAIT_MS));
	return accept4(agent_listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

/* A message of `len` bytes after the header: the type, then zeros. */
static char *message(unsigned char type, uint32_t len, size_t *ret_size)
{
	char *m = rb_calloc(1, (size_t)len + 4);

	m[0] = (char)(len >> 24);
	m[1] = (char)(len >> 16);
	m[2] = (char)(len >> 8);
	m[3] = (char)len;
	m[4] = (char)type;
	*ret_size = (size_t)len + 4;
	return m;
}

static const char failure[] = {0, 0, 0, 1, 5};
static const char list[] = {0, 0, 0, 1, 11};
static const char answer[] = {0, 0, 0, 5, 12, 0, 0, 0, 0};

static void test_forward__request_and_answer(void)
{
	RB_CLEANUP(rb_closep) int client = connect_to("step");
	RB_CLEANUP(rb_closep) int agent = accept_agent();

	for (int i = 0; i < 3; i++) {
		put(client, list, sizeof(list));
		check_receives(agent, list, sizeof(list));
		put(agent, answer, sizeof(answer));
		check_receives(client, answer, sizeof(answer));
	}
	rb_closep(&client);
	check_ends(agent);
}

static void test_forward__in_single_bytes(void)
{
	RB_CLEANUP(rb_closep) int client = connect_to("step");
	RB_CLEANUP(rb_closep) int agent = accept_agent();

	for (size_t i = 0; i < sizeof(list); i++) {
		CHECK(!is_readable(agent, 1));
		put(client, list + i, 1);
	}
	check_receives(agent, list, sizeof(list));
	for (size_t i = 0; i < sizeof(answer); i++) {
		CHECK(!is_readable(client, 1));
		put(agent, answer + i, 1);
	}
	check_receives(client, answer, sizeof(answer));
}

static void test_forward__a_second_request_waits(void)
{
	RB_CLEANUP(rb_closep) int client = connect_to("step");
	RB_CLEANUP(rb_closep) int agent = accept_agent();

	put(client, list, sizeof(list));
	put(client, list, sizeof(list));
	check_receives(agent, list, sizeof(list));
	CHECK(!is_readable(agent, QUIET_MS));
	put(agent, answer, sizeof(answer));
	check_receives(agent, list, sizeof(list));
}

static void test_forward__only_what_is_harmless(void)
{
	static const char bind[] = "\0\0\0\x1dsession-bind@openssh.com";
	RB_CLEANUP(rb_closep) int client = connect_to("step");
	RB_CLEANUP(rb_closep) int agent = accept_agent();

	for (int type = 0; type < 256; type++) {
		size_t size;

		if (type == 11 || type == 13)
			continue;
		RB_CLEANUP(rb_strp) char *m = message((unsigned char)type, 40, &size);
		put(client, m, size);
		check_receives(client, failure, sizeof(failure));
	}
	CHECK(!is_readable(agent, QUIET_MS));
	/* An extension is known by its whole name. */
	char m[4 + 1 + 4 + 24] = {0, 0, 0, 29, 27, 0, 0, 0, 24};
	memcpy(m + 9, bind + 4, 24);
	put(client, m, sizeof(m));
	check_receives(agent, m, sizeof(m));
	put(agent, failure, sizeof(failure));
	check_receives(client, failure, sizeof(failure));
	m[8] = 23;
	put(client, m, sizeof(m));
	check_receives(client, failure, sizeof(failure));
}

static void test_forward__sizes(void)
{
	static const char none[] = {0, 0, 0, 0}, too_long[] = {0, 4, 0, 1},
			  wild[] = {-1, -1, -1, -1};
	static const char *const refused[] = {none, too_long, wild};
	size_t size;
	RB_CLEANUP(rb_strp) char *m = message(13, 256 << 10, &size);
	RB_CLEANUP(rb_closep) int client = connect_to("step");
	RB_CLEANUP(rb_closep) int agent = accept_agent();

	/* More than the buffers of sockets hold at once. */
	pid_t writer = fork();
	if (writer == 0) {
		put(client, m, size);
		_exit(0);
	}
	check_receives(agent, m, size);
	(void)waitpid(writer, NULL, 0);
	put(agent, failure, sizeof(failure));
	check_receives(client, failure, sizeof(failure));
	for (size_t i = 0; i < RB_ARRAY_LEN(refused); i++) {
		RB_CLEANUP(rb_closep) int bad = connect_to("step");
		RB_CLEANUP(rb_closep) int bads_agent = accept_agent();

		put(bad, refused[i], 4);
		check_ends(bad);
		check_ends(bads_agent);
	}
	/* An agent that talks nonsense. */
	put(client, list, sizeof(list));
	check_receives(agent, list, sizeof(list));
	put(agent, wild, sizeof(wild));
	check_ends(client);
}

static void test_forward__many_clients(void)
{
	enum { N = 100, SERVED = 64 };
	int clients[N], agents[N];

	for (size_t i = 0; i < N; i++)
		clients[i] = connect_to("step");
	for (size_t i = 0; i < SERVED; i++)
		agents[i] = accept_agent();
	CHECK(!is_readable(agent_listen_fd, QUIET_MS));
	/* Who goes makes room. */
	for (size_t i = SERVED; i < N; i++) {
		rb_closep(&clients[i - SERVED]);
		agents[i] = accept_agent();
	}
	put(clients[N - 1], list, sizeof(list));
	check_receives(agents[N - 1], list, sizeof(list));
	for (size_t i = 0; i < N; i++) {
		rb_closep(&clients[i]);
		rb_closep(&agents[i]);
	}
}

static void test_forward__without_an_agent(void)
{
	RB_CLEANUP(rb_closep) int client = -1;

	rb_closep(&agent_listen_fd);
	client = connect_to("step");
	put(client, list, sizeof(list));
	check_receives(client, failure, sizeof(failure));
	put(client, list, sizeof(list));
	check_receives(client, failure, sizeof(failure));
	CHECK_INT(kill(forwarder, 0), 0);
}

int main(void)
{
	char dir[] = "/tmp/rb-forward-XXXXXX";

	(void)signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	agent_listen_fd = serve_at("agent", 0);
	forwarder_listen_fd = serve_at("step", SOCK_NONBLOCK);
	forwarder = fork();
	if (forwarder == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(agent_listen_fd);
		rb_ssh_forward_main(forwarder_listen_fd, "agent");
	}
	rb_closep(&forwarder_listen_fd);
	int r = tap_run((const struct tap_test[]){
		TAP(test_forward__request_and_answer), TAP(test_forward__in_single_bytes),
		TAP(test_forward__a_second_request_waits), TAP(test_forward__only_what_is_harmless),
		TAP(test_forward__sizes), TAP(test_forward__many_clients),
		TAP(test_forward__without_an_agent), TAP_END});
	(void)kill(forwarder, SIGKILL);
	(void)waitpid(forwarder, NULL, 0);
	r |= chdir("/") < 0;
	(void)rb_remove_tree_at(AT_FDCWD, dir);
	return r;
}
