/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of a step's cache mounts (dockerfile.md 3.2). They are locked in the order of
 * their keys, so that nobody waits in a circle; then filled where they are new; then mounted.
 */
#ifndef RB_SOLVE_CACHES_H
#define RB_SOLVE_CACHES_H

#include "snapshot/cachedir.h"
#include "solve/solve-internal.h"

struct rb_caches;

/* Those of a RUN whose inputs' contents are known. */
struct rb_caches *rb_caches_new(struct rb_solver *s, const struct rb_vertex *v);
void rb_caches_free(struct rb_caches *c); /* gives the locks back */

/* 1: all are locked; 0: one is not free: rb_caches_wait() in a worker, then again. */
int rb_caches_lock(struct rb_caches *c, struct rb_error **err);
int rb_caches_wait(struct rb_caches *c, struct rb_worker_port *port, struct rb_error **err);

bool rb_caches_are_filled(const struct rb_caches *c);
/* May take long. */
int rb_caches_fill(struct rb_caches *c, struct rb_error **err);

/* Detached mount; NOTFOUND when another build has emptied the cache: fill again. */
int rb_caches_mount(struct rb_caches *c, const struct rb_vertex_mount *vm, struct rb_error **err);

#endif
