/* SPDX-License-Identifier: MIT */
/*
 * What the impersonated driver reports of every persona: the limits of
 * emu/persona.c, and a firmware version.
 */
#ifndef EMU_UVERBS_LIMITS_H
#define EMU_UVERBS_LIMITS_H

enum {
	UV_LOG_MAX_QP = 18,
	UV_LOG_MAX_CQ = 18,
	UV_LOG_MAX_CQE = 22,
	UV_LOG_MAX_SRQ = 16,
	UV_LOG_MAX_MKEY = 20,
	UV_COMP_VECTORS = 8,
	UV_MAX_WR = 1 << 15,
	UV_MAX_SQ_DESC = 1008,
	UV_LOG_MAX_RQ_DESC = 9,
	UV_MAX_RQ_DESC = 1 << UV_LOG_MAX_RQ_DESC,
	UV_FW_MAJOR = 28,
	UV_FW_MINOR = 39,
	UV_FW_SUB = 1002,
};

#endif
