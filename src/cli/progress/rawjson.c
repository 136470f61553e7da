// SPDX-License-Identifier: Apache-2.0
/*
 * For programs: one status object a line and event, in the form that BuildKit's clients print with
 * rawjson (dockerfile.md 8.4). Everything a step writes is in it, byte for byte, as base64.
 */
#include <string.h>

#include "base/base64.h"
#include "base/digest.h"
#include "base/json.h"
#include "cli/progress/progress-internal.h"
#include "image/config.h"

static void set_time(struct rb_json *o, const char *key, const struct rb_progress *p,
		     int64_t time_ns)
{
	int64_t t = p->epoch_ns + time_ns;
	RB_CLEANUP(rb_strp)
	char *text = rb_rfc3339(t / RB_NS_PER_S, (uint32_t)(t % RB_NS_PER_S));

	rb_json_set_str(o, key, text);
}

static void set_bytes(struct rb_json *o, const char *key, const char *data, size_t len)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	rb_base64_encode(data, len, &text);
	rb_json_set_str(o, key, text.ptr);
}

static void set_text(struct rb_json *o, const char *key, const struct rb_event *ev)
{
	RB_CLEANUP(rb_strp) char *text = rb_strndup(ev->data, ev->len);

	rb_json_set_str(o, key, text);
}

/* A name for the vertex in all its objects, another one in each build. */
static void set_digest(struct rb_json *o, const char *key, const struct rb_progress *p,
		       const struct rb_progress_vertex *v)
{
	RB_CLEANUP(rb_strp)
	char *text = rb_asprintf("%lld %u %s", (long long)p->epoch_ns, v->id, v->name);
	struct rb_digest d = rb_digest_of(text, strlen(text));
	char buf[RB_DIGEST_TEXT_BYTES];

	rb_json_set_str(o, key, rb_digest_text(&d, buf));
}

static void say(struct rb_progress *p, const char *list, struct rb_json *entry)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *line = rb_json_new_object();
	struct rb_json *entries = rb_json_new_array();

	rb_json_add(entries, entry);
	rb_json_set(line, list, entries);
	RB_CLEANUP(rb_strp) char *text = rb_json_dump(line, 0);
	rb_buf_addstr(&p->out, text);
	rb_buf_addch(&p->out, '\n');
}

static void say_vertex(struct rb_progress *p, const struct rb_progress_vertex *v,
		       const struct rb_event *ev)
{
	struct rb_json *o = rb_json_new_object();

	set_digest(o, "digest", p, v);
	rb_json_set_str(o, "name", v->name);
	if (v->started_ns >= 0)
		set_time(o, "started", p, v->started_ns);
	if (rb_progress_ended(v))
		set_time(o, "completed", p, v->ended_ns);
	if (v->state == RB_VERTEX_CACHED)
		rb_json_set_bool(o, "cached", true);
	if (ev->kind == RB_EV_ERROR)
		set_text(o, "error", ev);
	else if (ev->kind == RB_EV_CANCELED)
		rb_json_set_str(o, "error", "context canceled");
	say(p, "vertexes", o);
}

static void say_status(struct rb_progress *p, const struct rb_progress_vertex *v, bool completed)
{
	struct rb_json *o = rb_json_new_object();

	rb_json_set_str(o, "id", v->status);
	set_digest(o, "vertex", p, v);
	rb_json_set_str(o, "name", v->status);
	rb_json_set_i64(o, "current", 0);
	set_time(o, "timestamp", p, v->status_last_ns);
	set_time(o, "started", p, v->status_first_ns);
	if (completed)
		set_time(o, "completed", p, v->ended_ns);
	say(p, "statuses", o);
}

static void say_log(struct rb_progress *p, const struct rb_progress_vertex *v,
		    const struct rb_event *ev)
{
	struct rb_json *o = rb_json_new_object();

	set_digest(o, "vertex", p, v);
	rb_json_set_i64(o, "stream", ev->stream);
	set_bytes(o, "data", ev->data, ev->len);
	set_time(o, "timestamp", p, ev->time_ns);
	say(p, "logs", o);
}

static void say_warning(struct rb_progress *p, const struct rb_progress_vertex *v, const char *text,
			size_t len)
{
	struct rb_json *o = rb_json_new_object();

	if (v)
		set_digest(o, "vertex", p, v);
	rb_json_set_i64(o, "level", 1);
	set_bytes(o, "short", text, len);
	say(p, "warnings", o);
}

static void rawjson_event(struct rb_progress *p, struct rb_progress_vertex *v,
			  const struct rb_event *ev)
{
	switch (ev->kind) {
	case RB_EV_LOG:
		say_log(p, v, ev);
		return;
	case RB_EV_STATUS:
		say_status(p, v, false);
		return;
	case RB_EV_WARN:
		say_warning(p, v, ev->data, ev->len);
		return;
	case RB_EV_ADD:
	case RB_EV_START:
	case RB_EV_CACHED:
	case RB_EV_DONE:
	case RB_EV_ERROR:
	case RB_EV_CANCELED:
		if (rb_progress_ended(v) && v->status)
			say_status(p, v, true);
		say_vertex(p, v, ev);
	}
}

static void rawjson_note(struct rb_progress *p, const char *line)
{
	say_warning(p, NULL, line, strlen(line));
}

static int never_ms(const struct rb_progress *p)
{
	(void)p;
	return -1;
}

const struct rb_progress_ops rb_progress_rawjson_ops = {
	.event = rawjson_event,
	.note = rawjson_note,
	.tick_ms = never_ms,
};
