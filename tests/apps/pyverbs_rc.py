#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Data through pyverbs: send, write, read, atomics, over RC and UC."""

import unittest

from pyverbs_pair import BYTES, Pair, PairTest, e


class DataTest(PairTest):

    def test_a_send_fills_the_receive_buffer(self):
        self.pair.mrs[0].write("hello from a WQE", 16)
        self.pair.receive(1, offset=100, number=77)
        self.pair.post(0, e.IBV_WR_SEND, 16, number=5)
        self.assertEqual(self.ok(self.pair.wait(0)).wr_id, 5)
        wc = self.ok(self.pair.wait(1))
        self.assertEqual((wc.wr_id, wc.byte_len), (77, 16))
        self.assertEqual(wc.qp_num, self.pair.qps[1].qp_num)
        self.assertEqual(self.pair.mrs[1].read(16, 100), b"hello from a WQE")

    def test_an_immediate_arrives_with_send_and_write(self):
        for opcode in (e.IBV_WR_SEND_WITH_IMM, e.IBV_WR_RDMA_WRITE_WITH_IMM):
            self.pair.receive(1)
            self.pair.post(0, opcode, 8, imm_data=0x11223344)
            self.ok(self.pair.wait(0))
            wc = self.ok(self.pair.wait(1))
            self.assertEqual(wc.imm_data, 0x11223344)
            self.assertTrue(wc.wc_flags & e.IBV_WC_WITH_IMM)

    def test_a_write_lands_where_it_was_aimed(self):
        self.pair.mrs[0].write("0123456789", 10)
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 10, remote=200)
        self.ok(self.pair.wait(0))
        self.assertEqual(self.pair.mrs[1].read(12, 199), b"\x000123456789\x00")

    def test_a_write_of_nothing_completes(self):
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 0)
        self.ok(self.pair.wait(0))

    def test_a_read_fetches_what_the_peer_has(self):
        self.pair.mrs[1].write("x" * BYTES, BYTES)
        self.pair.post(0, e.IBV_WR_RDMA_READ, BYTES)
        self.ok(self.pair.wait(0))
        self.assertEqual(self.pair.mrs[0].read(BYTES, 0), b"x" * BYTES)

    def test_atomics_return_the_old_value(self):
        self.pair.mrs[1].write((40).to_bytes(8, "little"), 8)
        self.pair.post_atomic(0, e.IBV_WR_ATOMIC_FETCH_AND_ADD, 2)
        self.ok(self.pair.wait(0))
        self.assertEqual(self.word(0), 40)
        self.assertEqual(self.word(1), 42)
        self.pair.post_atomic(0, e.IBV_WR_ATOMIC_CMP_AND_SWP, 42, 7)
        self.ok(self.pair.wait(0))
        self.assertEqual((self.word(0), self.word(1)), (42, 7))

    def word(self, side):
        return int.from_bytes(self.pair.mrs[side].read(8, 0), "little")

    def test_requests_complete_in_the_order_of_posting(self):
        for number in range(16):
            self.pair.post(0, e.IBV_WR_RDMA_WRITE, 64, number=number)
        found = self.ok(self.pair.wait(0, 16))
        self.assertEqual([wc.wr_id for wc in found], list(range(16)))

    def test_many_laps_around_the_queues(self):
        for number in range(300):
            self.pair.receive(1, number=number)
            self.pair.post(0, e.IBV_WR_SEND, 32, number=number)
            self.assertEqual(self.ok(self.pair.wait(0)).wr_id, number)
            self.assertEqual(self.ok(self.pair.wait(1)).wr_id, number)

    def test_an_unreliable_connection_carries_writes(self):
        pair = Pair(self.context, kind=e.IBV_QPT_UC)
        pair.mrs[0].write("unreliable", 10)
        pair.receive(1)
        pair.post(0, e.IBV_WR_RDMA_WRITE_WITH_IMM, 10, imm_data=1)
        self.ok(pair.wait(0))
        self.ok(pair.wait(1))
        self.assertEqual(pair.mrs[1].read(10, 0), b"unreliable")

    def test_the_port_is_what_its_link_layer_says(self):
        port = self.context.query_port(1)
        self.assertEqual(port.state, e.IBV_PORT_ACTIVE)
        if port.link_layer == e.IBV_LINK_LAYER_INFINIBAND:
            self.assertNotEqual(port.lid, 0)
        self.assertNotEqual(str(self.context.query_gid(1, 0)).strip(":0"), "")


if __name__ == "__main__":
    unittest.main()
