/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend as a program of its own, unconfined. Criterion does not run under ThreadSanitizer:
 * build this with -DBH_SANITIZE=thread and name it to the tests of another build in
 * BH_FRONTEND_CHILD.
 */
#include "ipc/child.h"

int
main(void)
{
    return pas_frontend_main();
}
