/* SPDX-License-Identifier: Apache-2.0 */
/* Reference values out of images and logs: `beachhead measure WHAT`, one file each. */
#ifndef BH_CLI_MEASURE_H
#define BH_CLI_MEASURE_H

int bh_measure_nitro(int argc, char **argv);
int bh_measure_snp(int argc, char **argv);
int bh_measure_tdx(int argc, char **argv);
int bh_measure_pcr(int argc, char **argv);

#endif
