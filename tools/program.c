/* SPDX-License-Identifier: MIT */
/*
 * Can a library be preloaded into a program? Not into one without a dynamic
 * linker, nor one that gains privileges, nor one of another kind of machine;
 * each of them would run, and find no NIC.
 *
 * Source of truth: execve(2), ld.so(8) "secure-execution mode", elf(5).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tools/options.h"

enum { SCRIPTS_MAX = 5, LINE = 256 };

/* ----------------------------------------------------------------- find */

/* 0, EXIT_CANNOT_RUN, or EXIT_NOT_FOUND, as a shell would see path. */
static int try_path(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return EXIT_NOT_FOUND;
	if (!S_ISREG(st.st_mode) || access(path, X_OK))
		return EXIT_CANNOT_RUN;
	return 0;
}

static int search(const char *name, char path[PATH_MAX])
{
	const char *list = getenv("PATH");
	int status = EXIT_NOT_FOUND;

	if (!list)
		list = "/bin:/usr/bin";
	for (;;) {
		size_t len = strcspn(list, ":");
		int now;

		/* An empty entry is the current directory. */
		snprintf(path, PATH_MAX, "%.*s%s%s", (int)len, list,
			 len ? "/" : "./", name);
		now = try_path(path);
		if (!now)
			return 0;
		if (now == EXIT_CANNOT_RUN)
			status = now;
		if (!list[len])
			return status;
		list += len + 1;
	}
}

int program_find(const struct run_options *options, const char *name,
		 char path[PATH_MAX])
{
	int status;

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		status = try_path(path);
	} else {
		status = *name ? search(name, path) : EXIT_NOT_FOUND;
	}
	if (status == EXIT_NOT_FOUND)
		run_say(options, "'%s': there is no such program", name);
	else if (status)
		run_say(options, "'%s' is not an executable file", name);
	return status;
}

/* ----------------------------------------------------------- privileges */

/* Does the kernel heed set-user-ID bits and capabilities of the file? */
static bool gains_are_heeded(const char *path)
{
	struct statvfs fs;

	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 &&
	       (statvfs(path, &fs) || !(fs.f_flag & ST_NOSUID));
}

static int check_privileges(const struct run_options *options, const char *path)
{
	const char *why = NULL;
	struct stat st;

	if (stat(path, &st) || !gains_are_heeded(path))
		return 0;
	if (st.st_mode & S_ISUID && st.st_uid != getuid())
		why = "is set-user-ID";
	else if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
		 st.st_gid != getgid())
		why = "is set-group-ID";
	else if (getuid() && getxattr(path, "security.capability", NULL, 0) > 0)
		why = "has file capabilities";
	if (!why)
		return 0;
	run_say(options,
		"'%s' %s: the dynamic linker loads nothing that its "
		"environment names; run a copy without them",
		path, why);
	return EXIT_CANNOT_RUN;
}

/* ------------------------------------------------------------------ ELF */

/* The name of the dynamic linker; "" if there is none. */
static bool read_interpreter(int fd, const Elf64_Ehdr *elf, char name[LINE])
{
	Elf64_Phdr segment;

	*name = '\0';
	for (unsigned i = 0; i < elf->e_phnum; i++) {
		off_t at = (off_t)(elf->e_phoff + i * sizeof(segment));
		size_t len;

		if (pread(fd, &segment, sizeof(segment), at) != sizeof(segment))
			return false;
		if (segment.p_type != PT_INTERP)
			continue;
		len = segment.p_filesz < LINE ? segment.p_filesz : LINE - 1;
		if (pread(fd, name, len, (off_t)segment.p_offset) !=
		    (ssize_t)len)
			return false;
		name[len] = '\0';
		return true;
	}
	return true;
}

static int refuse(const struct run_options *options, const char *path,
		  const char *why)
{
	run_say(options, "'%s' %s", path, why);
	return EXIT_CANNOT_RUN;
}

static Elf64_Half own_machine(void)
{
	Elf64_Ehdr self = {.e_machine = EM_NONE};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, &self, sizeof(self)) != sizeof(self))
		self.e_machine = EM_NONE;
	if (fd >= 0)
		close(fd);
	return self.e_machine;
}

static int check_elf(const struct run_options *options, const char *path,
		     int fd, const Elf64_Ehdr *elf)
{
	char linker[LINE];

	if (elf->e_ident[EI_CLASS] != ELFCLASS64)
		return refuse(options, path,
			      "is a 32-bit program; the library is for 64-bit "
			      "ones");
	if (elf->e_machine != own_machine())
		return refuse(options, path,
			      "is for another kind of processor");
	if (!read_interpreter(fd, elf, linker))
		return refuse(options, path, "has unreadable headers");
	if (!*linker)
		return refuse(options, path,
			      "is statically linked (it has no PT_INTERP): no "
			      "library can be loaded into it; link it "
			      "dynamically");
	if (strstr(linker, "ld-musl"))
		return refuse(options, path,
			      "uses musl; the library is for glibc");
	return check_privileges(options, path);
}

/* -------------------------------------------------------------- scripts */

/*
 * The program that env(1) will start: its first argument that is neither an
 * option nor a variable. NULL if there is none on the line.
 */
static const char *env_program(char *arguments)
{
	char *word, *rest;

	for (word = strtok_r(arguments, " \t", &rest); word;
	     word = strtok_r(NULL, " \t", &rest))
		if (*word != '-' && !strchr(word, '='))
			return word;
	return NULL;
}

static int check_program(const struct run_options *options, const char *path,
			 unsigned depth);

/* line: what follows "#!". */
static int check_script(const struct run_options *options, char *line,
			unsigned depth)
{
	char path[PATH_MAX], *interpreter, *arguments;
	const char *name;
	int status;

	line[strcspn(line, "\n")] = '\0';
	interpreter = strtok_r(line, " \t", &arguments);
	if (!interpreter)
		return 0;
	status = program_find(options, interpreter, path);
	if (!status)
		status = check_program(options, path, depth + 1);
	name = strrchr(interpreter, '/');
	if (status || strcmp(name ? name + 1 : interpreter, "env") != 0)
		return status;
	name = env_program(arguments);
	if (!name)
		return 0;
	status = program_find(options, name, path);
	return status ? status : check_program(options, path, depth + 1);
}

static int check_program(const struct run_options *options, const char *path,
			 unsigned depth)
{
	union {
		Elf64_Ehdr elf;
		char text[LINE];
	} head;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status = 0;
	ssize_t n;

	/* Executable and not readable: nothing can be said. */
	if (fd < 0)
		return check_privileges(options, path);
	memset(&head, 0, sizeof(head));
	n = read(fd, head.text, sizeof(head.text) - 1);
	if (n >= (ssize_t)sizeof(Elf32_Ehdr) &&
	    !memcmp(head.text, ELFMAG, SELFMAG))
		status = check_elf(options, path, fd, &head.elf);
	else if (n > 2 && !memcmp(head.text, "#!", 2) && depth < SCRIPTS_MAX)
		status = check_script(options, head.text + 2, depth);
	close(fd);
	return status;
}

int program_check(const struct run_options *options, const char *path)
{
	return check_program(options, path, 0);
}
