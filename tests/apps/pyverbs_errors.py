#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a program's mistakes come back as, through pyverbs."""

import unittest

from pyverbs.mr import MR
from pyverbs.pyverbs_error import PyverbsRDMAError
from pyverbs.qp import QPAttr
from pyverbs_pair import BYTES, Pair, PairTest, e


class ErrorTest(PairTest):

    def fails(self, side, status):
        wc = self.pair.wait(side)[0]
        self.assertEqual(wc.status, status)
        self.assertEqual(self.pair.state(side), e.IBV_QPS_ERR)

    def test_a_bad_rkey_is_a_remote_access_error(self):
        rkey = self.pair.mrs[1].rkey ^ 0xff
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, rkey=rkey)
        self.fails(0, e.IBV_WC_REM_ACCESS_ERR)
        self.assertEqual(self.pair.state(1), e.IBV_QPS_ERR)

    def test_a_range_beyond_the_region_is_a_remote_access_error(self):
        self.pair.post(0, e.IBV_WR_RDMA_READ, 16, remote=BYTES - 8)
        self.fails(0, e.IBV_WC_REM_ACCESS_ERR)

    def test_a_deregistered_region_is_a_remote_access_error(self):
        region = MR(self.pair.pd, BYTES, e.IBV_ACCESS_LOCAL_WRITE |
                    e.IBV_ACCESS_REMOTE_WRITE)
        rkey = region.rkey
        region.close()
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, rkey=rkey)
        self.fails(0, e.IBV_WC_REM_ACCESS_ERR)

    def test_a_region_for_reading_is_not_written(self):
        pair = self.pair = Pair(self.context, access=e.IBV_ACCESS_LOCAL_WRITE |
                                e.IBV_ACCESS_REMOTE_READ)
        pair.post(0, e.IBV_WR_RDMA_READ, 8)
        self.ok(pair.wait(0))
        pair.post(0, e.IBV_WR_RDMA_WRITE, 8)
        self.fails(0, e.IBV_WC_REM_ACCESS_ERR)

    def test_a_piece_behind_its_region_is_a_local_protection_error(self):
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, offset=BYTES)
        self.fails(0, e.IBV_WC_LOC_PROT_ERR)

    def test_a_message_longer_than_the_receive_buffer(self):
        self.pair.receive(1, length=8)
        self.pair.post(0, e.IBV_WR_SEND, 64)
        self.assertEqual(self.pair.wait(1)[0].status, e.IBV_WC_LOC_LEN_ERR)
        self.fails(0, e.IBV_WC_REM_INV_REQ_ERR)

    def test_requests_behind_an_error_are_flushed(self):
        rkey = self.pair.mrs[1].rkey ^ 0xff
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, rkey=rkey)
        self.fails(0, e.IBV_WC_REM_ACCESS_ERR)
        for number in range(3):
            self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, number=number)
        for number, wc in enumerate(self.pair.wait(0, 3)):
            self.assertEqual((wc.wr_id, wc.status),
                             (number, e.IBV_WC_WR_FLUSH_ERR))

    def test_receives_are_flushed_when_the_qp_goes_to_err(self):
        for number in range(4):
            self.pair.receive(1, number=number)
        self.pair.qps[1].modify(QPAttr(qp_state=e.IBV_QPS_ERR),
                                e.IBV_QP_STATE)
        for number, wc in enumerate(self.pair.wait(1, 4)):
            self.assertEqual((wc.wr_id, wc.status),
                             (number, e.IBV_WC_WR_FLUSH_ERR))

    def test_no_receive_and_no_retry_is_an_rnr_error(self):
        self.reconnect_without_retries()
        self.pair.post(0, e.IBV_WR_SEND, 8)
        self.fails(0, e.IBV_WC_RNR_RETRY_EXC_ERR)

    def reconnect_without_retries(self):
        for side in range(2):
            self.pair.qps[side].modify(QPAttr(qp_state=e.IBV_QPS_RESET),
                                       e.IBV_QP_STATE)
            self.pair.connect(side, rnr_retry=0)

    def test_a_qp_comes_back_from_err_by_reset(self):
        rkey = self.pair.mrs[1].rkey ^ 0xff
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, rkey=rkey)
        self.fails(0, e.IBV_WC_REM_ACCESS_ERR)
        self.reconnect_without_retries()
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8)
        self.ok(self.pair.wait(0))

    def test_a_forbidden_transition_is_refused(self):
        attributes = QPAttr(qp_state=e.IBV_QPS_INIT)
        with self.assertRaises(PyverbsRDMAError) as caught:
            self.pair.qps[0].modify(attributes, e.IBV_QP_STATE)
        self.assertEqual(caught.exception.error_code, 22)
        self.assertEqual(self.pair.state(0), e.IBV_QPS_RTS)


if __name__ == "__main__":
    unittest.main()
