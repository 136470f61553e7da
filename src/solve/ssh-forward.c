// SPDX-License-Identifier: Apache-2.0
/*
 * The forwarder between a step and an agent (draft-ietf-sshm-ssh-agent): messages are a length of
 * four bytes, a type of one, and a body. A client asks and waits, so each is in one of four phases.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "solve/ssh.h"

enum {
	CLIENTS_MAX = 64,
	MESSAGE_MAX = 256 << 10, /* what OpenSSH's agent takes */
	HEADER = 4,
};

enum message_type { FAILURE = 5, REQUEST_IDENTITIES = 11, SIGN_REQUEST = 13, EXTENSION = 27 };

enum phase { READ_REQUEST, WRITE_REQUEST, READ_ANSWER, WRITE_ANSWER };

struct client {
	int fd, agent_fd; /* agent_fd -1: it cannot be reached */
	enum phase phase;
	struct rb_buf message; /* with its header */
	size_t done;           /* bytes of it written */
};

struct forwarder {
	int listen_fd;
	const char *agent;
	struct client clients[CLIENTS_MAX];
	size_t n;
};

static uint32_t get_u32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Binds a connection to the session it serves: keys that are tied to hosts need it. */
static bool is_session_bind(const char *body, size_t len)
{
	static const char name[] = "session-bind@openssh.com";
	size_t n = sizeof(name) - 1;

	return len >= HEADER + n && get_u32(body) == n && memcmp(body + HEADER, name, n) == 0;
}

/* Nothing else: no key is added, removed or locked by a step. */
static bool is_allowed(const struct rb_buf *m)
{
	switch ((unsigned char)m->ptr[HEADER]) {
	case REQUEST_IDENTITIES:
	case SIGN_REQUEST:
		return true;
	case EXTENSION:
		return is_session_bind(m->ptr + HEADER + 1, m->len - HEADER - 1);
	default:
		return false;
	}
}

/* Reads on; 1 when the message is whole, 0 when more is to come, -1 at its end or when it is none.
 * Never reads beyond it. */
static int read_message(int fd, struct rb_buf *m)
{
	char chunk[16 << 10];

	for (;;) {
		size_t want = HEADER - m->len;

		if (m->len >= HEADER) {
			uint32_t len = get_u32(m->ptr);

			if (len < 1 || len > MESSAGE_MAX)
				return -1;
			want = HEADER + len - m->len;
		}
		if (!want)
			return 1;
		ssize_t n = read(fd, chunk, rb_min_size(want, sizeof(chunk)));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return -1;
		rb_buf_add(m, chunk, (size_t)n);
	}
}

static int write_message(int fd, const struct rb_buf *m, size_t *done)
{
	while (*done < m->len) {
		ssize_t n = send(fd, m->ptr + *done, m->len - *done, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return -1;
		*done += (size_t)n;
	}
	return 1;
}

static void enter_phase(struct client *c, enum phase phase)
{
	static const char failure[] = {0, 0, 0, 1, FAILURE};

	if (phase == WRITE_REQUEST && (c->agent_fd < 0 || !is_allowed(&c->message))) {
		rb_buf_clear(&c->message);
		rb_buf_add(&c->message, failure, sizeof(failure));
		phase = WRITE_ANSWER;
	}
	if (phase == READ_REQUEST || phase == READ_ANSWER)
		rb_buf_clear(&c->message);
	c->done = 0;
	c->phase = phase;
}

static int client_fd(const struct client *c)
{
	return c->phase == WRITE_REQUEST || c->phase == READ_ANSWER ? c->agent_fd : c->fd;
}

static bool is_reading(const struct client *c)
{
	return c->phase == READ_REQUEST || c->phase == READ_ANSWER;
}

/* As far as it goes without waiting; -1 when the client is to be dropped. */
static int serve(struct client *c)
{
	int r;

	do {
		r = is_reading(c) ? read_message(client_fd(c), &c->message)
				  : write_message(client_fd(c), &c->message, &c->done);
		if (r > 0)
			enter_phase(c, (c->phase + 1) % (WRITE_ANSWER + 1));
	} while (r > 0);
	return r;
}

static int connect_agent(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	RB_CLEANUP(rb_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	return connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -1 : rb_steal_fd(&fd);
}

static void take_client(struct forwarder *f)
{
	RB_CLEANUP(rb_closep)
	int fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	f->clients[f->n++] = (struct client){.fd = rb_steal_fd(&fd),
					     .agent_fd = connect_agent(f->agent),
					     .message = RB_BUF_INIT};
}

static void drop_client(struct forwarder *f, size_t i)
{
	struct client *c = &f->clients[i];

	rb_closep(&c->fd);
	rb_closep(&c->agent_fd);
	rb_buf_clear(&c->message);
	*c = f->clients[--f->n];
}

static void run(struct forwarder *f)
{
	struct pollfd p[CLIENTS_MAX + 1];

	for (size_t i = 0; i < f->n; i++)
		p[i] = (struct pollfd){.fd = client_fd(&f->clients[i]),
				       .events = is_reading(&f->clients[i]) ? POLLIN : POLLOUT};
	size_t n = f->n;
	/* Who comes when there are too many waits in the queue of the socket. */
	p[n] = (struct pollfd){.fd = n < CLIENTS_MAX ? f->listen_fd : -1, .events = POLLIN};
	if (poll(p, n + 1, -1) < 0)
		return;
	for (size_t i = n; i-- > 0;)
		if (p[i].revents && serve(&f->clients[i]) < 0)
			drop_client(f, i);
	if (p[n].revents)
		take_client(f);
}

void rb_ssh_forward_main(int listen_fd, const char *agent)
{
	struct forwarder f = {.listen_fd = listen_fd, .agent = agent};

	for (;;)
		run(&f);
}
