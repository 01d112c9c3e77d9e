// Waits for a flag that nobody sets.
//   flag [1] u32 in and out, 0 | grid 1, block 32

// args: flag
extern "C" __global__ void runaway_loop(volatile unsigned* flag) {
    while (*flag == 0) {} // FAULT
    flag[0] = 2;
}
