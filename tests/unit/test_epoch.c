// SPDX-License-Identifier: Apache-2.0
/* SOURCE_DATE_EPOCH (dockerfile.md 7.5): what the plan makes of it, and outputs. */
#include "tap.h"

#include "output/output.h"
#include "plan/plan.h"

static const struct rb_plan_context contexts[] = {
	{.index = 0, .name = "files", .platform = "", .kind = RB_NAMED_TREE},
	{.index = 1, .name = "image", .platform = "", .kind = RB_NAMED_IMAGE, .image = "busybox"},
	{.index = 2, .name = "layout", .platform = "", .kind = RB_NAMED_LAYOUT, .image = "x"},
};

struct fixture {
	struct rb_dockerfile *df;
	struct rb_plan *plan;
	struct rb_env args;
};

static void fixture_clear(struct fixture *f)
{
	rb_plan_free(f->plan);
	rb_dockerfile_free(f->df);
	rb_env_clear(&f->args);
}

/* `arg` NULL: no build argument. */
static int make(struct fixture *f, const char *text, const char *arg, struct rb_error **err)
{
	memset(f, 0, sizeof(*f));
	if (arg)
		rb_env_set(&f->args, "SOURCE_DATE_EPOCH", arg);
	const struct rb_plan_options o = {
		.build_args = &f->args,
		.build_platform = {.os = "linux", .arch = "amd64"},
		.target_platform = {.os = "linux", .arch = "amd64"},
		.contexts = contexts,
		.n_contexts = RB_ARRAY_LEN(contexts),
	};

	if (rb_dockerfile_parse(text, strlen(text), &f->df, err) < 0)
		return -1;
	return rb_plan_new(f->df, &o, &f->plan, err);
}

static int elaborate(struct fixture *f, struct rb_error **err)
{
	for (size_t i = 0; i < f->plan->n_stages; i++)
		if (rb_plan_can_elaborate(&f->plan->stages[i]) &&
		    rb_plan_elaborate(f->plan, &f->plan->stages[i], err) < 0)
			return -1;
	return 0;
}

#define SOURCE "FROM scratch AS src\nARG V=1\nADD http://h/$V /\n"

static void test_epoch__is_a_number_or_has_to_be_asked(void)
{
	static const struct {
		const char *text, *arg;
		bool set, pending;
		int64_t seconds;
		enum rb_root_kind from;
		const char *context;
	} rows[] = {
		{.text = "FROM scratch\n"},
		{.text = "FROM scratch\nARG SOURCE_DATE_EPOCH=5\n"},
		{.text = "FROM scratch\n", .arg = ""},
		{.text = "FROM scratch\n", .arg = "0", .set = true},
		{.text = "FROM scratch\n",
		 .arg = "253402300799",
		 .set = true,
		 .seconds = RB_TIME_MAX},
		{.text = "ARG SOURCE_DATE_EPOCH=5\nFROM scratch\n", .set = true, .seconds = 5},
		{.text = "ARG A=6\nARG SOURCE_DATE_EPOCH=$A\nFROM scratch\n",
		 .set = true,
		 .seconds = 6},
		{.text = "ARG SOURCE_DATE_EPOCH=5\nFROM scratch\n",
		 .arg = "7",
		 .set = true,
		 .seconds = 7},
		{.text = "ARG SOURCE_DATE_EPOCH=5\nFROM scratch\n", .arg = ""},
		{.text = "FROM scratch\n",
		 .arg = "context",
		 .pending = true,
		 .from = RB_ROOT_CONTEXT},
		{.text = "FROM scratch\n",
		 .arg = "files",
		 .pending = true,
		 .from = RB_ROOT_CONTEXT,
		 .context = "files"},
		{.text = SOURCE "FROM scratch\n",
		 .arg = "src",
		 .pending = true,
		 .from = RB_ROOT_STAGE},
		{.text = SOURCE "FROM scratch\n",
		 .arg = "SRC",
		 .pending = true,
		 .from = RB_ROOT_STAGE},
		/* A context of that name comes first, also before one that it replaces. */
		{.text = "FROM scratch AS files\nRUN x\nFROM scratch\n",
		 .arg = "files",
		 .pending = true,
		 .from = RB_ROOT_CONTEXT,
		 .context = "files"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		struct fixture f;
		unsigned before = tap_failures;

		CHECK_INT(make(&f, rows[i].text, rows[i].arg, &err), 0);
		CHECK_OK(&err);
		if (f.plan) {
			const struct rb_plan_epoch *e = &f.plan->epoch;

			CHECK_INT(e->set, rows[i].set);
			CHECK_INT(e->seconds, rows[i].seconds);
			CHECK_INT(e->pending, rows[i].pending);
			if (e->pending)
				CHECK_INT(e->from.kind, rows[i].from);
			CHECK_STR(e->from.context ? e->from.context->name : NULL, rows[i].context);
			if (e->from.stage)
				CHECK(e->from.stage->needed);
		}
		if (tap_failures != before)
			printf("# of: %s with %s\n", rows[i].text, rows[i].arg);
		fixture_clear(&f);
	}
}

static void test_epoch__refuses(void)
{
	static const char one_add[] =
		"a stage has a time when it is FROM scratch and its only step is "
		"one ADD of one URL";
	static const struct {
		const char *text, *arg, *part;
		enum rb_err code;
		unsigned line;
	} rows[] = {
		{"FROM scratch\n", "x", "invalid SOURCE_DATE_EPOCH: x: expected", RB_ERR_USAGE, 0},
		{"FROM scratch\n", "-1", "invalid SOURCE_DATE_EPOCH: -1: ", RB_ERR_USAGE, 0},
		{"FROM scratch\n", "1e3", "invalid SOURCE_DATE_EPOCH: 1e3: ", RB_ERR_USAGE, 0},
		{"FROM scratch\n", "253402300800", "invalid SOURCE_DATE_EPOCH: ", RB_ERR_USAGE, 0},
		{"ARG A\nARG SOURCE_DATE_EPOCH=x\nFROM scratch\n", NULL,
		 "EPOCH: x: ", RB_ERR_DOCKERFILE, 2},
		{"ARG A\nARG SOURCE_DATE_EPOCH=1\nFROM scratch\n", "x", "EPOCH: x: ", RB_ERR_USAGE,
		 0},
		{"FROM scratch\n", "image", "that context is an image", RB_ERR_USAGE, 0},
		{"FROM scratch\n", "layout", "that context is an image", RB_ERR_USAGE, 0},
		{"FROM busybox AS s\nADD http://h/x /\n", "s", one_add, RB_ERR_USAGE, 0},
		{"FROM scratch AS s\n", "s", one_add, RB_ERR_USAGE, 0},
		{"FROM scratch AS s\nCOPY a /\n", "s", one_add, RB_ERR_USAGE, 0},
		{SOURCE "RUN x\n", "src", one_add, RB_ERR_USAGE, 0},
		{SOURCE "ADD http://h/z /\n", "src", one_add, RB_ERR_USAGE, 0},
		{"FROM scratch AS s\nADD http://h/x http://h/y /\n", "s", one_add, RB_ERR_USAGE, 0},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		struct fixture f;

		CHECK_INT(make(&f, rows[i].text, rows[i].arg, &err), -1);
		if (err) {
			CHECK_INT(err->code, rows[i].code);
			CHECK_INT(err->line_first, rows[i].line);
		}
		CHECK_ERR(&err, rows[i].part);
		fixture_clear(&f);
	}
}

static const char *epoch_of(const struct rb_plan_stage *stage)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv env = RB_STRV_INIT;

	for (size_t i = 0; i < stage->n_vertices && !env.n; i++)
		if (stage->vertices[i]->kind == RB_VERTEX_RUN)
			rb_vertex_env(stage->vertices[i], &env);
	ssize_t k = rb_strv_find_var(&env, rb_slice_str("SOURCE_DATE_EPOCH"));
	return k < 0 ? NULL : rb_arena_strdup(stage->plan->arena, strchr(env.v[k], '=') + 1);
}

/* A RUN in a stage that declares it sees the seconds, wherever they came from. */
static void test_epoch__is_an_argument_of_stages(void)
{
	static const char plain[] = SOURCE "FROM scratch\nARG SOURCE_DATE_EPOCH\nRUN x\n",
			  own[] = SOURCE "FROM scratch\nARG SOURCE_DATE_EPOCH=3\nRUN x\n",
			  global[] = "ARG SOURCE_DATE_EPOCH=src\n" SOURCE
				     "FROM scratch\nARG SOURCE_DATE_EPOCH\nRUN x\n";
	static const struct {
		const char *text, *arg;
		int64_t answer; /* -1: there is none */
		const char *want;
	} rows[] = {
		{plain, "5", 0, "5"},     {plain, NULL, 0, NULL}, {plain, "src", 9, "9"},
		{plain, "src", -1, NULL}, {own, NULL, 0, "3"},    {own, "src", 9, "9"},
		{own, "src", -1, "3"},    {global, NULL, 9, "9"}, {global, NULL, -1, NULL},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		struct fixture f;

		CHECK_INT(make(&f, rows[i].text, rows[i].arg, &err), 0);
		CHECK_OK(&err);
		if (f.plan && f.plan->epoch.pending) {
			struct rb_plan_remote *remote = NULL;

			CHECK_INT(rb_plan_elaborate(f.plan, f.plan->epoch.from.stage, &err), 0);
			CHECK_INT(rb_plan_epoch_remote(f.plan, &remote, &err), 0);
			CHECK_OK(&err);
			CHECK_STR(remote ? remote->url : NULL, "http://h/1");
			rb_plan_set_epoch(f.plan, rows[i].answer < 0 ? NULL : &rows[i].answer);
			CHECK_INT(f.plan->epoch.set, rows[i].answer >= 0);
		}
		if (f.plan) {
			CHECK_INT(elaborate(&f, &err), 0);
			CHECK_OK(&err);
			CHECK_STR(epoch_of(f.plan->target), rows[i].want);
		}
		fixture_clear(&f);
	}
}

static struct rb_digest workdir_key(const char *arg)
{
	struct rb_digest key = {0};
	struct rb_error *err = NULL;
	struct fixture f;

	CHECK_INT(make(&f, "FROM scratch\nWORKDIR /w\n", arg, &err), 0);
	CHECK_INT(elaborate(&f, &err), 0);
	CHECK_OK(&err);
	CHECK(rb_vertex_definition_key(f.plan->target->vertices[0], "", NULL, &key));
	fixture_clear(&f);
	return key;
}

static void test_epoch__is_in_the_key_of_workdir(void)
{
	struct rb_digest none = workdir_key(NULL), zero = workdir_key("0"), one = workdir_key("1"),
			 again = workdir_key("1");

	CHECK(!rb_digest_eq(&none, &zero));
	CHECK(!rb_digest_eq(&zero, &one));
	CHECK(rb_digest_eq(&one, &again));
}

/* --- outputs */

static void test_epoch__dates_what_is_new(void)
{
	static const struct {
		const char *option; /* of the output */
		int64_t epoch;      /* of the build; -1: none */
		const char *base, *early, *late, *none, *created;
	} rows[] = {
		{"", -1, "2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z", "2003-01-01T00:00:00.5Z",
		 "1970-01-01T00:00:00Z", "2003-01-01T00:00:00.5Z"},
		{"", 1041379200 /* 2003 */, "2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z",
		 "2003-01-01T00:00:00Z", "2003-01-01T00:00:00Z", "2003-01-01T00:00:00Z"},
		{"", 0, "2001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z",
		 "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
		{",source-date-epoch=5", 0, "2001-01-01T00:00:00Z", "1970-01-01T00:00:05Z",
		 "1970-01-01T00:00:05Z", "1970-01-01T00:00:05Z", "1970-01-01T00:00:05Z"},
		{",source-date-epoch=5", -1, "2001-01-01T00:00:00Z", "1970-01-01T00:00:05Z",
		 "1970-01-01T00:00:05Z", "1970-01-01T00:00:05Z", "1970-01-01T00:00:05Z"},
		{",source-date-epoch=", 0, "2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z",
		 "2003-01-01T00:00:00.5Z", "1970-01-01T00:00:00Z", "2003-01-01T00:00:00.5Z"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_strp) char *text = rb_asprintf("type=image%s", rows[i].option);
		struct rb_solved_image im = {.n_base_history = 1}, dated;
		struct rb_output_spec spec;
		struct rb_error *err = NULL;

		CHECK_INT(rb_output_spec_parse(text, &spec, &err), 0);
		CHECK_OK(&err);
		im.has_epoch = rows[i].epoch >= 0;
		im.epoch = im.has_epoch ? rows[i].epoch : 0;
		rb_image_config_add_history(&im.config, "2001-01-01T00:00:00Z", "b", 0, 0, false);
		rb_image_config_add_history(&im.config, "2002-01-01T00:00:00Z", "e", 0, 0, false);
		rb_image_config_add_history(&im.config, "2003-01-01T00:00:00.5Z", "l", 0, 0, false);
		rb_image_config_add_history(&im.config, NULL, "n", 0, 0, true);
		im.config.created = rb_strdup("2003-01-01T00:00:00.5Z");
		rb_output_dated_image(&im, &spec, &dated);
		CHECK_STR(dated.config.history[0].created, rows[i].base);
		CHECK_STR(dated.config.history[1].created, rows[i].early);
		CHECK_STR(dated.config.history[2].created, rows[i].late);
		CHECK_STR(dated.config.history[3].created, rows[i].none);
		CHECK_STR(dated.config.created, rows[i].created);
		CHECK_STR(im.config.history[2].created, "2003-01-01T00:00:00.5Z");
		rb_solved_image_clear(&dated);
		rb_solved_image_clear(&im);
		rb_output_spec_clear(&spec);
	}
}

static void test_epoch__options_of_outputs(void)
{
	static const struct {
		const char *text;
		const char *error; /* NULL: none */
		bool has, no, rewrite;
		int64_t epoch;
	} rows[] = {
		{.text = "type=oci,dest=x"},
		{.text = "type=oci,dest=x,rewrite-timestamp=1", .rewrite = true},
		{.text = "type=image,rewrite-timestamp=true,source-date-epoch=12",
		 .rewrite = true,
		 .has = true,
		 .epoch = 12},
		{.text = "type=local,dest=x,source-date-epoch=0", .has = true},
		{.text = "type=oci,dest=x,source-date-epoch=", .no = true},
		{.text = "type=oci,dest=x,source-date-epoch=now",
		 .error = "invalid value \"now\" for source-date-epoch (expected whole seconds"},
		{.text = "type=oci,dest=x,source-date-epoch=-1", .error = "expected whole seconds"},
		{.text = "type=oci,dest=x,rewrite-timestamp=maybe", .error = "true or false"},
		{.text = "type=local,dest=x,rewrite-timestamp=true", .error = "has no key"},
		{.text = "type=cacheonly,source-date-epoch=1", .error = "has no key"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_output_spec s = {0};
		struct rb_error *err = NULL;

		CHECK_INT(rb_output_spec_parse(rows[i].text, &s, &err), rows[i].error ? -1 : 0);
		if (rows[i].error) {
			CHECK_ERR(&err, rows[i].error);
			continue;
		}
		CHECK_OK(&err);
		CHECK_INT(s.has_epoch, rows[i].has);
		CHECK_INT(s.no_epoch, rows[i].no);
		CHECK_INT(s.rewrite_times, rows[i].rewrite);
		CHECK_INT(s.epoch, rows[i].epoch);
		rb_output_spec_clear(&s);
	}
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_epoch__is_a_number_or_has_to_be_asked),
		TAP(test_epoch__refuses),
		TAP(test_epoch__is_an_argument_of_stages),
		TAP(test_epoch__is_in_the_key_of_workdir),
		TAP(test_epoch__dates_what_is_new),
		TAP(test_epoch__options_of_outputs),
		TAP_END,
	});
}
