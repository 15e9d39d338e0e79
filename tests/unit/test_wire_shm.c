/* SPDX-License-Identifier: MIT */
/*
 * Packets over the shared-memory wire: addresses, order, room, memory that is
 * not there, and NICs that write nonsense.
 */
#include "support/t_shm_nic.h"
#include "emu/dma.h"

/* ------------------------------------------------------------- packets */

static void test_a_packet_arrives_with_header_payload_and_sender(void **state)
{
	struct fixture *f = *state;
	uint32_t peer = resolved(&f->a, 2);

	assert_int_equal(send_bytes(&f->a, peer, 77, 100), 0);
	assert_int_equal(poll_nic(&f->b, 64), 1);
	assert_int_equal(f->b.count, 1);
	assert_int_equal(f->b.last.src_qpn, 77);
	assert_int_equal(f->b.last.header_len, 12);
	assert_int_equal(f->b.last.header[11], 77);
	assert_int_equal(f->b.last.payload_len, 100);
	assert_int_equal(f->b.pull_status, 0);
	assert_int_equal(f->b.payload[0], 78);
	assert_int_equal(f->b.payload[99], 78);
	assert_int_equal(f->b.last.peer, resolved(&f->b, 1));
	assert_int_equal(poll_nic(&f->b, 64), 0);
}

static void test_a_datagrams_route_and_sender_are_told(void **state)
{
	const struct wire_route route = {
		.tclass_flow = 0x1234567, .hop_limit = 9, .sl = 3, .global = 1};
	struct fixture *f = *state;
	uint32_t peer = resolved(&f->a, 2);
	struct wire_address address = {0};
	struct nic_packet *packet;

	assert_int_equal(reserve(&f->a, peer, &packet), 0);
	packet->header_len = 12;
	packet->payload_len = packet->iov_count = 0;
	packet->route = route;
	f->a.wire->ops->commit(f->a.wire, peer, packet);
	assert_int_equal(poll_nic(&f->b, 64), 1);
	assert_memory_equal(&f->b.last.route, &route, sizeof(route));
	f->b.wire->ops->address(f->b.wire, f->b.last.peer, &address);
	assert_memory_equal(&address, &f->a.wire->address, sizeof(address));
}

static void test_a_nic_reaches_itself(void **state)
{
	struct fixture *f = *state;
	uint32_t peer = resolved(&f->a, 1);

	assert_int_equal(send_bytes(&f->a, peer, 5, SHM_MTU), 0);
	assert_int_equal(poll_nic(&f->a, 64), 1);
	assert_int_equal(f->a.last.peer, peer);
	assert_int_equal(f->a.payload[SHM_MTU - 1], 6);
}

static void test_a_path_with_a_gid_goes_by_the_gid(void **state)
{
	struct fixture *f = *state;
	struct wire_path path = {.global = true, .lid = 1};
	uint32_t peer;

	memcpy(path.gid, f->b.wire->address.gid, sizeof(path.gid));
	assert_int_equal(f->a.wire->ops->resolve(f->a.wire, &path, &peer), 0);
	assert_int_equal(peer, resolved(&f->a, 2));
	path.gid[15] ^= 0xff;
	assert_int_equal(f->a.wire->ops->resolve(f->a.wire, &path, &peer),
			 -EHOSTUNREACH);
}

static void test_nobody_at_a_lid_is_unreachable(void **state)
{
	struct fixture *f = *state;
	uint32_t peer;

	assert_int_equal(resolve_lid(&f->a, 3, &peer), -EHOSTUNREACH);
	assert_int_equal(resolve_lid(&f->a, 0, &peer), -EHOSTUNREACH);
	attach(&f->c, f->dir);
	assert_int_equal(resolve_lid(&f->a, 3, &peer), 0);
}

static void test_addresses_of_the_nics_of_a_fabric_differ(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->a.wire->address.lid, 1);
	assert_int_equal(f->b.wire->address.lid, 2);
	assert_memory_not_equal(f->a.wire->address.gid, f->b.wire->address.gid,
				16);
	assert_memory_not_equal(f->a.wire->address.mac, f->b.wire->address.mac,
				6);
	assert_int_equal(f->a.wire->address.mac[0] & 3, 2);
}

static void test_a_full_ring_says_again_and_recovers(void **state)
{
	struct fixture *f = *state;
	uint32_t peer = resolved(&f->a, 2), count = 0;

	while (!send_bytes(&f->a, peer, count, SHM_MTU))
		count++;
	assert_int_equal(send_bytes(&f->a, peer, count, 0), -EAGAIN);
	assert_int_equal(poll_nic(&f->b, 2), 2);
	assert_int_equal(send_bytes(&f->a, peer, count, 0), 0);
	assert_int_equal(poll_nic(&f->b, 1000), count - 1);
	for (uint32_t i = 0; i <= count; i++)
		assert_int_equal(f->b.src_qpn[i], i);
}

static void test_a_reservation_can_be_taken_back(void **state)
{
	struct fixture *f = *state;
	uint32_t peer = resolved(&f->a, 2);
	struct nic_packet *packet;

	assert_int_equal(reserve(&f->a, peer, &packet), 0);
	packet->header_len = 0;
	f->a.wire->ops->commit(f->a.wire, peer, packet);
	assert_int_equal(poll_nic(&f->b, 64), 0);
	assert_int_equal(send_bytes(&f->a, peer, 9, 1), 0);
	assert_int_equal(poll_nic(&f->b, 64), 1);
	assert_int_equal(f->b.src_qpn[0], 9);
}

static void test_poll_keeps_to_its_budget_and_serves_all_in_turn(void **state)
{
	struct fixture *f = *state;
	unsigned from_a = 0;

	attach(&f->c, f->dir);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(send_bytes(&f->a, resolved(&f->a, 3), 1, 8),
				 0);
		assert_int_equal(send_bytes(&f->b, resolved(&f->b, 3), 2, 8),
				 0);
	}
	assert_int_equal(poll_nic(&f->c, 10), 10);
	assert_int_equal(poll_nic(&f->c, 10), 10);
	for (unsigned i = 0; i < 20; i++)
		from_a += f->c.src_qpn[i] == 1;
	assert_int_equal(from_a, 10);
	assert_int_equal(poll_nic(&f->c, 1000), 180);
}

/* -------------------------------------------------------------- memory */

static void test_a_list_of_pieces_arrives_as_its_bytes(void **state)
{
	struct fixture *f = *state;
	struct nic_iov pieces[WIRE_IOV_MAX];
	uint8_t bytes[SHM_MTU];
	uint32_t each = SHM_MTU / WIRE_IOV_MAX;

	for (unsigned i = 0; i < SHM_MTU; i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	for (unsigned i = 0; i < WIRE_IOV_MAX; i++)
		pieces[i] = (struct nic_iov){
			.addr = (uintptr_t)&bytes[i * each], .len = each};
	send_pieces(&f->a, resolved(&f->a, 2), pieces, WIRE_IOV_MAX);
	assert_int_equal(poll_nic(&f->b, 64), 1);
	assert_int_equal(f->b.last.payload_len, SHM_MTU);
	assert_memory_equal(f->b.payload, bytes, SHM_MTU);
}

/*
 * cmocka takes the fault signals for itself before each test; the copies of
 * emu/dma.c need theirs.
 */
static struct sigaction dma_segv, dma_bus;

static void save_fault_handlers(void)
{
	assert_int_equal(dma_init(), 0);
	sigaction(SIGSEGV, NULL, &dma_segv);
	sigaction(SIGBUS, NULL, &dma_bus);
}

static void *unmapped(size_t len)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	munmap(memory, len);
	sigaction(SIGSEGV, &dma_segv, NULL);
	sigaction(SIGBUS, &dma_bus, NULL);
	return memory;
}

static void test_a_source_that_is_not_mapped_is_an_io_error(void **state)
{
	struct fixture *f = *state;
	uint8_t good[16] = {1};
	struct nic_iov pieces[2] = {
		{.addr = (uintptr_t)good, .len = sizeof(good)},
		{.addr = (uintptr_t)unmapped(8192), .len = 8192},
	};

	send_pieces(&f->a, resolved(&f->a, 2), pieces, 2);
	send_pieces(&f->a, resolved(&f->a, 2), pieces, 1);
	assert_int_equal(poll_nic(&f->b, 1), 1);
	assert_int_equal(f->b.last.payload_len, 8192 + 16);
	assert_int_equal(f->b.pull_status, -EIO);
	assert_int_equal(poll_nic(&f->b, 1), 1);
	assert_int_equal(f->b.pull_status, 0);
}

static void test_a_destination_that_is_not_mapped_is_a_fault(void **state)
{
	struct fixture *f = *state;
	uint32_t peer = resolved(&f->a, 2);

	f->b.dst = unmapped(8192);
	send_bytes(&f->a, peer, 1, 8192);
	poll_nic(&f->b, 64);
	assert_int_equal(f->b.pull_status, -EFAULT);
	f->b.dst = NULL;
	send_bytes(&f->a, peer, 2, 8192);
	poll_nic(&f->b, 64);
	assert_int_equal(f->b.pull_status, 0);
}

static void test_a_part_of_the_payload_can_be_pulled(void **state)
{
	struct fixture *f = *state;
	struct nic_packet packet = {.payload_len = 10, .body = "0123456789"};
	char part[3];
	struct nic_mem dst = {.addr = part, .len = sizeof(part)};

	assert_int_equal(f->a.wire->ops->pull(f->a.wire, &packet, 7, &dst), 0);
	assert_memory_equal(part, "789", 3);
}

/* ------------------------------------------------------------- nonsense */

static void test_a_broken_sender_is_cut_off_and_others_go_on(void **state)
{
	struct fixture *f = *state;
	uint32_t to_b;
	struct shm_ring *ring;

	attach(&f->c, f->dir);
	to_b = resolved(&f->a, 2);
	ring = &shm_of(&f->a)->peers[to_b]->out;
	send_bytes(&f->a, to_b, 1, 8);
	ring->position += 5u << 20;
	shm_ring_publish(ring, 0);
	send_bytes(&f->c, resolved(&f->c, 2), 2, 8);
	settle(&f->b);
	assert_non_null(strstr(f->b.log, "NIC 1"));
	assert_int_equal(f->b.downs, 1);
	send_bytes(&f->c, resolved(&f->c, 2), 3, 8);
	settle(&f->b);
	assert_int_equal(f->b.src_qpn[f->b.count - 1], 3);
}

static void test_a_broken_receiver_is_cut_off(void **state)
{
	struct fixture *f = *state;
	uint32_t to_b = resolved(&f->a, 2);
	struct shm_ring *ring;
	int status = 0;

	send_bytes(&f->a, to_b, 1, 8);
	poll_nic(&f->b, 64);
	ring = &shm_of(&f->b)->peers[f->b.last.peer]->in;
	ring->next -= 0x1000;
	shm_ring_release(ring);
	for (unsigned i = 0; i < 100 && !status; i++)
		status = send_bytes(&f->a, to_b, 2, SHM_MTU);
	assert_int_equal(status, -EHOSTUNREACH);
	assert_non_null(strstr(f->a.log, "NIC 2"));
	settle(&f->a);
	assert_int_equal(f->a.downs, 1);
	assert_int_equal(f->a.down_peer, to_b);
}

static void test_attention_for_rings_that_do_not_exist_is_ignored(void **state)
{
	struct fixture *f = *state;

	memset(shm_of(&f->a)->self->attention, 0xff,
	       sizeof(shm_of(&f->a)->self->attention));
	settle(&f->a);
	assert_int_equal(f->a.downs, 0);
	send_bytes(&f->b, resolved(&f->b, 1), 1, 8);
	assert_int_equal(poll_nic(&f->a, 64), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_packet_arrives_with_header_payload_and_sender),
		TEST(test_a_datagrams_route_and_sender_are_told),
		TEST(test_a_nic_reaches_itself),
		TEST(test_a_path_with_a_gid_goes_by_the_gid),
		TEST(test_nobody_at_a_lid_is_unreachable),
		TEST(test_addresses_of_the_nics_of_a_fabric_differ),
		TEST(test_a_full_ring_says_again_and_recovers),
		TEST(test_a_reservation_can_be_taken_back),
		TEST(test_poll_keeps_to_its_budget_and_serves_all_in_turn),
		TEST(test_a_list_of_pieces_arrives_as_its_bytes),
		TEST(test_a_source_that_is_not_mapped_is_an_io_error),
		TEST(test_a_destination_that_is_not_mapped_is_a_fault),
		TEST(test_a_part_of_the_payload_can_be_pulled),
		TEST(test_a_broken_sender_is_cut_off_and_others_go_on),
		TEST(test_a_broken_receiver_is_cut_off),
		TEST(test_attention_for_rings_that_do_not_exist_is_ignored),
	};

	save_fault_handlers();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
