// SPDX-License-Identifier: Apache-2.0
#include "base/child.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "tap.h"

static struct rb_child start(const char *command)
{
	const char *const argv[] = {"sh", "-c", command, NULL};
	const struct rb_spawn spec = {
		.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
	struct rb_child child = RB_CHILD_INIT;
	struct rb_error *err = NULL;

	CHECK_INT(rb_spawn(&spec, false, &child, &err), 0);
	CHECK_OK(&err);
	return child;
}

static void test_child__its_end_is_a_status_or_a_signal(void)
{
	struct rb_child child = start("exit 7");

	CHECK_INT(rb_child_wait(&child), 7);
	CHECK_INT(child.pid, 0);
	CHECK_INT(child.pidfd, -1);
	CHECK_INT(rb_child_wait(&child), -ECHILD);
	child = start("kill -TERM $$");
	CHECK_INT(rb_child_wait(&child), 128 + SIGTERM);
	/* Without a descriptor, by its number. */
	child = start("exit 3");
	rb_closep(&child.pidfd);
	CHECK_INT(rb_child_wait(&child), 3);
}

static void test_child__kill_ends_and_reaps_it(void)
{
	struct rb_child child = start("sleep 100");

	rb_child_kill(&child);
	CHECK_INT(child.pid, 0);
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
	rb_child_kill(&child);
}

/* Its number may be another process's by now, and that is left alone. */
static void test_child__one_that_was_reaped_by_somebody_else(void)
{
	struct rb_child child = start("exit 0"), other = start("sleep 100");

	CHECK_INT(waitpid(child.pid, NULL, 0), child.pid);
	CHECK(rb_pidfd_has_ended(child.pidfd));
	CHECK(!rb_pidfd_has_ended(other.pidfd));
	child.pid = other.pid;
	rb_child_kill(&child);
	CHECK_INT(child.pid, 0);
	CHECK_INT(child.pidfd, -1);
	CHECK_INT(waitpid(other.pid, NULL, WNOHANG), 0);
	rb_child_kill(&other);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_child__its_end_is_a_status_or_a_signal),
		TAP(test_child__kill_ends_and_reaps_it),
		TAP(test_child__one_that_was_reaped_by_somebody_else),
		TAP_END,
	});
}
