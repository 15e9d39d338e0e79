# SPDX-License-Identifier: MIT
"""Two connected queue pairs of one process, for the pyverbs_*.py tests."""

import os
import select
import time
import unittest

try:
    from pyverbs import enums as e
except ImportError:  # rdma-core 55 and later
    from pyverbs import libibverbs_enums as e
from pyverbs.addr import AHAttr, GlobalRoute
from pyverbs.cq import CQ
from pyverbs.device import Context, get_device_list
from pyverbs.mr import MR
from pyverbs.pd import PD
from pyverbs.qp import QP, QPAttr, QPCap, QPInitAttr
from pyverbs.wr import SGE, RecvWR, SendWR

PORT = 1
PSN = (0x111111, 0xfffffe)  # the second one wraps at once
BYTES = 4096
ACCESS = (e.IBV_ACCESS_LOCAL_WRITE | e.IBV_ACCESS_REMOTE_WRITE |
          e.IBV_ACCESS_REMOTE_READ | e.IBV_ACCESS_REMOTE_ATOMIC)


def open_device():
    devices = get_device_list()
    if not devices:
        raise unittest.SkipTest("there is no RDMA device")
    return Context(name=devices[0].name.decode())


def open_descriptors():
    """Those of this process; a listing has one of its own, gone afterwards."""
    found = map(int, os.listdir("/proc/self/fd"))
    return {fd for fd in found if os.path.lexists(f"/proc/self/fd/{fd}")}


def open_with_events():
    """A device, and its descriptor of asynchronous events.

    pyverbs does not show that one. Opening a device adds it beside the command
    descriptor; a library below may have others, which come after it.
    """
    before = open_descriptors()
    context = open_device()
    added = open_descriptors() - before - {context.cmd_fd}
    return context, min(added)


def event_is_there(fd, seconds):
    return bool(select.select([fd], [], [], seconds)[0])


class Pair:
    """Two RC QPs with a CQ, an MR and, if asked for, an SRQ each."""

    def __init__(self, context, pd=None, kind=e.IBV_QPT_RC, channels=None,
                 srqs=None, access=ACCESS):
        self.context = context
        self.pd = pd or PD(context)
        self.cqs = [CQ(context, 64, None, channels and channels[side])
                    for side in range(2)]
        self.mrs = [MR(self.pd, BYTES, access) for side in range(2)]
        cap = QPCap(max_send_wr=16, max_recv_wr=16)
        self.qps = [QP(self.pd, QPInitAttr(
            qp_type=kind, scq=self.cqs[side], rcq=self.cqs[side], cap=cap,
            srq=srqs and srqs[side], sq_sig_all=0)) for side in range(2)]
        self.kind = kind
        for side in range(2):
            self.connect(side)

    def connect(self, side, rnr_retry=7, state=e.IBV_QPS_RTS):
        attributes = QPAttr(port_num=PORT)
        attributes.qp_access_flags = ACCESS
        attributes.path_mtu = e.IBV_MTU_1024
        attributes.dest_qp_num = self.qps[1 - side].qp_num
        attributes.rq_psn = PSN[1 - side]
        attributes.sq_psn = PSN[side]
        attributes.max_rd_atomic = attributes.max_dest_rd_atomic = 4
        attributes.min_rnr_timer, attributes.rnr_retry = 1, rnr_retry
        attributes.timeout, attributes.retry_cnt = 14, 7
        attributes.ah_attr = self.address()
        if state == e.IBV_QPS_RTR:
            self.qps[side].to_rtr(attributes)
        else:
            self.qps[side].to_rts(attributes)

    def address(self):
        """Of the port itself, by LID, or by GID where there is none."""
        port = self.context.query_port(PORT)
        if port.link_layer == e.IBV_LINK_LAYER_INFINIBAND:
            return AHAttr(dlid=port.lid, port_num=PORT)
        gid = self.context.query_gid(PORT, 0)
        return AHAttr(gr=GlobalRoute(dgid=gid, sgid_index=0, hop_limit=64),
                      is_global=1, port_num=PORT)

    def piece(self, side, offset, length):
        mr = self.mrs[side]
        return SGE(mr.buf + offset, length, mr.lkey)

    def receive(self, side, offset=0, length=BYTES, number=0, queue=None):
        (queue or self.qps[side]).post_recv(RecvWR(
            wr_id=number, num_sge=1, sg=[self.piece(side, offset, length)]))

    def post(self, side, opcode, length, offset=0, number=0, flags=0,
             remote=0, rkey=None, **more):
        """Post a request that is signaled; `remote` is an offset too."""
        wr = SendWR(wr_id=number, opcode=opcode, num_sge=1, sg=[
            self.piece(side, offset, length)],
            send_flags=e.IBV_SEND_SIGNALED | flags, **more)
        peer = self.mrs[1 - side]
        rkey = peer.rkey if rkey is None else rkey
        if opcode in (e.IBV_WR_RDMA_WRITE, e.IBV_WR_RDMA_READ,
                      e.IBV_WR_RDMA_WRITE_WITH_IMM):
            wr.set_wr_rdma(rkey, peer.buf + remote)
        self.qps[side].post_send(wr)

    def post_atomic(self, side, opcode, compare_add, swap=0):
        wr = SendWR(opcode=opcode, num_sge=1, sg=[self.piece(side, 0, 8)],
                    send_flags=e.IBV_SEND_SIGNALED)
        peer = self.mrs[1 - side]
        wr.set_wr_atomic(peer.rkey, peer.buf, compare_add, swap)
        self.qps[side].post_send(wr)

    def wait(self, side, count=1, seconds=5):
        """The next completions of this side, in order."""
        found, limit = [], time.monotonic() + seconds
        while len(found) < count and time.monotonic() < limit:
            found += self.cqs[side].poll(count - len(found))[1]
        if len(found) < count:
            raise AssertionError(f"{len(found)} completions, not {count}")
        return found

    def state(self, side):
        return self.qps[side].query(e.IBV_QP_STATE)[0].qp_state


class PairTest(unittest.TestCase):
    """A test with a device and a pair."""

    def setUp(self):
        self.context = open_device()
        self.pair = Pair(self.context)

    def tearDown(self):
        self.context.close()

    def ok(self, completions):
        for wc in completions:
            self.assertEqual(wc.status, e.IBV_WC_SUCCESS)
        return completions[0] if len(completions) == 1 else completions
