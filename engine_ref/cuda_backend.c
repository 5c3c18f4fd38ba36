/* SPDX-License-Identifier: MIT */
#ifdef TANDEM_CUDA
#include "engine_ref/cuda.h"

const struct backend cuda_backend = {.name = "cuda",
                                     .summary = "cuBLAS and own kernels on an NVIDIA GPU, in bf16",
                                     .create = cuda_create,
                                     .destroy = cuda_destroy,
                                     .run = cuda_run,
                                     .logits = cuda_logits,
                                     .measure_hardware = cuda_measure_hardware,
                                     .read_block = cuda_read_block,
                                     .write_block = cuda_write_block};
#else
extern int tandem_has_no_cuda; /* a file must hold something */
#endif
