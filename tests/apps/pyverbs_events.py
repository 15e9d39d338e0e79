#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Completion channels and asynchronous events through pyverbs.

Closing a CQ or a QP waits until every event that was delivered has been
acknowledged, and a program that counts wrongly hangs there: a test that comes
to its end has counted as the kernel does.
"""

import unittest

from pyverbs.cq import CompChannel
from pyverbs.qp import QPAttr
from pyverbs_pair import Pair, PairTest, e, event_is_there, open_with_events


class ChannelTest(PairTest):

    def setUp(self):
        self.context, self.events = open_with_events()
        self.channels = [CompChannel(self.context) for side in range(2)]
        self.pair = Pair(self.context, channels=self.channels)

    def write(self, flags=0):
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, flags=flags)
        return self.ok(self.pair.wait(0))

    def test_an_armed_queue_tells_of_each_completion(self):
        for lap in range(100):
            self.pair.cqs[0].req_notify()
            self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8, number=lap)
            self.channels[0].get_cq_event(self.pair.cqs[0])
            self.assertEqual(self.ok(self.pair.wait(0)).wr_id, lap)
        self.pair.cqs[0].ack_events(100)

    def test_both_sides_of_a_send_are_told(self):
        for lap in range(20):
            for side in range(2):
                self.pair.cqs[side].req_notify()
            self.pair.receive(1, number=lap)
            self.pair.post(0, e.IBV_WR_SEND, 8, number=lap)
            for side in range(2):
                self.channels[side].get_cq_event(self.pair.cqs[side])
                self.pair.cqs[side].ack_events(1)
                self.assertEqual(self.ok(self.pair.wait(side)).wr_id, lap)

    def test_an_event_that_nobody_read_does_not_hold_the_queue(self):
        self.pair.cqs[0].req_notify()
        self.write()
        for qp in self.pair.qps:
            qp.close()
        self.pair.cqs[0].close()

    def test_arming_behind_a_completion_tells_of_it(self):
        self.write()
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8)
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8)
        self.ok(self.pair.wait(0, 1))
        self.pair.cqs[0].req_notify()
        self.channels[0].get_cq_event(self.pair.cqs[0])
        self.pair.cqs[0].ack_events(1)
        self.ok(self.pair.wait(0, 1))

    def test_a_solicited_arm_waits_for_a_solicited_completion(self):
        self.pair.cqs[1].req_notify(solicited_only=True)
        for number in range(2):
            self.pair.receive(1, number=number)
        self.pair.post(0, e.IBV_WR_SEND, 8)
        self.ok(self.pair.wait(0))
        self.pair.post(0, e.IBV_WR_SEND, 8, flags=e.IBV_SEND_SOLICITED)
        self.ok(self.pair.wait(0))
        self.channels[1].get_cq_event(self.pair.cqs[1])
        self.pair.cqs[1].ack_events(1)
        self.assertEqual(len(self.ok(self.pair.wait(1, 2))), 2)

    def test_a_refused_request_is_an_event_at_its_target(self):
        self.pair.post(0, e.IBV_WR_RDMA_WRITE, 8,
                       rkey=self.pair.mrs[1].rkey ^ 0xff)
        self.assertEqual(self.pair.wait(0)[0].status, e.IBV_WC_REM_ACCESS_ERR)
        self.assertTrue(event_is_there(self.events, 2))
        event = self.context.get_async_event()
        self.assertEqual(event.event_type, e.IBV_EVENT_QP_ACCESS_ERR)
        event.ack()

    def test_a_message_in_rtr_establishes_the_connection(self):
        self.to_rtr(1)
        self.pair.receive(1)
        self.pair.post(0, e.IBV_WR_SEND, 8)
        self.ok(self.pair.wait(0))
        self.assertTrue(event_is_there(self.events, 2))
        event = self.context.get_async_event()
        self.assertEqual(event.event_type, e.IBV_EVENT_COMM_EST)
        event.ack()

    def to_rtr(self, side):
        """Side again from the start, one step less far."""
        for each in range(2):
            self.pair.qps[each].modify(QPAttr(qp_state=e.IBV_QPS_RESET),
                                       e.IBV_QP_STATE)
        self.pair.connect(1 - side)
        self.pair.connect(side, state=e.IBV_QPS_RTR)


if __name__ == "__main__":
    unittest.main()
