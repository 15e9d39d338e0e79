/* SPDX-License-Identifier: MIT */
/*
 * What `belfry run` asked for, and the one place that prints.
 *
 * Thread: any.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "emu/uverbs/real.h"
#include "emu/uverbs/uverbs.h"

/* A word of an environment variable, and its value. */
struct word {
	const char *word;
	int value;
};

static const struct word personas[] = {
	{"cx7", NIC_CONNECTX_7},
	{"cx5", NIC_CONNECTX_5},
	{"cx6", NIC_CONNECTX_6},
	{"cx8", NIC_CONNECTX_8},
	{NULL, 0},
};
static const struct word links[] = {
	{"ib", NIC_LINK_IB},
	{"roce", NIC_LINK_ROCE},
	{NULL, 0},
};
static const struct word detects[] = {
	{"auto", UV_DETECT_AUTO},
	{"trap", UV_DETECT_TRAP},
	{"poll", UV_DETECT_POLL},
	{NULL, 0},
};
static const struct word levels[] = {
	{"warn", NIC_LOG_WARN},
	{"error", NIC_LOG_ERROR},
	{"info", NIC_LOG_INFO},
	{"quiet", -1},
	{NULL, 0},
};
static const struct word dc_modes[] = {
	{"none", false},
	{"idle", true},
	{NULL, 0},
};

/* Until the configuration is read, its own complaints are told. */
static struct uv_config config = {.nics = 1, .log = NIC_LOG_WARN};
static char fabric[PATH_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void say(const char *fmt, va_list args)
{
	char text[1024];
	int len, room = (int)sizeof(text) - 1;

	len = snprintf(text, sizeof(text), "belfry: ");
	len += vsnprintf(text + len, sizeof(text) - (size_t)len, fmt, args);
	if (len > room)
		len = room;
	text[len++] = '\n';
	/* One write, so that lines of several processes do not mix. */
	while (uv_real()->write(STDERR_FILENO, text, (size_t)len) < 0 &&
	       errno == EINTR)
		;
}

/*
 * A program's pre-initialisation functions run before the C library has its
 * environment; the kernel has it.
 */
static const char *early_variable(const char *name)
{
	static char text[65536];
	static ssize_t size;
	size_t len = strlen(name);
	int fd;

	if (!size) {
		fd = uv_real()->open("/proc/self/environ",
				     O_RDONLY | O_CLOEXEC);
		size = fd < 0 ? -1
			      : uv_real()->read(fd, text, sizeof(text) - 1);
		if (fd >= 0)
			uv_real()->close(fd);
	}
	for (const char *at = text; at < text + size; at += strlen(at) + 1)
		if (!strncmp(at, name, len) && at[len] == '=')
			return at + len + 1;
	return NULL;
}

static const char *variable(const char *name)
{
	return environ ? getenv(name) : early_variable(name);
}

/* The first word is the default. */
static int choose(const char *name, const struct word *words)
{
	const char *text = variable(name);
	const struct word *word;

	if (!text || !*text)
		return words->value;
	for (word = words; word->word; word++)
		if (!strcmp(text, word->word))
			return word->value;
	uv_say(NIC_LOG_ERROR, "%s=%s: not a word that I know; it is %s", name,
	       text, words->word);
	return words->value;
}

static unsigned choose_nics(void)
{
	const char *text = variable("BELFRY_NICS");
	unsigned long value;
	char *end;

	if (!text || !*text)
		return 1;
	value = strtoul(text, &end, 10);
	if (!*end && value >= 1 && value <= UV_NICS_MAX)
		return (unsigned)value;
	uv_say(NIC_LOG_ERROR, "BELFRY_NICS=%s: not a number from 1 to %d", text,
	       UV_NICS_MAX);
	return 1;
}

/* As it is now: the program may go to another directory. */
static const char *choose_fabric(void)
{
	const char *text = variable("BELFRY_FABRIC");
	char here[PATH_MAX];

	if (!text || !*text)
		return NULL;
	if (*text == '/' || !getcwd(here, sizeof(here)))
		return text;
	if (snprintf(fabric, sizeof(fabric), "%s/%s", here, text) >=
	    (int)sizeof(fabric))
		return text;
	return fabric;
}

static const char *choose_trace(void)
{
	const char *text = variable("BELFRY_TRACE");

	return text && *text ? text : NULL;
}

static void read_environment(void)
{
	int level = choose("BELFRY_LOG", levels);

	config.quiet = level < 0;
	config.nics = choose_nics();
	config.persona = (enum nic_persona)choose("BELFRY_PERSONA", personas);
	config.link = (enum nic_link)choose("BELFRY_LINK", links);
	config.detect = (enum uv_detect)choose("BELFRY_DETECT", detects);
	config.idle_dc = choose("BELFRY_DC", dc_modes);
	config.fabric = choose_fabric();
	config.trace = choose_trace();
	if (level >= 0)
		config.log = (enum nic_log_level)level;
}

const struct uv_config *uv_config(void)
{
	int saved = errno;

	pthread_once(&once, read_environment);
	errno = saved;
	return &config;
}

void uv_say(enum nic_log_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (config.quiet || level > config.log)
		return;
	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	errno = saved;
}
