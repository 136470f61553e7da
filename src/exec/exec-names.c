// SPDX-License-Identifier: Apache-2.0
/* What a step finds of names: /etc/hosts and /etc/resolv.conf (dockerfile.md 10.4 and 12). */
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "exec/exec-internal.h"
#include "exec/network.h"

enum { RESOLV_CONF_MAX = 1 << 20 };

/* Where the user says host-gateway. */
static const char *gateway(enum rb_network network)
{
	return network == RB_NET_PRIVATE ? RB_NETWORK_GATEWAY : "127.0.0.1";
}

void rb_step_hosts(const struct rb_exec_spec *spec, struct rb_buf *ret)
{
	const struct rb_exec_settings *settings = spec->settings;

	rb_buf_addf(ret, "127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n",
		    spec->hostname);
	for (size_t i = 0; settings && i < settings->n_hosts; i++) {
		const struct rb_exec_host *h = &settings->hosts[i];

		rb_buf_addf(ret, "%s\t%s\n", h->address ? h->address : gateway(spec->network),
			    h->name);
	}
}

/* The server that a line names, or false. */
static bool is_nameserver(const char *line, size_t len, struct rb_slice *ret)
{
	static const char word[] = "nameserver";
	size_t n = sizeof(word) - 1;

	if (len <= n || memcmp(line, word, n) != 0 || (line[n] != ' ' && line[n] != '\t'))
		return false;
	while (n < len && (line[n] == ' ' || line[n] == '\t'))
		n++;
	*ret = (struct rb_slice){line + n, 0};
	while (n + ret->len < len && !strchr(" \t\r", line[n + ret->len]))
		ret->len++;
	return true;
}

/* A server that answers on this host only, or on a link that a step is not on. */
static bool is_local(struct rb_slice server)
{
	static const char *const prefixes[] = {"127.", "fe80:", "FE80:"};

	if (rb_slice_eq(server, "::1") || rb_slice_eq(server, "0.0.0.0") ||
	    rb_slice_eq(server, "::") || rb_slice_eq(server, "localhost"))
		return true;
	for (size_t i = 0; i < RB_ARRAY_LEN(prefixes); i++)
		if (server.len > strlen(prefixes[i]) &&
		    memcmp(server.ptr, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static size_t line_length(const char *line)
{
	size_t len = strcspn(line, "\n");

	return len + (line[len] == '\n');
}

bool rb_resolv_is_local(const char *text)
{
	struct rb_slice server;

	for (const char *line = text; *line; line += line_length(line))
		if (is_nameserver(line, strcspn(line, "\n"), &server) && is_local(server))
			return true;
	return false;
}

/*
 * A private network with a local server has the helper's forwarder alone, which asks the host's
 * first one: pasta gives answers of that server the forwarder's address, also those that were asked
 * of itself. Without a network there is nobody to ask.
 */
void rb_resolv_adapt(const char *text, enum rb_network network, struct rb_buf *ret)
{
	bool forward = network == RB_NET_PRIVATE && rb_resolv_is_local(text);
	bool forwarded = false;
	struct rb_slice server;

	for (const char *line = text; *line; line += line_length(line)) {
		if (network == RB_NET_HOST || !is_nameserver(line, strcspn(line, "\n"), &server) ||
		    (!forward && !is_local(server)))
			rb_buf_add(ret, line, line_length(line));
		else if (forward) {
			rb_buf_addstr(ret, forwarded ? "" : "nameserver " RB_NETWORK_DNS "\n");
			forwarded = true;
		}
	}
}

void rb_resolv_read(struct rb_buf *ret)
{
	struct rb_error *why = NULL;

	/* Without the host's file there are no servers to name. */
	if (rb_read_file_at(AT_FDCWD, "/etc/resolv.conf", RESOLV_CONF_MAX, ret, &why) < 0)
		rb_error_drop(&why);
}

void rb_step_resolv(const struct rb_exec_spec *spec, struct rb_buf *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	rb_resolv_read(&text);
	rb_resolv_adapt(text.ptr, spec->network, ret);
}
