#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""DEVX and the vendor's own calls through pyverbs' Mlx5Context."""

import unittest

from pyverbs.device import get_device_list
from pyverbs.providers.mlx5.mlx5dv import (Mlx5Context, Mlx5DevxObj,
                                           Mlx5DVContextAttr, Mlx5UAR)

# Of mlx5dv.h; what pyverbs calls them differs between its versions.
CONTEXT_FLAGS_CQE_V1 = 1
CONTEXT_FLAGS_DEVX = 1  # asked for at the opening
UAR_BF, UAR_NC = 0, 1
QUERY_HCA_CAP, ALLOC_PD, DEALLOC_PD = 0x100, 0x800, 0x801


def command(opcode, op_mod=0, length=16):
    """A mailbox with nothing but its header."""
    header = opcode.to_bytes(2, "big") + bytes(4) + op_mod.to_bytes(2, "big")
    return header + bytes(length - len(header))


class DevxTest(unittest.TestCase):

    def setUp(self):
        devices = get_device_list()
        if not devices:
            self.skipTest("there is no RDMA device")
        self.context = Mlx5Context(
            Mlx5DVContextAttr(flags=CONTEXT_FLAGS_DEVX),
            name=devices[0].name.decode())

    def tearDown(self):
        self.context.close()

    def test_the_device_is_an_mlx5(self):
        device = self.context.query_mlx5_device()
        self.assertEqual(device.version, 0)
        self.assertTrue(device.flags & CONTEXT_FLAGS_CQE_V1)

    def test_capabilities_are_those_of_the_device(self):
        out = self.context.devx_general_cmd(
            command(QUERY_HCA_CAP, op_mod=1), 16 + 4096)
        self.assertEqual(out[0], 0)
        log_max_qp = out[16 + 0x13] & 0x1f
        self.assertGreaterEqual(1 << log_max_qp,
                                self.context.query_device().max_qp)

    def test_a_protection_domain_is_an_object(self):
        obj = Mlx5DevxObj(self.context, command(ALLOC_PD), 16)
        number = int.from_bytes(bytes(obj.out_view[9:12]), "big")
        self.assertNotEqual(number, 0)
        obj.close()

    def test_event_queues_have_numbers(self):
        self.context.devx_query_eqn(0)

    def test_uars_of_both_kinds_are_mapped(self):
        for kind in (UAR_BF, UAR_NC):
            uar = Mlx5UAR(self.context, kind)
            self.assertNotEqual(uar.base_addr, 0)
            self.assertGreaterEqual(uar.reg_addr - uar.base_addr, 0x800)
            uar.close()

    def test_a_number_for_a_qp_is_reserved_and_given_back(self):
        try:
            number = Mlx5Context.reserved_qpn_alloc(self.context)
        except Exception as error:
            self.skipTest(f"reserved numbers: {error}")
        Mlx5Context.reserved_qpn_dealloc(self.context, number)


if __name__ == "__main__":
    unittest.main()
