/* SPDX-License-Identifier: MIT */
/*
 * libibverbs and libmlx5, opened when they are needed: a program that is
 * linked with the stack starts on machines that lack them.
 *
 * Functions are looked up with the version of the header's ABI. They are never
 * unloaded: providers register themselves in libibverbs for good.
 *
 * Source of truth: rdma-core libibverbs/libibverbs.map.in and
 * providers/mlx5/libmlx5.map.
 * Thread: any.
 */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "stack/backend_mlx5.h"
#include "stack/host/internal.h"

enum library { VERBS, MLX5 };
enum need { MUST, MAY };

struct function {
	enum library library;
	enum need need;
	const char *name;
	const char *version;
	size_t offset; /* of the pointer in struct gda_mlx5_lib */
};

static const struct function functions[] = {
#define ROW(library, need, field, function, version)                           \
	{library, need, #function, version,                                    \
	 offsetof(struct gda_mlx5_lib, field)},
	GDA_MLX5_FUNCTIONS(ROW)
#undef ROW
};

/* NULL: not there. */
static void *find(void *library, const char *name, const char *version)
{
#ifdef __GLIBC__
	return dlvsym(library, name, version);
#else
	(void)version;
	return dlsym(library, name);
#endif
}

static int open_one(const struct gda_config *config, const char *name,
		    void **library)
{
	const char *why;

	*library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (*library)
		return 0;
	why = dlerror();
	return gda_fail(config, -ENODEV,
			"mlx5: library %s cannot be opened: %s (install "
			"rdma-core 32 or newer, or set GDA_BACKEND=emu)",
			name, why ? why : "no reason given");
}

static int find_all(const struct gda_config *config, struct gda_mlx5_lib *lib,
		    const char *const names[2])
{
	const struct function *function = functions;
	const struct function *end =
		functions + sizeof(functions) / sizeof(functions[0]);
	void *address;

	for (; function < end; function++) {
		address = find(function->library == VERBS ? lib->verbs
							  : lib->mlx5,
			       function->name, function->version);
		if (!address && function->need == MUST)
			return gda_fail(config, -ENODEV,
					"mlx5: library %s has no %s of version "
					"%s: it is too old, rdma-core 32 or "
					"newer is needed",
					names[function->library],
					function->name, function->version);
		memcpy((uint8_t *)lib + function->offset, &address,
		       sizeof(address));
	}
	return 0;
}

int gda_mlx5_lib_open(const struct gda_config *config, struct gda_mlx5_lib *lib)
{
	const char *const names[2] = {
		config->mlx5.libibverbs ? config->mlx5.libibverbs
					: "libibverbs.so.1",
		config->mlx5.libmlx5 ? config->mlx5.libmlx5 : "libmlx5.so.1",
	};
	int rc;

	memset(lib, 0, sizeof(*lib));
	rc = open_one(config, names[VERBS], &lib->verbs);
	if (!rc)
		rc = open_one(config, names[MLX5], &lib->mlx5);
	if (!rc)
		rc = find_all(config, lib, names);
	if (rc)
		gda_mlx5_lib_close(lib);
	return rc;
}

void gda_mlx5_lib_close(struct gda_mlx5_lib *lib)
{
	if (lib->mlx5)
		dlclose(lib->mlx5);
	if (lib->verbs)
		dlclose(lib->verbs);
	memset(lib, 0, sizeof(*lib));
}
