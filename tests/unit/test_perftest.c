/* SPDX-License-Identifier: MIT */
/*
 * What perftest prints, and what becomes of a pair of programs that work,
 * fail, hang or are not there. The programs are functions of this file.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/options.h"
#include "tools/perftest.h"

#define RULE "--------------------------------------------------------------\n"

/* Of ib_write_lat -F -s 8 -n 200, perftest 4.5, as it was printed. */
static const char latency[] = RULE
	"                    RDMA_Write Latency Test\n"
	" Dual-port       : OFF\t\tDevice         : mlx5_0\n"
	" Number of qps   : 1\t\tTransport type : IB\n"
	" Mtu             : 4096[B]\n"
	" Max inline data : 220[B]\n" RULE
	" local address: LID 0x02 QPN 0x0050 PSN 0xcaa24b RKey 0x001800 VAddr "
	"0x00563e30672000\n"
	" remote address: LID 0x01 QPN 0x0050 PSN 0x6815e5 RKey 0x001800 VAddr "
	"0x0055e365e65000\n" RULE
	" #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    "
	"t_avg[usec]    t_stdev[usec]   99% percentile[usec]   99.9% "
	"percentile[usec] \n"
	" 8       200          218.36         111804.47      1678.34  \t       "
	"8763.28     \t-nan   \t\t101013.57 \t\t111804.47\n" RULE;

/* Of ib_write_bw -a -n 10; the first lines are what it may say before. */
#define BANDWIDTH_HEAD                                                         \
	"Conflicting CPU frequency values detected: 2000.000000 != "           \
	"1500.000000. CPU Frequency is not max.\n"                             \
	" WARNING: BW peak won't be measured in this run.\n" RULE              \
	"                    RDMA_Write BW Test\n"                             \
	" Number of qps   : 1\t\tTransport type : IB\n" RULE                   \
	" #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   "  \
	"MsgRate[Mpps]\n"

static const char bandwidth[] = BANDWIDTH_HEAD
	" 2          10               0.00               0.00   \t\t   "
	"0.000296\n"
	" 512        10               0.12               0.11   \t\t   "
	"0.000241\n"
	" 2048       10               1.08               1.07   \t\t   "
	"0.000551\n" RULE;

/* ----------------------------------------------------------------- read */

static void test_latency_is_t_typical_and_t_avg(void **state)
{
	struct perftest_figures figures;

	(void)state;
	assert_true(perftest_read(latency, "ib_write_lat", 8, &figures));
	assert_float_equal(figures.value, 1678.34, 1e-6);
	assert_float_equal(figures.other, 8763.28, 1e-6);
}

static void test_bandwidth_is_average_and_rate(void **state)
{
	struct perftest_figures figures;

	(void)state;
	assert_true(perftest_read(bandwidth, "ib_write_bw", 512, &figures));
	assert_float_equal(figures.value, 0.11, 1e-6);
	assert_float_equal(figures.other, 0.000241, 1e-9);
	assert_true(perftest_read(bandwidth, "ib_write_bw", 2048, &figures));
	assert_float_equal(figures.value, 1.07, 1e-6);
}

static void test_what_is_not_measured_is_not_read(void **state)
{
	struct perftest_figures figures;
	char cut[sizeof(latency)];

	(void)state;
	/* Another size; a rate of nothing; a table of the other kind. */
	assert_false(perftest_read(latency, "ib_write_lat", 2, &figures));
	assert_false(perftest_read(bandwidth, "ib_write_bw", 2, &figures));
	assert_false(perftest_read(bandwidth, "ib_write_lat", 512, &figures));
	/* No table, no figures, nothing. */
	strcpy(cut, latency);
	*strstr(cut, " #bytes") = '\0';
	assert_false(perftest_read(cut, "ib_write_lat", 8, &figures));
	strcpy(cut, latency);
	*strstr(cut, "1678.34") = '\0';
	assert_false(perftest_read(cut, "ib_write_lat", 8, &figures));
	assert_false(perftest_read("", "ib_write_lat", 8, &figures));
	assert_false(
		perftest_read("8 200 1 2 3 4\n", "ib_write_lat", 8, &figures));
}

/* ------------------------------------------------------------------ run */

static struct sockaddr_in address_of(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* Until a client comes. */
static int serve(int port)
{
	struct sockaddr_in address = address_of(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, 1))
		return 1;
	return accept(fd, NULL, NULL) < 0;
}

static int connect_to(int port)
{
	struct sockaddr_in address = address_of(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0;
}

static int free_port(void)
{
	struct sockaddr_in address = address_of(0);
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static int works(const struct perftest *test, bool client, int argc,
		 char **argv)
{
	static const char *const words[] = {
		"run",	   "--detect", "trap",	       "--fabric",
		"/fabric", "--",       "ib_write_lat", "-F",
		"-p",	   NULL,       "-s",	       "8",
		"-n",	   "200",      "127.0.0.1",
	};

	if (argc != (client ? 15 : 14) || argv[argc])
		return 3;
	for (int i = 0; i < argc; i++)
		if (words[i] && strcmp(argv[i], words[i]) != 0)
			return 4;
	if (atoi(argv[9]) != test->port)
		return 5;
	if (!client)
		return serve(test->port);
	dprintf(2, "belfry: a word of warning\n");
	dprintf(1, "%s", latency);
	return connect_to(test->port);
}

static int client_fails(const struct perftest *test, bool client, int argc,
			char **argv)
{
	(void)argc, (void)argv;
	if (!client) {
		serve(test->port);
		pause(); /* for a client that is gone */
	}
	connect_to(test->port);
	/* As ib_write_bw -c XRC said it. */
	dprintf(2, "Failed to modify QP 80 to RTR\n"
		   " Unable to Connect the HCA's through the link\n");
	return 1;
}

static int server_fails(const struct perftest *test, bool client, int argc,
			char **argv)
{
	(void)test, (void)argc, (void)argv;
	assert_false(client); /* never started */
	dprintf(2, "IB device mlx5_9 not found\n");
	return 1;
}

static int hangs(const struct perftest *test, bool client, int argc,
		 char **argv)
{
	(void)argc, (void)argv;
	if (!client)
		serve(test->port);
	return pause();
}

static int is_killed(const struct perftest *test, bool client, int argc,
		     char **argv)
{
	(void)argc, (void)argv;
	if (!client)
		return serve(test->port);
	raise(SIGKILL);
	return 0;
}

static int is_absent(const struct perftest *test, bool client, int argc,
		     char **argv)
{
	(void)test, (void)client, (void)argc, (void)argv;
	dprintf(2, "belfry run: 'ib_write_lat': there is no such program\n");
	return EXIT_NOT_FOUND;
}

static int polls(const struct perftest *test, bool client, int argc,
		 char **argv)
{
	if (client)
		dprintf(2, "belfry: doorbells are polled: no Zydis\n");
	return works(test, client, argc, argv);
}

static enum perftest_end run(int (*start)(const struct perftest *test,
					  bool client, int argc, char **argv),
			     double limit_s, struct perftest_figures *figures,
			     char said[PERFTEST_SAID])
{
	const struct perftest test = {
		.tool = "ib_write_lat",
		.detect = "trap",
		.fabric = "/fabric",
		.port = free_port(),
		.bytes = 8,
		.count = 200,
		.limit_s = limit_s,
		.start = start,
	};
	enum perftest_end end = perftest_run(&test, figures, said);

	/* No child is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return end;
}

static void test_a_pair_that_works_is_measured(void **state)
{
	struct perftest_figures figures;
	char said[PERFTEST_SAID];

	(void)state;
	if (run(works, 60, &figures, said) != PERFTEST_MEASURED)
		fail_msg("%s", said);
	assert_float_equal(figures.value, 1678.34, 1e-6);
}

static void test_a_failure_says_what_perftest_said(void **state)
{
	struct perftest_figures figures;
	char said[PERFTEST_SAID];

	(void)state;
	assert_int_equal(run(client_fails, 60, &figures, said),
			 PERFTEST_FAILED);
	assert_string_equal(said, "Failed to modify QP 80 to RTR; Unable to "
				  "Connect the HCA's through the link");
	assert_int_equal(run(server_fails, 60, &figures, said),
			 PERFTEST_FAILED);
	assert_string_equal(said, "IB device mlx5_9 not found");
	assert_int_equal(run(is_killed, 60, &figures, said), PERFTEST_FAILED);
	assert_string_equal(said, "signal 9, and no figures");
}

static void test_a_pair_that_hangs_is_ended(void **state)
{
	struct perftest_figures figures;
	char said[PERFTEST_SAID];

	(void)state;
	assert_int_equal(run(hangs, 0.5, &figures, said), PERFTEST_FAILED);
	assert_string_equal(said, "not done in 0.5 s");
}

static void test_what_this_machine_lacks_is_named(void **state)
{
	struct perftest_figures figures;
	char said[PERFTEST_SAID];

	(void)state;
	assert_int_equal(run(is_absent, 60, &figures, said), PERFTEST_NOT_HERE);
	assert_string_equal(said,
			    "ib_write_lat is not installed (package perftest)");
	assert_int_equal(run(polls, 60, &figures, said), PERFTEST_NOT_HERE);
	assert_string_equal(said, "belfry: doorbells are polled: no Zydis; "
				  "belfry: a word of warning");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latency_is_t_typical_and_t_avg),
		cmocka_unit_test(test_bandwidth_is_average_and_rate),
		cmocka_unit_test(test_what_is_not_measured_is_not_read),
		cmocka_unit_test(test_a_pair_that_works_is_measured),
		cmocka_unit_test(test_a_failure_says_what_perftest_said),
		cmocka_unit_test(test_a_pair_that_hangs_is_ended),
		cmocka_unit_test(test_what_this_machine_lacks_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
