/* SPDX-License-Identifier: MIT */
/*
 * `belfry demo`: what its parts share.
 */
#ifndef TOOLS_DEMO_H
#define TOOLS_DEMO_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "stack/gda.h"
#include "stack/gda_dev.h"

/* One PE of the demo. */
struct demo {
	struct gda *gda;
	const struct gda_dev *dev;
};

/* Printed by PE 0 only. */
void demo_say(const struct demo *demo, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Complains if not ok; returns ok. */
bool demo_check(const struct demo *demo, bool ok, const char *what);

/* The recommender's serving path (demo_embedding.c). */
bool demo_embedding(struct demo *demo);

#endif
