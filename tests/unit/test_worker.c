// SPDX-License-Identifier: Apache-2.0
#include "solve/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "tap.h"

static struct rb_buf statuses = RB_BUF_INIT;

static void add_status(void *ctx, const char *text)
{
	(void)ctx;
	rb_buf_addf(&statuses, "<%s>", text);
}

/* Runs fn to its end; 0 or -1 as the worker's finish says. */
static int run(rb_worker_fn *fn, void *ctx, struct rb_worker *w, struct rb_error **err)
{
	rb_buf_clear(&statuses);
	if (rb_worker_start(fn, ctx, w, err) < 0)
		return -1;
	for (;;) {
		struct pollfd p = {.fd = w->fd, .events = POLLIN};

		(void)poll(&p, 1, 5000);
		if (rb_worker_read(w, add_status, NULL))
			return rb_worker_finish(w, err);
	}
}

static int say_result(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	(void)ctx;
	(void)err;
	rb_worker_status(port, "%d of %d", 1, 2);
	rb_worker_status(port, "done");
	rb_worker_result(port, "abc", 3);
	return 0;
}

static int say_error(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	(void)ctx;
	(void)port;
	(void)rb_fail(err, RB_ERR_NOTFOUND, "no such thing");
	return rb_error_at(err, 7, 9);
}

static int crash(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	(void)ctx;
	(void)port;
	(void)err;
	(void)kill(getpid(), SIGKILL);
	return 0;
}

static int vanish(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	(void)ctx;
	(void)port;
	(void)err;
	_exit(3);
}

static int big_result(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	char data[60000];

	(void)ctx;
	(void)err;
	memset(data, 'x', sizeof(data));
	for (int i = 0; i < 100; i++)
		rb_worker_status(port, "%.*s", 50000, data);
	rb_worker_result(port, data, sizeof(data));
	return 0;
}

static void test_worker__brings_statuses_and_a_result(void)
{
	struct rb_worker w = RB_WORKER_INIT;
	struct rb_error *err = NULL;

	CHECK_INT(run(say_result, NULL, &w, &err), 0);
	CHECK_OK(&err);
	CHECK_STR(statuses.ptr, "<1 of 2><done>");
	CHECK_STR(w.result.ptr, "abc");
	rb_buf_clear(&w.result);
}

static void test_worker__brings_its_error_with_code_and_lines(void)
{
	struct rb_worker w = RB_WORKER_INIT;
	struct rb_error *err = NULL;

	CHECK_INT(run(say_error, NULL, &w, &err), -1);
	CHECK(err && err->code == RB_ERR_NOTFOUND);
	CHECK_INT(err ? err->line_first : 0, 7);
	CHECK_INT(err ? err->line_last : 0, 9);
	CHECK_ERR(&err, "no such thing");
}

static void test_worker__a_crash_is_an_error_and_not_ours(void)
{
	struct rb_worker w = RB_WORKER_INIT;
	struct rb_error *err = NULL;

	CHECK_INT(run(crash, NULL, &w, &err), -1);
	CHECK_ERR(&err, "killed by signal 9");
	CHECK_INT(run(vanish, NULL, &w, &err), -1);
	CHECK_ERR(&err, "without a result (status 3)");
}

static void test_worker__long_messages_arrive_whole(void)
{
	struct rb_worker w = RB_WORKER_INIT;
	struct rb_error *err = NULL;

	CHECK_INT(run(big_result, NULL, &w, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(statuses.len, 100 * 50002);
	CHECK_INT(w.result.len, 60000);
	rb_buf_clear(&w.result);
}

static int say_parts(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	(void)err;
	rb_worker_part(port, "a\n", 2);
	rb_worker_status(port, "between");
	rb_worker_part(port, "b\n", 2);
	if (ctx)
		(void)raise(SIGKILL);
	return 0;
}

static void test_worker__parts_make_a_result_and_survive_its_death(void)
{
	struct rb_worker w = RB_WORKER_INIT;
	struct rb_error *err = NULL;

	CHECK_INT(run(say_parts, NULL, &w, &err), 0);
	CHECK_OK(&err);
	CHECK_STR(w.result.ptr, "a\nb\n");
	CHECK_STR(statuses.ptr, "<between>");
	rb_buf_clear(&w.result);
	CHECK_INT(run(say_parts, &w, &w, &err), -1);
	CHECK_ERR(&err, "killed by signal 9");
	CHECK_STR(w.result.ptr, "a\nb\n");
	rb_buf_clear(&w.result);
}

static int garbage(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	/* The first member is the descriptor: writing past the API is what a broken worker would
	 * do. */
	uint32_t bad[2] = {77, 0x7fffffff};
	int fd;

	(void)ctx;
	(void)err;
	memcpy(&fd, port, sizeof(fd));
	if (write(fd, bad, sizeof(bad)) != sizeof(bad))
		_exit(1);
	_exit(0);
}

static void test_worker__broken_protocol_is_an_error(void)
{
	struct rb_worker w = RB_WORKER_INIT;
	struct rb_error *err = NULL;

	CHECK_INT(run(garbage, NULL, &w, &err), -1);
	CHECK_ERR(&err, "protocol");
}

int main(void)
{
	int r = tap_run((const struct tap_test[]){
		TAP(test_worker__brings_statuses_and_a_result),
		TAP(test_worker__brings_its_error_with_code_and_lines),
		TAP(test_worker__a_crash_is_an_error_and_not_ours),
		TAP(test_worker__long_messages_arrive_whole),
		TAP(test_worker__parts_make_a_result_and_survive_its_death),
		TAP(test_worker__broken_protocol_is_an_error),
		TAP_END,
	});

	rb_buf_clear(&statuses);
	return r;
}
