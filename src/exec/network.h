/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private networks of steps (dockerfile.md 10.9 and 12): a network namespace that a helper process,
 * pasta or else slirp4netns, connects to what the host can reach. Steps find the same in it
 * whichever helper serves: the interface eth0 with 10.0.2.100/24, the gateway 10.0.2.2, and
 * 10.0.2.3, which hands name queries to the host's resolver. Ports of the step are not seen
 * outside, services on the host's loopback not inside (threats S44).
 *
 * A namespace serves one step at a time, so that steps side by side can listen on the same port,
 * and then the next one: starting a helper takes longer than ten empty steps. For the same reason
 * it is started when a step wants it, where helpers are known to work here: once one has, that is
 * noted in the store's directory for per-boot results.
 *
 * Works inside the user namespace that rb_host_enter() made, which owns the namespaces: ping and
 * low ports, for which a step would need a capability there, are opened to everybody in them.
 */
#ifndef RB_EXEC_NETWORK_H
#define RB_EXEC_NETWORK_H

#include <sys/types.h>

#include "base/error.h"
#include "host/host.h"

#define RB_NETWORK_GATEWAY "10.0.2.2"
#define RB_NETWORK_DNS     "10.0.2.3"

struct rb_networks;
struct rb_netns;

/*
 * `host_gateway`: the gateway leads to the host's loopback, because the user asked for that
 * (--add-host NAME:host-gateway). `cache_fd`: of per-boot results; borrowed for this call. Starts
 * nothing.
 */
struct rb_networks *rb_networks_new(const struct rb_host *host, bool host_gateway, int cache_fd);
/* Ends all helpers. NULL is fine. */
void rb_networks_free(struct rb_networks *n);

/*
 * A network that no running step uses. With `now`, and as long as it is not known whether helpers
 * work here, it is connected. When there can be none, that and every later call gives NULL with
 * *why, a sentence: the host's network serves instead.
 */
struct rb_netns *rb_networks_take(struct rb_networks *n, bool now, const char **why);
/* Starts its helper, 20 to 60 ms, if it has none. UNSUPPORTED when none works: then the next build
 * does not count on it. */
int rb_netns_connect(struct rb_networks *n, struct rb_netns *ns, struct rb_error **err);
bool rb_netns_is_connected(const struct rb_netns *ns);
/* After the step's last process has ended. NULL is fine. */
void rb_netns_give_back(struct rb_netns *ns);

/* The namespace; borrowed. */
int rb_netns_fd(const struct rb_netns *ns);
/* Whether `pid` is one of the helpers: nobody else is to wait for it. */
bool rb_networks_owns(const struct rb_networks *n, pid_t pid);

#endif
