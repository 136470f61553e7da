// SPDX-License-Identifier: Apache-2.0
/*
 * For programs: one status object a line and event, in the form that BuildKit's clients print with
 * rawjson (dockerfile.md 8.4). Everything a step writes is in it, byte for byte, as base64.
 */
#include <stdlib.h>
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
static const char *vertex_digest(const struct rb_progress *p, const struct rb_progress_vertex *v,
				 char buf[static RB_DIGEST_TEXT_BYTES])
{
	RB_CLEANUP(rb_strp)
	char *text = rb_asprintf("%lld %u %s", (long long)p->epoch_ns, v->id, v->name);
	struct rb_digest d = rb_digest_of(text, strlen(text));

	return rb_digest_text(&d, buf);
}

static void set_digest(struct rb_json *o, const char *key, const struct rb_progress *p,
		       const struct rb_progress_vertex *v)
{
	char buf[RB_DIGEST_TEXT_BYTES];

	rb_json_set_str(o, key, vertex_digest(p, v, buf));
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

static struct rb_json *inputs_json(const struct rb_progress *p, const struct rb_progress_vertex *v)
{
	struct rb_json *list = rb_json_new_array();

	for (size_t i = 0; i < v->n_inputs; i++)
		for (size_t k = p->n; k-- > 0;)
			if (p->vertices[k]->id == v->inputs[i]) {
				char buf[RB_DIGEST_TEXT_BYTES];

				rb_json_add_str(list, vertex_digest(p, p->vertices[k], buf));
				break;
			}
	return list;
}

static void say_vertex(struct rb_progress *p, const struct rb_progress_vertex *v,
		       const struct rb_event *ev)
{
	struct rb_json *o = rb_json_new_object();

	set_digest(o, "digest", p, v);
	if (v->n_inputs)
		rb_json_set(o, "inputs", inputs_json(p, v));
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

/* What a status says of bytes: "transferring context: 2.10kB", "1.00MB / 4.20MB". */
struct counter {
	char *id; /* the words before; one that counts nothing is its own. Owned */
	int64_t current, total;
};

static bool take_bytes(const char **text, int64_t *ret)
{
	static const struct {
		const char *name;
		double bytes;
	} units[] = {{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}};
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	double n = strtod(*text, &end);
	for (size_t i = 0; i < RB_ARRAY_LEN(units); i++)
		if (n < 1e9 && rb_starts_with(end, units[i].name)) {
			*ret = (int64_t)(n * units[i].bytes);
			*text = end + strlen(units[i].name);
			return true;
		}
	return false;
}

static struct counter read_counter(const char *status)
{
	size_t n = strcspn(status, "0123456789");
	const char *p = status + n;
	struct counter c = {0};

	if (!take_bytes(&p, &c.current) || (n && status[n - 1] != ' ')) {
		c.id = rb_strdup(status);
		return c;
	}
	if (rb_starts_with(p, " / ")) {
		p += strlen(" / ");
		(void)take_bytes(&p, &c.total);
	}
	c.id = n ? rb_strndup(status, n - 1) : rb_strdup("transferring");
	return c;
}

static void say_status(struct rb_progress *p, const struct rb_progress_vertex *v, int64_t now_ns,
		       bool completed)
{
	struct rb_json *o = rb_json_new_object();

	rb_json_set_str(o, "id", v->status_id);
	set_digest(o, "vertex", p, v);
	rb_json_set_str(o, "name", v->status_id);
	if (v->status_total)
		rb_json_set_i64(o, "total", v->status_total);
	rb_json_set_i64(o, "current", v->status_current);
	set_time(o, "timestamp", p, now_ns);
	set_time(o, "started", p, v->status_began_ns);
	if (completed)
		set_time(o, "completed", p, now_ns);
	say(p, "statuses", o);
}

static void end_status(struct rb_progress *p, struct rb_progress_vertex *v, int64_t now_ns)
{
	if (v->status_id)
		say_status(p, v, now_ns, true);
	rb_strp(&v->status_id);
}

static void take_status(struct rb_progress *p, struct rb_progress_vertex *v, int64_t now_ns)
{
	struct counter c = read_counter(v->status);

	if (!v->status_id || !rb_streq(v->status_id, c.id)) {
		end_status(p, v, now_ns);
		v->status_id = rb_steal_ptr(&c.id);
		v->status_began_ns = now_ns;
	}
	v->status_current = c.current;
	v->status_total = c.total;
	say_status(p, v, now_ns, false);
	free(c.id);
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
		take_status(p, v, ev->time_ns);
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
		if (rb_progress_ended(v))
			end_status(p, v, v->ended_ns);
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
