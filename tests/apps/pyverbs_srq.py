#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shared receive queues through pyverbs, with their limit event."""

import unittest

from pyverbs.pd import PD
from pyverbs.srq import SRQ, SrqAttr, SrqInitAttr
from pyverbs_pair import Pair, PairTest, e, event_is_there, open_with_events


class SrqTest(PairTest):

    def setUp(self):
        self.context, self.events = open_with_events()
        self.pd = PD(self.context)
        self.srqs = [SRQ(self.pd, SrqInitAttr(SrqAttr(max_wr=32)))
                     for side in range(2)]
        self.pair = Pair(self.context, self.pd, srqs=self.srqs)

    def send(self, count, first=0):
        for number in range(first, first + count):
            self.pair.post(0, e.IBV_WR_SEND, 8, number=number)
            self.ok(self.pair.wait(0))

    def test_two_qps_take_from_one_queue(self):
        other = Pair(self.context, self.pd, srqs=[self.srqs[1]] * 2)
        for number in range(4):
            self.pair.receive(1, number=number, queue=self.srqs[1])
        self.send(1)
        other.post(0, e.IBV_WR_SEND, 8)
        self.ok(other.wait(0))
        first, second = self.pair.wait(1)[0], other.wait(1)[0]
        self.assertEqual((first.wr_id, second.wr_id), (0, 1))
        self.assertEqual(first.qp_num, self.pair.qps[1].qp_num)
        self.assertEqual(second.qp_num, other.qps[1].qp_num)

    def test_many_laps_around_the_queue(self):
        for number in range(200):
            self.pair.receive(1, number=number, queue=self.srqs[1])
            self.send(1)
            self.assertEqual(self.ok(self.pair.wait(1)).wr_id, number)

    def test_the_attributes_are_told(self):
        attributes = self.srqs[1].query()
        self.assertGreaterEqual(attributes.max_wr, 31)
        self.assertEqual(attributes.srq_limit, 0)

    def test_the_limit_event_comes_once_below_the_limit(self):
        for number in range(6):
            self.pair.receive(1, number=number, queue=self.srqs[1])
        self.srqs[1].modify(SrqAttr(srq_limit=4), e.IBV_SRQ_LIMIT)
        self.assertEqual(self.srqs[1].query().srq_limit, 4)
        self.send(2)
        self.assertFalse(event_is_there(self.events, 0))
        self.send(1)  # three are left, fewer than four
        self.assertTrue(event_is_there(self.events, 2))
        event = self.context.get_async_event()
        self.assertEqual(event.event_type, e.IBV_EVENT_SRQ_LIMIT_REACHED)
        event.ack()
        self.send(2)
        self.assertFalse(event_is_there(self.events, 0.05))
        self.assertEqual(self.srqs[1].query().srq_limit, 0)


if __name__ == "__main__":
    unittest.main()
