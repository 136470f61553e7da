// SPDX-License-Identifier: Apache-2.0
#include "cli/step-options.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "dockerfile/mount.h"

/* --- --add-host --- */

/* What cannot stand in a line of /etc/hosts. */
static bool is_host_name(const char *name)
{
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == '#' || *p == 0x7f)
			return false;
	return *name;
}

static bool is_address(const char *text)
{
	struct in6_addr a;

	return inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1;
}

/* The part behind the separator, without brackets; caller frees. */
static char *address_of(const char *text)
{
	size_t n = strlen(text);
	bool enclosed = n > 2 && text[0] == '[' && text[n - 1] == ']';

	return enclosed ? rb_strndup(text + 1, n - 2) : rb_strdup(text);
}

static int add_host(struct rb_step_options *o, const char *text, struct rb_error **err)
{
	const char *sep = strchr(text, '=');

	if (!sep)
		sep = strchr(text, ':');
	RB_CLEANUP(rb_strp) char *name = rb_strndup(text, sep ? (size_t)(sep - text) : 0);
	RB_CLEANUP(rb_strp) char *address = address_of(sep ? sep + 1 : "");
	bool gateway = rb_streq(address, "host-gateway");

	if (!is_host_name(name) || (!gateway && !is_address(address)))
		return rb_fail(err, RB_ERR_USAGE,
			       "--add-host: invalid host \"%s\": write NAME:IP, NAME=IP or "
			       "NAME:host-gateway",
			       text);
	/* Where the name leads is not in the keys of steps (6.1). */
	rb_strv_addf(&o->key, "host %s", name);
	rb_strv_add(&o->host_texts, name);
	rb_strv_add(&o->host_texts, gateway ? "" : address);
	return 0;
}

static int check_hosts(struct rb_step_options *o, struct rb_error **err)
{
	for (size_t i = 0; i < o->hosts.n; i++) {
		RB_CLEANUP(rb_strv_clear) struct rb_strv fields = RB_STRV_INIT;

		if (rb_csv_split(o->hosts.v[i], RB_ERR_USAGE, &fields, err) < 0)
			return rb_wrap(err, "--add-host");
		for (size_t k = 0; k < fields.n; k++)
			if (add_host(o, fields.v[k], err) < 0)
				return -1;
	}
	o->settings.n_hosts = o->host_texts.n / 2;
	o->host_lines = rb_calloc(o->settings.n_hosts + 1, sizeof(*o->host_lines));
	for (size_t i = 0; i < o->settings.n_hosts; i++) {
		const char *address = o->host_texts.v[2 * i + 1];

		o->host_lines[i] = (struct rb_exec_host){.name = o->host_texts.v[2 * i],
							 .address = *address ? address : NULL};
	}
	o->settings.hosts = o->host_lines;
	return 0;
}

/* --- --ulimit --- */

static const char *const limit_names[RLIM_NLIMITS] = {
	[RLIMIT_AS] = "as",
	[RLIMIT_CORE] = "core",
	[RLIMIT_CPU] = "cpu",
	[RLIMIT_DATA] = "data",
	[RLIMIT_FSIZE] = "fsize",
	[RLIMIT_LOCKS] = "locks",
	[RLIMIT_MEMLOCK] = "memlock",
	[RLIMIT_MSGQUEUE] = "msgqueue",
	[RLIMIT_NICE] = "nice",
	[RLIMIT_NOFILE] = "nofile",
	[RLIMIT_NPROC] = "nproc",
	[RLIMIT_RSS] = "rss",
	[RLIMIT_RTPRIO] = "rtprio",
	[RLIMIT_RTTIME] = "rttime",
	[RLIMIT_SIGPENDING] = "sigpending",
	[RLIMIT_STACK] = "stack",
};

static int parse_limit(const char *text, size_t len, uint64_t *ret)
{
	if (len == 2 && memcmp(text, "-1", 2) == 0) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	return rb_parse_u64((struct rb_slice){text, len}, INT64_MAX, ret);
}

static int find_limit(const char *name, size_t len, const char *text, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *shown = rb_strndup(name, len);
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;

	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		if (rb_streq(limit_names[i], shown))
			return i;
	return rb_fail(err, RB_ERR_USAGE, "--ulimit %s: invalid ulimit type: %s%s", text, shown,
		       rb_suggest(&hint, shown, limit_names, RLIM_NLIMITS));
}

static int add_limit(const char *text, bool given[static RLIM_NLIMITS],
		     struct rb_exec_limit all[static RLIM_NLIMITS], struct rb_error **err)
{
	const char *eq = strchr(text, '='), *soft = eq ? eq + 1 : "";
	size_t n = strcspn(soft, ":");
	struct rb_exec_limit l;

	if (!eq)
		return rb_fail(err, RB_ERR_USAGE,
			       "--ulimit %s: invalid ulimit argument: write NAME=SOFT[:HARD]",
			       text);
	l.resource = find_limit(text, (size_t)(eq - text), text, err);
	if (l.resource < 0)
		return -1;
	const char *hard = soft[n] ? soft + n + 1 : soft;
	if (parse_limit(soft, n, &l.soft) < 0 ||
	    parse_limit(hard, soft[n] ? strlen(hard) : n, &l.hard) < 0)
		return rb_fail(err, RB_ERR_USAGE,
			       "--ulimit %s: a limit is a number, or -1 for none: SOFT[:HARD]",
			       text);
	if (l.soft > l.hard)
		return rb_fail(err, RB_ERR_USAGE,
			       "--ulimit %s: ulimit soft limit must be less than or equal to hard "
			       "limit",
			       text);
	all[l.resource] = l;
	given[l.resource] = true;
	return 0;
}

/* rbuild raises its own limit of descriptors later, which is not to be the steps'. */
static void keep_descriptors(struct rb_step_options *o, const bool given[static RLIM_NLIMITS])
{
	struct rlimit now;

	if (!given[RLIMIT_NOFILE] && getrlimit(RLIMIT_NOFILE, &now) == 0)
		o->limits[o->settings.n_limits++] = (struct rb_exec_limit){
			.resource = RLIMIT_NOFILE, .soft = now.rlim_cur, .hard = now.rlim_max};
}

static int check_limits(struct rb_step_options *o, struct rb_error **err)
{
	struct rb_exec_limit all[RLIM_NLIMITS];
	bool given[RLIM_NLIMITS] = {false};

	for (size_t i = 0; i < o->ulimits.n; i++)
		if (add_limit(o->ulimits.v[i], given, all, err) < 0)
			return -1;
	keep_descriptors(o, given);
	for (size_t i = 0; i < RLIM_NLIMITS; i++) {
		if (!given[i])
			continue;
		rb_strv_addf(&o->key, "ulimit %s=%llu:%llu", limit_names[i],
			     (unsigned long long)all[i].soft, (unsigned long long)all[i].hard);
		o->limits[o->settings.n_limits++] = all[i];
	}
	o->settings.limits = o->limits;
	return 0;
}

/* --- --allow, --network and the rest --- */

static int check_allow(const struct rb_step_options *o, unsigned *ret, struct rb_error **err)
{
	static const char *const names[] = {"network.host", "security.insecure", "device",
					    "buildx.local.delete"};
	static const unsigned bits[] = {RB_ALLOW_NETWORK_HOST, RB_ALLOW_SECURITY_INSECURE,
					RB_ALLOW_DEVICE, 0};

	for (size_t i = 0; i < o->allow.n; i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
		const char *word = o->allow.v[i];
		size_t k = 0;

		while (k < RB_ARRAY_LEN(names) && !rb_streq(word, names[k]))
			k++;
		if (k == RB_ARRAY_LEN(names) && rb_starts_with(word, "device="))
			return rb_fail(err, RB_ERR_UNSUPPORTED,
				       "--allow %s: single devices cannot be allowed, as this "
				       "version of rbuild gives steps no devices of the host",
				       word);
		if (k == RB_ARRAY_LEN(names))
			return rb_fail(err, RB_ERR_USAGE,
				       "--allow: unknown entitlement \"%s\"%s: it is network.host, "
				       "security.insecure or device; give one with each --allow",
				       word, rb_suggest(&hint, word, names, RB_ARRAY_LEN(names)));
		*ret |= bits[k];
	}
	return 0;
}

static int check_network(const char *mode, enum rb_network_mode *ret, struct rb_error **err)
{
	static const char *const names[] = {[RB_NETWORK_DEFAULT] = "default",
					    [RB_NETWORK_NONE] = "none",
					    [RB_NETWORK_HOST] = "host"};

	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++)
		if (!mode || !*mode || rb_streq(mode, names[i])) {
			*ret = (enum rb_network_mode)i;
			return 0;
		}
	return rb_fail(err, RB_ERR_USAGE, "--network is default, none or host, not \"%s\"", mode);
}

static int check_shm_size(struct rb_step_options *o, struct rb_error **err)
{
	uint64_t n;

	if (!o->shm_size || !*o->shm_size)
		return 0;
	if (rb_dockerfile_parse_size(o->shm_size, &n) < 0)
		return rb_fail(err, RB_ERR_USAGE,
			       "--shm-size: invalid size: '%s': write a number of bytes, or with a "
			       "unit like 64m",
			       o->shm_size);
	/* 0 is the usual one, as in docker. */
	o->settings.shm_bytes = n;
	if (n)
		rb_strv_addf(&o->key, "shm %llu", (unsigned long long)n);
	return 0;
}

/* Limits that nobody enforces must not be asked for in vain. */
static int refuse_groups(const struct rb_step_options *o, struct rb_error **err)
{
	static const char instead[] =
		"limits of a step take a cgroup, which without root nobody lets rbuild make; start "
		"rbuild itself in one instead: systemd-run --user --scope -p MemoryMax=4G rbuild ...";

	if (o->cgroup_parent && *o->cgroup_parent)
		return rb_fail(err, RB_ERR_UNSUPPORTED, "--cgroup-parent is not supported: %s",
			       instead);
	if (o->resources.n)
		return rb_fail(err, RB_ERR_UNSUPPORTED, "--resource is not supported: %s", instead);
	return 0;
}

int rb_step_options_check(struct rb_step_options *o, struct rb_plan_options *ret,
			  struct rb_error **err)
{
	if (check_network(o->network, &ret->network, err) < 0 ||
	    check_allow(o, &ret->allow, err) < 0 || check_hosts(o, err) < 0 ||
	    check_limits(o, err) < 0 || check_shm_size(o, err) < 0 || refuse_groups(o, err) < 0)
		return -1;
	if (o->hostname && *o->hostname) {
		if (!rb_plan_is_hostname(o->hostname))
			return rb_fail(err, RB_ERR_USAGE,
				       "--hostname %.80s: a host name has letters, digits, \"-\", "
				       "\"_\" and \".\", 64 at most",
				       o->hostname);
		ret->hostname = o->hostname;
	}
	ret->run_key = &o->key;
	return 0;
}

void rb_step_options_clear(struct rb_step_options *o)
{
	struct rb_strv *lists[] = {&o->hosts,     &o->ulimits,    &o->allow,
				   &o->resources, &o->host_texts, &o->key};

	for (size_t i = 0; i < RB_ARRAY_LEN(lists); i++)
		rb_strv_clear(lists[i]);
	free(o->host_lines);
	o->host_lines = NULL;
}
