// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "registry/registry-internal.h"

const char *rb_registry_host(const char *domain)
{
	return rb_streq(domain, "docker.io") ? "registry-1.docker.io" : domain;
}

char *rb_registry_strip_port(const char *domain)
{
	const char *from = domain[0] == '[' ? strchr(domain, ']') : domain;
	const char *colon = from ? strchr(from, ':') : NULL;

	return rb_strndup(domain, colon ? (size_t)(colon - domain) : strlen(domain));
}

char *rb_registry_url(const char *scheme, const char *domain, const char *path, const char *kind,
		      const char *name)
{
	/* The reference grammar leaves nothing in path, tag or digest that a URL would quote. */
	return rb_asprintf("%s://%s/v2/%s/%s/%s", scheme, rb_registry_host(domain), path, kind,
			   name);
}

char *rb_registry_token_url(const char *realm, const char *service, const char *scope)
{
	RB_CLEANUP(rb_strp)
	char *named = service ? rb_net_add_query(realm, "service", service) : rb_strdup(realm);

	return named && scope ? rb_net_add_query(named, "scope", scope) : rb_steal_ptr(&named);
}

bool rb_registry_may_refer(const struct rb_net_url *from, const struct rb_net_url *to,
			   bool redirect)
{
	if (to->tls)
		return true;
	if (redirect && from->tls)
		return false;
	return rb_net_is_loopback(from->host) && rb_net_is_loopback(to->host);
}
