// SPDX-License-Identifier: Apache-2.0
#include "solve/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

enum message_type { MSG_STATUS = 1, MSG_RESULT = 2, MSG_ERROR = 3, MSG_PART = 4 };

struct header {
	uint32_t type;
	uint32_t len;
};

struct fault {
	uint32_t code;
	int32_t sys_errno;
	int32_t exit_status;
	uint32_t line_first, line_last;
};

struct rb_worker_port {
	int fd;
	bool sent_end;
};

/* --- child
 * ------------------------------------------------------------------------------------------- */

static void send_message(struct rb_worker_port *port, enum message_type type, const void *data,
			 size_t len)
{
	struct rb_buf b = RB_BUF_INIT;
	struct header h = {.type = type, .len = (uint32_t)len};

	if (len > RB_WORKER_MESSAGE_MAX)
		rb_bug("worker message of %zu bytes", len);
	rb_buf_add(&b, &h, sizeof(h));
	rb_buf_add(&b, data, len);
	/* The coordinator is gone: nobody is left to tell, and the pid namespace is about to end.
	 */
	if (rb_write_full(port->fd, b.ptr, b.len) < 0)
		_exit(1);
	rb_buf_clear(&b);
}

void rb_worker_status(struct rb_worker_port *port, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	RB_CLEANUP(rb_strp) char *text = rb_vasprintf(fmt, ap);
	va_end(ap);
	send_message(port, MSG_STATUS, text, rb_min_size(strlen(text), RB_WORKER_MESSAGE_MAX));
}

void rb_worker_part(struct rb_worker_port *port, const void *data, size_t len)
{
	send_message(port, MSG_PART, data, len);
}

void rb_worker_result(struct rb_worker_port *port, const void *data, size_t len)
{
	send_message(port, MSG_RESULT, data, len);
	port->sent_end = true;
}

static void send_error(struct rb_worker_port *port, const struct rb_error *e)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *text = rb_error_text(e);
	struct fault f = {
		.code = e->code,
		.sys_errno = e->sys_errno,
		.exit_status = e->exit_status,
		.line_first = e->line_first,
		.line_last = e->line_last,
	};

	rb_buf_add(&b, &f, sizeof(f));
	rb_buf_add(&b, text, rb_min_size(strlen(text), RB_WORKER_MESSAGE_MAX - sizeof(f)));
	send_message(port, MSG_ERROR, b.ptr, b.len);
}

static void RB_NORETURN child_main(rb_worker_fn *fn, void *ctx, int fd)
{
	struct rb_worker_port port = {.fd = fd};
	struct rb_error *err = NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fn(ctx, &port, &err) < 0)
		send_error(&port, err);
	else if (!port.sent_end)
		rb_worker_result(&port, "", 0);
	/* No exit handlers: they belong to the coordinator. */
	_exit(0);
}

/* --- coordinator
 * ------------------------------------------------------------------------------------- */

int rb_worker_start(rb_worker_fn *fn, void *ctx, struct rb_worker *ret, struct rb_error **err)
{
	int p[2], r = rb_pipe(p);

	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	pid_t pid = fork();
	if (pid < 0) {
		close(p[0]);
		close(p[1]);
		return rb_fail_errno(err, "cannot fork");
	}
	if (pid == 0) {
		close(p[0]);
		child_main(fn, ctx, p[1]);
	}
	close(p[1]);
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK);
	*ret = (struct rb_worker)RB_WORKER_INIT;
	ret->child.pid = pid;
	ret->fd = p[0];
	return 0;
}

static void protocol_fault(struct rb_worker *w)
{
	if (!w->error)
		(void)rb_fail(&w->error, RB_ERR_CORRUPT, "a worker broke the message protocol");
	w->done = true;
}

static void take_error(struct rb_worker *w, const char *payload, size_t len)
{
	struct fault f;

	if (len < sizeof(f)) {
		protocol_fault(w);
		return;
	}
	memcpy(&f, payload, sizeof(f));
	if (f.code <= RB_ERR_SAME || f.code > RB_ERR_UNSUPPORTED)
		f.code = RB_ERR_SYS;
	(void)rb_fail(&w->error, (enum rb_err)f.code, "%.*s", (int)(len - sizeof(f)),
		      payload + sizeof(f));
	/* The text names the errno already. */
	w->error->exit_status = f.exit_status;
	w->error->line_first = f.line_first;
	w->error->line_last = f.line_last;
	w->done = true;
}

static void take_message(struct rb_worker *w, uint32_t type, const char *payload, size_t len,
			 void (*status)(void *ctx, const char *text), void *ctx)
{
	if (w->done) {
		protocol_fault(w);
	} else if (type == MSG_STATUS) {
		RB_CLEANUP(rb_strp) char *text = rb_strndup(payload, len);

		if (status)
			status(ctx, text);
	} else if (type == MSG_RESULT || type == MSG_PART) {
		rb_buf_add(&w->result, payload, len);
		w->done = type == MSG_RESULT;
	} else if (type == MSG_ERROR) {
		take_error(w, payload, len);
	} else {
		protocol_fault(w);
	}
}

static void take_messages(struct rb_worker *w, void (*status)(void *ctx, const char *text),
			  void *ctx)
{
	size_t at = 0;
	struct header h;

	while (w->in.len - at >= sizeof(h)) {
		memcpy(&h, w->in.ptr + at, sizeof(h));
		if (h.len > RB_WORKER_MESSAGE_MAX) {
			protocol_fault(w);
			at = w->in.len;
			break;
		}
		if (w->in.len - at - sizeof(h) < h.len)
			break;
		take_message(w, h.type, w->in.ptr + at + sizeof(h), h.len, status, ctx);
		at += sizeof(h) + h.len;
	}
	struct rb_buf rest = RB_BUF_INIT;
	rb_buf_add(&rest, w->in.ptr + at, w->in.len - at);
	rb_buf_clear(&w->in);
	w->in = rest;
}

bool rb_worker_read(struct rb_worker *w, void (*status)(void *ctx, const char *text), void *ctx)
{
	char chunk[4096];

	for (;;) {
		ssize_t n = read(w->fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0)
			return true;
		rb_buf_add(&w->in, chunk, (size_t)n);
		take_messages(w, status, ctx);
	}
}

int rb_worker_finish(struct rb_worker *w, struct rb_error **err)
{
	int status = rb_child_wait(&w->child);

	rb_closep(&w->fd);
	rb_buf_clear(&w->in);
	if (!w->done && status > 128)
		return rb_fail(
			err, RB_ERR_SYS, "a process of the build was killed by signal %d (%s)%s",
			status - 128, sigdescr_np(status - 128),
			status - 128 == SIGKILL ? ": if nobody did that, memory ran out; see dmesg"
						: "");
	if (!w->done)
		return rb_fail(err, RB_ERR_CORRUPT, "a worker ended without a result (status %d)",
			       status);
	if (w->error) {
		*err = rb_steal_ptr(&w->error);
		return -1;
	}
	return 0;
}

void rb_worker_kill(struct rb_worker *w)
{
	rb_child_kill(&w->child);
	rb_closep(&w->fd);
	rb_buf_clear(&w->in);
	rb_buf_clear(&w->result);
	rb_error_drop(&w->error);
}
