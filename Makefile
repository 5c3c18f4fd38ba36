# SPDX-License-Identifier: MIT
# Tandem: `make demo` builds and runs the default workload, `make check` passes the tests; `make help` lists the rest.

BUILD ?= build
PREFIX ?= /usr/local
CC ?= gcc
PACKAGES := build-essential pkg-config libgsl-dev libsqlite3-dev libcjson-dev zlib1g-dev libopenblas-dev
CHECK_PACKAGES := clang clang-format libclang-rt-14-dev libcmocka-dev python3 python3-jsonschema valgrind openmpi-bin libopenmpi-dev
LIBS := gsl sqlite3 libcjson zlib openblas

ROOMS := base workloads policies profiles sim reports/stats reports/store reports/pages reports/formats simulation planner engine_ref validation cli
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-psabi
CFLAGS ?= -O2 -g -flto=auto
ALL_CFLAGS = -std=c17 -D_POSIX_C_SOURCE=200809L -pthread -I. $(WARNINGS) $(WERROR) $(CFLAGS) $(SANITIZE) \
             $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
# GSL's own BLAS has the same names as OpenBLAS, and is slow.
# base/noted.c sees each allocation of ours that fails.
comma := ,
NOTED := $(foreach f,malloc calloc realloc aligned_alloc strdup,-Wl$(comma)--wrap=$(f))
ALL_LIBS = $(NOTED) $(filter-out -lgslcblas,$(shell pkg-config --libs $(LIBS) 2>/dev/null)) -lm

SOURCES := $(foreach room,$(ROOMS),$(wildcard $(room)/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/shipped_files.o $(BUILD)/texts.o
LIBRARY := $(filter-out $(BUILD)/cli/%,$(OBJECTS))
TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/test_*.c))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
SHIPPED := $(wildcard profiles/models/*.json profiles/devices/*.json profiles/engines/*.json profiles/techniques/*.json \
           profiles/accuracy/*.json workloads/scenarios/*.json planner/plans/*.json)
# A paper is called by its folder; files next to it keep their path.
SHIPPED += $(wildcard papers/*/*.json)
FORMATTED := $(foreach room,$(ROOMS) include/tandem engine_ref/cuda planner/mpi tests tests/fuzz tests/faults tests/bench docs/examples,$(wildcard $(room)/*.[ch]))

# The engine's CUDA backend, a shared object next to the program; CUDA= leaves it out. Toolkits differ in where they keep
# CUPTI, and some come without: it is looked for, and without it or cuBLAS there is no backend.
NVCC ?= $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
override NVCC := $(if $(NVCC),$(shell readlink -f "$$(command -v $(NVCC))"))
CUDA_HOMES := $(if $(NVCC),$(abspath $(dir $(NVCC))/..) $(CUDA_HOME) $(CUDA_PATH) /usr/local/cuda)
cuda_files = $(wildcard $(foreach home,$(CUDA_HOMES),$(foreach place,/ /extras/CUPTI/ /targets/x86_64-linux/,$(1:%=$(home)$(place)%))))
CUDA_HEADERS := $(foreach h,cupti.h cublas_v2.h,$(firstword $(call cuda_files,include/$(h))))
CUDA_LIBRARIES := $(foreach l,libcupti.so libcublas.so libcudart_static.a,$(firstword $(call cuda_files,lib64/$(l) lib/$(l))))
CUDA_COMPLETE := $(filter 5,$(words $(CUDA_HEADERS) $(CUDA_LIBRARIES)))
CUDA ?= $(CUDA_COMPLETE)
CUDA_INCLUDE = $(addprefix -isystem ,$(sort $(dir $(CUDA_HEADERS))))
CUDA_LINK = $(foreach l,$(sort $(dir $(CUDA_LIBRARIES))),-L$(l) -Wl,-rpath,$(l:%/=%))
CUDA_ARCHITECTURES ?= 80 89 90
CUDA_OBJECT := $(if $(CUDA),$(BUILD)/tandem-cuda.so)
CUDA_SOURCES := engine_ref/cuda/backend.c engine_ref/cuda/trace.c engine_ref/activity.c engine_ref/profiler.c base/error.c base/printable.c \
                base/array.c

# Trials on the ranks of an MPI job, a shared object next to the program; MPI= leaves it out.
MPICC ?= $(shell command -v mpicc)
MPI ?= $(MPICC)
MPI_OBJECT := $(if $(MPI),$(BUILD)/tandem-mpi.so)

Q := $(if $(V),,@)# make V=1 shows the commands

.PHONY: all lib demo check test recompute coverage tsan mutants faults kills gpu-kit bench asan fuzz lint tidy format install install-lib uninstall deb wheel deps deps-if-missing testers clean help
.DELETE_ON_ERROR:

all: $(BUILD)/tandem $(CUDA_OBJECT) $(MPI_OBJECT) ## build the program at build/tandem
	@$(if $(CUDA),:,echo "$(if $(NVCC),$(NVCC) has no CUPTI or cuBLAS next to it,no nvcc found): the engine has no CUDA backend")
	@$(if $(MPI),:,echo "no mpicc found: sweeps and plans run on this machine's threads alone")

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

demo: deps-if-missing ## install what is missing, build, and replay the default workload
	@$(MAKE) --no-print-directory all
	$(BUILD)/tandem run default --db $(BUILD)/demo.db
	@$(BUILD)/tandem report --db $(BUILD)/demo.db --out $(BUILD)/demo.html

INSTALL := SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); $$SUDO apt-get update -qq && \
           $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends >/dev/null

deps: ## install the Debian packages that building and testing need
	@echo "installing: $(PACKAGES) $(CHECK_PACKAGES)"
	@$(INSTALL) $(PACKAGES) $(CHECK_PACKAGES)

WANTED := $(PACKAGES)
deps-if-missing:
	@command -v dpkg-query >/dev/null || exit 0; \
	for p in $(WANTED); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || \
	    { echo "$$p is not installed; installing: $(WANTED)"; $(INSTALL) $(WANTED); exit; }; done

# Programs that only tests ask. Without one of them its test says that it is skipped, and nothing fails. Of Prometheus
# nothing is installed: its package would start a server.
testers: $(BUILD)/testers/node_modules/playwright-core $(BUILD)/testers/promtool ## bring Chromium and playwright-core, with which pages are tested, Prometheus and promtool
	@command -v chromium >/dev/null || { echo "installing: chromium"; $(INSTALL) chromium; }

$(BUILD)/testers/node_modules/playwright-core: tests/browser/package.json
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "installing: nodejs npm"; $(INSTALL) nodejs npm; }
	@mkdir -p $(BUILD)/testers; cp $< $(BUILD)/testers/; echo "  $@"
	@npm install --silent --no-audit --no-fund --no-package-lock --prefix $(BUILD)/testers && touch $@

$(BUILD)/testers/promtool:
	@mkdir -p $(@D); echo "  $@"
	@cd $(@D) && apt-get download -qq prometheus >/dev/null 2>&1 && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool >promtool.new && \
	    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/prometheus >prometheus.new && \
	    chmod +x prometheus.new promtool.new && mv prometheus.new prometheus && mv promtool.new promtool && rm prometheus_*.deb

$(BUILD)/tandem: $(OBJECTS) | libraries
	@echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(OBJECTS) $(ALL_LIBS) -o $@

# The compiler learns from runs of what users run most which branches are taken, and puts what runs often side by side:
# the loop fits the processor's instruction cache then. It takes two builds, so `make` does without.
TRAINED := $(BUILD)/trained
TRAINING = -fprofile-update=prefer-atomic -fprofile-partial-training -Wno-missing-profile -Wno-maybe-uninitialized
.PHONY: trained
trained: ## build the program at build/trained/tandem, a fifth faster: twice, with runs in between to learn from
	@find $(TRAINED) -name '*.gcda' -delete 2>/dev/null; true
	@$(MAKE) --no-print-directory BUILD=$(TRAINED) CFLAGS='$(CFLAGS) $(TRAINING) -fprofile-generate' $(TRAINED)/tandem
	@tests/bench/train $(TRAINED)/tandem
	@$(MAKE) --no-print-directory BUILD=$(TRAINED) CFLAGS='$(CFLAGS) $(TRAINING) -fprofile-use' $(TRAINED)/tandem

# libtandem: only what include/tandem/tandem.h declares can be seen from outside, in the shared library by a list, in the
# static one by making all other symbols local. Its objects are position-independent, and stand in a folder of their own.
VERSION := $(shell sed -n 's/^.define TANDEM_VERSION "\(.*\)"/\1/p' base/version.h)
SO_MAJOR := $(shell sed -n 's/^.define TANDEM_API_MAJOR \(.*\)/\1/p' include/tandem/tandem.h)
LIB_BUILD := $(BUILD)/lib
lib: ## build libtandem, static and shared, in build/lib
	@$(MAKE) --no-print-directory BUILD=$(LIB_BUILD) CFLAGS='$(CFLAGS) -fPIC' $(LIB_BUILD)/libtandem.so $(LIB_BUILD)/libtandem.a

$(BUILD)/libtandem.so: $(LIBRARY) simulation/tandem.symbols
	@echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) -shared -Wl,-soname,libtandem.so.$(SO_MAJOR) -Wl,--version-script=simulation/tandem.symbols -Wl,--no-undefined \
	    $(LIBRARY) $(ALL_LIBS) -o $@

$(BUILD)/libtandem.a: $(LIBRARY)
	@echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) -r -flinker-output=nolto-rel $(NOTED) $(LIBRARY) -o $(BUILD)/libtandem.o
	$(Q)objcopy --wildcard --keep-global-symbol='tandem_*' $(BUILD)/libtandem.o && rm -f $@ && ar rcs $@ $(BUILD)/libtandem.o

# Its own C files are compiled into it, so that it needs nothing of the program.
$(BUILD)/tandem-cuda.so: engine_ref/cuda/engine.cu $(CUDA_SOURCES) $(wildcard engine_ref/*.h engine_ref/cuda/*.h engine_ref/cuda/*.cuh profiles/*.h base/*.h)
	@mkdir -p $(BUILD)/cuda; echo "  $@"
	$(Q)$(NVCC) -std=c++17 -O2 -I. -Xcompiler -fPIC,-Wall $(foreach a,$(CUDA_ARCHITECTURES),-gencode arch=compute_$(a),code=sm_$(a)) \
	    -c $< -o $(BUILD)/cuda/engine.o
	$(Q)$(CC) -std=c17 -D_POSIX_C_SOURCE=200809L -fPIC -shared -O2 -I. $(CUDA_INCLUDE) $(WARNINGS) $(WERROR) $(CUDA_SOURCES) \
	    $(BUILD)/cuda/engine.o $(CUDA_LINK) \
	    -Wl,--no-undefined -lcudart_static -lcublas -lcupti -lstdc++ -ldl -lrt -lpthread -lm -o $@

$(BUILD)/tandem-mpi.so: planner/mpi/mpi.c planner/transport.h
	@mkdir -p $(@D); echo "  $@"
	$(Q)$(MPICC) -std=c17 -D_POSIX_C_SOURCE=200809L -fPIC -shared -O2 -I. $(WARNINGS) $(WERROR) $< -o $@

# Without the libraries every compilation would fail; one sentence says what to do.
.PHONY: libraries
libraries:
	@pkg-config --exists $(LIBS) 2>/dev/null || { echo "one of $(LIBS) is not installed (or pkg-config): run make deps"; exit 1; }

# What was compiled with other flags is compiled again.
$(BUILD)/flags: force
	@mkdir -p $(@D); echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' >$@
.PHONY: force
force:

$(BUILD)/%.o: %.c $(BUILD)/flags | libraries
	@mkdir -p $(@D); echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/shipped_files.o: $(BUILD)/shipped_files.c
	@echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-overlength-strings -c $< -o $@

$(BUILD)/texts.o: $(BUILD)/texts.c
	@echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-overlength-strings -c $< -o $@

# Each shipped file becomes a C string, so that the program is one file.
QUOTE := sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/??/?\\?/g' -e 's/.*/    "&\\n"/'

$(BUILD)/shipped_files.c: $(SHIPPED) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "profiles/shipped.h"'; echo 'const struct shipped_file shipped_files[] = {'; \
	for f in $(SHIPPED); do kind=$$(basename $$(dirname $$f)); name=$$(basename $$f .json); \
	    case $$f in papers/*/paper.json) name=$$kind; kind=paper;; papers/*) name=$$f; kind=file;; esac; \
	    echo "    {\"$${kind%s}\", \"$$name\","; $(QUOTE) $$f; echo '    },'; done; \
	echo '    {0}};'; } > $@

UPLOT := reports/pages/vendor/uplot
TEXTS := schema_sql=reports/store/schema.sql page_css=reports/pages/page.css page_js=reports/pages/page.js uplot_js=$(UPLOT)/uPlot.iife.min.js \
         uplot_css=$(UPLOT)/uPlot.min.css uplot_licence=$(UPLOT)/LICENSE
text_file = $(lastword $(subst =, ,$(1)))

$(BUILD)/texts.c: $(foreach t,$(TEXTS),$(call text_file,$(t))) Makefile
	@mkdir -p $(@D)
	@{ $(foreach t,$(TEXTS),echo 'extern const char $(firstword $(subst =, ,$(t)))[]; const char $(firstword $(subst =, ,$(t)))[] ='; \
	    $(QUOTE) $(call text_file,$(t)); echo '    ;';) } > $@

$(BUILD)/tests/%: tests/%.c $(LIBRARY) $(wildcard tests/*.h)
	@mkdir -p $(@D); echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $< $(BESIDE) $(LIBRARY) $(ALL_LIBS) -lcmocka -o $@

# All fuzz targets in one program, without a fuzzer: each has a name of its own there.
REPLAYED := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/replayed/%.o,$(wildcard tests/fuzz/fuzz_*.c))
$(BUILD)/tests/test_seeds: BESIDE = $(REPLAYED) -DFUZZ_TARGETS='$(REPLAYED:$(BUILD)/tests/replayed/%.o=X(%))'
$(BUILD)/tests/test_seeds: $(REPLAYED)
$(BUILD)/tests/replayed/%.o: tests/fuzz/%.c $(BUILD)/flags $(wildcard tests/*.h tests/fuzz/*.h) | libraries
	@mkdir -p $(@D); echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) -DLLVMFuzzerTestOneInput=$* -MMD -MP -c $< -o $@

# The CUDA backend on a CPU, kernel for kernel, for tests/release_cuda.sh.
EMULATOR := tests/cuda_emulator
$(BUILD)/emulated/tandem-cuda.so: $(wildcard engine_ref/cuda/* $(EMULATOR)/* engine_ref/*.h profiles/*.h base/*.h)
	@mkdir -p $(@D)/engine_ref/cuda; echo "  $@"
	@for f in engine.cu kernels.cuh; do $(EMULATOR)/translate <engine_ref/cuda/$$f >$(@D)/engine_ref/cuda/$$f || exit 1; done
	$(Q)$(CXX) -std=c++17 -O3 -g -fPIC -fsanitize=alignment,bounds -fsanitize-undefined-trap-on-error -I$(@D) -I$(EMULATOR) -I. \
	    -x c++ -c $(@D)/engine_ref/cuda/engine.cu -o $(@D)/engine.o
	$(Q)$(CXX) -std=c++17 -O3 -g -fPIC -Wall -Wextra $(WERROR) -I$(EMULATOR) -I. -c $(EMULATOR)/emulator.cpp -o $(@D)/emulator.o
	$(Q)$(CC) -std=c17 -D_POSIX_C_SOURCE=200809L -fPIC -shared -O2 -I. engine_ref/cuda/backend.c base/error.c base/printable.c base/array.c $(@D)/engine.o \
	    $(@D)/emulator.o -lstdc++ -lm -Wl,--no-undefined -o $@

test: $(BUILD)/tandem $(TESTS) $(BENCHES) ## run the tests of the current build
	@tests/run $(BUILD) $(RELEASE)

RECOMPUTE ?= 1000
recompute: $(BUILD)/tandem ## recompute every printed number of RECOMPUTE (1000) random scenarios
	@tests/recompute/run $(RECOMPUTE) --tandem $(BUILD)/tandem --keep $(BUILD)/recompute

coverage: ## run the tests of a build that counts, and print the share of lines and branches that they execute, by room
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage CFLAGS='-O1 -g' SANITIZE=--coverage counted
	@tests/coverage/run $(BUILD)/coverage $(ROOMS)

.PHONY: counted
counted: $(BUILD)/tandem $(MPI_OBJECT) $(TESTS)
	@find $(BUILD) -name '*.gcda' -delete
	@tests/run $(BUILD) || true # what fails counts as far as it came

RACED := $(BUILD)/tsan/tandem $(BUILD)/tsan/tests/test_ranks
tsan: ## run all that runs on threads under ThreadSanitizer
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS='-O1 -g' SANITIZE='-fsanitize=thread' $(RACED)
	@tests/races $(BUILD)/tsan

MUTANTS ?= 100
mutants: ## change MUTANTS (100) lines that judge and plan, and ask whether a test fails
	@tests/mutants/run --count $(MUTANTS)

check: WANTED := $(PACKAGES) $(CHECK_PACKAGES)
check: deps-if-missing ## what CI runs: warnings as errors, sanitizers, format, house rules, tests, instruction counts
	@tests/check-rooms
	@tests/check-format $(FORMATTED)
	@$(MAKE) --no-print-directory -j1 -k testers || echo "some testers could not be brought: their tests are skipped"
	@$(MAKE) --no-print-directory WERROR=-Werror all lib $(BUILD)/emulated/tandem-cuda.so
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS='-O1 -g -fno-omit-frame-pointer' WERROR=-Werror \
	    SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' RELEASE=$(BUILD) test

asan: ## build with address and undefined-behaviour sanitizers at build/asan/tandem
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS='-O1 -g -fno-omit-frame-pointer' \
	    SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' all

FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
CLANG ?= clang
fuzz: ## fuzz every reader of bytes that users bring, FUZZ_SECONDS (60) each; FUZZ_TARGETS="plan trace": some
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC='$(CLANG)' CFLAGS='-O1 -g -fno-omit-frame-pointer -DDENSE_TOKENS=64 -DDENSE_SEQUENCES=16' SANITIZE='-fsanitize=fuzzer-no-link,address,undefined' fuzzers
	@tests/fuzz/run $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: fuzzers
fuzzers: $(FUZZERS)
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(LIBRARY) $(wildcard tests/*.h tests/fuzz/*.h)
	@mkdir -p $(@D); echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $< $(LIBRARY) $(ALL_LIBS) -o $@

# What a machine with a GPU and CUDA, but none of our packages, runs: the program, its libraries next to it, the backend, and
# the header that building the backend there needs.
KIT := $(BUILD)/gpu-kit
KIT_LIBRARIES := libgsl libgslcblas libsqlite3 libcjson libz libopenblas libgfortran libquadmath
gpu-kit: $(OBJECTS) $(BUILD)/tandem-cuda.so ## gather what engine_ref/gpu_check.sh takes to a machine with a GPU
	@rm -rf $(KIT); mkdir -p $(KIT)/lib $(KIT)/include/cjson; echo "  $(KIT)"
	$(Q)cp $$(echo '#include <cjson/cJSON.h>' | $(CC) -E - | sed -n 's|.* "\(/.*/cJSON\.h\)".*|\1|p' | head -1) $(KIT)/include/cjson/
	$(Q)$(CC) $(ALL_CFLAGS) -Wl,--disable-new-dtags,-rpath,'$$ORIGIN/lib' $(OBJECTS) $(ALL_LIBS) -o $(KIT)/tandem
	$(Q)for l in $(KIT_LIBRARIES); do cp -L $$(ldd $(KIT)/tandem | sed -n "s|.*=> \(/[^ ]*/$$l[.-][^ ]*\) .*|\1|p" | head -1) $(KIT)/lib/ || exit 1; done
	$(Q)cp $(BUILD)/tandem-cuda.so $(KIT)/ && du -sh $(KIT)

KILLS ?= 100
kills: $(BUILD)/tandem ## kill commands at KILLS (100) random instants, and hold what is left against undisturbed ones
	@tests/kills/run $(BUILD)/tandem --count $(KILLS)

FAULTS ?= --sites 1 --most 400
FAILING := $(BUILD)/failing_malloc.so $(BUILD)/failing_io.so
faults: $(BUILD)/tandem $(MPI_OBJECT) $(FAILING) $(BUILD)/tests/faults/library_user ## fail allocations and file operations of every command, one by one (FAULTS=: each, hours)
	@tests/faults/run $(BUILD) $(BUILD)/tandem $(FAULTS)

$(BUILD)/failing_%.so: tests/faults/failing_%.c tests/faults/program.h
	@mkdir -p $(@D); echo "  $@"
	$(Q)$(CC) -std=c17 -O1 -g -fPIC -shared -I. $(WARNINGS) $(WERROR) $< -o $@

$(BUILD)/tests/faults/library_user: tests/faults/library_user.c $(LIBRARY) include/tandem/tandem.h
	@mkdir -p $(@D); echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $< $(LIBRARY) $(ALL_LIBS) -o $@

bench: $(BENCHES) ## speed and memory of many workloads, and of event lists; writes build/bench.json
	@$(BUILD)/tests/bench/event_lists
	@$(BUILD)/tests/bench/bench --json $(BUILD)/bench.json $(BENCH_OPTIONS)

$(BUILD)/tests/bench/%: tests/bench/%.c $(LIBRARY)
	@mkdir -p $(@D); echo "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $< $(LIBRARY) $(ALL_LIBS) -o $@

COMPILED := $(SOURCES) $(wildcard tests/*.c tests/fuzz/*.c tests/bench/*.c tests/faults/*.c docs/examples/*.c)
lint: ## static analysis: clang with warnings as errors, cppcheck, clang-tidy
	@for f in $(COMPILED); do $(CLANG) $(ALL_CFLAGS) -Iinclude -DFUZZ_TARGETS='X(fuzz_csv)' -Werror -fsyntax-only $$f || exit 1; done
	@command -v cppcheck >/dev/null || { echo "cppcheck is not installed"; exit 0; }; \
	    cppcheck --quiet --error-exitcode=1 --std=c17 --enable=warning,performance,portability --inline-suppr -I. --suppress=duplicateAssignExpression $(SOURCES)
	@$(MAKE) --no-print-directory tidy

tidy: ## clang-tidy with the checks of .clang-tidy, in every room; TIDY="base/*.c": some files
	@command -v clang-tidy >/dev/null || { echo "skipped: clang-tidy is not installed"; exit 0; }; \
	    printf '%s\n' $(if $(TIDY),$(wildcard $(TIDY)),$(SOURCES)) | xargs -P $$(nproc) -n 8 sh -c 'clang-tidy --quiet "$$@" -- $(ALL_CFLAGS) 2>/dev/null' tidy

format: ## format every source file
	clang-format -i $(FORMATTED)

# Where make install puts things. LIBDIR may be a distribution's own, lib/x86_64-linux-gnu; optional parts are found by the
# program in ../lib/tandem, wherever that is.
LIBDIR ?= $(PREFIX)/lib
TO := $(DESTDIR)$(PREFIX)
SHARE := $(TO)/share
COMMANDS = $(shell $(BUILD)/tandem --help | sed -n 's/^  tandem \([a-z]*\) .*/\1/p')
PLUGIN_HEADERS = $(sort $(filter %.h,$(shell $(CC) -std=c17 -I. -MM docs/examples/by_prompt.c docs/examples/prompts_alone.c)))

install: all install-lib ## install the program, its parts, libtandem, headers, man pages, completions and examples to PREFIX (/usr/local)
	install -D -m 755 $(BUILD)/tandem $(TO)/bin/tandem
	for o in $(CUDA_OBJECT) $(MPI_OBJECT); do install -D -m 644 $$o $(TO)/lib/tandem/$$(basename $$o) || exit 1; done
	install -d $(SHARE)/man/man1 $(SHARE)/doc/tandem/examples
	$(BUILD)/tandem help --man >$(SHARE)/man/man1/tandem.1
	for c in $(COMMANDS); do $(BUILD)/tandem help --man $$c >$(SHARE)/man/man1/tandem-$$c.1 || exit 1; done
	install -d $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(BUILD)/tandem help --completion bash >$(SHARE)/bash-completion/completions/tandem
	$(BUILD)/tandem help --completion zsh >$(SHARE)/zsh/site-functions/_tandem
	$(BUILD)/tandem help --completion fish >$(SHARE)/fish/vendor_completions.d/tandem.fish
	for h in $(PLUGIN_HEADERS); do install -D -m 644 $$h $(TO)/include/tandem/plugin/$$h || exit 1; done
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' packaging/tandem-plugin.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/tandem-plugin.pc
	cp -r docs/examples/. $(SHARE)/doc/tandem/examples/
	install -m 644 README.md CHANGELOG.md LICENSE docs/scenario.schema.json $(SHARE)/doc/tandem/

install-lib: lib ## libtandem and its header alone
	install -D -m 644 include/tandem/tandem.h $(TO)/include/tandem/tandem.h
	install -D -m 644 $(LIB_BUILD)/libtandem.so $(DESTDIR)$(LIBDIR)/libtandem.so.$(VERSION)
	ln -sf libtandem.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libtandem.so.$(SO_MAJOR)
	ln -sf libtandem.so.$(SO_MAJOR) $(DESTDIR)$(LIBDIR)/libtandem.so
	install -D -m 644 $(LIB_BUILD)/libtandem.a $(DESTDIR)$(LIBDIR)/libtandem.a
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(LIBS)|' simulation/tandem.pc.in \
	    >$(DESTDIR)$(LIBDIR)/pkgconfig/tandem.pc

uninstall: ## take them away again
	rm -f $(TO)/bin/tandem $(DESTDIR)$(LIBDIR)/libtandem.* $(DESTDIR)$(LIBDIR)/pkgconfig/tandem.pc $(DESTDIR)$(LIBDIR)/pkgconfig/tandem-plugin.pc \
	    $(SHARE)/man/man1/tandem.1 $(SHARE)/man/man1/tandem-*.1 $(SHARE)/bash-completion/completions/tandem \
	    $(SHARE)/zsh/site-functions/_tandem $(SHARE)/fish/vendor_completions.d/tandem.fish
	rm -rf $(TO)/lib/tandem $(TO)/include/tandem $(SHARE)/doc/tandem

deb: all lib ## build Debian packages (tandem, libtandem1, libtandem-dev) in build/deb
	+@MAKE='$(MAKE)' packaging/deb $(BUILD) $(VERSION) $(SO_MAJOR)

wheel: all lib ## build the Python package with all that it needs: build/tandem_simulator-VERSION-py3-none-PLATFORM.whl
	@python3 packaging/wheel $(BUILD) $(VERSION)

clean: ## remove what was built
	rm -rf $(BUILD)

-include $(SOURCES:%.c=$(BUILD)/%.d)
