/* SPDX-License-Identifier: MIT */
/*
 * Names of files that a program asks for: those of the kernel's RDMA devices
 * lead into a tree of our own (sysfs.c). The tree has the kernel's layout, so
 * relative names and links inside it need no help.
 *
 * Not modelled: listings of directories above (/sys/class,
 * /sys/bus/pci/devices) do not show what is ours; a name that reaches ours
 * through a link elsewhere (/proc/self/root/sys/...) is not seen; the C
 * library's glob() and ftw() open directories by calls that are not seen.
 *
 * Thread: any.
 */
#include "emu/uverbs/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emu/uverbs/fd.h"
#include "emu/uverbs/real.h"
#include "emu/uverbs/sysfs.h"

/* What begins like one of these is ours; '\0' or one of "next" follows. */
static const struct {
	const char *prefix;
	const char *next; /* NULL: anything */
} redirected[] = {
	/* and infiniband_verbs, infiniband_mad, infiniband_cm, ... */
	{"/sys/class/infiniband", "/_"},
	{"/sys/devices/pci" UV_PCI_DOMAIN, NULL},
	{"/sys/bus/pci/devices/" UV_PCI_DOMAIN ":", NULL},
	{"/sys/dev/char/231:", NULL},
	{"/dev/infiniband", "/"},
	{"/dev/char/231:", NULL},
};

static bool is_redirected(const char *name)
{
	const unsigned count = sizeof(redirected) / sizeof(redirected[0]);

	for (unsigned i = 0; i < count; i++) {
		size_t len = strlen(redirected[i].prefix);

		if (strncmp(name, redirected[i].prefix, len) != 0)
			continue;
		if (!redirected[i].next || !name[len] ||
		    strchr(redirected[i].next, name[len]))
			return true;
	}
	return false;
}

/*
 * Append a part of a name to out, which has no "//", "." and ".."; the last is
 * right only behind what is no link. Returns false if it does not fit.
 */
static bool append(char out[PATH_MAX], const char *part, size_t len)
{
	size_t end = strlen(out);

	if (!len || (len == 1 && *part == '.'))
		return true;
	if (len == 2 && !strncmp(part, "..", 2)) {
		while (end && out[--end] != '/')
			;
		out[end] = '\0';
		return true;
	}
	if (end + len + 2 > PATH_MAX)
		return false;
	out[end++] = '/';
	memcpy(out + end, part, len);
	out[end + len] = '\0';
	return true;
}

/*
 * Tidy the whole name; and find out where it enters what is ours: *entry is
 * the tidy name up to there and *rest what follows it, as the program wrote it.
 * *rest is NULL if it does not enter. Returns false if it does not fit.
 */
static bool tidy(const char *name, char out[PATH_MAX], size_t *entry,
		 const char **rest)
{
	*rest = NULL;
	*out = '\0';
	while (*name) {
		size_t len;

		name += strspn(name, "/");
		len = strcspn(name, "/");
		if (!append(out, name, len))
			return false;
		name += len;
		if (!*rest && is_redirected(out)) {
			*rest = name;
			*entry = strlen(out);
		}
	}
	return true;
}

/* The number behind the prefix, if there is nothing else; -1 otherwise. */
static int number_behind(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	unsigned long value;
	char *end;

	if (strncmp(name, prefix, len) != 0 || name[len] < '0' ||
	    name[len] > '9')
		return -1;
	value = strtoul(name + len, &end, 10);
	return *end || value > INT_MAX ? -1 : (int)value;
}

static int device_of(const char *name)
{
	int nics = (int)uv_config()->nics;
	int index = number_behind(name, "/dev/infiniband/uverbs");

	if (index < 0)
		index = number_behind(name, "/dev/char/231:") - UV_CHAR_MINOR;
	return index >= 0 && index < nics ? index : -1;
}

/* The cheap part, which every name of the program goes through. */
static bool may_be_ours(const char *name)
{
	if (!name || uv_inside())
		return false;
	if (name[0] != '/')
		return strstr(name, "infiniband") ||
		       strstr(name, UV_PCI_DOMAIN ":");
	name += strspn(name, "/.");
	return !strncmp(name, "sys", 3) || !strncmp(name, "dev", 3);
}

/*
 * The name from the root of one that is relative to dir. hwloc names all files
 * relative to a descriptor of "/". Returns false if it cannot be told.
 */
static bool from_root(int dir, const char *name, char full[2 * PATH_MAX])
{
	char link[32];
	ssize_t len;

	if (dir == AT_FDCWD) {
		if (!getcwd(full, PATH_MAX))
			return false;
	} else {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
		len = uv_real()->readlink(link, full, PATH_MAX - 1);
		if (len <= 0 || *full != '/')
			return false;
		full[len] = '\0';
	}
	len = (ssize_t)strlen(full);
	snprintf(full + len, 2 * PATH_MAX - (size_t)len, "/%s", name);
	return true;
}

/* root, the entry into it, and the rest. Returns false with errno. */
static bool lead_in(struct uv_path *path, size_t entry, const char *rest)
{
	const char *root = uv_sysfs_root();
	size_t len = root ? strlen(root) : 0;

	if (!root || len + entry + strlen(rest) + 1 > sizeof(path->buf)) {
		errno = root ? ENAMETOOLONG : ENOENT;
		return false;
	}
	memmove(path->buf + len, path->buf, entry);
	memcpy(path->buf, root, len);
	memcpy(path->buf + len + entry, rest, strlen(rest) + 1);
	path->name = path->buf;
	return true;
}

/* full: name, from the root. */
static bool find(const char *full, struct uv_path *path)
{
	const char *rest = NULL;
	size_t entry = 0;

	if (!tidy(full, path->buf, &entry, &rest) || !rest)
		return true;
	path->device = device_of(path->buf);
	if (is_redirected(path->buf))
		return lead_in(path, entry, rest);
	/* In and out again, by "..": what it passes through is not there. */
	path->name = *path->buf ? path->buf : "/";
	return true;
}

/* Not inlined: other names should not pay for its stack. */
__attribute__((noinline)) static bool find_relative(int dir, const char *name,
						    struct uv_path *path)
{
	char full[2 * PATH_MAX];

	return !from_root(dir, name, full) || find(full, path);
}

bool uv_path_find_at(int dir, const char *name, struct uv_path *path)
{
	int saved = errno;
	bool good = true;

	path->name = name;
	path->device = -1;
	if (!may_be_ours(name))
		return true;
	if (*name == '/')
		good = find(name, path);
	else
		good = find_relative(dir, name, path);
	if (good)
		errno = saved;
	return good;
}

bool uv_path_find(const char *name, struct uv_path *path)
{
	return uv_path_find_at(AT_FDCWD, name, path);
}

/* The length of our tree's name if name lies in it, else 0. */
static size_t tree_prefix(const char *name, size_t len)
{
	const char *root = uv_inside() ? NULL : uv_sysfs_made();
	size_t root_len;

	if (!root || !name)
		return 0;
	root_len = strlen(root);
	return len > root_len && !memcmp(name, root, root_len) &&
			       name[root_len] == '/'
		       ? root_len
		       : 0;
}

void uv_path_show(char *name)
{
	size_t len = name ? strlen(name) : 0;
	size_t prefix = tree_prefix(name, len);

	if (prefix)
		memmove(name, name + prefix, len - prefix + 1);
}

size_t uv_path_show_bytes(char *name, size_t len)
{
	size_t prefix = tree_prefix(name, len);

	if (prefix)
		memmove(name, name + prefix, len - prefix);
	return len - prefix;
}
