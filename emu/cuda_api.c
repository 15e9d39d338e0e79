/* SPDX-License-Identifier: MIT */
/*
 * Opens the CUDA driver library, libcuda.so.1, at run time.
 *
 * It stays open: its own threads cannot be unloaded.
 *
 * Thread: any; a lock makes the first calls one.
 */
#include "emu/cuda_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#define LIBRARY "libcuda.so.1"

static const struct {
	const char *symbol;
	size_t offset;
} calls[] = {
#define X(member, symbol, parameters)                                          \
	{#symbol, offsetof(struct cuda_api, member)},
	CUDA_CALLS(X)
#undef X
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cuda_api api;
static bool known;   /* all of api is found */
static bool started; /* cuInit() has worked */
static char reason[160];

static bool look_up(void *library)
{
	void *call;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		call = dlsym(library, calls[i].symbol);
		if (!call) {
			snprintf(reason, sizeof(reason),
				 "the CUDA driver is too old: it has no %s",
				 calls[i].symbol);
			return false;
		}
		*(void **)((char *)&api + calls[i].offset) = call;
	}
	return true;
}

static bool start(void)
{
	cuda_result result = api.init(0);
	const char *name = NULL;

	if (result == CUDA_OK)
		return true;
	if (api.error_name(result, &name) != CUDA_OK || !name)
		name = "unknown error";
	snprintf(reason, sizeof(reason),
		 result == CUDA_NO_DEVICE ? "the CUDA driver finds no GPU (%s)"
					  : "the CUDA driver does not start "
					    "(%s)",
		 name);
	return false;
}

/* Requires: locked. What failed is tried again: a library can be loaded. */
static bool open_library(int flags)
{
	const char *error;
	void *library;

	if (known)
		return true;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | flags);
	if (!library) {
		error = dlerror();
		snprintf(reason, sizeof(reason), "there is no CUDA driver: %s",
			 error ? error : LIBRARY " is not loaded");
		return false;
	}
	known = look_up(library);
	if (!known)
		dlclose(library);
	return known;
}

const struct cuda_api *cuda_api(const char **why)
{
	bool found;

	pthread_mutex_lock(&lock);
	started = started || (open_library(0) && start());
	found = started;
	pthread_mutex_unlock(&lock);
	*why = found ? NULL : reason;
	return found ? &api : NULL;
}

const struct cuda_api *cuda_api_if_loaded(void)
{
	bool found;

	pthread_mutex_lock(&lock);
	found = open_library(RTLD_NOLOAD);
	pthread_mutex_unlock(&lock);
	return found ? &api : NULL;
}
