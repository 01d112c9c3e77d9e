// What the steps of the optimiser tell each other: `Control` of src/kernels/adamw.rs, word by word.
#pragma once

#include "types.cuh"

struct Control {
    float scale;      // of the loss in the next forward pass: first, as cross_entropy_fwd takes its address
    float norm;       // of the gradient without the loss scale
    u32 apply;        // 0: something was not finite, and the step is left out
    float factor;     // of gradients: clips, and takes the loss scale off
    u32 clean;        // steps in a row that left the scale as it is
    u32 steps;        // steps taken
    float step_size;  // lr / (1 - beta1^steps)
    float root;       // 1 / sqrt(1 - beta2^steps)
    float decay;      // 1 - lr weight_decay
    u32 unused;
    double power1;    // beta1^steps
    double power2;    // beta2^steps
};

// What may change from step to step, in f32.
struct Hyper {
    float lr;
    float weight_decay;
    float clip;  // most norm of the gradient; 0: any
};
