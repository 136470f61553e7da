// SPDX-License-Identifier: Apache-2.0
#include "image/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/manifest.h"

#define INLINE_CACHE_KEY "moby.buildkit.cache.v0"

static const char what[] = "image config";

/* More history than any builder writes; a document with more is made to hurt. */
enum { HISTORY_MAX = 16384 };

/* Sorted sets and maps */

/* First index whose string is not below s; *found tells whether it equals s. */
static size_t lower_bound(const struct rb_strv *set, const char *s, bool *found)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(set->v[mid], s) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < set->n && rb_streq(set->v[lo], s);
	return lo;
}

static void insert_at(struct rb_strv *set, size_t i, const char *s)
{
	rb_strv_add(set, s);
	char *added = set->v[set->n - 1];
	memmove(&set->v[i + 1], &set->v[i], (set->n - 1 - i) * sizeof(*set->v));
	set->v[i] = added;
}

void rb_strset_add(struct rb_strv *set, const char *s)
{
	bool found;
	size_t i = lower_bound(set, s, &found);

	if (!found)
		insert_at(set, i, s);
}

void rb_labels_set(struct rb_labels *l, const char *key, const char *value)
{
	bool found;
	size_t i = lower_bound(&l->keys, key, &found);

	if (found) {
		char *old = l->values.v[i];

		l->values.v[i] = rb_strdup(value);
		free(old);
		return;
	}
	insert_at(&l->keys, i, key);
	insert_at(&l->values, i, value);
}

/* Reading */

static int read_str(const struct rb_json *obj, const char *key, char **field, struct rb_error **err)
{
	const char *s = NULL;

	if (rb_json_get_str(obj, key, what, &s, err) < 0)
		return -1;
	if (s && *s)
		*field = rb_strdup(s);
	return 0;
}

static int read_platform_field(const struct rb_json *doc, const char *key, bool required,
			       char *field, size_t size, struct rb_error **err)
{
	const char *s = "";

	if (rb_json_get_str(doc, key, what, &s, err) < 0)
		return -1;
	if (required && !*s)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: %s: missing", what, key);
	if (strlen(s) >= size)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: %s: longer than %zu bytes", what, key,
			       size - 1);
	(void)snprintf(field, size, "%s", s);
	return 0;
}

static int read_platform(const struct rb_json *doc, struct rb_image_config *c,
			 struct rb_error **err)
{
	struct rb_platform *p = &c->platform;

	if (read_platform_field(doc, "os", true, p->os, sizeof(p->os), err) < 0 ||
	    read_platform_field(doc, "architecture", true, p->arch, sizeof(p->arch), err) < 0 ||
	    read_platform_field(doc, "variant", false, p->variant, sizeof(p->variant), err) < 0)
		return -1;
	return rb_json_get_strv(doc, "os.features", what, &c->os_features, err);
}

/* Go writes a set of strings as an object with empty values. */
static int add_set_key(void *ctx, const char *key, const struct rb_json *value)
{
	(void)value;
	rb_strset_add(ctx, key);
	return 0;
}

static int read_set(const struct rb_json *obj, const char *key, struct rb_strv *ret,
		    struct rb_error **err)
{
	const struct rb_json *set = NULL;

	if (rb_json_get_object(obj, key, what, &set, err) < 0)
		return -1;
	return set ? rb_json_each(set, add_set_key, ret) : 0;
}

struct label_reader {
	const struct rb_json *obj;
	struct rb_labels *labels;
	struct rb_error **err;
};

static int add_label(void *ctx, const char *key, const struct rb_json *value)
{
	struct label_reader *r = ctx;
	const char *s = "";

	(void)value;
	if (rb_json_get_str(r->obj, key, "image config: Labels", &s, r->err) < 0)
		return -1;
	rb_labels_set(r->labels, key, s);
	return 0;
}

static int read_health(const struct rb_json *obj, struct rb_healthcheck *h, struct rb_error **err)
{
	const struct rb_json *doc = NULL;
	const struct {
		const char *key;
		int64_t *field;
	} numbers[] = {
		{"Interval", &h->interval_ns},
		{"Timeout", &h->timeout_ns},
		{"StartPeriod", &h->start_period_ns},
		{"StartInterval", &h->start_interval_ns},
		{"Retries", &h->retries},
	};

	if (rb_json_get_object(obj, "Healthcheck", what, &doc, err) < 0)
		return -1;
	if (!doc)
		return 0;
	h->set = true;
	for (size_t i = 0; i < RB_ARRAY_LEN(numbers); i++)
		if (rb_json_get_i64(doc, numbers[i].key, what, numbers[i].field, err) < 0)
			return -1;
	return rb_json_get_strv(doc, "Test", what, &h->test, err);
}

static int read_run_config(const struct rb_json *obj, struct rb_image_config *c,
			   struct rb_error **err)
{
	const struct rb_json *labels = NULL;
	const struct {
		const char *key;
		char **field;
	} strings[] = {
		{"User", &c->user},
		{"WorkingDir", &c->working_dir},
		{"StopSignal", &c->stop_signal},
	};
	const struct {
		const char *key;
		struct rb_strv *field;
	} lists[] = {
		{"Env", &c->env},     {"Entrypoint", &c->entrypoint}, {"Cmd", &c->cmd},
		{"Shell", &c->shell}, {"OnBuild", &c->onbuild},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(strings); i++)
		if (read_str(obj, strings[i].key, strings[i].field, err) < 0)
			return -1;
	for (size_t i = 0; i < RB_ARRAY_LEN(lists); i++)
		if (rb_json_get_strv(obj, lists[i].key, what, lists[i].field, err) < 0)
			return -1;
	if (read_set(obj, "ExposedPorts", &c->exposed_ports, err) < 0 ||
	    read_set(obj, "Volumes", &c->volumes, err) < 0 ||
	    rb_json_get_object(obj, "Labels", what, &labels, err) < 0 ||
	    rb_json_get_bool(obj, "ArgsEscaped", what, &c->args_escaped, err) < 0)
		return -1;
	if (labels) {
		struct label_reader r = {.obj = labels, .labels = &c->labels, .err = err};

		if (rb_json_each(labels, add_label, &r) < 0)
			return -1;
	}
	return read_health(obj, &c->health, err);
}

static int read_rootfs(const struct rb_json *doc, struct rb_image_config *c, struct rb_error **err)
{
	const struct rb_json *rootfs = NULL;
	RB_CLEANUP(rb_strv_clear) struct rb_strv ids = RB_STRV_INIT;
	const char *type = "layers";

	if (rb_json_get_object(doc, "rootfs", what, &rootfs, err) < 0)
		return -1;
	if (!rootfs)
		return 0;
	if (rb_json_get_str(rootfs, "type", "image config: rootfs", &type, err) < 0 ||
	    rb_json_get_strv(rootfs, "diff_ids", "image config: rootfs", &ids, err) < 0)
		return -1;
	if (!rb_streq(type, "layers"))
		return rb_fail(err, RB_ERR_CORRUPT, "%s: rootfs.type: expected \"layers\"", what);
	if (ids.n > RB_MANIFEST_LAYERS_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: rootfs.diff_ids: more than %d layers",
			       what, RB_MANIFEST_LAYERS_MAX);
	for (size_t i = 0; i < ids.n; i++) {
		struct rb_digest d;

		if (rb_digest_parse(ids.v[i], &d) < 0)
			return rb_fail(err, RB_ERR_CORRUPT,
				       "%s: rootfs.diff_ids[%zu]: not a sha256 digest", what, i);
		rb_image_config_add_diff(c, &d);
	}
	return 0;
}

static int read_history(const struct rb_json *doc, struct rb_image_config *c, struct rb_error **err)
{
	static const char keys[][12] = {"created", "created_by", "author", "comment"};
	const struct rb_json *list = NULL;

	if (rb_json_get_array(doc, "history", what, &list, err) < 0)
		return -1;
	size_t n = list ? rb_json_length(list) : 0;
	if (n > HISTORY_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: history: more than %d entries", what,
			       HISTORY_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct rb_json *e = rb_json_at(list, i);
		const char *text[RB_ARRAY_LEN(keys)] = {NULL};
		bool empty = false;

		if (!rb_json_is_object(e))
			return rb_fail(err, RB_ERR_CORRUPT, "%s: history[%zu]: expected object",
				       what, i);
		for (size_t k = 0; k < RB_ARRAY_LEN(keys); k++)
			if (rb_json_get_str(e, keys[k], "image config: history", &text[k], err) < 0)
				return -1;
		if (rb_json_get_bool(e, "empty_layer", "image config: history", &empty, err) < 0)
			return -1;
		rb_image_config_add_history(c, text[0], text[1], text[2], text[3], empty);
	}
	return 0;
}

static int read_document(const struct rb_json *doc, struct rb_image_config *c,
			 struct rb_error **err)
{
	const struct rb_json *run = NULL;

	if (!rb_json_is_object(doc))
		return rb_fail(err, RB_ERR_CORRUPT, "%s: expected object", what);
	if (read_str(doc, "created", &c->created, err) < 0 ||
	    read_str(doc, "author", &c->author, err) < 0 ||
	    read_str(doc, "os.version", &c->os_version, err) < 0 ||
	    read_platform(doc, c, err) < 0 ||
	    rb_json_get_object(doc, "config", what, &run, err) < 0 ||
	    (run && read_run_config(run, c, err) < 0) || read_rootfs(doc, c, err) < 0)
		return -1;
	return read_history(doc, c, err);
}

int rb_image_config_parse(const char *text, size_t len, struct rb_image_config *ret,
			  struct rb_error **err)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_parse(text, len, what, err);
	struct rb_image_config c = {0};

	if (!doc)
		return -1;
	if (read_document(doc, &c, err) < 0) {
		rb_image_config_clear(&c);
		return -1;
	}
	*ret = c;
	return 0;
}

/* Storage */

static char *dup_or_null(const char *s)
{
	return s ? rb_strdup(s) : NULL;
}

void rb_image_config_copy(struct rb_image_config *dst, const struct rb_image_config *src)
{
	struct rb_image_config c = {
		.created = dup_or_null(src->created),
		.author = dup_or_null(src->author),
		.os_version = dup_or_null(src->os_version),
		.platform = src->platform,
		.user = dup_or_null(src->user),
		.working_dir = dup_or_null(src->working_dir),
		.stop_signal = dup_or_null(src->stop_signal),
		.health = src->health,
		.args_escaped = src->args_escaped,
	};
	const struct {
		struct rb_strv *to;
		const struct rb_strv *from;
	} lists[] = {
		{&c.os_features, &src->os_features},
		{&c.env, &src->env},
		{&c.entrypoint, &src->entrypoint},
		{&c.cmd, &src->cmd},
		{&c.shell, &src->shell},
		{&c.onbuild, &src->onbuild},
		{&c.exposed_ports, &src->exposed_ports},
		{&c.volumes, &src->volumes},
		{&c.labels.keys, &src->labels.keys},
		{&c.labels.values, &src->labels.values},
		{&c.health.test, &src->health.test},
	};

	c.health.test = (struct rb_strv)RB_STRV_INIT;
	for (size_t i = 0; i < RB_ARRAY_LEN(lists); i++)
		rb_strv_copy(lists[i].to, lists[i].from);
	for (size_t i = 0; i < src->n_diff_ids; i++)
		rb_image_config_add_diff(&c, &src->diff_ids[i]);
	for (size_t i = 0; i < src->n_history; i++) {
		const struct rb_history *h = &src->history[i];

		rb_image_config_add_history(&c, h->created, h->created_by, h->author, h->comment,
					    h->empty_layer);
	}
	*dst = c;
}

void rb_image_config_clear(struct rb_image_config *c)
{
	char *const strings[] = {c->created,     c->author,      c->os_version,  c->user,
				 c->working_dir, c->stop_signal, c->inline_cache};
	struct rb_strv *const lists[] = {
		&c->os_features, &c->env,           &c->entrypoint,    &c->cmd,
		&c->shell,       &c->onbuild,       &c->exposed_ports, &c->volumes,
		&c->labels.keys, &c->labels.values, &c->health.test,
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < RB_ARRAY_LEN(lists); i++)
		rb_strv_clear(lists[i]);
	for (size_t i = 0; i < c->n_history; i++) {
		free(c->history[i].created);
		free(c->history[i].created_by);
		free(c->history[i].author);
		free(c->history[i].comment);
	}
	free(c->history);
	free(c->diff_ids);
	*c = (struct rb_image_config){0};
}

void rb_image_config_add_diff(struct rb_image_config *c, const struct rb_digest *diff_id)
{
	rb_grow(c->diff_ids, c->n_diff_ids, &c->cap_diff_ids);
	c->diff_ids[c->n_diff_ids++] = *diff_id;
}

void rb_image_config_add_history(struct rb_image_config *c, const char *created,
				 const char *created_by, const char *author, const char *comment,
				 bool empty_layer)
{
	rb_grow(c->history, c->n_history, &c->cap_history);
	c->history[c->n_history++] = (struct rb_history){
		.created = dup_or_null(created),
		.created_by = dup_or_null(created_by),
		.author = dup_or_null(author),
		.comment = dup_or_null(comment),
		.empty_layer = empty_layer,
	};
}

/* Writing */

static void write_str(struct rb_json *obj, const char *key, const char *s)
{
	if (s && *s)
		rb_json_set_str(obj, key, s);
}

static void write_strv(struct rb_json *obj, const char *key, const struct rb_strv *v)
{
	if (v->n)
		rb_json_set_strv(obj, key, v);
}

static void write_i64(struct rb_json *obj, const char *key, int64_t v)
{
	if (v)
		rb_json_set_i64(obj, key, v);
}

static void write_set(struct rb_json *obj, const char *key, const struct rb_strv *set)
{
	if (!set->n)
		return;
	struct rb_json *o = rb_json_new_object();
	for (size_t i = 0; i < set->n; i++)
		rb_json_set(o, set->v[i], rb_json_new_object());
	rb_json_set(obj, key, o);
}

static void write_labels(struct rb_json *obj, const struct rb_labels *l)
{
	if (!l->keys.n)
		return;
	struct rb_json *o = rb_json_new_object();
	for (size_t i = 0; i < l->keys.n; i++)
		rb_json_set_str(o, l->keys.v[i], l->values.v[i]);
	rb_json_set(obj, "Labels", o);
}

static void write_health(struct rb_json *obj, const struct rb_healthcheck *h)
{
	if (!h->set)
		return;
	struct rb_json *o = rb_json_new_object();
	write_strv(o, "Test", &h->test);
	write_i64(o, "Interval", h->interval_ns);
	write_i64(o, "Timeout", h->timeout_ns);
	write_i64(o, "StartPeriod", h->start_period_ns);
	write_i64(o, "StartInterval", h->start_interval_ns);
	write_i64(o, "Retries", h->retries);
	rb_json_set(obj, "Healthcheck", o);
}

static struct rb_json *write_run_config(const struct rb_image_config *c)
{
	struct rb_json *o = rb_json_new_object();

	write_str(o, "User", c->user);
	write_set(o, "ExposedPorts", &c->exposed_ports);
	write_strv(o, "Env", &c->env);
	write_strv(o, "Entrypoint", &c->entrypoint);
	write_strv(o, "Cmd", &c->cmd);
	write_set(o, "Volumes", &c->volumes);
	write_str(o, "WorkingDir", c->working_dir);
	write_labels(o, &c->labels);
	write_str(o, "StopSignal", c->stop_signal);
	if (c->args_escaped)
		rb_json_set_bool(o, "ArgsEscaped", true);
	write_health(o, &c->health);
	write_strv(o, "OnBuild", &c->onbuild);
	write_strv(o, "Shell", &c->shell);
	return o;
}

static struct rb_json *write_rootfs(const struct rb_image_config *c)
{
	struct rb_json *o = rb_json_new_object(), *ids = rb_json_new_array();
	char text[RB_DIGEST_TEXT_BYTES];

	for (size_t i = 0; i < c->n_diff_ids; i++)
		rb_json_add_str(ids, rb_digest_text(&c->diff_ids[i], text));
	rb_json_set_str(o, "type", "layers");
	rb_json_set(o, "diff_ids", ids);
	return o;
}

static struct rb_json *write_history(const struct rb_image_config *c)
{
	struct rb_json *list = rb_json_new_array();

	for (size_t i = 0; i < c->n_history; i++) {
		const struct rb_history *h = &c->history[i];
		struct rb_json *o = rb_json_new_object();

		write_str(o, "created", h->created);
		write_str(o, "created_by", h->created_by);
		write_str(o, "author", h->author);
		write_str(o, "comment", h->comment);
		if (h->empty_layer)
			rb_json_set_bool(o, "empty_layer", true);
		rb_json_add(list, o);
	}
	return list;
}

char *rb_image_config_dump(const struct rb_image_config *c)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_new_object();

	write_str(doc, "created", c->created);
	write_str(doc, "author", c->author);
	rb_json_set_str(doc, "architecture", c->platform.arch);
	rb_json_set_str(doc, "os", c->platform.os);
	write_str(doc, "os.version", c->os_version);
	write_strv(doc, "os.features", &c->os_features);
	write_str(doc, "variant", c->platform.variant);
	rb_json_set(doc, "config", write_run_config(c));
	rb_json_set(doc, "rootfs", write_rootfs(c));
	if (c->n_history)
		rb_json_set(doc, "history", write_history(c));
	write_str(doc, INLINE_CACHE_KEY, c->inline_cache);
	return rb_json_dump(doc, 0);
}

char *rb_image_config_inline_cache(const char *text, size_t len)
{
	struct rb_error *ignored = NULL;
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_parse(text, len, "", &ignored);
	const char *found =
		doc ? rb_json_string(rb_json_member(doc, INLINE_CACHE_KEY), NULL) : NULL;

	rb_error_drop(&ignored);
	return found ? rb_strdup(found) : NULL;
}

struct rb_digest rb_chain_id(const struct rb_digest *parent, const struct rb_digest *diff_id)
{
	char chain[RB_DIGEST_TEXT_BYTES], diff[RB_DIGEST_TEXT_BYTES];

	if (!parent)
		return *diff_id;
	RB_CLEANUP(rb_strp)
	char *text =
		rb_asprintf("%s %s", rb_digest_text(parent, chain), rb_digest_text(diff_id, diff));
	return rb_digest_of(text, strlen(text));
}

/* Not gmtime_r(): glibc's reads /etc/localtime and TZ first, which a container cannot be asked for.
 * The calendar repeats every 400 years of 146097 days; years begin in March here, so that the leap
 * day is the last. */
char *rb_rfc3339(int64_t sec, uint32_t nsec)
{
	int64_t day = sec / 86400, second = sec % 86400;
	char fraction[16] = "";

	if (second < 0) {
		second += 86400;
		day--;
	}
	day += 719468; /* from 0000-03-01 to 1970-01-01 */
	int64_t era = (day >= 0 ? day : day - 146096) / 146097, in_era = day - era * 146097;
	int64_t year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * in_year + 2) / 153, mday = in_year - (153 * month + 2) / 5 + 1;
	month = month < 10 ? month + 3 : month - 9;
	int64_t year = year_of_era + era * 400 + (month <= 2);

	if (nsec) {
		int n = snprintf(fraction, sizeof(fraction), ".%09u", nsec % 1000000000u);

		while (n > 1 && fraction[n - 1] == '0')
			fraction[--n] = '\0';
	}
	return rb_asprintf("%04lld-%02lld-%02lldT%02lld:%02lld:%02lld%sZ", (long long)year,
			   (long long)month, (long long)mday, (long long)(second / 3600),
			   (long long)(second / 60 % 60), (long long)(second % 60), fraction);
}

int rb_rfc3339_parse(const char *text, int64_t *ret_sec, uint32_t *ret_nsec)
{
	unsigned year, month, day, hour, minute, second, nsec = 0, scale = 100000000;
	int used = 0;

	if (strlen(text) > 40 || sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u%n", &year, &month, &day,
					&hour, &minute, &second, &used) != 6)
		return -EINVAL;
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
	    second > 60)
		return -EINVAL;
	text += used;
	if (*text == '.')
		for (text++; rb_ascii_isdigit(*text); text++, scale /= 10)
			nsec += (unsigned)(*text - '0') * scale;
	if (!rb_streq(text, "Z"))
		return -EINVAL;
	/* Days since 1970 as above, the other way round. */
	unsigned y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
	int64_t era = y / 400, in_era = y % 400;
	int64_t days = era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + (153 * m + 2) / 5 +
		       day - 1 - 719468;
	*ret_sec = days * 86400 + hour * 3600 + minute * 60 + second;
	*ret_nsec = nsec;
	return 0;
}
