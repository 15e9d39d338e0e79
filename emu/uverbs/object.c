/* SPDX-License-Identifier: MIT */
/*
 * Objects of an open device file, by handle.
 *
 * Handles count from 0 in each file and are used again last, as the kernel's
 * cyclic ids are. An object that others name cannot go before them.
 *
 * Source of truth: Linux drivers/infiniband/core/rdma_core.c (lookup errnos).
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emu/uverbs/call.h"

enum { FIRST_ROOM = 64 };

static int grow(struct uv_context *context)
{
	uint32_t room =
		context->object_room ? 2 * context->object_room : FIRST_ROOM;
	struct uv_object **objects =
		realloc(context->objects, room * sizeof(struct uv_object *));

	if (!objects)
		return -ENOMEM;
	memset(objects + context->object_room, 0,
	       (room - context->object_room) * sizeof(struct uv_object *));
	context->objects = objects;
	context->object_room = room;
	return 0;
}

static int find_room(struct uv_context *context, uint32_t *handle)
{
	uint32_t i, slot;

	for (i = 0; i < context->object_room; i++) {
		slot = (context->handle_next + i) % context->object_room;
		if (context->objects[slot])
			continue;
		*handle = slot;
		context->handle_next = slot + 1;
		return 0;
	}
	*handle = context->handle_next = context->object_room;
	return grow(context);
}

void *uv_object_new(struct uv_context *context,
		    const struct uv_object_type *type)
{
	struct uv_object *object = calloc(1, type->bytes);

	if (!object)
		return NULL;
	if (find_room(context, &object->handle)) {
		free(object);
		return NULL;
	}
	object->context = context;
	object->type = type;
	context->objects[object->handle] = object;
	return object;
}

void uv_object_free(struct uv_object *object)
{
	object->context->objects[object->handle] = NULL;
	free(object);
}

void *uv_object_find(struct uv_context *context, uint16_t type_id,
		     uint64_t handle, int *error)
{
	struct uv_object *object = NULL;

	if (handle < context->object_room)
		object = context->objects[handle];
	*error = !object ? -ENOENT : -EINVAL;
	if (!object || object->type->id != type_id)
		return NULL;
	*error = 0;
	return object;
}

int uv_object_destroy(struct uv_object *object)
{
	int ret;

	if (object->users)
		return -EBUSY;
	ret = object->type->destroy(object);
	if (!ret)
		uv_object_free(object);
	return ret;
}

/* Newest first, those in use in a later pass. */
void uv_object_destroy_all(struct uv_context *context)
{
	bool progress = true;
	uint32_t i, left = 1;

	while (progress && left) {
		progress = false;
		left = 0;
		for (i = context->object_room; i-- > 0;) {
			if (!context->objects[i])
				continue;
			if (uv_object_destroy(context->objects[i]))
				left++;
			else
				progress = true;
		}
	}
	if (left)
		uv_say(NIC_LOG_ERROR, "%u objects could not be destroyed",
		       left);
	free(context->objects);
	context->objects = NULL;
	context->object_room = 0;
}
