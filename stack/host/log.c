/* SPDX-License-Identifier: MIT */
/*
 * Sentences: to the log callback, and remembered per thread for
 * gda_last_error(); words for codes and for error CQEs.
 *
 * Thread: any.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hw/cqe.h"
#include "hw/wqe_opcode.h"
#include "stack/host/internal.h"

static _Thread_local char last_error[512];

int gda_fail(const struct gda_config *config, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last_error, sizeof(last_error), fmt, args);
	va_end(args);
	if (config && config->log)
		config->log(config->log_arg, GDA_LOG_ERROR, last_error);
	return code;
}

void gda_take_error(char *text, size_t size)
{
	snprintf(text, size, "%s", last_error);
	last_error[0] = 0;
}

void gda_log(const struct gda_config *config, enum gda_log_level level,
	     const char *fmt, ...)
{
	char text[512];
	va_list args;

	if (!config->log)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	config->log(config->log_arg, level, text);
}

void gda_log_stderr(void *arg, enum gda_log_level level, const char *text)
{
	static const char *const names[] = {"error", "warning", "info"};

	(void)arg;
	fprintf(stderr, "gda %s: %s\n", names[level], text);
}

const char *gda_last_error(void)
{
	return last_error;
}

const char *gda_strerror(int code)
{
	switch (code) {
	case 0:
		return "success";
	case -EIO:
		return "a queue pair got an error CQE";
	case -EFAULT:
		return "address outside the heap and all buffers";
	case -EINVAL:
		return "an argument is out of range";
	case -ETIMEDOUT:
		return "timed out";
	case -ESHUTDOWN:
		return "the handle's PE is finalized";
	case -ENOMEM:
		return "out of memory";
	case -ENOSPC:
		return "no room left";
	case -ENODEV:
		return "no such backend or device";
	case -ENOTSUP:
		return "the device cannot do this";
	case -EPROTO:
		return "PEs do not agree";
	case -EEXIST:
		return "already there";
	case -EADDRINUSE:
		return "two PEs claim one number";
	case -ECONNRESET:
		return "a PE is gone";
	case -ENOENT:
		return "not there";
	case -EBUSY:
		return "still in use";
	case -EREMOTEIO:
		return "the device refused a command";
	default:
		return code < 0 ? strerror(-code) : "not an error code";
	}
}

int gda_error_string(const struct gda_qp_error *error, char *buf, size_t size)
{
	const char *name = hw_wqe_op(error->wqe_opcode).name;

	if (!error->code)
		return snprintf(buf, size, "PE %u lane %u: QP 0x%x: no error",
				error->peer, error->lane, error->qpn);
	return snprintf(buf, size,
			"PE %u lane %u: QP 0x%x, WQE 0x%04x (%s): error CQE "
			"with syndrome 0x%02x %s, vendor syndrome 0x%02x",
			error->peer, error->lane, error->qpn, error->wqe_index,
			name ? name : "?", error->syndrome,
			hw_syndrome_name(error->syndrome),
			error->vendor_syndrome);
}
