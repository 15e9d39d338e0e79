#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Memory windows, re-registration and local invalidation through pyverbs."""

import unittest

from pyverbs.mr import MW, MWBind, MWBindInfo
from pyverbs.wr import SendWR
from pyverbs_pair import ACCESS, Pair, PairTest, e


class KeyTest(PairTest):

    def setUp(self):
        super().setUp()
        self.pair = Pair(self.context, access=ACCESS | e.IBV_ACCESS_MW_BIND)

    def window(self, kind, offset=0, length=64,
               access=e.IBV_ACCESS_REMOTE_WRITE):
        """A window of side 1, bound to a part of its region, and its key."""
        window = MW(self.pair.pd, kind)
        region = self.pair.mrs[1]
        info = MWBindInfo(region, region.buf + offset, length, access)
        if kind == e.IBV_MW_TYPE_1:
            self.pair.qps[1].bind_mw(window,
                                     MWBind(info, e.IBV_SEND_SIGNALED))
            rkey = window.rkey
        else:
            wr = SendWR(opcode=e.IBV_WR_BIND_MW,
                        send_flags=e.IBV_SEND_SIGNALED)
            wr.set_bind_wr(window, info)
            self.pair.qps[1].post_send(wr)
            rkey = wr.rkey  # of the program's choice, unlike the other type
        wc = self.ok(self.pair.wait(1))
        self.assertEqual(wc.opcode, e.IBV_WC_BIND_MW)
        return window, rkey

    def test_a_bound_window_is_written_through(self):
        for kind in (e.IBV_MW_TYPE_1, e.IBV_MW_TYPE_2):
            _, rkey = self.window(kind, offset=128)
            self.pair.mrs[0].write("window", 6)
            self.pair.post(0, e.IBV_WR_RDMA_WRITE, 6, remote=130, rkey=rkey)
            self.ok(self.pair.wait(0))
            self.assertEqual(self.pair.mrs[1].read(6, 130), b"window")
            self.pair.mrs[1].write("\0" * 6, 6, 130)

    def test_a_window_ends_where_it_was_bound(self):
        _, rkey = self.window(e.IBV_MW_TYPE_2, offset=128, length=64)
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 16, remote=184, rkey=rkey)
        self.assertEqual(self.pair.wait(0)[0].status, e.IBV_WC_REM_ACCESS_ERR)

    def test_a_window_for_writing_is_not_read(self):
        _, rkey = self.window(e.IBV_MW_TYPE_1)
        self.pair.post(0, e.IBV_WR_RDMA_READ, 8, rkey=rkey)
        self.assertEqual(self.pair.wait(0)[0].status, e.IBV_WC_REM_ACCESS_ERR)

    def test_a_window_that_was_freed_is_not_written(self):
        window, rkey = self.window(e.IBV_MW_TYPE_1)
        window.close()
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, rkey=rkey)
        self.assertEqual(self.pair.wait(0)[0].status, e.IBV_WC_REM_ACCESS_ERR)

    def test_an_invalidated_window_is_not_written(self):
        _, rkey = self.window(e.IBV_MW_TYPE_2)
        wr = SendWR(opcode=e.IBV_WR_LOCAL_INV, imm_data=rkey,
                    send_flags=e.IBV_SEND_SIGNALED)
        self.pair.qps[1].post_send(wr)
        self.assertEqual(self.ok(self.pair.wait(1)).opcode,
                         e.IBV_WC_LOCAL_INV)
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, rkey=rkey)
        self.assertEqual(self.pair.wait(0)[0].status, e.IBV_WC_REM_ACCESS_ERR)

    def test_a_reregistered_region_has_its_new_access(self):
        self.pair.mrs[1].rereg(e.IBV_REREG_MR_CHANGE_ACCESS, self.pair.pd,
                               access=e.IBV_ACCESS_LOCAL_WRITE |
                               e.IBV_ACCESS_REMOTE_READ)
        self.pair.post(0, e.IBV_WR_RDMA_READ, 8)
        self.ok(self.pair.wait(0))
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8)
        self.assertEqual(self.pair.wait(0)[0].status, e.IBV_WC_REM_ACCESS_ERR)


if __name__ == "__main__":
    unittest.main()
