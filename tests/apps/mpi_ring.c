/* SPDX-License-Identifier: MIT */
/*
 * An MPI program of any number of ranks: a ring of small and large messages,
 * an allreduce, one-sided put and fetch-and-add. Every result is checked.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank, ranks;

static void check(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "rank %d: %s\n", rank, what);
	MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Every rank sends len bytes to the next one, a pattern of its own. */
static void ring(size_t len)
{
	int next = (rank + 1) % ranks, previous = (rank + ranks - 1) % ranks;
	unsigned char *out = malloc(len), *in = malloc(len);
	int good = 1;
	size_t i;

	check(out && in, "no memory");
	for (i = 0; i < len; i++)
		out[i] = (unsigned char)((size_t)rank * 31 + i);
	memset(in, 0xff, len);
	MPI_Sendrecv(out, (int)len, MPI_BYTE, next, 5, in, (int)len, MPI_BYTE,
		     previous, 5, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	for (i = 0; i < len; i++)
		good &= in[i] == (unsigned char)((size_t)previous * 31 + i);
	check(good, "the ring brought other bytes");
	free(out);
	free(in);
}

static void allreduce(int count)
{
	int64_t *in = malloc((size_t)count * sizeof(*in));
	int64_t *out = malloc((size_t)count * sizeof(*out));
	int64_t ranks_sum = (int64_t)ranks * (ranks + 1) / 2;
	int i;

	check(in && out, "no memory");
	for (i = 0; i < count; i++)
		in[i] = (int64_t)(rank + 1) * (i + 1);
	MPI_Allreduce(in, out, count, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
	for (i = 0; i < count; i++)
		check(out[i] == ranks_sum * (i + 1), "a sum is wrong");
	free(in);
	free(out);
}

/* A window: each rank puts its number at rank 0, and all count there. */
static void one_sided(void)
{
	int64_t *window, one = 1, before = -1, mine = rank + 100;
	MPI_Win win;
	int i;

	MPI_Win_allocate((MPI_Aint)((size_t)(ranks + 1) * sizeof(*window)),
			 sizeof(*window), MPI_INFO_NULL, MPI_COMM_WORLD,
			 &window, &win);
	memset(window, 0, (size_t)(ranks + 1) * sizeof(*window));
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_lock_all(0, win);
	MPI_Put(&mine, 1, MPI_INT64_T, 0, rank + 1, 1, MPI_INT64_T, win);
	MPI_Fetch_and_op(&one, &before, MPI_INT64_T, 0, 0, MPI_SUM, win);
	MPI_Win_flush_all(win);
	MPI_Win_unlock_all(win);
	check(before >= 0 && before < ranks, "a fetched count is out of range");
	MPI_Barrier(MPI_COMM_WORLD);
	if (rank == 0) {
		check(window[0] == ranks, "the ranks were not all counted");
		for (i = 0; i < ranks; i++)
			check(window[i + 1] == i + 100, "a put is missing");
	}
	MPI_Win_free(&win);
}

int main(int argc, char **argv)
{
	size_t len;
	int round;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	for (len = 1; len <= (size_t)4 << 20; len *= 8)
		ring(len);
	for (round = 0; round < 20; round++)
		allreduce(1 + round * 500);
	one_sided();
	MPI_Barrier(MPI_COMM_WORLD);
	if (rank == 0)
		printf("%d ranks, ring, allreduce, put and fetch agree\n",
		       ranks);
	MPI_Finalize();
	return 0;
}
