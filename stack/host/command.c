/* SPDX-License-Identifier: MIT */
/*
 * Firmware mailboxes: send one, and turn a refusal into a sentence.
 *
 * Source of truth: hw/cmd.h.
 * Thread: any.
 */
#include <errno.h>

#include "stack/host/internal.h"

/*
 * The device answered: was it a refusal? The emulated device puts the byte
 * offset of the offending field into the syndrome's lower half.
 */
static int check_answer(struct gda *gda, const struct gda_mailbox *box,
			const char *what)
{
	uint32_t status = hw_get(box->out, HW_CMD_OUT_STATUS);

	if (!status)
		return 0;
	return gda_fail(&gda->config, -EREMOTEIO,
			"PE %d: %s: command 0x%03x refused: status 0x%02x %s, "
			"syndrome 0x%08x",
			gda->config.pe, what, hw_get(box->in, HW_CMD_IN_OPCODE),
			status, hw_cmd_status_name((uint8_t)status),
			hw_get(box->out, HW_CMD_OUT_SYNDROME));
}

/* rc is of the transport, below the answer. */
static int check(struct gda *gda, const struct gda_mailbox *box,
		 const char *what, int rc)
{
	if (!rc)
		return check_answer(gda, box, what);
	return gda_fail(&gda->config, rc,
			"PE %d: %s: command 0x%03x did not reach the device: "
			"%s",
			gda->config.pe, what, hw_get(box->in, HW_CMD_IN_OPCODE),
			gda_strerror(rc));
}

int gda_command(struct gda *gda, const struct gda_mailbox *box,
		const char *what)
{
	return check(gda, box, what, gda->ops->command(gda->backend, box));
}

int gda_create(struct gda *gda, const struct gda_mailbox *box, const char *what,
	       struct gda_obj **obj)
{
	return check(gda, box, what,
		     gda->ops->obj_create(gda->backend, box, obj));
}

int gda_modify(struct gda *gda, struct gda_obj *obj,
	       const struct gda_mailbox *box, const char *what)
{
	return check(gda, box, what, gda->ops->obj_modify(obj, box));
}

void gda_destroy(struct gda *gda, struct gda_obj *obj, const char *what)
{
	int rc = obj ? gda->ops->obj_destroy(obj) : 0;

	if (rc)
		gda_log(&gda->config, GDA_LOG_WARN,
			"PE %d: %s could not be destroyed: %s", gda->config.pe,
			what, gda_strerror(rc));
}
