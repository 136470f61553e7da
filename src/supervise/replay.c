// SPDX-License-Identifier: Apache-2.0
/*
 * Before Linux 5.19 a signal interrupts a caller that waits for its answer, and the kernel makes
 * the call again: what was done the first time must not be done twice.
 */
#include <string.h>

#include "supervise/supervise-internal.h"

void rb_replay_keep(struct supervisor *s, const struct seccomp_notif *n, int64_t result)
{
	s->replays[s->next_replay] =
		(struct replay){.tid = (pid_t)n->pid, .data = n->data, .result = result};
	s->next_replay = (s->next_replay + 1) % RB_REPLAYS;
	s->any_replay = true;
}

bool rb_replay_take(struct supervisor *s, const struct seccomp_notif *n, int64_t *ret)
{
	for (int i = 0; s->any_replay && i < RB_REPLAYS; i++) {
		struct replay *p = &s->replays[i];

		if (p->tid != (pid_t)n->pid)
			continue;
		/* Whatever it is, it is the next call of that thread. */
		p->tid = 0;
		if (p->data.nr != n->data.nr || p->data.arch != n->data.arch ||
		    memcmp(p->data.args, n->data.args, sizeof(n->data.args)) != 0)
			return false;
		*ret = p->result;
		return true;
	}
	return false;
}
