// SPDX-License-Identifier: Apache-2.0
/*
 * Dockerfiles as people write them (tests/data/dockerfiles): NAME.Dockerfile is parsed, checked and
 * planned, and what came out is compared with NAME.expect: the stages that the last one needs,
 * their base and steps, and the warnings. Bases that are images have an environment with PATH only;
 * files of NAME.ignore are ignored; NAME.contexts names contexts of --build-context, one a line.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "context/context.h"
#include "dockerfile/lint.h"
#include "plan/plan.h"
#include "tap.h"

static const char *directory(void)
{
	static char path[4096];
	const char *src = getenv("RB_TEST_SRC");
	const char *const places[] = {src ? src : ".", ".", "../src", "..", "../.."};

	for (size_t i = 0; i < RB_ARRAY_LEN(places); i++) {
		(void)snprintf(path, sizeof(path), "%s/tests/data/dockerfiles", places[i]);
		if (access(path, R_OK) == 0)
			return path;
	}
	return NULL;
}

/* NAME.suffix; NULL when there is none. Caller frees. */
static char *read_part(const char *name, const char *suffix)
{
	char path[8192];
	struct rb_buf b = RB_BUF_INIT;
	struct rb_error *err = NULL;

	(void)snprintf(path, sizeof(path), "%s/%s.%s", directory(), name, suffix);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	CHECK_INT(rb_read_fd(fd, 1 << 20, &b, &err), 0);
	CHECK_OK(&err);
	rb_closep(&fd);
	return rb_buf_steal(&b);
}

struct file {
	struct rb_dockerfile *df;
	struct rb_plan *plan;
	struct rb_lint lint;
	struct rb_env args;
	struct rb_image_config base;
	struct rb_ignore *ignore;
	struct rb_plan_context contexts[8];
	size_t n_contexts;
	char *names; /* of the contexts */
};

static void file_clear(struct file *f)
{
	rb_plan_free(f->plan);
	rb_lint_clear(&f->lint);
	rb_dockerfile_free(f->df);
	rb_image_config_clear(&f->base);
	rb_ignore_free(f->ignore);
	free(f->names);
}

static bool is_ignored(void *ctx, const char *source)
{
	return rb_ignore_matches(ctx, source, NULL);
}

static int read_ignore(struct file *f, const char *name, struct rb_error **err)
{
	char *text = read_part(name, "ignore");
	int r = text ? rb_ignore_parse(text, strlen(text), "ignore", &f->ignore, err) : 0;

	free(text);
	if (f->ignore && !rb_ignore_has_exceptions(f->ignore)) {
		f->lint.is_ignored = is_ignored;
		f->lint.ignore_ctx = f->ignore;
		f->lint.ignore_wants_all = rb_ignore_has_catch_all(f->ignore);
	}
	return r;
}

static void read_contexts(struct file *f, const char *name)
{
	f->names = read_part(name, "contexts");
	for (char *s = f->names; s && *s && f->n_contexts < RB_ARRAY_LEN(f->contexts);) {
		char *end = strchrnul(s, '\n');

		f->contexts[f->n_contexts] = (struct rb_plan_context){
			.index = f->n_contexts, .name = s, .platform = "", .kind = RB_NAMED_TREE};
		f->n_contexts++;
		s = *end ? end + 1 : end;
		*end = '\0';
	}
}

static int plan_stages(struct file *f, struct rb_error **err)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < f->plan->n_images; i++)
			f->plan->images[i]->config = &f->base;
		for (size_t i = 0; i < f->plan->n_stages; i++) {
			if (!rb_plan_can_elaborate(&f->plan->stages[i]))
				continue;
			if (rb_plan_elaborate(f->plan, &f->plan->stages[i], err) < 0)
				return -1;
			again = true;
		}
	}
	return 0;
}

static int plan_file(struct file *f, bool all, struct rb_error **err)
{
	const struct rb_plan_options o = {
		.build_args = &f->args,
		.build_platform = {.os = "linux", .arch = "amd64"},
		.target_platform = {.os = "linux", .arch = "amd64"},
		.contexts = f->contexts,
		.n_contexts = f->n_contexts,
		.allow = RB_ALLOW_NETWORK_HOST | RB_ALLOW_SECURITY_INSECURE,
		.all_stages = all,
		.lint = all ? &f->lint : NULL,
	};

	rb_plan_free(f->plan);
	f->plan = NULL;
	if (rb_plan_new(f->df, &o, &f->plan, err) < 0)
		return -1;
	return plan_stages(f, err);
}

static void add_steps(struct rb_buf *b, const struct rb_plan_stage *stage)
{
	static const char *const names[] = {"RUN", "COPY", "WORKDIR", "LINK"};
	size_t n[RB_ARRAY_LEN(names)] = {0};

	for (size_t i = 0; i < stage->n_vertices; i++)
		n[stage->vertices[i]->kind]++;
	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++)
		if (n[i])
			rb_buf_addf(b, ", %zu %s", n[i], names[i]);
}

static void add_summary(struct rb_buf *b, const struct file *f)
{
	for (size_t i = 0; i < f->plan->n_stages; i++) {
		const struct rb_plan_stage *s = &f->plan->stages[i];

		rb_buf_addf(b, "stage %s:", *s->label ? s->label : "0");
		if (!s->needed) {
			rb_buf_addstr(b, " not needed\n");
			continue;
		}
		if (s->base.kind == RB_ROOT_STAGE)
			rb_buf_addf(b, " from stage %s", s->base.stage->label);
		else if (s->base.kind == RB_ROOT_IMAGE)
			rb_buf_addf(b, " from %s", s->base.image->shown);
		else
			rb_buf_addstr(b, s->base.kind == RB_ROOT_SCRATCH ? " from scratch"
									 : " from a context");
		add_steps(b, s);
		rb_buf_addch(b, '\n');
	}
}

static void add_warnings(struct rb_buf *b, const struct file *f)
{
	for (size_t i = 0; i < f->lint.n; i++)
		rb_buf_addf(b, "%s %u\n", rb_lint_rule_info(f->lint.warnings[i].rule)->name,
			    f->lint.warnings[i].line_first);
}

static void add_error(struct rb_buf *b, const char *what, struct rb_error **err)
{
	char *text = rb_error_text(*err);

	rb_buf_addf(b, "%s fails at %u: %s\n", what, (*err)->line_first, text);
	free(text);
	rb_error_drop(err);
}

/* What is wrong only in stages that the last one does not need concerns the check alone. */
static int look_at(struct file *f, const char *name, struct rb_buf *b, struct rb_error **err)
{
	char *text = read_part(name, "Dockerfile");
	int r = rb_dockerfile_parse(text, strlen(text), &f->df, err);

	free(text);
	if (r < 0 || read_ignore(f, name, err) < 0 ||
	    rb_lint_configure(&f->lint, f->df, &f->args, err) < 0)
		return -1;
	read_contexts(f, name);
	rb_lint_file(&f->lint, f->df);
	rb_strv_add(&f->base.env, "PATH=/bin");
	f->base.platform = (struct rb_platform){.os = "linux", .arch = "amd64"};
	if (plan_file(f, true, err) < 0 && (*err)->code == RB_ERR_DOCKERFILE)
		add_error(b, "check", err);
	rb_lint_sort(&f->lint);
	return *err ? -1 : plan_file(f, false, err);
}

static void check_file(const char *name)
{
	struct file f = {0};
	struct rb_error *err = NULL;
	struct rb_buf got = RB_BUF_INIT;
	char *want = read_part(name, "expect");

	if (look_at(&f, name, &got, &err) < 0)
		add_error(&got, "plan", &err);
	if (f.plan)
		add_summary(&got, &f);
	add_warnings(&got, &f);
	tap_check_str(__FILE__, __LINE__, name, got.ptr, want ? want : "(no .expect)");
	free(want);
	rb_buf_clear(&got);
	file_clear(&f);
}

static int is_dockerfile(const struct dirent *d)
{
	return rb_ends_with(d->d_name, ".Dockerfile");
}

static void test_corpus__dockerfiles_plan_and_lint_as_expected(void)
{
	struct dirent **list = NULL;
	int n = directory() ? scandir(directory(), &list, is_dockerfile, alphasort) : 0;

	if (!directory())
		printf("# the corpus is not here\n");
	else
		CHECK(n >= 60);
	for (int i = 0; i < n; i++) {
		list[i]->d_name[strlen(list[i]->d_name) - strlen(".Dockerfile")] = '\0';
		check_file(list[i]->d_name);
		free(list[i]);
	}
	free(list);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_corpus__dockerfiles_plan_and_lint_as_expected),
		TAP_END,
	});
}
