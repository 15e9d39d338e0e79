/* SPDX-License-Identifier: MIT */
/*
 * A program with an allocator of its own, which opens and maps files: while
 * libraries are loaded, and while they look for symbols.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ARENA = 64 << 20, ALIGN = 64 };

static char *arena;
static size_t used;
static unsigned calls;

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
void free(void *memory);

/* Each chunk has its size in front. */
void *malloc(size_t size)
{
	size_t at;
	int fd;

	if (__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) % 16 == 0) {
		fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
	}
	if (!arena) {
		void *memory = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return NULL;
		arena = memory;
	}
	size = (size + 2 * ALIGN - 1) & ~(size_t)(ALIGN - 1);
	at = __atomic_fetch_add(&used, size, __ATOMIC_RELAXED);
	if (at + size > ARENA) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(arena + at, &size, sizeof(size));
	return arena + at + ALIGN;
}

void *calloc(size_t count, size_t size)
{
	return malloc(count * size);
}

void *realloc(void *memory, size_t size)
{
	void *more = malloc(size);
	size_t old;

	if (!more || !memory)
		return more;
	memcpy(&old, (char *)memory - ALIGN, sizeof(old));
	old -= ALIGN;
	return memcpy(more, memory, old < size ? old : size);
}

void free(void *memory)
{
	(void)memory;
}

int main(void)
{
	char text[64] = "";
	FILE *file = fopen("/sys/class/infiniband/mlx5_0/node_guid", "r");

	if (!file || !fgets(text, sizeof(text), file))
		return 1;
	fputs(text, stdout);
	return strlen(text) != 20;
}
