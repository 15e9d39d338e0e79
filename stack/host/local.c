/* SPDX-License-Identifier: MIT */
/*
 * The rendezvous of threads that play PEs in one process, and of a PE that is
 * alone.
 *
 * An allgather is: put your part into the group's buffer, wait until all
 * have, copy, wait until all have copied.
 *
 * Thread: PEs call from their threads at the same time; a lock orders them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stack/dev/order.h"
#include "stack/host/internal.h"
#include "stack/host/local.h"

struct gda_local_group {
	int npes;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool *claimed; /* [npes]: PEs that have joined */
	bool *here;    /* [npes]: PEs that wait now */
	int waiting;
	uint64_t round; /* barriers passed */
	int broken;
	char why[256];
	uint8_t *room;	 /* of the allgather that goes on */
	size_t room_len; /* of one part */
	struct wire_loop_fabric *fabric;
	struct nic **nics; /* [npes], for GDA_PROGRESS_HOOK */
};

struct member {
	struct gda_bootstrap base;
	struct gda_local_group *group;
};

struct gda_local_group *gda_local_group_create(int npes)
{
	struct gda_local_group *group = NULL;
	size_t count = (size_t)npes;

	if (npes < 1) {
		errno = EINVAL;
		return NULL;
	}
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->npes = npes;
	pthread_mutex_init(&group->lock, NULL);
	pthread_cond_init(&group->changed, NULL);
	group->claimed = calloc(count, sizeof(bool));
	group->here = calloc(count, sizeof(bool));
	group->nics = calloc(count, sizeof(struct nic *));
	group->fabric = wire_loop_create();
	if (group->claimed && group->here && group->nics && group->fabric)
		return group;
	gda_local_group_free(group);
	errno = ENOMEM;
	return NULL;
}

void gda_local_group_free(struct gda_local_group *group)
{
	if (!group)
		return;
	if (group->fabric)
		wire_loop_release(group->fabric);
	pthread_cond_destroy(&group->changed);
	pthread_mutex_destroy(&group->lock);
	free(group->claimed);
	free(group->here);
	free(group->nics);
	free(group->room);
	free(group);
}

struct wire_loop_fabric *gda_local_fabric(struct gda_local_group *group)
{
	return group->fabric;
}

void gda_local_set_nic(struct gda_local_group *group, int pe, struct nic *nic)
{
	pthread_mutex_lock(&group->lock);
	group->nics[pe] = nic;
	pthread_mutex_unlock(&group->lock);
}

/*
 * The lock is held meanwhile: a PE that leaves takes its NIC out first, so no
 * NIC goes while it is stepped. A stepped NIC never calls back into here.
 */
bool gda_local_step(struct gda_local_group *group, uint64_t now_ns)
{
	bool more = false;
	int pe;

	if (pthread_mutex_trylock(&group->lock))
		return true;
	for (pe = 0; pe < group->npes; pe++)
		if (group->nics[pe])
			more |= nic_try_step(group->nics[pe], now_ns) ==
				NIC_STEP_BUSY;
	pthread_mutex_unlock(&group->lock);
	return more;
}

/* ------------------------------------------------------- under the lock */

static int set_broken(struct gda_local_group *group, int code, const char *why)
{
	if (!group->broken) {
		group->broken = code;
		snprintf(group->why, sizeof(group->why), "%s", why);
	}
	pthread_cond_broadcast(&group->changed);
	return group->broken;
}

static void name_missing(struct gda_local_group *group, uint32_t timeout_ms)
{
	char text[256];
	size_t at = 0;
	int pe;

	at = (size_t)snprintf(text, sizeof(text), "barrier or allgather: PE");
	for (pe = 0; pe < group->npes && at + 64 < sizeof(text); pe++)
		if (!group->here[pe])
			at += (size_t)snprintf(text + at, sizeof(text) - at,
					       " %d", pe);
	snprintf(text + at, sizeof(text) - at, " did not come within %u ms",
		 timeout_ms);
	set_broken(group, -ETIMEDOUT, text);
}

/* Sleep a millisecond, or until something changes; move the device. */
static void sleep_a_little(struct member *member)
{
	struct gda_local_group *group = member->group;
	struct timespec until;

	if (member->base.idle.fn) {
		pthread_mutex_unlock(&group->lock);
		member->base.idle.fn(member->base.idle.arg);
		pthread_mutex_lock(&group->lock);
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&group->changed, &group->lock, &until);
}

/* The last to come opens the barrier, and clears the room if that is over. */
static int open_barrier(struct gda_local_group *group, bool clear)
{
	group->waiting = 0;
	memset(group->here, 0, (size_t)group->npes * sizeof(bool));
	if (clear) {
		free(group->room);
		group->room = NULL;
	}
	group->round++;
	pthread_cond_broadcast(&group->changed);
	return 0;
}

static int barrier(struct member *member, bool clear)
{
	struct gda_local_group *group = member->group;
	const struct gda_config *config = member->base.config;
	uint64_t deadline = gda_dev_now_ns() + config->timeout_ms * 1000000ull;
	uint64_t round = group->round;

	if (group->broken)
		return group->broken;
	group->here[config->pe] = true;
	if (++group->waiting == group->npes)
		return open_barrier(group, clear);
	while (!group->broken && group->round == round) {
		sleep_a_little(member);
		if (gda_dev_now_ns() > deadline && group->round == round)
			name_missing(group, config->timeout_ms);
	}
	return group->round == round ? group->broken : 0;
}

static int gather(struct member *member, const void *mine, void *all,
		  size_t len)
{
	struct gda_local_group *group = member->group;
	int rc;

	if (group->broken)
		return group->broken;
	if (!group->room) {
		group->room = calloc((size_t)group->npes, len);
		group->room_len = len;
	}
	if (!group->room)
		return set_broken(group, -ENOMEM, "allgather: no memory");
	if (group->room_len != len)
		return set_broken(group, -EPROTO,
				  "allgather: collective calls differ");
	memcpy(group->room + (size_t)member->base.config->pe * len, mine, len);
	rc = barrier(member, false);
	if (rc)
		return rc;
	memcpy(all, group->room, (size_t)group->npes * len);
	return barrier(member, true);
}

/* ------------------------------------------------------------- the table */

static int allgather_local(struct gda_bootstrap *bootstrap, const void *mine,
			   void *all, size_t len)
{
	struct member *member = (struct member *)bootstrap;
	int rc;

	pthread_mutex_lock(&member->group->lock);
	rc = gather(member, mine, all, len);
	if (rc)
		gda_fail(bootstrap->config, rc, "%s", member->group->why);
	pthread_mutex_unlock(&member->group->lock);
	return rc;
}

static void close_local(struct gda_bootstrap *bootstrap)
{
	struct member *member = (struct member *)bootstrap;
	char why[64];

	snprintf(why, sizeof(why), "PE %d is gone", bootstrap->config->pe);
	pthread_mutex_lock(&member->group->lock);
	set_broken(member->group, -ECONNRESET, why);
	pthread_mutex_unlock(&member->group->lock);
	free(member);
}

static const struct gda_bootstrap_ops local_ops = {allgather_local,
						   close_local};

/* Returns 0 if the number is this PE's now. */
static int claim(const struct gda_config *config)
{
	struct gda_local_group *group = config->group;
	char why[96];
	int rc = 0;

	if (config->npes != group->npes)
		return gda_fail(config, -EPROTO,
				"config: npes is %d, but the group was made "
				"for %d",
				config->npes, group->npes);
	pthread_mutex_lock(&group->lock);
	if (group->claimed[config->pe]) {
		snprintf(why, sizeof(why),
			 "gda_local_group: two threads claim PE %d",
			 config->pe);
		rc = set_broken(group, -EEXIST, why);
		gda_fail(config, rc, "%s", group->why);
	}
	group->claimed[config->pe] = true;
	pthread_mutex_unlock(&group->lock);
	return rc;
}

static int make(const struct gda_config *config,
		const struct gda_bootstrap_ops *ops, struct gda_bootstrap **out)
{
	struct member *member = calloc(1, sizeof(*member));

	if (!member)
		return gda_fail(config, -ENOMEM, "rendezvous: no memory");
	member->base.ops = ops;
	member->base.config = config;
	member->group = config->group;
	*out = &member->base;
	return 0;
}

/* Meets the others at once: a config that one refuses fails for all. */
int gda_bootstrap_local(const struct gda_config *config,
			struct gda_bootstrap **out)
{
	uint8_t here = 1;
	uint8_t *room;
	int rc = claim(config);

	if (!rc)
		rc = make(config, &local_ops, out);
	if (rc)
		return rc;
	room = calloc(1, (size_t)config->npes);
	rc = room ? allgather_local(*out, &here, room, 1) : -ENOMEM;
	free(room);
	if (rc)
		close_local(*out);
	return rc;
}

/* ------------------------------------------------------------------ alone */

static int allgather_alone(struct gda_bootstrap *bootstrap, const void *mine,
			   void *all, size_t len)
{
	(void)bootstrap;
	memcpy(all, mine, len);
	return 0;
}

static void close_alone(struct gda_bootstrap *bootstrap)
{
	free(bootstrap);
}

static const struct gda_bootstrap_ops alone_ops = {allgather_alone,
						   close_alone};

int gda_bootstrap_alone(const struct gda_config *config,
			struct gda_bootstrap **out)
{
	return make(config, &alone_ops, out);
}
