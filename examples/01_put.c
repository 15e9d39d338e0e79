/* SPDX-License-Identifier: MIT */
/* cmake -B build && cmake --build build
 * cc examples/01_put.c -I. -Lbuild -lbelfry-stack -lbelfry-emu -lev -lm -o put
 * GDA_NPES=2 GDA_PE=0 ./put & GDA_NPES=2 GDA_PE=1 ./put; wait
 *
 * Each PE puts a greeting into the memory of the next and waits for its own.
 */
#include <stdio.h>

#include "stack/gda.h"
#include "stack/gda_dev.h"

int main(void)
{
	struct gda_dev_signal signal = {.value = 1, .op = GDA_DEV_SIGNAL_SET};
	const struct gda_dev *dev;
	struct gda *gda;
	char *mine, *inbox;
	int rc;

	if (gda_init(NULL, &gda)) {
		fprintf(stderr, "%s\n", gda_last_error());
		return 1;
	}
	dev = gda_device(gda);
	mine = gda_calloc(gda, 1, 64); /* the same offset on every PE */
	inbox = gda_calloc(gda, 1, 64);
	signal.addr = gda_calloc(gda, 1, 8);
	signal.pe = (gda_pe(gda) + 1) % gda_npes(gda);
	snprintf(mine, 64, "hello from PE %d", gda_pe(gda));
	rc = gda_dev_put_signal(dev, inbox, mine, 64, &signal);
	if (!rc)
		rc = gda_dev_wait_until_u64(dev, signal.addr, GDA_DEV_EQ, 1);
	printf("PE %d of %d: %s\n", gda_pe(gda), gda_npes(gda),
	       rc ? gda_strerror(rc) : inbox);
	return gda_finalize(gda) || rc;
}
