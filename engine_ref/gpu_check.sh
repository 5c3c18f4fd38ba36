#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is to be run on a machine with an NVIDIA GPU: the CUDA backend built there, checked against the CPU reference, its
# rates, profiles by CUPTI, and a workload served and simulated under five policies.
#
#   make gpu-kit                                   # here: the program and the libraries it needs, 50 MB
#   engine_ref/gpu_check.sh build/gpu-kit RESULTS  # there, from the repository's root: CUDA 13 and nothing else, 10 minutes
#   engine_ref/gpu_check.sh build/gpu-kit RESULTS build validate  # some of its steps alone
#   engine_ref/gpu_check.sh --dry-run build/gpu-kit RESULTS  # anywhere: says what would be run, and looks for what it needs
#
# RESULTS gets a text file for every step, the profiles, and the comparison as HTML: less than 16 MB. A step that fails or
# takes too long does not keep the next ones from being run; the exit status is 1 then.
set -u
dry=0
[ "${1:-}" = --dry-run ] && { dry=1; shift; }
[ $# -ge 2 ] || { echo "usage: engine_ref/gpu_check.sh [--dry-run] KIT RESULTS [STEP...]" >&2; exit 2; }
kit=$1 results=$2
shift 2
asked=" $* "
for f in "$kit/tandem" "$kit/tandem-cuda.so" "$kit/lib/libopenblas.so.0" "$kit/include/cjson/cJSON.h" engine_ref/cuda/engine.cu; do
    [ -e "$f" ] || { echo "gpu_check: found no $f; make gpu-kit builds the kit, and this runs from the repository's root" >&2; exit 2; }
done
[ "$dry" = 1 ] || mkdir -p "$results"
failed=0
started=$SECONDS

# step NAME SECONDS COMMAND…: its output goes to RESULTS/NAME.txt and to the terminal's last lines.
step() {
    local name=$1 most=$2 begun=$SECONDS
    shift 2
    [ "$asked" = "  " ] || [[ $asked = *" $name "* ]] || return
    ran=1
    if [ "$dry" = 1 ]; then
        echo "$name (at most $most s): $*"
        return
    fi
    local left=$((585 - (SECONDS - started))) # all of it is to end within ten minutes
    [ "$left" -ge 10 ] || { echo "== $name: left out, no time is left"; failed=1; return; }
    [ "$most" -le "$left" ] || most=$left
    echo "== $name"
    timeout "$most" "$@" >"$results/$name.txt" 2>&1
    local status=$?
    tail -n 25 "$results/$name.txt"
    echo "== $name: status $status, $((SECONDS - begun)) s, $((SECONDS - started)) s in all"
    [ "$status" = 0 ] || failed=1
}

build_backend() {
    local nvcc home cupti libraries
    nvcc=$(readlink -f "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)")
    home=$(dirname "$(dirname "$nvcc")")
    cupti=$(find -L "$home" -name cupti.h -print -quit)
    libraries=$(find -L "$home" '(' -name libcupti.so -o -name libcublas.so -o -name libcudart_static.a ')' -printf '-L%h -Wl,-rpath,%h ')
    [ -n "$cupti" ] || { echo "no cupti.h under $home"; return 1; }
    "$nvcc" --version && "$nvcc" -std=c++17 -O2 -I. -I"$kit/include" -Xcompiler -fPIC,-Wall -gencode arch=compute_90,code=sm_90 \
        -c engine_ref/cuda/engine.cu -o "$kit/engine.o" &&
        gcc -std=c17 -D_POSIX_C_SOURCE=200809L -fPIC -shared -O2 -I. -I"$kit/include" -isystem "$home/include" -isystem "$(dirname "$cupti")" engine_ref/cuda/backend.c \
            engine_ref/cuda/trace.c engine_ref/activity.c engine_ref/profiler.c base/error.c base/printable.c base/array.c "$kit/engine.o" \
            $libraries -lcudart_static -lcublas -lcupti -lstdc++ -ldl -lrt -lpthread -lm -o "$kit/tandem-cuda.so.new" && mv "$kit/tandem-cuda.so.new" "$kit/tandem-cuda.so"
}
export kit
export -f build_backend

tandem=$kit/tandem
step device 20 nvidia-smi -q -d CLOCK,MEMORY,POWER
step build 90 bash -c build_backend
step check 60 "$tandem" engine check --backend cuda
step bench-demo 30 "$tandem" engine bench --backend cuda
step bench-1b 40 "$tandem" engine bench --backend cuda --model llama-3.2-1b
step bench-8b 40 "$tandem" engine bench --backend cuda --model llama-3.1-8b --one-layer
step profile-demo 40 "$tandem" engine profile --backend cuda --most 2048 --point-s 0.02 --quiet --out "$results/demo-11m-cuda.json"
step validate 280 "$tandem" validate engine engine-gpu --backend cuda --repeats 1 --plot "$results/validate.html" \
    --policies static_padded,static_prepacked,continuous,chunked_prefill,unified_budget,disaggregated
step profile-8b 100 "$tandem" engine profile --backend cuda --model llama-3.1-8b --one-layer --most 4096 --point-s 0.02 --quiet \
    --out "$results/llama-3.1-8b-cuda.json"
step profile-32b 100 "$tandem" engine profile --backend cuda --model qwen3-32b --one-layer --most 2048 --point-s 0.02 --quiet \
    --out "$results/qwen3-32b-cuda.json"
[ -n "${ran:-}" ] || { echo "gpu_check: no step is called$asked" >&2; exit 2; }
exit $failed
