// SPDX-License-Identifier: Apache-2.0
#include "solve/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "solve/mask.h"
#include "solve/ssh.h"
#include "tap.h"

static void put(const char *name, const char *text)
{
	RB_CLEANUP(rb_closep) int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK_INT(rb_write_full(fd, text, strlen(text)), 0);
}

static const char *value_of(struct rb_secrets *s, const char *id)
{
	const struct rb_secret *secret = rb_secrets_get(s, id);

	return secret ? secret->value : NULL;
}

static void check_value(const char *spec, const char *id, const char *want)
{
	RB_CLEANUP(rb_secrets_freep) struct rb_secrets *s = rb_secrets_new();
	struct rb_error *err = NULL;

	CHECK_INT(rb_secrets_add(s, spec, &err), 0);
	if (err)
		printf("# %s: %s\n", spec, err->msg);
	rb_error_drop(&err);
	CHECK_STR(value_of(s, id), want);
}

static void check_refused(const char *spec, enum rb_err code, const char *part)
{
	RB_CLEANUP(rb_secrets_freep) struct rb_secrets *s = rb_secrets_new();
	struct rb_error *err = NULL;

	CHECK_INT(rb_secrets_add(s, spec, &err), -1);
	CHECK_INT(err ? err->code : 0, code);
	CHECK_ERR(&err, part);
}

static void test_secrets__where_from(void)
{
	put("file", "in the file");
	put("IN_BOTH", "in the file of the name");
	put("a,b", "with a comma");
	CHECK_INT(setenv("IN_ENV", "in the environment", 1), 0);
	CHECK_INT(setenv("IN_BOTH", "in the environment too", 1), 0);
	check_value("id=x,src=file", "x", "in the file");
	check_value("id=x,source=file", "x", "in the file");
	check_value("ID=x,Type=file,SRC=file", "x", "in the file");
	check_value("id=file", "file", "in the file");
	check_value("type=file,id=IN_BOTH", "IN_BOTH", "in the file of the name");
	check_value("id=IN_BOTH", "IN_BOTH", "in the environment too");
	check_value("id=IN_ENV,type=env", "IN_ENV", "in the environment");
	check_value("id=x,env=IN_ENV", "x", "in the environment");
	check_value("id=x,type=env,env=IN_ENV", "x", "in the environment");
	check_value("id=x,type=env,src=IN_ENV", "x", "in the environment");
	check_value("id=x,\"src=a,b\"", "x", "with a comma");
	check_value("id=x,env=NOT_SET_ANYWHERE", "x", "");
	check_value("id=x,src=file", "y", NULL);
}

static void test_secrets__refused(void)
{
	check_refused("src=file", RB_ERR_USAGE, "needs an id");
	check_refused("id=", RB_ERR_USAGE, "needs an id");
	check_refused("", RB_ERR_USAGE, "invalid field '' must be a key=value pair");
	check_refused("id=x,file", RB_ERR_USAGE, "invalid field 'file' must be a key=value pair");
	check_refused("id=x,sorce=file", RB_ERR_USAGE,
		      "unexpected key 'sorce' in 'sorce=file' (did you mean source?)");
	check_refused("id=x,type=socket", RB_ERR_USAGE, "unsupported secret type \"socket\"");
	check_refused("id=x,src=file,env=IN_ENV", RB_ERR_USAGE, "cannot be both");
	check_refused("id=x,type=file,env=IN_ENV", RB_ERR_USAGE, "cannot be both");
	check_refused("id=x,\"src=a", RB_ERR_USAGE, "a quote is not closed");
	check_refused("id=x,src=missing", RB_ERR_NOTFOUND,
		      "missing of the secret x does not exist");
	check_refused("id=x,src=.", RB_ERR_SYS, "cannot read the file . of the secret x");
}

static void test_secrets__size(void)
{
	RB_CLEANUP(rb_secrets_freep) struct rb_secrets *s = rb_secrets_new();
	struct rb_error *err = NULL;

	put("big", "");
	CHECK_INT(truncate("big", RB_SECRET_BYTES_MAX), 0);
	CHECK_INT(rb_secrets_add(s, "id=x,src=big", &err), 0);
	CHECK_INT(rb_secrets_get(s, "x")->len, RB_SECRET_BYTES_MAX);
	CHECK_INT(truncate("big", RB_SECRET_BYTES_MAX + 1), 0);
	check_refused("id=x,src=big", RB_ERR_UNSUPPORTED, "the secret x is larger than 500 kB");
}

static void test_secrets__the_last_counts(void)
{
	RB_CLEANUP(rb_secrets_freep) struct rb_secrets *s = rb_secrets_new();
	struct rb_error *err = NULL;

	CHECK(!rb_secrets_get(NULL, "x"));
	CHECK(!rb_secrets_mask(NULL));
	CHECK(!rb_secrets_mask(s));
	put("one", "value-one\n");
	put("two", "value-two\n");
	CHECK_INT(rb_secrets_add(s, "id=x,src=one", &err), 0);
	CHECK(rb_secrets_mask(s));
	CHECK_INT(rb_secrets_add(s, "id=x,src=two", &err), 0);
	CHECK_STR(value_of(s, "x"), "value-two\n");
	RB_CLEANUP(rb_strp) char *text = rb_mask_text(rb_secrets_mask(s), "value-one value-two");
	CHECK_STR(text, "value-one ****");
	(void)rb_fail(&err, RB_ERR_CONTEXT, "no file value-two");
	(void)rb_wrap(&err, "COPY value-two");
	rb_secrets_hide(s, err);
	CHECK_ERR(&err, "COPY ****: no file ****");
}

/* --- ssh --- */

static void check_ssh(const char *spec, const char *id, const char *error)
{
	RB_CLEANUP(rb_ssh_freep) struct rb_ssh *s = rb_ssh_new();
	struct rb_error *err = NULL;
	int r = rb_ssh_add(s, spec, &err);

	CHECK_INT(r, error ? -1 : 0);
	CHECK_INT(rb_ssh_has(s, id), !error);
	CHECK(!rb_ssh_has(s, "other"));
	if (error)
		CHECK_ERR(&err, error);
	rb_error_drop(&err);
}

static void test_ssh__spec(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "socket"};
	RB_CLEANUP(rb_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_INT(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	CHECK(!rb_ssh_has(NULL, "default"));
	CHECK_INT(unsetenv("SSH_AUTH_SOCK"), 0);
	check_ssh("default", "default", "SSH_AUTH_SOCK is not set");
	CHECK_INT(setenv("SSH_AUTH_SOCK", "socket", 1), 0);
	check_ssh("default", "default", NULL);
	check_ssh("default=", "default", NULL);
	check_ssh("deploy", "deploy", NULL);
	check_ssh("x=socket", "x", NULL);
	check_ssh("=socket", "", "needs an id");
	check_ssh("x=missing", "x", "missing does not exist");
	check_ssh("x=.", "x", "neither the socket of an agent nor a key");
	check_ssh("x=socket,socket", "x", "only one agent socket");
	put("key", "not looked at before a step needs it");
	/* Keys need OpenSSH's programs. */
	if (access("/usr/bin/ssh-add", X_OK) != 0 || access("/usr/bin/ssh-agent", X_OK) != 0)
		return;
	check_ssh("x=key,key", "x", NULL);
	check_ssh("x=socket,key", "x", "either one agent socket or keys");
}

static void drop_line(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
}

int main(void)
{
	char dir[] = "/tmp/rb-secrets-XXXXXX";

	rb_log_set_sink(drop_line, NULL);
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	int r = tap_run((const struct tap_test[]){
		TAP(test_secrets__where_from), TAP(test_secrets__refused), TAP(test_secrets__size),
		TAP(test_secrets__the_last_counts), TAP(test_ssh__spec), TAP_END});
	r |= chdir("/") < 0;
	(void)rb_remove_tree_at(AT_FDCWD, dir);
	return r;
}
