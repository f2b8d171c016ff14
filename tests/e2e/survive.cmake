# SPDX-License-Identifier: Apache-2.0
# What a server must survive: the scenarios of tests/chaos, short. One at a time: each of them uses
# all the processors there are.
foreach(part kill disk crowd idle)
    bh_test(test_survive_${part} e2e SOURCES test_survive_${part}.c LIBS bh_chaos)
    set_tests_properties(test_survive_${part} PROPERTIES RUN_SERIAL TRUE ENVIRONMENT
        "ASAN_OPTIONS=abort_on_error=1:detect_leaks=1;UBSAN_OPTIONS=print_stacktrace=1;CRITERION_JOBS=1")
endforeach()
