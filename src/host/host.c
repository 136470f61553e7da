// SPDX-License-Identifier: Apache-2.0
#include "host/host.h"

#include <stdlib.h>
#include <string.h>

const char *rb_rung_name(enum rb_rung rung)
{
	static const char *const names[] = {
		[RB_RUNG_NONE] = "none", [RB_RUNG_SINGLE] = "single", [RB_RUNG_RANGE] = "range"};

	return names[rung];
}

uint32_t rb_id_map_limit(const struct rb_id_map *m)
{
	uint32_t limit = 0;

	/* Extents may stand in any order; each round moves the limit over one more of them. */
	for (size_t round = 0; round < m->n; round++)
		for (size_t i = 0; i < m->n; i++)
			if (m->v[i].inside <= limit && limit - m->v[i].inside < m->v[i].count)
				limit = m->v[i].inside + m->v[i].count;
	return limit;
}

void rb_host_clear(struct rb_host *h)
{
	free(h->newuidmap);
	free(h->newgidmap);
	free(h->why_not_range);
	free(h->why_not_single);
	free(h->unlock_range);
	free(h->unlock_single);
	free(h->store_type);
	for (size_t i = 0; i < h->n_checks; i++) {
		free(h->checks[i].found);
		free(h->checks[i].unlock);
	}
	free(h->checks);
	*h = (struct rb_host){0};
}

void rb_host_add_check(struct rb_host *h, const char *name, bool ok, char *found, char *unlock)
{
	h->checks = rb_reallocarray(h->checks, h->n_checks + 1, sizeof(*h->checks));
	h->checks[h->n_checks++] =
		(struct rb_host_check){.name = name, .ok = ok, .found = found, .unlock = unlock};
}
