/* SPDX-License-Identifier: MIT */
/*
 * Mailboxes that the impersonated kernel sends itself.
 *
 * Source of truth: Linux drivers/net/ethernet/mellanox/mlx5/core/cmd.c (which
 * errno a status becomes).
 * Thread: any.
 */
#include <errno.h>

#include "emu/uverbs/call.h"

int uv_status_errno(uint8_t status)
{
	switch (status) {
	case HW_CMD_OK:
		return 0;
	case HW_CMD_INT_ERR:
	case HW_CMD_BAD_SYS_STATE:
	case HW_CMD_BAD_INP_LEN:
	case HW_CMD_BAD_OUTP_LEN:
		return -EIO;
	case HW_CMD_LIM_ERR:
		return -ENOMEM;
	case HW_CMD_NO_RES:
		return -EAGAIN;
	case HW_CMD_RES_BUSY:
		return -EBUSY;
	default:
		return -EINVAL;
	}
}

int uv_box_exec(struct uv_context *context, struct uv_box *box)
{
	int ret = nic_cmd(context->nic, box->in, sizeof(box->in), box->out,
			  sizeof(box->out));

	if (ret)
		return ret;
	return uv_status_errno((uint8_t)hw_get(box->out, HW_CMD_OUT_STATUS));
}

int uv_box_number(struct uv_context *context, uint16_t opcode, uint32_t number)
{
	uint8_t in[HW_CMD_HDR_BYTES] = {0}, out[HW_CMD_HDR_BYTES];
	int ret;

	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	ret = nic_cmd(context->nic, in, sizeof(in), out, sizeof(out));
	if (ret)
		return ret;
	return uv_status_errno((uint8_t)hw_get(out, HW_CMD_OUT_STATUS));
}
