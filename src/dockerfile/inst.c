// SPDX-License-Identifier: Apache-2.0
/* Flags and typed instructions (dockerfile.md 1.5, 1.6 and the value-free checks of 3). */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "dockerfile/dockerfile-internal.h"
#include "dockerfile/expand.h"
#include "dockerfile/mount.h"
#include "dockerfile/values.h"

struct statement {
	struct rb_lexer *lx;
	struct rb_inst *inst;
	const struct kind *kind;
	struct rb_strv flag_words;
	struct rb_flags flags;
	const char *args; /* what follows the flags, trimmed */
	bool json;        /* args are a JSON array of strings: */
	struct rb_strv list;
};

struct kind {
	const char *name;
	const struct rb_flag_spec *flags; /* NULL: knows none */
	bool drops_flags;                 /* whatever they are */
	bool json;
	bool heredoc;
	const char *needs; /* what is required when there are no arguments */
	int (*parse)(struct statement *st, struct rb_error **err);
};

static int parse_statement(struct rb_lexer *lx, struct rb_slice text, struct rb_inst *ret,
			   struct rb_error **err);

/* ---- Flags (1.5) ---- */

static const struct rb_flag_spec from_flags[] = {{"platform", RB_FLAG_STRING, false}, {0}};
static const struct rb_flag_spec run_flags[] = {{"mount", RB_FLAG_LIST, false},
						{"network", RB_FLAG_STRING, false},
						{"security", RB_FLAG_STRING, false},
						{"device", RB_FLAG_LIST, false},
						{0}};
static const struct rb_flag_spec copy_flags[] = {{"from", RB_FLAG_STRING, false},
						 {"chown", RB_FLAG_STRING, false},
						 {"chmod", RB_FLAG_STRING, false},
						 {"link", RB_FLAG_BOOL, false},
						 {"parents", RB_FLAG_BOOL, false},
						 {"exclude", RB_FLAG_LIST, false},
						 {0}};
static const struct rb_flag_spec add_flags[] = {
	{"chown", RB_FLAG_STRING, false},      {"chmod", RB_FLAG_STRING, false},
	{"unpack", RB_FLAG_BOOL, false},       {"link", RB_FLAG_BOOL, false},
	{"exclude", RB_FLAG_LIST, false},      {"checksum", RB_FLAG_STRING, false},
	{"keep-git-dir", RB_FLAG_BOOL, false}, {0}};
static const struct rb_flag_spec health_flags[] = {
	{"interval", RB_FLAG_STRING, false},     {"timeout", RB_FLAG_STRING, false},
	{"start-period", RB_FLAG_STRING, false}, {"start-interval", RB_FLAG_STRING, false},
	{"retries", RB_FLAG_STRING, false},      {0}};

/* The first refusal of an instruction is the one that is told. */
static void refuse(struct statement *st, const char *sentence)
{
	if (!st->inst->unsupported)
		st->inst->unsupported = rb_arena_strdup(st->lx->arena, sentence);
}

static void refuse_flag(struct statement *st, const char *flag)
{
	RB_CLEANUP(rb_strp)
	char *sentence = rb_asprintf("%s --%s is not supported yet by this version of rbuild",
				     st->kind->name, flag);

	refuse(st, sentence);
}

static int parse_flags(struct statement *st, struct rb_error **err)
{
	if (rb_flags_parse(st->kind->flags, &st->flag_words, &st->flags, err) < 0)
		return -1;
	if (st->flags.later)
		refuse_flag(st, st->flags.later);
	return 0;
}

/* Value of a string flag for the tree; an empty one is as good as none. */
static const char *keep_flag(struct statement *st, const char *name)
{
	const char *value = rb_flags_find(&st->flags, name)->value;

	return value && *value ? rb_arena_strdup(st->lx->arena, value) : NULL;
}

/* ---- Lists into the arena ---- */

static struct rb_words to_words(struct statement *st, char *const *v, size_t n)
{
	struct rb_words w = {rb_arena_array(st->lx->arena, n + 1, sizeof(*w.v)), n};

	for (size_t i = 0; i < n; i++)
		w.v[i] = rb_arena_strdup(st->lx->arena, v[i]);
	return w;
}

/* All values of a list flag. */
static struct rb_words keep_list(struct statement *st, const char *name)
{
	RB_CLEANUP(rb_strp) char *prefix = rb_asprintf("--%s=", name);
	RB_CLEANUP(rb_strv_clear) struct rb_strv values = RB_STRV_INIT;

	for (size_t i = 0; i < st->flag_words.n; i++)
		if (rb_starts_with(st->flag_words.v[i], prefix))
			rb_strv_add(&values, st->flag_words.v[i] + strlen(prefix));
	return to_words(st, values.v, values.n);
}

/* "line LF body1 delimiter1 LF body2 delimiter2": text and its heredocs as a shell reads them. */
static const char *with_bodies(struct statement *st)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	if (!st->inst->n_heredocs)
		return st->args;
	rb_buf_addstr(&b, st->args);
	for (size_t i = 0; i < st->inst->n_heredocs; i++) {
		const struct rb_heredoc *h = &st->inst->heredocs[i];

		rb_buf_addch(&b, '\n');
		rb_buf_addstr(&b, h->raw);
		rb_buf_addstr(&b, h->name);
	}
	return rb_arena_strndup(st->lx->arena, b.ptr, b.len);
}

/* A heredoc that becomes a file is named after its delimiter. */
static int check_file_name(const struct statement *st, const char *name, struct rb_error **err)
{
	if (!strchr(name, '/') && !rb_streq(name, ".") && !rb_streq(name, "..") &&
	    strlen(name) <= NAME_MAX)
		return 0;
	return rb_fail(
		err, RB_ERR_DOCKERFILE,
		"the heredoc \"%.60s\" of %s becomes a file of that name, which no file can have",
		name, st->kind->name);
}

/* ---- One function per instruction ---- */

/* [a-z][a-z0-9-_.]* */
static bool is_stage_name(const char *s)
{
	if (!rb_ascii_isalpha(*s))
		return false;
	for (; *s; s++)
		if (!rb_ascii_isalnum(*s) && !strchr("-_.", *s))
			return false;
	return true;
}

static int parse_from(struct statement *st, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv words = RB_STRV_INIT;
	struct rb_arena *arena = st->lx->arena;
	struct rb_inst *inst = st->inst;

	rb_words_split(st->args, &words);
	if (words.n != 1 && (words.n != 3 || !rb_ascii_strcaseeq(words.v[1], "as")))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"FROM requires either one or three arguments: FROM IMAGE or FROM IMAGE AS NAME");
	inst->from.image = rb_arena_strdup(arena, words.v[0]);
	inst->from.platform = keep_flag(st, "platform");
	if (words.n == 1)
		return 0;
	char *name = rb_arena_strdup(arena, words.v[2]);
	inst->from.name_written = rb_arena_strdup(arena, name);
	for (char *p = name; *p; p++)
		*p = rb_ascii_lower(*p);
	if (!is_stage_name(name))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"invalid name for build stage: \"%s\", name can't start with a number or contain symbols",
			inst->from.name_written);
	inst->from.name = name;
	return 0;
}

/* The value of a flag is one of n; *hint, where it is none, nearly says which. */
static bool is_one_of(const char *s, const char *const *list, size_t n, struct rb_buf *hint)
{
	for (size_t i = 0; i < n; i++)
		if (rb_streq(s, list[i]))
			return true;
	(void)rb_suggest(hint, s, list, n);
	return false;
}

static int parse_mounts(struct statement *st, struct rb_error **err)
{
	static const char flag[] = "--mount=";
	struct rb_arena *arena = st->lx->arena;
	struct rb_kvs *mounts = rb_arena_array(arena, st->flag_words.n + 1, sizeof(*mounts));
	size_t n = 0;

	for (size_t i = 0; i < st->flag_words.n; i++) {
		const char *word = st->flag_words.v[i];
		struct rb_run_mount unused;

		if (!rb_starts_with(word, flag))
			continue;
		if (rb_mount_split(arena, word + strlen(flag), &mounts[n], err) < 0 ||
		    rb_run_mount_parse(&mounts[n], NULL, NULL, arena, &unused, err) < 0)
			return -1;
		n++;
	}
	st->inst->run.mounts = mounts;
	st->inst->run.n_mounts = n;
	return 0;
}

/* name=NAME, required and required=BOOL; a first field without "=" is the name. */
static int parse_device_field(struct rb_device *d, const char *field, bool first,
			      struct rb_arena *arena, struct rb_error **err)
{
	const char *eq = strchr(field, '=');
	RB_CLEANUP(rb_strp)
	char *key = rb_strndup(field, eq ? (size_t)(eq - field) : strlen(field));

	bool is_required = rb_ascii_strcaseeq(key, "required");

	/* A CDI name has a "=" itself: vendor.com/class=name. */
	if (eq && rb_ascii_strcaseeq(key, "name"))
		d->name = rb_arena_strdup(arena, eq + 1);
	else if (!is_required && first)
		d->name = rb_arena_strdup(arena, field);
	else if (!is_required)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "unexpected key '%s' in '%s': write NAME, name=NAME or required",
			       key, field);
	else if (!eq || rb_ascii_strcaseeq(eq + 1, "true") || rb_streq(eq + 1, "1"))
		d->required = true;
	else if (rb_ascii_strcaseeq(eq + 1, "false") || rb_streq(eq + 1, "0"))
		d->required = false;
	else
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid value for required: %s: write true or false", eq + 1);
	return 0;
}

static int parse_device(struct statement *st, const char *record, struct rb_device *ret,
			struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv fields = RB_STRV_INIT;

	if (rb_csv_split(record, RB_ERR_DOCKERFILE, &fields, err) < 0)
		return -1;
	for (size_t i = 0; i < fields.n; i++)
		if (parse_device_field(ret, fields.v[i], i == 0, st->lx->arena, err) < 0)
			return rb_wrap(err, "--device");
	if (!ret->name || !*ret->name)
		return rb_fail(err, RB_ERR_DOCKERFILE, "--device=%s names no device", record);
	return 0;
}

static int parse_devices(struct statement *st, struct rb_error **err)
{
	static const char flag[] = "--device=";
	struct rb_device *v = rb_arena_array(st->lx->arena, st->flag_words.n + 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < st->flag_words.n; i++)
		if (rb_starts_with(st->flag_words.v[i], flag) &&
		    parse_device(st, st->flag_words.v[i] + strlen(flag), &v[n++], err) < 0)
			return -1;
	st->inst->run.devices = v;
	st->inst->run.n_devices = n;
	return 0;
}

static int parse_run_flags(struct statement *st, struct rb_error **err)
{
	static const char *const networks[] = {"default", "none", "host"};
	static const char *const securities[] = {"sandbox", "insecure"};
	const struct rb_flag *network = rb_flags_find(&st->flags, "network");
	const struct rb_flag *security = rb_flags_find(&st->flags, "security");
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;

	if (network->given && !is_one_of(network->value, networks, RB_ARRAY_LEN(networks), &hint))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid network mode \"%s\"%s: it is default, none or host",
			       network->value, hint.ptr);
	st->inst->run.network = keep_flag(st, "network");
	if (security->given &&
	    !is_one_of(security->value, securities, RB_ARRAY_LEN(securities), &hint))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "security \"%s\" is not valid%s: it is sandbox or insecure",
			       security->value, hint.ptr);
	st->inst->run.insecure = security->given && rb_streq(security->value, "insecure");
	return parse_mounts(st, err) < 0 ? -1 : parse_devices(st, err);
}

static int parse_run(struct statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	struct rb_heredoc whole;

	if (parse_run_flags(st, err) < 0)
		return -1;
	inst->run.exec = st->json;
	if (st->json) {
		if (st->list.n == 0)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "RUN requires a command, but its JSON array is empty");
		inst->run.argv = to_words(st, st->list.v, st->list.n);
	} else if (inst->n_heredocs == 1 &&
		   rb_heredoc_parse(st->lx->arena, rb_slice_str(st->args), &whole)) {
		inst->run.script = inst->heredocs[0].body;
		if (rb_starts_with(inst->run.script, "#!")) {
			inst->run.script_file = &inst->heredocs[0];
			return check_file_name(st, inst->heredocs[0].name, err);
		}
	} else {
		inst->run.script = with_bodies(st);
	}
	return 0;
}

static int parse_command(struct statement *st, struct rb_error **err)
{
	(void)err;
	st->inst->cmd.exec = st->json;
	if (st->json)
		st->inst->cmd.argv = to_words(st, st->list.v, st->list.n);
	else
		st->inst->cmd.script = st->args;
	return 0;
}

static int parse_shell(struct statement *st, struct rb_error **err)
{
	if (!st->json)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"SHELL requires the arguments to be in JSON form, like [\"/bin/bash\", \"-c\"]");
	if (st->list.n == 0)
		return rb_fail(err, RB_ERR_DOCKERFILE, "SHELL requires at least one argument");
	st->inst->words = to_words(st, st->list.v, st->list.n);
	return 0;
}

static int parse_text(struct statement *st, struct rb_error **err)
{
	(void)err;
	st->inst->text = st->args;
	return 0;
}

static int parse_expose(struct statement *st, struct rb_error **err)
{
	(void)err;
	rb_words_split(st->args, &st->list);
	st->inst->words = to_words(st, st->list.v, st->list.n);
	return 0;
}

static int parse_volume(struct statement *st, struct rb_error **err)
{
	struct rb_arena *arena = st->lx->arena;

	if (!st->json)
		rb_words_split(st->args, &st->list);
	if (st->list.n == 0)
		return rb_fail(err, RB_ERR_DOCKERFILE, "VOLUME requires at least one argument");
	st->inst->words = to_words(st, st->list.v, st->list.n);
	for (size_t i = 0; i < st->list.n; i++) {
		struct rb_slice s = rb_slice_trim(rb_slice_str(st->list.v[i]));

		if (!s.len)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "VOLUME specified can not be an empty string");
		st->inst->words.v[i] = rb_arena_strndup(arena, s.ptr, s.len);
	}
	return 0;
}

/* ---- ARG, ENV, LABEL ---- */

static int parse_pair(struct statement *st, const char *word, struct rb_kv *ret,
		      struct rb_error **err)
{
	struct rb_arena *arena = st->lx->arena;
	const char *eq = strchr(word, '=');

	if (!eq && st->inst->kind != RB_INST_ARG)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "can't find = in \"%.200s\". Must be of the form: name=value", word);
	if (eq == word)
		return rb_fail(err, RB_ERR_DOCKERFILE, "%s names can not be blank", st->kind->name);
	ret->key = rb_arena_strndup(arena, word, eq ? (size_t)(eq - word) : strlen(word));
	ret->value = eq ? rb_arena_strdup(arena, eq + 1) : NULL;
	return 0;
}

/* `ENV key any text`: one pair, the text as it is. */
static int parse_legacy_pair(struct statement *st, struct rb_error **err)
{
	struct rb_arena *arena = st->lx->arena;
	struct rb_kv *kv = rb_arena_array(arena, 1, sizeof(*kv));
	struct rb_slice rest;
	struct rb_slice key = rb_words_head(rb_slice_str(st->args), &rest);

	if (!rest.len)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "%s must have two arguments: write NAME=value", st->kind->name);
	kv->key = rb_arena_strndup(arena, key.ptr, key.len);
	kv->value = rb_arena_strndup(arena, rest.ptr, rest.len);
	st->inst->kvs = (struct rb_kvs){.v = kv, .n = 1, .legacy = true};
	return 0;
}

static int parse_pairs(struct statement *st, struct rb_error **err)
{
	rb_words_split_quoted(st->args, st->lx->escape, &st->list);
	if (st->inst->kind != RB_INST_ARG && !strchr(st->list.v[0], '='))
		return parse_legacy_pair(st, err);
	struct rb_kv *v = rb_arena_array(st->lx->arena, st->list.n, sizeof(*v));
	for (size_t i = 0; i < st->list.n; i++)
		if (parse_pair(st, st->list.v[i], &v[i], err) < 0)
			return -1;
	st->inst->kvs = (struct rb_kvs){.v = v, .n = st->list.n};
	return 0;
}

/* ---- COPY, ADD ---- */

/* --from is no place for variables: what expansion would change is refused. */
static int check_from(struct statement *st, const char *from, struct rb_error **err)
{
	struct rb_env none = {0};
	RB_CLEANUP(rb_strp) char *value = rb_expand(from, st->lx->escape, &none, NULL, err);

	if (!value)
		return -1;
	if (!rb_streq(value, from))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround");
	return 0;
}

/*
 * Tells heredocs from paths. The line was searched for heredocs as shell text, but these words are
 * split at blanks, so both must come to the same list: a delimiter with a blank does not.
 */
static int sort_sources(struct statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	size_t n = st->list.n - 1, n_heredocs = 0;
	size_t n_paths = n < inst->n_heredocs ? 0 : n - inst->n_heredocs;
	size_t *order = rb_arena_array(st->lx->arena, n, sizeof(*order));
	RB_CLEANUP(rb_strv_clear) struct rb_strv paths = RB_STRV_INIT;

	for (size_t i = 0; i < n; i++) {
		struct rb_heredoc h;
		const char *word = st->list.v[i];

		if (!st->json && rb_heredoc_parse(st->lx->arena, rb_slice_str(word), &h) &&
		    n_heredocs < inst->n_heredocs &&
		    rb_streq(h.name, inst->heredocs[n_heredocs].name)) {
			order[i] = n_paths + n_heredocs++;
			if (check_file_name(st, h.name, err) < 0)
				return -1;
			continue;
		}
		order[i] = paths.n;
		rb_strv_add(&paths, word);
		if (inst->kind == RB_INST_COPY && rb_dockerfile_check_copy_source(word, err) < 0)
			return -1;
	}
	if (n_heredocs != inst->n_heredocs)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"the heredoc \"%s\" of %s must be written as one word without blanks, like <<EOF",
			inst->heredocs[n_heredocs].name, st->kind->name);
	inst->copy.sources = to_words(st, paths.v, paths.n);
	inst->copy.order = order;
	inst->copy.n_order = n;
	return 0;
}

static int parse_copy(struct statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	const struct rb_flag *unpack = rb_flags_find(&st->flags, "unpack");
	const struct rb_flag *keep = rb_flags_find(&st->flags, "keep-git-dir");
	struct rb_heredoc h;

	if (!st->json)
		rb_words_split(st->args, &st->list);
	if (st->list.n < 2)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"%s requires at least two arguments, but only one was provided. Destination could not be determined",
			st->kind->name);
	const char *dest = st->list.v[st->list.n - 1];
	if (!st->json && rb_heredoc_parse(st->lx->arena, rb_slice_str(dest), &h))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "%s cannot accept a heredoc as a destination", st->kind->name);
	inst->copy.dest = rb_arena_strdup(st->lx->arena, dest);
	inst->copy.from = keep_flag(st, "from");
	inst->copy.chown = keep_flag(st, "chown");
	inst->copy.chmod = keep_flag(st, "chmod");
	inst->copy.unpack = unpack->given ? unpack->on : -1;
	inst->copy.link = rb_flags_find(&st->flags, "link")->on;
	inst->copy.parents = rb_flags_find(&st->flags, "parents")->on;
	inst->copy.excludes = keep_list(st, "exclude");
	inst->copy.keep_git_dir = keep->given ? keep->on : -1;
	inst->copy.checksum = keep_flag(st, "checksum");
	if (inst->copy.checksum && st->list.n > 2)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "checksum can't be specified for multiple sources");
	if (inst->copy.from && check_from(st, inst->copy.from, err) < 0)
		return -1;
	return sort_sources(st, err);
}

/* ---- HEALTHCHECK ---- */

static int parse_health_duration(struct statement *st, const char *flag, int64_t *ret,
				 struct rb_error **err)
{
	const char *value = keep_flag(st, flag);

	if (!value)
		return 0;
	if (rb_dockerfile_parse_duration(value, ret, err) < 0)
		return rb_wrap(err, "HEALTHCHECK --%s", flag);
	if (*ret != 0 && *ret < 1000 * 1000)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "HEALTHCHECK --%s cannot be less than 1ms: %s", flag, value);
	return 0;
}

static int parse_health_flags(struct statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	const struct {
		const char *flag;
		int64_t *ret;
	} durations[] = {
		{"interval", &inst->health.interval_ns},
		{"timeout", &inst->health.timeout_ns},
		{"start-period", &inst->health.start_period_ns},
		{"start-interval", &inst->health.start_interval_ns},
	};
	const char *text = keep_flag(st, "retries");
	uint64_t retries = 0;

	for (size_t i = 0; i < RB_ARRAY_LEN(durations); i++)
		if (parse_health_duration(st, durations[i].flag, durations[i].ret, err) < 0)
			return -1;
	if (text && rb_parse_u64(rb_slice_str(text), INT32_MAX, &retries) < 0)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "HEALTHCHECK --retries must be a number from 0 to %d, not: %s",
			       INT32_MAX, text);
	inst->health.retries = (int64_t)retries;
	return 0;
}

static int parse_health_command(struct statement *st, const char *command, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	int is_json = rb_words_parse_json(command, &st->list, err);

	if (is_json < 0)
		return -1;
	if (is_json ? st->list.n == 0 : !*command)
		return rb_fail(err, RB_ERR_DOCKERFILE, "Missing command after HEALTHCHECK CMD");
	inst->health.exec = is_json;
	if (is_json)
		inst->health.argv = to_words(st, st->list.v, st->list.n);
	else
		inst->health.script = command;
	return 0;
}

static int parse_health(struct statement *st, struct rb_error **err)
{
	struct rb_arena *arena = st->lx->arena;
	struct rb_slice rest;
	struct rb_slice head = rb_words_head(rb_slice_str(st->args), &rest);
	char *type = rb_arena_strndup(arena, head.ptr, head.len);

	for (char *p = type; *p; p++)
		*p = rb_ascii_upper(*p);
	if (rb_streq(type, "NONE")) {
		if (rest.len)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "HEALTHCHECK NONE takes no arguments");
		st->inst->health.none = true;
		return 0;
	}
	if (parse_flags(st, err) < 0 || parse_health_flags(st, err) < 0)
		return -1;
	if (!rb_streq(type, "CMD"))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "Unknown type \"%.60s\" in HEALTHCHECK (try CMD)", type);
	return parse_health_command(st, rb_arena_strndup(arena, rest.ptr, rest.len), err);
}

/* ---- ONBUILD ---- */

int rb_inst_check_trigger(const char *word, struct rb_error **err)
{
	static const char *const refused[] = {"FROM", "MAINTAINER"};

	if (rb_ascii_strcaseeq(word, "ONBUILD"))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	for (size_t i = 0; i < RB_ARRAY_LEN(refused); i++)
		if (rb_ascii_strcaseeq(word, refused[i]))
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "%s isn't allowed as an ONBUILD trigger", refused[i]);
	return 0;
}

/* The trigger is checked as the instruction that it will be, then kept as text. */
static int parse_onbuild(struct statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	struct rb_inst trigger = {.line_first = inst->line_first, .line_last = inst->line_last};
	struct rb_slice rest;
	struct rb_slice head = rb_words_head(rb_slice_str(st->args), &rest);
	RB_CLEANUP(rb_strp) char *word = rb_strndup(head.ptr, head.len);

	if (rb_inst_check_trigger(word, err) < 0 ||
	    parse_statement(st->lx, rb_slice_str(st->args), &trigger, err) < 0)
		return -1;
	inst->heredocs = trigger.heredocs;
	inst->n_heredocs = trigger.n_heredocs;
	inst->text = with_bodies(st);
	return 0;
}

/* ---- The table ---- */

#define AT_LEAST_ONE "at least one argument"
#define EXACTLY_ONE  "exactly one argument"

static const struct kind kinds[RB_INST_N] = {
	[RB_INST_FROM] = {"FROM", from_flags, .parse = parse_from},
	[RB_INST_ADD] = {"ADD", add_flags, .json = true, .heredoc = true, .parse = parse_copy},
	[RB_INST_ARG] = {"ARG", .drops_flags = true, .needs = AT_LEAST_ONE, .parse = parse_pairs},
	[RB_INST_CMD] = {"CMD", .json = true, .parse = parse_command},
	[RB_INST_COPY] = {"COPY", copy_flags, .json = true, .heredoc = true, .parse = parse_copy},
	[RB_INST_ENTRYPOINT] = {"ENTRYPOINT", .json = true, .parse = parse_command},
	[RB_INST_ENV] = {"ENV", .needs = AT_LEAST_ONE, .parse = parse_pairs},
	[RB_INST_EXPOSE] = {"EXPOSE", .needs = AT_LEAST_ONE, .parse = parse_expose},
	/* NONE takes any flag, so parse_health() looks at them itself. */
	[RB_INST_HEALTHCHECK] = {"HEALTHCHECK", health_flags, .drops_flags = true,
				 .needs = AT_LEAST_ONE, .parse = parse_health},
	[RB_INST_LABEL] = {"LABEL", .needs = AT_LEAST_ONE, .parse = parse_pairs},
	[RB_INST_MAINTAINER] = {"MAINTAINER", .needs = EXACTLY_ONE, .parse = parse_text},
	[RB_INST_ONBUILD] = {"ONBUILD", .needs = AT_LEAST_ONE, .parse = parse_onbuild},
	[RB_INST_RUN] = {"RUN", run_flags, .json = true, .heredoc = true, .parse = parse_run},
	[RB_INST_SHELL] = {"SHELL", .json = true, .needs = AT_LEAST_ONE, .parse = parse_shell},
	[RB_INST_STOPSIGNAL] = {"STOPSIGNAL", .drops_flags = true, .needs = EXACTLY_ONE,
				.parse = parse_text},
	[RB_INST_USER] = {"USER", .needs = EXACTLY_ONE, .parse = parse_text},
	[RB_INST_VOLUME] = {"VOLUME", .json = true, .needs = AT_LEAST_ONE, .parse = parse_volume},
	[RB_INST_WORKDIR] = {"WORKDIR", .needs = EXACTLY_ONE, .parse = parse_text},
};

const char *rb_inst_kind_name(enum rb_inst_kind kind)
{
	return kinds[kind].name;
}

static int unknown_instruction(const char *word, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_INST_N];

	for (size_t i = 0; i < RB_INST_N; i++)
		names[i] = kinds[i].name;
	return rb_fail(err, RB_ERR_DOCKERFILE, "unknown instruction: %.60s%s", word,
		       rb_suggest(&hint, word, names, RB_INST_N));
}

static int find_kind(const char *word, struct statement *st, struct rb_error **err)
{
	for (size_t i = 0; i < RB_INST_N; i++) {
		if (rb_ascii_strcaseeq(word, kinds[i].name)) {
			st->kind = &kinds[i];
			st->inst->kind = (enum rb_inst_kind)i;
			return 0;
		}
	}
	return unknown_instruction(word, err);
}

static int read_heredocs(struct statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;

	inst->n_heredocs = rb_heredoc_find(st->lx->arena, st->args, &inst->heredocs);
	for (size_t i = 0; i < inst->n_heredocs; i++)
		if (rb_lexer_read_heredoc(st->lx, &inst->heredocs[i], err) < 0)
			return -1;
	return 0;
}

static int parse_arguments(struct statement *st, struct rb_error **err)
{
	const struct kind *kind = st->kind;

	if (kind->json) {
		int r = rb_words_parse_json(st->args, &st->list, err);

		if (r < 0)
			return -1;
		st->json = r;
	}
	if (kind->heredoc && !st->json && read_heredocs(st, err) < 0)
		return -1;
	if (kind->needs && !*st->args)
		return rb_fail(err, RB_ERR_DOCKERFILE, "%s requires %s", kind->name, kind->needs);
	if (!kind->drops_flags && parse_flags(st, err) < 0)
		return -1;
	return kind->parse(st, err);
}

/* An instruction, or the trigger of ONBUILD. */
static int parse_statement(struct rb_lexer *lx, struct rb_slice text, struct rb_inst *ret,
			   struct rb_error **err)
{
	struct statement st = {.lx = lx, .inst = ret};
	struct rb_slice rest;
	struct rb_slice head = rb_words_head(text, &rest);

	ret->word = rb_arena_strndup(lx->arena, head.ptr, head.len);
	if (find_kind(ret->word, &st, err) < 0)
		return -1;
	rest = rb_words_take_flags(rest, lx->escape, &st.flag_words);
	st.args = rb_arena_strndup(lx->arena, rest.ptr, rest.len);
	int r = parse_arguments(&st, err);
	rb_strv_clear(&st.flag_words);
	rb_strv_clear(&st.list);
	return r;
}

int rb_inst_parse(struct rb_lexer *lx, const struct rb_logical_line *line, struct rb_inst *ret,
		  struct rb_error **err)
{
	*ret = (struct rb_inst){
		.original = line->text, .line_first = line->first, .line_last = line->last};
	ret->n_comments = lx->comments.n;
	ret->comments = rb_arena_array(lx->arena, lx->comments.n + 1, sizeof(*ret->comments));
	for (size_t i = 0; i < lx->comments.n; i++)
		ret->comments[i] = rb_arena_strdup(lx->arena, lx->comments.v[i]);
	rb_strv_clear(&lx->comments);
	int r = parse_statement(lx, rb_slice_str(line->text), ret, err);
	/* One that has no end is as long as the file: its first lines say enough. */
	if (ret->n_heredocs && ret->heredocs[ret->n_heredocs - 1].raw)
		ret->line_last = lx->line;
	if (r < 0) {
		(void)rb_error_at(err, ret->line_first, ret->line_last);
		return rb_wrap(err, "dockerfile parse error on line %u", ret->line_first);
	}
	return 0;
}
