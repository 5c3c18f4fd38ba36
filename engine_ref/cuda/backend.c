/* SPDX-License-Identifier: MIT */
#include "engine_ref/cuda/cuda.h"

const struct backend cuda_backend = {.name = "cuda",
                                     .summary = "cuBLAS and own kernels on an NVIDIA GPU, in bf16",
                                     .profiled_tokens = 8192,
                                     .captures_decodes = true,
                                     .create = cuda_create,
                                     .destroy = cuda_destroy,
                                     .run = cuda_run,
                                     .logits = cuda_logits,
                                     .measure_hardware = cuda_measure_hardware,
                                     .read_block = cuda_read_block,
                                     .write_block = cuda_write_block};
