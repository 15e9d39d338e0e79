/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the impersonated device tell device.c, beside uverbs.h.
 */
#ifndef EMU_UVERBS_DEVICE_H
#define EMU_UVERBS_DEVICE_H

#include "emu/uverbs/uverbs.h"

/*
 * A program image that this process had before exec() may have left NICs and
 * a tree: the pid lives on, but nobody serves them. Does it once.
 */
void uv_former_image_gone(void);

#endif
