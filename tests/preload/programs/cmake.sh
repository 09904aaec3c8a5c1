# waits: cmake ninja
# package: cmake
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.20)
project(example C)
execute_process(COMMAND sh -c "sleep 0.03; echo first" COMMAND sh -c "sleep 0.01; cat; echo second >&2; exit 3"
    OUTPUT_VARIABLE out ERROR_VARIABLE err RESULTS_VARIABLE results)
message(STATUS "${out} ${err} ${results}")
execute_process(COMMAND sleep 5 TIMEOUT 0.05 RESULT_VARIABLE late)
message(STATUS "${late}")
file(LOCK lock)
add_custom_command(OUTPUT made.c COMMAND sh ${CMAKE_SOURCE_DIR}/generate.sh)
add_executable(example main.c made.c)
enable_testing()
foreach(n 1 2 3)
    add_test(NAME test${n} COMMAND sh -c "sleep 0.0${n}; ./example")
    set_tests_properties(test${n} PROPERTIES PASS_REGULAR_EXPRESSION "made 7")
endforeach()
END
echo 'sleep 0.03; echo "int made(void) { return 7; }" >made.c' >generate.sh
cat >main.c <<'END'
#include <stdio.h>
int made(void);
int main(void) { printf("made %d\n", made()); return 0; }
END
cmake -G Ninja -S . -B build | grep -v 'Build files'
cmake --build build -j2 | tail -n 1
(cd build && ctest -j3 | grep -c Passed; cmake -E time sh -c 'sleep 0.02; exit 3' >/dev/null || echo "status $?")
cmake -P nothing.cmake 2>/dev/null || echo "status $?"
